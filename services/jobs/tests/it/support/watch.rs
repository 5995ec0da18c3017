//! A watch, from the caller's side.

use std::time::Duration;

use holdfast_proto::jobs::v1 as pb;
use pb::watch_jobs_request::Scope;
use tonic::{Status, Streaming};

const NEXT_WITHIN: Duration = Duration::from_secs(60);

pub fn watch_project(project: &str) -> pb::WatchJobsRequest {
    let project = pb::WatchedProject { tenant_id: String::new(), project_id: project.to_owned() };
    pb::WatchJobsRequest { scope: Some(Scope::Project(project)), ..Default::default() }
}

pub fn watch_job(job_id: &str) -> pb::WatchJobsRequest {
    pb::WatchJobsRequest { scope: Some(Scope::JobId(job_id.to_owned())), ..Default::default() }
}

pub struct Watch {
    stream: Streaming<pb::WatchJobsResponse>,
    /// Everything that came, in its order.
    pub events: Vec<pb::JobEvent>,
    /// Of the last message.
    pub token: String,
}

impl Watch {
    pub(super) fn new(stream: Streaming<pb::WatchJobsResponse>) -> Self {
        Self { stream, events: Vec::new(), token: String::new() }
    }

    /// The next message's events; None at an end without a failure.
    pub async fn next(&mut self) -> Result<Option<Vec<pb::JobEvent>>, Status> {
        let message = tokio::time::timeout(NEXT_WITHIN, self.stream.message()).await;
        let Some(message) = message.map_err(|_| Status::deadline_exceeded("nothing came"))?? else { return Ok(None) };
        assert!(message.events.len() <= 256 && message.resume_token.len() < 1024);
        self.events.extend(message.events.iter().cloned());
        self.token = message.resume_token;
        Ok(Some(message.events))
    }

    /// Until so many events have come in all.
    pub async fn until(&mut self, count: usize) -> Result<(), Status> {
        while self.events.len() < count {
            if self.next().await?.is_none() {
                return Err(Status::aborted(format!("it ended behind {} events", self.events.len())));
            }
        }
        Ok(())
    }

    /// To its end.
    pub async fn drained(&mut self) -> Result<(), Status> {
        while self.next().await?.is_some() {}
        Ok(())
    }

    /// Which transitions of which jobs came.
    pub fn seen(&self) -> Vec<(String, i64)> {
        self.events.iter().map(|event| (event.job_id.clone(), event.seq)).collect()
    }
}
