use holdfast_proto::jobs::v1::CancelJobRequest;
use serde_json::json;

use crate::{
    connection::{CallError, Connection},
    output::{Format, print},
    present,
};

#[derive(Debug, clap::Args)]
pub(crate) struct CancelArgs {
    job_id: String,
    /// Kept in the job's history.
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,
    /// Idempotency key of the cancellation: repeated under it, the answer is the same [default: a new one].
    #[arg(long)]
    key: Option<String>,
}

impl CancelArgs {
    pub(crate) async fn run(self, connection: &Connection, format: Format) -> anyhow::Result<()> {
        let idempotency_key = self.key.unwrap_or_else(|| uuid::Uuid::now_v7().to_string());
        let request =
            connection.request(CancelJobRequest { job_id: self.job_id, reason: self.reason, idempotency_key });
        let response = connection.jobs().cancel_job(request).await.map_err(CallError::from)?.into_inner();
        let job = response.job.unwrap_or_default();
        let document = json!({ "job": present::job_json(&job), "replayed": response.replayed });
        print(format, &document, || present::job_table(&job))
    }
}
