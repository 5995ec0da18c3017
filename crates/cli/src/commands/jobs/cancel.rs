use holdfast_client::{Client, IdempotencyKey};
use serde_json::json;

use crate::{
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
    key: Option<IdempotencyKey>,
}

impl CancelArgs {
    pub(crate) async fn run(self, client: &Client, format: Format) -> anyhow::Result<()> {
        let key = self.key.unwrap_or_else(IdempotencyKey::random);
        let cancelled = client.jobs().cancel(&self.job_id, &self.reason, &key).await?;
        let document = json!({ "job": present::job_json(&cancelled.job), "replayed": cancelled.replayed });
        print(format, &document, || present::job_table(&cancelled.job))
    }
}
