//! Workers that do nothing: each job is completed as soon as it is received.

use std::{collections::HashMap, sync::Arc};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use holdfast_proto::jobs::v1::{
    CompleteJobRequest, LeaseRef, LeasedJob, Payload, Queue, WorkRequest, WorkResponse,
    work_request::{Hello, Message as Ask},
    work_response::{Message as Told, answered::Outcome},
    worker_service_client::WorkerServiceClient,
};
use tokio::{sync::mpsc, task::JoinSet};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Streaming, transport::Endpoint};

use super::{Board, tag::Tag};
use crate::{population::WORKER_SUBJECT, stack::Target};

/// A few Work streams, each on a connection of its own.
pub struct Workers {
    sessions: JoinSet<Result<()>>,
    stop: CancellationToken,
}

impl Workers {
    pub async fn start(target: &Target, board: &Arc<Board>, streams: usize, capacity: usize) -> Result<Self> {
        let stop = CancellationToken::new();
        let mut sessions = JoinSet::new();
        for index in 0..streams {
            let mut session = Session::open(target, board.clone(), index, capacity).await?;
            let stop = stop.clone();
            sessions.spawn(async move {
                tokio::select! {
                    ended = session.serve() => ended,
                    () = stop.cancelled() => Ok(()),
                }
            });
        }
        Ok(Self { sessions, stop })
    }

    /// Fails where a session had ended by itself.
    pub async fn stop(mut self) -> Result<()> {
        self.stop.cancel();
        while let Some(session) = self.sessions.join_next().await {
            session??;
        }
        Ok(())
    }
}

struct Session {
    board: Arc<Board>,
    asks: mpsc::Sender<WorkRequest>,
    told: Streaming<WorkResponse>,
    /// By lease.
    held: HashMap<String, Tag>,
    result: Payload,
}

impl Session {
    async fn open(target: &Target, board: Arc<Board>, index: usize, capacity: usize) -> Result<Self> {
        let channel = Endpoint::from_shared(target.url.clone())?.tcp_nodelay(true).connect().await?;
        // Room for an answer to every job held: the reader never waits for the writer.
        let (asks, queue) = mpsc::channel(capacity + 1);
        asks.send(message(Ask::Hello(hello(index, capacity)?))).await?;
        let mut request = Request::new(ReceiverStream::new(queue));
        request.metadata_mut().insert("authorization", target.worker.clone());
        let told = WorkerServiceClient::new(channel).work(request).await?.into_inner();
        let result = Payload { data: Bytes::from_static(b"{}"), content_type: String::new() };
        Ok(Self { board, asks, told, held: HashMap::with_capacity(capacity), result })
    }

    async fn serve(&mut self) -> Result<()> {
        while let Some(told) = self.told.message().await? {
            match told.message.context("an empty message")? {
                Told::Leased(job) => self.complete(job).await?,
                Told::Answered(answered) => {
                    let lease = answered.lease.context("an answer without its lease")?;
                    self.answered(&lease, answered.outcome);
                }
                Told::Revoked(revoked) => self.board.failed(format!("Work: a lease was revoked: {:?}", revoked.cause)),
                Told::Draining(_) => self.board.failed("Work: the service is draining".to_owned()),
                Told::Welcome(_) | Told::Extended(_) => {}
            }
        }
        bail!("the service ended a session");
    }

    /// No heartbeats: a job is held for milliseconds, a lease lasts 30 s.
    async fn complete(&mut self, job: LeasedJob) -> Result<()> {
        let lease = job.lease.context("a job without a lease")?;
        let tag = Tag::parse(&job.idempotency_key).context("a job that is not ours")?;
        self.board.received(tag);
        self.held.insert(lease.lease_id.clone(), tag);
        let complete = CompleteJobRequest { lease: Some(lease), result: Some(self.result.clone()) };
        Ok(self.asks.send(message(Ask::Complete(complete))).await?)
    }

    fn answered(&mut self, lease: &LeaseRef, outcome: Option<Outcome>) {
        match (self.held.remove(&lease.lease_id), outcome) {
            (Some(tag), Some(Outcome::Completed(_))) => self.board.completed(tag),
            (_, outcome) => self.board.failed(format!("CompleteJob: {outcome:?}")),
        }
    }
}

fn hello(index: usize, capacity: usize) -> Result<Hello> {
    Ok(Hello {
        worker_id: format!("{WORKER_SUBJECT}-{index}"),
        intents: vec!["*".to_owned()],
        queues: vec![Queue::Project.into()],
        capacity: i32::try_from(capacity)?,
        held: Vec::new(),
    })
}

fn message(ask: Ask) -> WorkRequest {
    WorkRequest { message: Some(ask) }
}
