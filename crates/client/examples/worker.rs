//! Works on the jobs of the example `submit`, until Ctrl-C:
//!
//! ```sh
//! HOLDFAST_TOKEN=$(target/release/holdfast token --kind worker --sub dev-worker) cargo run -p holdfast-client --example worker
//! ```

use holdfast_client::{AccessToken, CancellationToken, Client, Job, JobError, ModelUsage, Worker, WorkerSpec, json};

async fn count(job: Job) -> Result<holdfast_client::Payload, JobError> {
    let text: String = job.payload_json()?;
    job.progress(50, "counting");
    if text.is_empty() {
        return Err(JobError::permanent("empty", "there is nothing to count"));
    }
    let count = text.chars().count();
    // As if a model had read it. Where a budget is exceeded with it, the work ends here.
    let used = ModelUsage { input_tokens: count as u32, ..ModelUsage::of("example", "counter") };
    job.record_usage("count", used).await?;
    Ok(json(&count)?)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let endpoint = std::env::var("HOLDFAST_ENDPOINT").unwrap_or_else(|_| "http://127.0.0.1:7100".to_owned());
    let token = std::env::var("HOLDFAST_TOKEN")?;
    let client = Client::builder(endpoint).token(AccessToken::from(token.as_str())).build()?;

    let stop = CancellationToken::new();
    let stopped = stop.clone();
    tokio::spawn(async move {
        let _ = tokio::signal::ctrl_c().await;
        stopped.cancel();
    });
    let spec = WorkerSpec { capacity: 4, ..WorkerSpec::new("example-worker", ["example.count"]) };
    Worker::new(client, spec).observed_by(|event| println!("{event:?}")).run(count, &stop).await?;
    Ok(())
}
