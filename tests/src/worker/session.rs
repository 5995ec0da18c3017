//! The Work stream: connected again and again, with the leases that are still held.

use std::{collections::HashMap, time::Duration};

use anyhow::{Context as _, Result};
use holdfast_fault::Received;
use holdfast_proto::jobs::v1::{
    LeaseExtension, LeaseRef, LeasedJob, Queue, WorkRequest, WorkResponse,
    work_request::{Heartbeat, Hello, Message as Request},
    work_response::{Answered, Message as Response, answered::Outcome},
};
use rand::{Rng as _, rngs::StdRng};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use super::{Plan, RETRY_AFTER, STALE_AGAIN_AFTER, WorkerSpec, completion, duration, failure, is_given_again};
use crate::{
    client::{Client, may_be_repeated},
    journal::{Journal, LeaseKey, Record, Verdict},
};

/// More than a worker ever has under way.
const REQUESTS_WAITING_MAX: usize = 4096;

struct Held {
    lease: LeaseKey,
    plan: Plan,
    /// The answer was given, and may have to be given again.
    answered: bool,
    /// How often it was refused as stale.
    stale: u32,
}

struct Worker {
    spec: WorkerSpec,
    journal: Journal,
    choices: StdRng,
    held: HashMap<String, Held>,
    /// Leases whose time to be answered has come.
    due: mpsc::UnboundedSender<String>,
}

pub(super) async fn run(spec: WorkerSpec, clients: Vec<Client>, journal: Journal, choices: StdRng) -> Result<()> {
    let (due, mut answers_due) = mpsc::unbounded_channel();
    let mut worker = Worker { spec, journal, choices, held: HashMap::new(), due };
    loop {
        let client = &clients[worker.choices.random_range(0..clients.len())];
        match worker.connect(client).await {
            Ok((requests, responses, heartbeat)) => {
                worker.serve(requests, responses, heartbeat, &mut answers_due).await?;
            }
            Err(error) => eprintln!("Work: {error:#}"),
        }
        tokio::time::sleep(RETRY_AFTER).await;
    }
}

type Session = (mpsc::Sender<WorkRequest>, Streaming<WorkResponse>, Duration);

impl Worker {
    /// Says hello with what is held, is welcomed, and gives again the answers that were not acknowledged.
    async fn connect(&mut self, client: &Client) -> Result<Session> {
        let (requests, outbound) = mpsc::channel(REQUESTS_WAITING_MAX);
        let hello = Hello {
            worker_id: self.spec.worker_id.clone(),
            intents: vec!["*".to_owned()],
            queues: vec![Queue::Project.into()],
            capacity: self.spec.capacity,
            held: self.renewed().collect(),
        };
        requests.try_send(WorkRequest { message: Some(Request::Hello(hello)) })?;
        let mut responses = client.sessions.clone().work(ReceiverStream::new(outbound)).await?.into_inner();
        let first = responses.message().await?.and_then(|response| response.message);
        let Some(Response::Welcome(welcome)) = first else { anyhow::bail!("not welcomed: {first:?}") };
        for held in self.held.values().filter(|held| held.answered) {
            requests.try_send(answer(&held.lease, held.plan.verdict))?;
        }
        Ok((requests, responses, duration(welcome.heartbeat_interval)?))
    }

    /// Until the session breaks.
    async fn serve(
        &mut self,
        requests: mpsc::Sender<WorkRequest>,
        mut responses: Streaming<WorkResponse>,
        heartbeat: Duration,
        answers_due: &mut mpsc::UnboundedReceiver<String>,
    ) -> Result<()> {
        let lease_ttl = heartbeat * 3;
        let mut beat = tokio::time::interval(heartbeat);
        loop {
            tokio::select! {
                response = responses.message() => match response {
                    Ok(Some(WorkResponse { message: Some(message) })) => self.hear(message, lease_ttl)?,
                    Ok(_) | Err(_) => return Ok(()),
                },
                Some(lease_id) = answers_due.recv() => {
                    let Some(held) = self.held.get_mut(&lease_id) else { continue };
                    held.answered = true;
                    let (lease, verdict) = (held.lease.clone(), held.plan.verdict);
                    let request = answer(&lease, verdict);
                    self.journal.write(&Record::Answering { lease, verdict })?;
                    if requests.try_send(request).is_err() {
                        return Ok(());
                    }
                }
                _ = beat.tick() => {
                    let extensions = self.renewed().map(|lease| LeaseExtension { lease: Some(lease), progress: None });
                    let heartbeat = Heartbeat { leases: extensions.collect() };
                    if requests.try_send(WorkRequest { message: Some(Request::Heartbeat(heartbeat)) }).is_err() {
                        return Ok(());
                    }
                }
            }
        }
    }

