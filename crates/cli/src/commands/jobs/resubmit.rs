use holdfast_client::{Client, IdempotencyKey};
use serde_json::json;

use crate::{
    output::{Format, Table, print},
    present,
};

#[derive(Debug, clap::Args)]
pub(crate) struct ResubmitArgs {
    /// A job that has ended.
    job_id: String,
    /// Idempotency key of the new job [default: a new one].
    #[arg(long)]
    key: Option<IdempotencyKey>,
}

impl ResubmitArgs {
    pub(crate) async fn run(self, client: &Client, format: Format) -> anyhow::Result<()> {
        let key = self.key.unwrap_or_else(IdempotencyKey::random);
        let submitted = client.jobs().resubmit(&self.job_id, &key).await?;
        let state = present::state_name(submitted.state.into());
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
