//! A stream that holds a lease, from the holder's side.

use std::time::Duration;

use holdfast_proto::locks::v1 as pb;
use pb::hold_lock_request::{Heartbeat, Message as In};
use pb::hold_lock_response::{Granted, Lost, Message as Out};
use pb::lock_service_client::LockServiceClient;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Request, Status, Streaming};

const NEXT_WITHIN: Duration = Duration::from_secs(60);

/// Dropped, it is a call that is cut: the client resets it.
pub struct Hold {
    requests: Option<mpsc::Sender<pb::HoldLockRequest>>,
    responses: Streaming<pb::HoldLockResponse>,
}

impl Hold {
    pub(super) async fn open(
        mut client: LockServiceClient<Channel>,
        request: impl FnOnce(ReceiverStream<pb::HoldLockRequest>) -> Request<ReceiverStream<pb::HoldLockRequest>>,
        first: In,
    ) -> Result<Self, Status> {
        let (requests, stream) = mpsc::channel(64);
        let responses = client.hold_lock(request(ReceiverStream::new(stream))).await?.into_inner();
        let hold = Self { requests: Some(requests), responses };
        hold.say(first).await;
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
