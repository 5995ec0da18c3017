//! Following jobs and locks: a stream of what happens to them that goes on when it breaks.

use std::time::Duration;

use futures::{
    FutureExt as _, StreamExt as _,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use holdfast_ids::RequestId;
use pb::job_service_client::JobServiceClient;
use tokio::time::{Instant, sleep, timeout};
use tonic::{
    Request, Response, Status, Streaming,
    metadata::{Ascii, MetadataValue},
    transport::Channel,
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
        follow(self.client.clone(), JobsWatch { has_begun: !request.resume_token.is_empty(), request })
    }
}

/// What is followed.
pub(crate) trait Followed: Send + 'static {
    type Request: Send + 'static;
    type Message: Send + 'static;

    fn request(&self) -> Self::Request;
    fn open(channel: Channel, request: Request<Self::Request>) -> Opening<Self::Message>;
    /// From here on it would go on after this message.
    fn came(&mut self, message: &Self::Message);
    /// One that has is resumed where it breaks.
    fn has_begun(&self) -> bool;
}

pub(crate) type Opening<M> = BoxFuture<'static, Result<Response<Streaming<M>>, Status>>;

struct JobsWatch {
    /// From where it would be resumed.
    request: WatchJobsRequest,
    has_begun: bool,
}

impl Followed for JobsWatch {
    type Request = WatchJobsRequest;
    type Message = WatchJobsResponse;

    fn request(&self) -> WatchJobsRequest {
        self.request.clone()
    }

    fn open(channel: Channel, request: Request<WatchJobsRequest>) -> Opening<WatchJobsResponse> {
        async move { JobServiceClient::new(channel).watch_jobs(request).await }.boxed()
    }

    fn came(&mut self, message: &WatchJobsResponse) {
        self.has_begun = true;
        self.request.resume_token.clone_from(&message.resume_token);
    }

    fn has_begun(&self) -> bool {
        self.has_begun
    }
}

/// Its messages, until it ends, fails for good or is dropped.
pub(crate) fn follow<W: Followed>(client: Client, followed: W) -> BoxStream<'static, Result<W::Message, Error>> {
    let watch = Watch { client, followed, open: None, presented: None, broken: None, token_renewed: false };
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

struct Watch<W: Followed> {
    client: Client,
    followed: W,
    open: Option<(Streaming<W::Message>, Picked)>,
    /// The token that it was last opened with.
    presented: Option<MetadataValue<Ascii>>,
    /// Since when, and how often it was tried again.
    broken: Option<(Instant, u32)>,
    /// Since the last message.
    token_renewed: bool,
}

impl<W: Followed> Watch<W> {
    async fn next(&mut self) -> Result<Option<W::Message>, Error> {
        loop {
            let error = match self.message().await {
                Ok(Some(message)) => {
                    (self.broken, self.token_renewed) = (None, false);
                    self.followed.came(&message);
                    return Ok(Some(message));
                }
                Ok(None) => return Ok(None),
                Err(error) => error,
            };
            if self.has_another_token(&error).await {
                continue;
            }
            let (since, tries) = self.broken.unwrap_or((Instant::now(), 0));
            if !self.followed.has_begun() || !error.is_retryable() || since.elapsed() > RESUME_PATIENCE {
                return Err(error);
            }
            sleep(self.client.shared.retry.delay(tries, error.retry_after)).await;
            self.broken = Some((since, tries + 1));
        }
    }

    async fn message(&mut self) -> Result<Option<W::Message>, Error> {
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
    async fn open(&mut self) -> Result<(Streaming<W::Message>, Picked), Error> {
        let request_id = RequestId::new().to_string();
        let picked = self.client.shared.instances.pick();
        let mut request = Request::new(self.followed.request());
        self.client.address(&mut request, &request_id, self.client.shared.attempt_timeout).await?;
        self.presented = request.metadata().get("authorization").cloned();
        let opening = W::open(picked.channel.clone(), request);
        let error = match timeout(self.client.shared.attempt_timeout, opening).await {
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
