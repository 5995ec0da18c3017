//! Following jobs: a stream of their transitions that goes on where it was when it breaks.

use std::time::Duration;

use futures::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use holdfast_ids::RequestId;
use pb::job_service_client::JobServiceClient;
use tokio::time::{Instant, sleep, timeout};
use tonic::{
    Request, Streaming,
    metadata::{Ascii, MetadataValue},
};

use crate::{
    Client, Error, Jobs, Reason,
    instances::Picked,
    pb::{self, WatchJobsRequest, WatchJobsResponse},
};

/// How long a watch that broke is tried to be resumed.
const RESUME_PATIENCE: Duration = Duration::from_secs(60);

impl Jobs {
    /// Follows the transitions of a project's jobs, or of one job, until the watch ends by itself (one job has ended,
    /// `catch_up_only`) or the stream is dropped. A watch that breaks for what passes is resumed after the last message
    /// that came, with a new token where its own has expired; one that never began fails. Events may come twice then,
    /// never too few, and those of one job in order.
    pub fn watch(&self, request: WatchJobsRequest) -> BoxStream<'static, Result<WatchJobsResponse, Error>> {
        let watch = Watch {
            client: self.client.clone(),
            request,
            open: None,
            presented: None,
            broken: None,
            token_renewed: false,
        };
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
    open: Option<(Streaming<WatchJobsResponse>, Picked)>,
    /// The token that it was last opened with.
    presented: Option<MetadataValue<Ascii>>,
    /// Since when, and how often it was tried again.
    broken: Option<(Instant, u32)>,
    /// Since the last message.
    token_renewed: bool,
}

impl Watch {
    async fn next(&mut self) -> Result<Option<WatchJobsResponse>, Error> {
        loop {
            let error = match self.message().await {
                Ok(Some(message)) => {
                    (self.broken, self.token_renewed) = (None, false);
                    self.request.resume_token.clone_from(&message.resume_token);
                    return Ok(Some(message));
                }
                Ok(None) => return Ok(None),
                Err(error) => error,
            };
            if self.has_another_token(&error).await {
                continue;
            }
            let (since, tries) = self.broken.unwrap_or((Instant::now(), 0));
            let never_began = self.request.resume_token.is_empty();
            if never_began || !error.is_retryable() || since.elapsed() > RESUME_PATIENCE {
                return Err(error);
            }
            sleep(self.client.shared.retry.delay(tries, error.retry_after)).await;
            self.broken = Some((since, tries + 1));
        }
    }

    async fn message(&mut self) -> Result<Option<WatchJobsResponse>, Error> {
        let (messages, picked) = match self.open.take() {
            Some(open) => self.open.insert(open),
            None => {
                let open = self.open().await?;
                self.open.insert(open)
            }
        };
        match messages.message().await {
            Ok(message) => Ok(message),
            Err(status) => {
                let error = Error::of_status(status);
                self.client.shared.note(picked, &error);
                self.open = None;
                Err(error)
            }
        }
    }

    /// Its opening has a deadline, the watch has none: it lasts.
    async fn open(&mut self) -> Result<(Streaming<WatchJobsResponse>, Picked), Error> {
        let request_id = RequestId::new().to_string();
        let picked = self.client.shared.instances.pick();
        let mut request = Request::new(self.request.clone());
        self.client.address(&mut request, &request_id, self.client.shared.attempt_timeout).await?;
        self.presented = request.metadata().get("authorization").cloned();
        let mut jobs = JobServiceClient::new(picked.channel.clone());
        let error = match timeout(self.client.shared.attempt_timeout, jobs.watch_jobs(request)).await {
            Ok(Ok(opened)) => return Ok((opened.into_inner(), picked)),
            Ok(Err(status)) => Error::of_status(status),
            Err(_) => Error::lost("the watch was not opened in time"),
        };
        self.client.shared.note(&picked, &error);
        Err(error.sent(&request_id, 1))
    }

    /// A watch ends with the token that it was opened with, and goes on with the next one.
    async fn has_another_token(&mut self, error: &Error) -> bool {
        if self.token_renewed || !error.is(Reason::Auth401InvalidToken) {
            return false;
        }
        let Some(refused) = self.presented.take() else { return false };
        self.token_renewed = true;
        self.client.shared.tokens.renew(&refused).await
    }
}
