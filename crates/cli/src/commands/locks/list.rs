use futures::{StreamExt, TryStreamExt};
use holdfast_client::{Client, Lock, LockFilter};
use serde_json::{Value, json};

use crate::{
    output::{Format, print},
    present::locks,
};

#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    #[arg(long)]
    project: String,
    /// Tenant; needed only where the token names several.
    #[arg(long)]
    tenant: Option<String>,
    /// Only locks of this class.
    #[arg(long)]
    class: Option<String>,
    /// Only what is held under this label.
    #[arg(long)]
    owner: Option<String>,
    /// Only what this principal holds.
    #[arg(long)]
    actor: Option<String>,
    /// How many at most; pages are fetched as needed.
    #[arg(long, default_value_t = 50)]
    limit: usize,
}

impl ListArgs {
    pub(crate) async fn run(self, client: &Client, format: Format) -> anyhow::Result<()> {
        let limit = self.limit;
        let filter = LockFilter {
            project: self.project,
            tenant: self.tenant,
            class: self.class,
            owner: self.owner,
            actor: self.actor,
        };
        // One more than asked for, to tell whether there are more.
        let listed = client.locks().list(filter).take(limit.saturating_add(1));
        let mut found: Vec<Lock> = listed.try_collect().await?;
        let more = found.len() > limit;
        found.truncate(limit);
        let document = json!({ "locks": found.iter().map(locks::lock_json).collect::<Vec<Value>>(), "more": more });
        print(format, &document, || locks::locks_table(&found, more))
    }
}
