use holdfast_proto::jobs::v1::{JobEvent, ListJobEventsRequest};
use serde_json::Value;

use crate::{
    connection::{CallError, Connection},
    output::{Format, print},
    present,
};

const PAGE_SIZE: i32 = 1_000;

#[derive(Debug, clap::Args)]
pub(crate) struct EventsArgs {
    job_id: String,
}

impl EventsArgs {
    pub(crate) async fn run(self, connection: &Connection, format: Format) -> anyhow::Result<()> {
        let events = fetch(connection, &self.job_id).await?;
        let document: Value = events.iter().map(present::event_json).collect();
        print(format, &document, || present::events_table(&events))
    }
}

async fn fetch(connection: &Connection, job_id: &str) -> anyhow::Result<Vec<JobEvent>> {
    let (mut events, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = ListJobEventsRequest { job_id: job_id.to_owned(), page_size: PAGE_SIZE, page_token };
        let answer = connection.jobs().list_job_events(connection.request(request)).await;
        let page = answer.map_err(CallError::from)?.into_inner();
        events.extend(page.events);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(events);
        }
    }
}
