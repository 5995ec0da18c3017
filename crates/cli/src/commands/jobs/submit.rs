use std::{io::Read, path::PathBuf, str::FromStr, time::Duration};

use anyhow::Context;
use chrono::{DateTime, Utc};
use holdfast_client::{Client, IdempotencyKey, NewJob, OnFailure, bytes};
use serde_json::json;

use crate::{
    commands::values::{ClassificationArg, QueueArg, ResidencyArg, TierArg},
    output::{Format, Table, print},
    present,
};

#[derive(Debug, clap::Args)]
pub(crate) struct SubmitArgs {
    /// Project whose queue it waits in.
    #[arg(long)]
    project: String,
    /// What is to be done, such as `repo.digest`.
    #[arg(long)]
    intent: String,
    /// Tenant; needed only where the token names several.
    #[arg(long)]
    tenant: Option<String>,
    /// Idempotency key: the same key never queues a second job within its window [default: a new one].
    #[arg(long)]
    key: Option<IdempotencyKey>,
    /// The payload itself.
    #[arg(long, conflicts_with = "payload_file", default_value = "{}")]
    payload: String,
    /// File with the payload; `-` is standard input.
    #[arg(long, value_name = "PATH")]
    payload_file: Option<PathBuf>,
    #[arg(long, default_value = "application/json")]
    content_type: String,
    /// 0 to 9, 9 first.
    #[arg(long, default_value_t = 0)]
    priority: u8,
    #[arg(long, value_enum, default_value = "project")]
    queue: QueueArg,
    #[arg(long, value_enum, default_value = "A")]
    tier: TierArg,
    /// Not before this time, in RFC 3339.
    #[arg(long, value_name = "TIME")]
    run_after: Option<DateTime<Utc>>,
    /// Time under lease over all attempts, in seconds [default: the intent's].
    #[arg(long, value_name = "SECONDS")]
    run_budget: Option<u64>,
    /// [default: the intent's]
    #[arg(long)]
    max_attempts: Option<u16>,
    /// The job on whose behalf this one is done.
    #[arg(long, value_name = "JOB_ID")]
    parent: Option<String>,
    /// A job that has to end before this one runs, and what becomes of this one where that fails: `JOB_ID`, `JOB_ID:cancel`,
    /// `JOB_ID:run` [default: block]. May be given several times.
    #[arg(long = "after", value_name = "JOB_ID[:ON_FAILURE]")]
    after: Vec<After>,
    /// How sensitive its data is [default: the parent's, or the deployment's].
    #[arg(long, value_enum)]
    classification: Option<ClassificationArg>,
    /// Where its data may be kept [default: the parent's, the tenant's or the deployment's].
    #[arg(long, value_enum)]
    residency: Option<ResidencyArg>,
}

#[derive(Clone, Debug)]
struct After(String, OnFailure);

impl FromStr for After {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (job_id, on_failure) = match text.split_once(':') {
            None => (text, OnFailure::Block),
            Some((job_id, "block")) => (job_id, OnFailure::Block),
            Some((job_id, "cancel")) => (job_id, OnFailure::Cancel),
            Some((job_id, "run")) => (job_id, OnFailure::Run),
            Some((_, other)) => return Err(format!("{other} is none of block, cancel, run")),
        };
        Ok(Self(job_id.to_owned(), on_failure))
    }
}

impl SubmitArgs {
    pub(crate) async fn run(self, client: &Client, format: Format) -> anyhow::Result<()> {
        let job = self.job()?;
        let key = job.key.clone();
        let job = client.jobs().submit(job).await.with_context(|| format!("submitting under key {key}"))?;
        let window_end = job.window_end.map(present::moment).unwrap_or_default();
        let document = json!({
            "job_id": job.job_id,
            "state": present::state_name(job.state.into()),
            "replayed": job.replayed,
            "idempotency_key": key.as_str(),
            "window_end": window_end,
            "generation": job.generation,
        });
        print(format, &document, || {
            let mut table = Table::fields();
            table.field("job", &job.job_id);
            table.field("state", present::state_name(job.state.into()));
            table.field("replayed", if job.replayed { "yes: this key had queued it before" } else { "no" });
            table.field("key", key.as_str());
            table.field("key opens anew", window_end);
            table
        })
    }

    fn job(self) -> anyhow::Result<NewJob> {
        let data = match &self.payload_file {
            None => self.payload.into_bytes(),
            Some(path) => read(path).with_context(|| format!("reading {}", path.display()))?,
        };
        let key = self.key.unwrap_or_else(IdempotencyKey::random);
        Ok(NewJob {
            tenant: self.tenant,
            queue: self.queue.into(),
            tier: self.tier.into(),
            priority: self.priority,
            run_after: self.run_after,
            run_budget: self.run_budget.map(Duration::from_secs),
            max_attempts: self.max_attempts,
            parent: self.parent,
            after: self.after.into_iter().map(|After(job_id, on_failure)| (job_id, on_failure)).collect(),
            classification: self.classification.map(Into::into),
            residency: self.residency.map(Into::into),
            ..NewJob::new(self.project, self.intent, key, bytes(data, self.content_type))
        })
    }
}

fn read(path: &PathBuf) -> std::io::Result<Vec<u8>> {
    if path.as_os_str() != "-" {
        return std::fs::read(path);
    }
    let mut data = Vec::new();
    std::io::stdin().lock().read_to_end(&mut data)?;
    Ok(data)
}
