use std::{io::Read, path::PathBuf, str::FromStr};

use anyhow::Context;
use chrono::{DateTime, Utc};
use holdfast_proto::jobs::v1::{
    Constraints, Dependency, OnFailure, Payload, Queue, RiskTier, SubmitJobRequest, dependency,
};
use prost_types::Timestamp;
use serde_json::json;

use crate::{
    commands::values::{QueueArg, TierArg},
    connection::{CallError, Connection},
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
    #[arg(long, default_value = "", hide_default_value = true)]
    tenant: String,
    /// Idempotency key: the same key never queues a second job within its window [default: a new one].
    #[arg(long)]
    key: Option<String>,
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
    priority: i32,
    #[arg(long, value_enum, default_value = "project")]
    queue: QueueArg,
    #[arg(long, value_enum, default_value = "A")]
    tier: TierArg,
    /// Not before this time, in RFC 3339.
    #[arg(long, value_name = "TIME")]
    run_after: Option<Moment>,
    /// Time under lease over all attempts, in seconds [default: the intent's].
    #[arg(long, value_name = "SECONDS")]
    run_budget: Option<i64>,
    /// [default: the intent's]
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    max_attempts: i32,
    /// The job on whose behalf this one is done.
    #[arg(long, value_name = "JOB_ID", default_value = "", hide_default_value = true)]
    parent: String,
    /// A job that has to end before this one runs, and what becomes of this one where that fails: `JOB_ID`, `JOB_ID:cancel`,
    /// `JOB_ID:run` [default: block]. May be given several times.
    #[arg(long = "after", value_name = "JOB_ID[:ON_FAILURE]")]
    after: Vec<After>,
}

#[derive(Clone, Debug)]
struct After(Dependency);

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
        Ok(Self(Dependency { on: Some(dependency::On::JobId(job_id.to_owned())), on_failure: on_failure.into() }))
    }
}

#[derive(Clone, Debug)]
struct Moment(Timestamp);

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let at: DateTime<Utc> = text.parse().map_err(|_| "expected a time such as 2026-01-31T12:00:00Z".to_owned())?;
        let nanos = i32::try_from(at.timestamp_subsec_nanos()).map_err(|error| error.to_string())?;
        Ok(Self(Timestamp { seconds: at.timestamp(), nanos }))
    }
}

impl SubmitArgs {
    pub(crate) async fn run(self, connection: &Connection, format: Format) -> anyhow::Result<()> {
        let request = self.request()?;
        let key = request.idempotency_key.clone();
        let response = connection.jobs().submit_job(connection.request(request)).await.map_err(CallError::from);
        let job = response.with_context(|| format!("submitting under key {key}"))?.into_inner();
        let document = json!({
            "job_id": job.job_id,
            "state": present::state_name(job.state),
            "replayed": job.replayed,
            "idempotency_key": key,
            "window_end": present::time(job.window_end.as_ref()),
            "generation": job.generation,
        });
        print(format, &document, || {
            let mut table = Table::fields();
            table.field("job", &job.job_id);
            table.field("state", present::state_name(job.state));
            table.field("replayed", if job.replayed { "yes: this key had queued it before" } else { "no" });
            table.field("key", &key);
            table.field("key opens anew", present::time(job.window_end.as_ref()));
            table
        })
    }

    fn request(self) -> anyhow::Result<SubmitJobRequest> {
        let data = match &self.payload_file {
            None => self.payload.into_bytes(),
            Some(path) => read(path).with_context(|| format!("reading {}", path.display()))?,
        };
        let run_budget = self.run_budget.map(|seconds| prost_types::Duration { seconds, nanos: 0 });
        Ok(SubmitJobRequest {
            tenant_id: self.tenant,
            project_id: self.project,
            intent: self.intent,
            queue: Queue::from(self.queue).into(),
            tier: RiskTier::from(self.tier).into(),
            priority: self.priority,
            run_after: self.run_after.map(|moment| moment.0),
            constraints: Some(Constraints { run_budget, max_attempts: self.max_attempts }),
            idempotency_key: self.key.unwrap_or_else(|| uuid::Uuid::now_v7().to_string()),
            payload: Some(Payload { data: data.into(), content_type: self.content_type }),
            parent_job_id: self.parent,
            dependencies: self.after.into_iter().map(|after| after.0).collect(),
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
