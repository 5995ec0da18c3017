//! Following jobs: a stream of their transitions that goes on where it was when it breaks.

use std::time::Duration;

use futures::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use holdfast_ids::RequestId;
use pb::job_service_client::JobServiceClient;
use tokio::time::{Instant, sleep};
use tonic::{Request, Streaming};

use crate::{
    Client, Error, Jobs,
    pb::{self, WatchJobsRequest, WatchJobsResponse},
};

/// How long a watch that broke is tried to be resumed.
const RESUME_PATIENCE: Duration = Duration::from_secs(60);

impl Jobs {
    /// Follows the transitions of a project's jobs, or of one job, until the watch ends by itself (one job has ended,
    /// `catch_up_only`) or the stream is dropped. A watch that breaks for what passes is resumed after the last message
    /// that came; one that never began fails. Events may come twice then, never too few, and those of one job in order.
    pub fn watch(&self, request: WatchJobsRequest) -> BoxStream<'static, Result<WatchJobsResponse, Error>> {
        let watch = Watch { client: self.client.clone(), request, messages: None, broken: None };
        stream::unfold(Some(watch), |watch| async move {
            let mut watch = watch?;
            match watch.next().await {
                Ok(Some(message)) => Some((Ok(message), Some(watch))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        })
        .boxed()
    }
}

struct Watch {
    client: Client,
    /// From where it would be resumed.
    request: WatchJobsRequest,
    messages: Option<Streaming<WatchJobsResponse>>,
    /// Since when, and how often it was tried again.
    broken: Option<(Instant, u32)>,
}

impl Watch {
    async fn next(&mut self) -> Result<Option<WatchJobsResponse>, Error> {
        loop {
            match self.message().await {
                Ok(Some(message)) => {
                    self.broken = None;
                    self.request.resume_token.clone_from(&message.resume_token);
                    return Ok(Some(message));
                }
                Ok(None) => return Ok(None),
                Err(error) => {
                    self.messages = None;
                    let (since, tries) = self.broken.unwrap_or((Instant::now(), 0));
                    let never_began = self.request.resume_token.is_empty();
                    if never_began || !error.is_retryable() || since.elapsed() > RESUME_PATIENCE {
                        return Err(error);
                    }
                    sleep(self.client.shared.retry.delay(tries, error.retry_after)).await;
                    self.broken = Some((since, tries + 1));
                }
            }
        }
    }

    async fn message(&mut self) -> Result<Option<WatchJobsResponse>, Error> {
        let messages = match self.messages.take() {
            Some(messages) => self.messages.insert(messages),
            None => {
                let messages = self.open().await?;
                self.messages.insert(messages)
            }
        };
        messages.message().await.map_err(Error::of_status)
    }

    /// Without a deadline: it lasts.
    async fn open(&self) -> Result<Streaming<WatchJobsResponse>, Error> {
        let request_id = RequestId::new().to_string();
        let picked = self.client.shared.instances.pick();
        let mut request = Request::new(self.request.clone());
        self.client.address(&mut request, &request_id).await?;
        let opened = JobServiceClient::new(picked.channel.clone()).watch_jobs(request).await;
        let opened = opened.map_err(|status| Error::of_status(status).sent(&request_id, 1));
        opened.map(tonic::Response::into_inner).inspect_err(|error| self.client.shared.note(&picked, error))
    }
}
