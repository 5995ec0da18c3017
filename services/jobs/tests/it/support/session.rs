//! A worker's session, from the worker's side.

use std::time::Duration;

use holdfast_proto::jobs::v1 as pb;
use pb::work_request::{Heartbeat, Hello, Message as In};
use pb::work_response::{Answered, Message as Out, Welcome};
use pb::worker_service_client::WorkerServiceClient;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Request, Status, Streaming};

use super::json;

const NEXT_WITHIN: Duration = Duration::from_secs(20);

pub struct WorkSession {
    pub welcome: Welcome,
    requests: mpsc::Sender<pb::WorkRequest>,
    responses: Streaming<pb::WorkResponse>,
}

impl WorkSession {
    pub(super) async fn open(
        mut client: WorkerServiceClient<Channel>,
        request: impl FnOnce(ReceiverStream<pb::WorkRequest>) -> Request<ReceiverStream<pb::WorkRequest>>,
        hello: Hello,
    ) -> Result<Self, Status> {
        let (requests, stream) = mpsc::channel(64);
        let responses = client.work(request(ReceiverStream::new(stream))).await?.into_inner();
        let mut session = Self { welcome: Welcome::default(), requests, responses };
        session.say(In::Hello(hello)).await;
        session.welcome = match session.next().await? {
            Out::Welcome(welcome) => welcome,
            other => panic!("not a welcome: {other:?}"),
        };
        Ok(session)
    }

    pub async fn say(&self, message: In) {
        // A session that has ended says so when it is read.
        let _ = self.requests.send(pb::WorkRequest { message: Some(message) }).await;
    }

    pub async fn next(&mut self) -> Result<Out, Status> {
        let message = tokio::time::timeout(NEXT_WITHIN, self.responses.message()).await;
        let message = message.map_err(|_| Status::deadline_exceeded("nothing came"))??;
        message.and_then(|response| response.message).ok_or_else(|| Status::ok("the session has ended"))
    }

    /// The next message, which must be a job.
    pub async fn leased(&mut self) -> Result<pb::LeasedJob, Status> {
        match self.next().await? {
            Out::Leased(job) => Ok(job),
            other => panic!("not a job: {other:?}"),
        }
    }

    pub async fn answered(&mut self) -> Result<Answered, Status> {
        match self.next().await? {
            Out::Answered(answered) => Ok(answered),
            other => panic!("not an answer: {other:?}"),
        }
    }

    pub async fn complete(&self, job: &pb::LeasedJob) {
        self.say(In::Complete(pb::CompleteJobRequest { lease: job.lease.clone(), result: Some(json("\"done\"")) }))
            .await;
    }

    pub async fn heartbeat(&self, leases: Vec<pb::LeaseExtension>) {
        self.say(In::Heartbeat(Heartbeat { leases })).await;
    }

    /// Half-closes and waits for the end.
    pub async fn leave(mut self) -> Result<(), Status> {
        let (closed, _) = mpsc::channel(1);
        drop(std::mem::replace(&mut self.requests, closed));
        while self.responses.message().await?.is_some() {}
        Ok(())
    }

    /// Reads on until the session ends with an error, past whatever comes before.
    pub async fn end(&mut self) -> Status {
        loop {
            if let Err(status) = self.next().await {
                return status;
            }
        }
    }
}
