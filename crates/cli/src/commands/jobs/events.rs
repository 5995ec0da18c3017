use futures::TryStreamExt;
use holdfast_client::{Client, pb::JobEvent};
use serde_json::Value;

use crate::{
    output::{Format, print},
    present,
};

#[derive(Debug, clap::Args)]
pub(crate) struct EventsArgs {
    job_id: String,
}

impl EventsArgs {
    pub(crate) async fn run(self, client: &Client, format: Format) -> anyhow::Result<()> {
        let events: Vec<JobEvent> = client.jobs().events(&self.job_id).try_collect().await?;
        let document: Value = events.iter().map(present::event_json).collect();
        print(format, &document, || present::events_table(&events))
    }
}