    fn hear(&mut self, message: Response, lease_ttl: Duration) -> Result<()> {
        match message {
            Response::Leased(job) => self.take(job, lease_ttl),
            Response::Answered(answered) => self.answered(answered),
            Response::Revoked(revoked) => {
                let lease = LeaseKey::from(revoked.lease.context("a revocation without its lease")?);
                if self.held.get(&lease.lease_id).is_some_and(|held| !held.plan.overstays && !held.answered) {
                    self.held.remove(&lease.lease_id);
                }
                self.journal.write(&Record::Revoked { lease })
            }
            Response::Welcome(_) | Response::Extended(_) | Response::Draining(_) => Ok(()),
        }
    }

    fn take(&mut self, job: LeasedJob, lease_ttl: Duration) -> Result<()> {
        let lease = LeaseKey::from(job.lease.context("a job without its lease")?);
        self.journal.write(&Record::Leased { lease: lease.clone(), attempt: job.attempt })?;
        let plan = Plan::choose(&self.spec, lease_ttl, &mut self.choices);
        self.remind(lease.lease_id.clone(), plan.hold);
        self.held.insert(lease.lease_id.clone(), Held { lease, plan, answered: false, stale: 0 });
        Ok(())
    }

    fn answered(&mut self, answered: Answered) -> Result<()> {
        let lease = LeaseKey::from(answered.lease.context("an answer without its lease")?);
        let record = match answered.outcome.context("an answer without an outcome")? {
            Outcome::Completed(done) => {
                Record::Acknowledged { lease, verdict: Verdict::Complete, replayed: done.replayed }
            }
            Outcome::Failed(failed) => {
                Record::Acknowledged { lease, verdict: Verdict::FailRetryable, replayed: failed.replayed }
            }
            Outcome::Released(_) => return Ok(()),
            Outcome::Error(status) => {
                let received = Received::from_rpc(&status);
                if may_be_repeated(&received) {
                    self.remind(lease.lease_id, RETRY_AFTER);
                    return Ok(());
                }
                let Some(held) = self.held.get_mut(&lease.lease_id) else { return Ok(()) };
                let (lease_id, verdict) = (lease.lease_id.clone(), held.plan.verdict);
                let refused = Record::Refused { lease, verdict, reason: received.name() };
                if is_given_again(&received, &mut held.stale) {
                    self.remind(lease_id, STALE_AGAIN_AFTER);
                    return self.journal.write(&refused);
                }
                refused
            }
        };
        if let Record::Acknowledged { lease, .. } | Record::Refused { lease, .. } = &record {
            self.held.remove(&lease.lease_id);
        }
        self.journal.write(&record)
    }

    fn remind(&self, lease_id: String, after: Duration) {
        let due = self.due.clone();
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            // Nobody is left to be reminded when the worker has ended.
            let _ = due.send(lease_id);
        });
    }

    fn renewed(&self) -> impl Iterator<Item = LeaseRef> {
        self.held.values().filter(|held| !held.plan.overstays && !held.answered).map(|held| (&held.lease).into())
    }
}

fn answer(lease: &LeaseKey, verdict: Verdict) -> WorkRequest {
    let message = match verdict {
        Verdict::Complete => Request::Complete(completion(lease)),
        Verdict::FailRetryable => Request::Fail(failure(lease)),
    };
    WorkRequest { message: Some(message) }
}
