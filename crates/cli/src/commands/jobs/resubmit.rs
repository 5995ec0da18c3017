use holdfast_proto::jobs::v1::ResubmitJobRequest;
use serde_json::json;

use crate::{
    connection::{CallError, Connection},
    output::{Format, Table, print},
    present,
};

#[derive(Debug, clap::Args)]
pub(crate) struct ResubmitArgs {
    /// A job that has ended.
    job_id: String,
    /// Idempotency key of the new job [default: a new one].
    #[arg(long)]
    key: Option<String>,
}

impl ResubmitArgs {
    pub(crate) async fn run(self, connection: &Connection, format: Format) -> anyhow::Result<()> {
        let idempotency_key = self.key.unwrap_or_else(|| uuid::Uuid::now_v7().to_string());
        let request = connection.request(ResubmitJobRequest { job_id: self.job_id.clone(), idempotency_key });
        let response = connection.jobs().resubmit_job(request).await.map_err(CallError::from)?.into_inner();
        let submitted = response.job.unwrap_or_default();
        let state = present::state_name(submitted.state);
        let document = json!({
            "job_id": submitted.job_id, "state": state, "replayed": submitted.replayed, "resubmits": self.job_id,
        });
        print(format, &document, || {
            let mut table = Table::fields();
            table.field("job", &submitted.job_id);
            table.field("state", state);
            table.field("does anew", &self.job_id);
            table
        })
    }
}
