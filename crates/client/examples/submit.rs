//! Submits a job, waits for it and prints its result and what it has used:
//!
//! ```sh
//! HOLDFAST_TOKEN=$(target/release/holdfast token) cargo run -p holdfast-client --example submit -- "a text"
//! ```

use std::time::Duration;

use holdfast_client::{AccessToken, BudgetOf, Client, IdempotencyKey, JobExt as _, NewJob, json};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let endpoint = std::env::var("HOLDFAST_ENDPOINT").unwrap_or_else(|_| "http://127.0.0.1:7100".to_owned());
    let token = std::env::var("HOLDFAST_TOKEN")?;
    let client = Client::builder(endpoint).token(AccessToken::from(token.as_str())).build()?;
    let text = std::env::args().nth(1).unwrap_or_else(|| "hello".to_owned());

    // Run it again with the same text: the same job answers.
    let key = IdempotencyKey::from_content("example-count", [&text]);
    let submitted = client.jobs().submit(NewJob::new("demo", "example.count", key, json(&text)?)).await?;
    println!("job {}{}", submitted.job_id, if submitted.replayed { ", submitted before" } else { "" });

    let job = client.jobs().wait(&submitted.job_id, Duration::from_secs(60)).await?;
    println!("{} characters", job.result_json::<usize>()?);
    let budget = client.usage().budget("", BudgetOf::Job(&submitted.job_id)).await?;
    println!("{} tokens", budget.tokens.unwrap_or_default().used);
    Ok(())
}
