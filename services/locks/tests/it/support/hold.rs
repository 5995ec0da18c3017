//! A stream that holds a lease, from the holder's side.

use std::time::Duration;

use futures::{Stream, StreamExt as _, stream};
use holdfast_proto::locks::v1 as pb;
use http_body_util::{BodyStream, StreamBody};
use pb::hold_lock_request::{Heartbeat, Message as In};
use pb::hold_lock_response::{Granted, Lost, Message as Out};
use pb::lock_service_client::LockServiceClient;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::transport::Channel;
use tonic::{Request, Status, Streaming};
use tower::ServiceExt as _;

const NEXT_WITHIN: Duration = Duration::from_secs(60);

/// Dropped, it is a call that is cut: the client resets it. A sender that is dropped alone would be a half-close.
pub struct Hold {
    cut: CancellationToken,
    requests: Option<mpsc::Sender<pb::HoldLockRequest>>,
    responses: Streaming<pb::HoldLockResponse>,
}

impl Hold {
    pub(super) async fn open(
        channel: Channel,
        request: impl FnOnce(ReceiverStream<pb::HoldLockRequest>) -> Request<ReceiverStream<pb::HoldLockRequest>>,
        first: Option<In>,
    ) -> Result<Self, Status> {
        let (requests, stream) = mpsc::channel(64);
        let cut = CancellationToken::new();
        let until = cut.clone();
        let channel = channel.map_request(move |request: http::Request<Body>| {
            request.map(|body| Body::new(StreamBody::new(reset_at(until.clone(), BodyStream::new(body)))))
        });
        let responses =
            LockServiceClient::new(channel).hold_lock(request(ReceiverStream::new(stream))).await?.into_inner();
        let hold = Self { cut, requests: Some(requests), responses };
        if let Some(first) = first {
            hold.say(first).await;
        }
        Ok(hold)
    }

    pub async fn say(&self, message: In) {
        if let Some(requests) = &self.requests {
            // A stream that has ended says so when it is read.
            let _ = requests.send(pb::HoldLockRequest { message: Some(message) }).await;
        }
    }

    pub async fn heartbeat(&self, renewal: u32) {
        self.say(In::Heartbeat(Heartbeat { renewal })).await;
    }

    /// The next message; None at an end without a failure.
    pub async fn next(&mut self) -> Result<Option<Out>, Status> {
        let message = tokio::time::timeout(NEXT_WITHIN, self.responses.message()).await;
        let message = message.map_err(|_| Status::deadline_exceeded("nothing came"))??;
        Ok(message.and_then(|response| response.message))
    }

    /// The next message, which must be a grant.
    pub async fn granted(&mut self) -> Result<Granted, Status> {
        match self.next().await? {
            Some(Out::Granted(granted)) => Ok(granted),
            other => panic!("not a grant: {other:?}"),
        }
    }

    /// The next message, which must be that it waits.
    pub async fn waiting(&mut self) -> Result<(), Status> {
        match self.next().await? {
            Some(Out::Waiting(_)) => Ok(()),
            other => panic!("it does not wait: {other:?}"),
        }
    }

    /// The next message but answers to heartbeats, which must be that the lease is lost.
    pub async fn lost(&mut self) -> Result<Lost, Status> {
        loop {
            match self.next().await? {
                Some(Out::Renewed(_)) => {}
                Some(Out::Lost(lost)) => return Ok(lost),
                other => panic!("it is not lost: {other:?}"),
            }
        }
    }

    pub fn half_close(&mut self) {
        self.requests = None;
    }

    /// Half-closes and reads to the end, which is one without a failure.
    pub async fn done(mut self) -> Result<(), Status> {
        self.half_close();
        while self.next().await?.is_some() {}
        Ok(())
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.cut.cancel();
    }
}

/// The frames of a request, which is reset once the token is cancelled.
fn reset_at<S: Stream<Item = Result<F, Status>> + Unpin, F>(
    cut: CancellationToken,
    frames: S,
) -> impl Stream<Item = Result<F, Status>> {
    stream::unfold((cut, frames), |(cut, mut frames)| async move {
        let frame = tokio::select! {
            biased;
            () = cut.cancelled() => Some(Err(Status::cancelled("cut"))),
            frame = frames.next() => frame,
        };
        frame.map(|frame| (frame, (cut, frames)))
    })
}
