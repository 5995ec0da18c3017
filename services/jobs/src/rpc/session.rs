//! A worker's session.
//!
//! Owns nothing durable: what a worker holds is in the database, and a session that breaks leaves it there. The session
//! keeps a count of what its worker holds, so that no more than its capacity is pushed, and passes on what happens to its
//! leases. It ends when the worker leaves, when its token expires, or when the instance has drained.

use std::collections::HashMap;
use std::pin::Pin;
use std::time::{Duration, SystemTime};

use chrono::{TimeDelta, Utc};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use holdfast_fault::{Fault, Reason};
use holdfast_ids::LeaseId;
use holdfast_proto::jobs::v1 as pb;
use pb::work_request::Message as In;
use pb::work_response::Message as Out;
use tokio::sync::{broadcast, mpsc};
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};
use uuid::Uuid;

use super::Rpc;
use super::workers::taker;
use crate::app::answer::{Answered, LeaseRef, Verdict};
use crate::app::dispatch::SessionSeat;
use crate::app::lease::{Leased, Renewal};
use crate::app::{Asking, Refusal, Revoked, Time};
use crate::metrics;
use crate::wire::field::timestamp;
use crate::wire::worker::{
    completion, extension_result, failure, hello, lease_refs, lease_terms, renewals, wire_lease,
};

/// Responses that wait for a worker that reads slowly; beyond it the session waits too.
const RESPONSES_WAITING_MAX: usize = 256;
/// After a lease's expiry by this instance's clock, until it is taken as lost: the database's clock decides, and may differ.
const EXPIRY_GRACE: TimeDelta = TimeDelta::seconds(2);
const HOUSEKEEPING: Duration = Duration::from_secs(1);
const HELLO_WITHIN: Duration = Duration::from_secs(10);

type Outbound = mpsc::Sender<Result<pb::WorkResponse, Status>>;
type Work = Pin<Box<dyn Future<Output = Finished> + Send>>;

pub(super) fn outbound() -> (Outbound, ReceiverStream<Result<pb::WorkResponse, Status>>) {
    let (sender, receiver) = mpsc::channel(RESPONSES_WAITING_MAX);
    (sender, ReceiverStream::new(receiver))
}

pub(super) fn draining() -> Fault {
    Fault::new(Reason::Infra503Draining, "this instance is stopping; connect again")
}

/// What a call made for the session came to.
enum Finished {
    Answered {
        lease: LeaseRef,
        outcome: Result<pb::work_response::answered::Outcome, Fault>,
    },
    Extended {
        results: Vec<(LeaseRef, Result<Time, Fault>)>,
    },
    /// Looked at after a hint that it was revoked.
    Checked {
        lease: LeaseRef,
        outcome: Result<Time, Fault>,
    },
}

/// On whose wish a session takes no further jobs.
enum Leaving {
    Worker,
    Instance,
}

/// Why a session ends. None of it touches the leases.
enum End {
    WorkerLeft,
    Because(Fault),
}

pub(super) struct Session {
    rpc: Rpc,
    asking: Asking,
    out: Outbound,
    seat: SessionSeat,
    held: HashMap<LeaseId, (LeaseRef, Time)>,
    work: FuturesUnordered<Work>,
    /// No further jobs; ends once nothing is held.
    leaving: Option<Leaving>,
    inbound_open: bool,
}

impl Session {
    pub(super) async fn serve(rpc: Rpc, asking: Asking, mut inbound: Streaming<pb::WorkRequest>, out: Outbound) {
        let revoked = rpc.app.core.revoked.subscribe();
        let end = match Self::open(rpc, asking, &mut inbound, out.clone()).await {
            Ok(mut session) => {
                metrics::session_began();
                let end = session.run(inbound, revoked).await;
                session.hand_back_unsent();
                metrics::session_ended();
                end
            }
            Err(end) => end,
        };
        if let End::Because(fault) = end {
            // A worker that has gone does not hear why.
            let _ = out.send(Err(fault.into())).await;
        }
    }

    async fn open(
        rpc: Rpc,
        asking: Asking,
        inbound: &mut Streaming<pb::WorkRequest>,
        out: Outbound,
    ) -> Result<Self, End> {
        let first = tokio::time::timeout(HELLO_WITHIN, inbound.message()).await;
        let message = match first {
            Ok(Ok(Some(pb::WorkRequest { message: Some(In::Hello(message)) }))) => message,
            Ok(Ok(Some(_))) => return Err(End::Because(Fault::missing("hello"))),
            Ok(Err(status)) => return Err(unread(status)),
            Ok(Ok(None)) | Err(_) => return Err(End::WorkerLeft),
        };
        let (offer, held) = hello(message).map_err(|fault| End::Because(fault.under("hello.")))?;
        let wanted = rpc.wanted(&asking, &offer).map_err(End::Because)?;
        let renewals: Vec<_> =
            held.iter().map(|lease| Renewal { lease: *lease, progress_percent: None, progress_note: None }).collect();
        let outcomes = rpc.app.extend(&asking, renewals).await.map_err(End::Because)?;
        let mut kept = HashMap::new();
        for (lease, outcome) in held.iter().zip(&outcomes) {
            if let Ok(expires_at) = outcome {
                kept.insert(lease.lease_id, (*lease, *expires_at));
            }
        }
        let capacity = i64::from(offer.jobs_max) - kept.len() as i64;
        let (lease_ttl, heartbeat_interval) = lease_terms(rpc.app.core.limits.lease_ttl);
        let welcome = pb::work_response::Welcome {
            session_id: Uuid::now_v7().to_string(),
            lease_ttl,
            heartbeat_interval,
            held: held
                .into_iter()
                .zip(outcomes)
                .map(|(lease, outcome)| extension_result(Some(wire_lease(lease)), outcome))
                .collect(),
        };
        send(&out, Out::Welcome(welcome)).await?;
        // Pushed one by one.
        let taker = taker(&asking, &offer, usize::MAX);
        let seat = rpc.app.dispatcher.seat_session(&asking, wanted, taker, capacity);
        Ok(Self {
            rpc,
            asking,
            out,
            seat,
            held: kept,
            work: FuturesUnordered::new(),
            leaving: None,
            inbound_open: true,
        })
    }

    async fn run(&mut self, mut inbound: Streaming<pb::WorkRequest>, mut revoked: broadcast::Receiver<Revoked>) -> End {
        let expires_in = self.asking.caller.expires_at.duration_since(SystemTime::now()).unwrap_or_default();
        let token_expiry = tokio::time::sleep(expires_in);
        tokio::pin!(token_expiry);
        let shutdown = self.rpc.draining.clone();
        let mut drained_by: Option<Instant> = None;
        let mut housekeeping = tokio::time::interval(HOUSEKEEPING);
        loop {
            let step = tokio::select! {
                message = inbound.message(), if self.inbound_open => match message {
                    Ok(Some(message)) => self.receive(message).await,
                    // Half-closed: what was asked is still answered.
                    Ok(None) => { self.inbound_open = false; self.seat.room.close(); Ok(()) }
                    Err(status) => Err(unread(status)),
                },
                Some(jobs) = self.seat.jobs.recv() => self.push(jobs).await,
                Some(finished) = self.work.next(), if !self.work.is_empty() => self.finish(finished).await,
                lease = revoked.recv() => { self.check_revoked(lease.ok()); Ok(()) }
                _ = housekeeping.tick() => self.drop_expired().await,
                () = &mut token_expiry => Err(End::Because(token_expired())),
                () = shutdown.cancelled(), if drained_by.is_none() => {
                    drained_by = Some(Instant::now() + self.rpc.drain_timeout);
                    self.begin_draining().await
                }
                () = tokio::time::sleep_until(drained_by.unwrap_or_else(Instant::now)), if drained_by.is_some() => {
                    Err(End::Because(draining()))
                }
            };
            if let Err(end) = step {
                return end;
            }
            if self.work.is_empty() {
                match &self.leaving {
                    _ if !self.inbound_open => return End::WorkerLeft,
                    Some(Leaving::Worker) if self.held.is_empty() => return End::WorkerLeft,
                    Some(Leaving::Instance) if self.held.is_empty() => return End::Because(draining()),
                    _ => {}
                }
            }
        }
    }

    async fn receive(&mut self, request: pb::WorkRequest) -> Result<(), End> {
        match request.message {
            Some(In::Heartbeat(heartbeat)) => {
                let renewals = renewals("heartbeat.leases", heartbeat.leases, 0).map_err(End::Because)?;
                self.extend(renewals.into_iter().collect::<Result<_, _>>().map_err(End::Because)?);
            }
            Some(In::Complete(request)) => {
                let (lease, verdict) = completion(request).map_err(|fault| End::Because(fault.under("complete.")))?;
                self.answer(lease, verdict);
            }
            Some(In::Fail(request)) => {
                let (lease, verdict) = failure(request).map_err(|fault| End::Because(fault.under("fail.")))?;
                self.answer(lease, verdict);
            }
            Some(In::Drain(drain)) => {
                let release = lease_refs("drain.release", drain.release).map_err(End::Because)?;
                self.seat.room.close();
                for lease in release {
                    self.answer(lease, Verdict::Release);
                }
                self.leaving.get_or_insert(Leaving::Worker);
            }
            Some(In::Hello(_)) => return Err(End::Because(Fault::invalid("hello", "may only be the first message"))),
            None => return Err(End::Because(Fault::missing("message"))),
        }
        Ok(())
    }

    fn extend(&mut self, renewals: Vec<Renewal>) {
        let (app, asking) = (self.rpc.app.clone(), self.asking.clone());
        self.work.push(Box::pin(async move {
            let leases: Vec<LeaseRef> = renewals.iter().map(|renewal| renewal.lease).collect();
            let results = match app.extend(&asking, renewals).await {
                Ok(outcomes) => leases.into_iter().zip(outcomes).collect(),
                Err(fault) => leases.into_iter().map(|lease| (lease, Err(fault.clone()))).collect(),
            };
            Finished::Extended { results }
        }));
    }

    fn answer(&mut self, lease: LeaseRef, verdict: Verdict) {
        use pb::work_response::answered::Outcome;
        let (app, asking) = (self.rpc.app.clone(), self.asking.clone());
        self.work.push(Box::pin(async move {
            let (member, outcome): (_, fn(_) -> _) = match verdict {
                Verdict::Complete(_) => ("complete.", |answered: Answered| Outcome::Completed(answered.into())),
                Verdict::Fail(_) => ("fail.", |answered| Outcome::Failed(answered.into())),
                Verdict::Release => ("drain.", |_| Outcome::Released(pb::work_response::Released {})),
            };
            let answered = app.answers.answer(&asking, lease, verdict).await.map_err(|fault| fault.under(member));
            Finished::Answered { lease, outcome: answered.map(outcome) }
        }));
    }

    async fn push(&mut self, jobs: Vec<Leased>) -> Result<(), End> {
        let mut jobs = jobs.into_iter();
        while let Some(job) = jobs.next() {
            let lease = LeaseRef { job_id: job.job.facts.job_id, lease_id: job.lease.lease_id, fence: job.lease.fence };
            self.held.insert(lease.lease_id, (lease, job.lease.expires_at));
            if self.leaving.is_some() || !self.inbound_open {
                // Claimed just before the worker asked for no more.
                self.rpc.app.answers.give_back(&self.asking, std::slice::from_ref(&job));
                self.let_go(lease.lease_id);
            } else if let Err(end) = send(&self.out, Out::Leased(job.clone().into())).await {
                self.rpc.app.answers.give_back(&self.asking, std::slice::from_ref(&job));
                self.rpc.app.answers.give_back(&self.asking, &jobs.collect::<Vec<_>>());
                return Err(end);
            }
        }
        Ok(())
    }

    async fn finish(&mut self, finished: Finished) -> Result<(), End> {
        match finished {
            Finished::Answered { lease, outcome } => {
                if outcome.as_ref().err().is_none_or(|fault| !fault.retryable()) {
                    self.let_go(lease.lease_id);
                }
                let outcome =
                    outcome.unwrap_or_else(|fault| pb::work_response::answered::Outcome::Error(fault.to_rpc_status()));
                send(
                    &self.out,
                    Out::Answered(pb::work_response::Answered {
                        lease: Some(wire_lease(lease)),
                        outcome: Some(outcome),
                    }),
                )
                .await
            }
            Finished::Extended { results } => {
                for (lease, outcome) in &results {
                    self.note_extension(*lease, outcome);
                }
                let results = results
                    .into_iter()
                    .map(|(lease, outcome)| extension_result(Some(wire_lease(lease)), outcome))
                    .collect();
                send(&self.out, Out::Extended(pb::work_response::Extended { results })).await
            }
            Finished::Checked { lease, outcome } => {
                // A lease may be looked at twice, after a hint from here and its echo: its end is told once.
                let was_held = self.held.contains_key(&lease.lease_id);
                self.note_extension(lease, &outcome);
                match outcome {
                    Err(fault) if was_held && !fault.retryable() => self.tell_revoked(lease, fault).await,
                    _ => Ok(()),
                }
            }
        }
    }

    fn note_extension(&mut self, lease: LeaseRef, outcome: &Result<Time, Fault>) {
        match outcome {
            Ok(expires_at) => {
                if let Some((_, known)) = self.held.get_mut(&lease.lease_id) {
                    *known = *expires_at;
                }
            }
            Err(fault) if !fault.retryable() => self.let_go(lease.lease_id),
            Err(_) => {}
        }
    }

    /// A hint says that a lease has ended; whether it has, the database knows.
    fn check_revoked(&mut self, revoked: Option<Revoked>) {
        let leases: Vec<LeaseRef> = match revoked {
            Some(revoked) => self.held.get(&revoked.lease_id).map(|(lease, _)| *lease).into_iter().collect(),
            // Hints were missed: any of them may be about ours.
            None => self.held.values().map(|(lease, _)| *lease).collect(),
        };
        for lease in leases {
            let (app, asking) = (self.rpc.app.clone(), self.asking.clone());
            self.work.push(Box::pin(async move {
                let renewal = Renewal { lease, progress_percent: None, progress_note: None };
                let outcome = app
                    .extend(&asking, vec![renewal])
                    .await
                    .and_then(|mut outcomes| outcomes.pop().unwrap_or_else(|| Err(crate::error::job_not_found())));
                Finished::Checked { lease, outcome }
            }));
        }
    }

    /// Leases that ran out make room, whether or not anybody said so.
    async fn drop_expired(&mut self) -> Result<(), End> {
        let now = Utc::now();
        let lost: Vec<LeaseRef> = self
            .held
            .values()
            .filter(|(_, expires_at)| *expires_at + EXPIRY_GRACE < now)
            .map(|(lease, _)| *lease)
            .collect();
        for lease in lost {
            self.let_go(lease.lease_id);
            self.tell_revoked(lease, Refusal::StaleFence.into()).await?;
        }
        Ok(())
    }

    async fn tell_revoked(&mut self, lease: LeaseRef, fault: Fault) -> Result<(), End> {
        let revoked = pb::work_response::Revoked { lease: Some(wire_lease(lease)), cause: Some(fault.to_rpc_status()) };
        send(&self.out, Out::Revoked(revoked)).await
    }

    async fn begin_draining(&mut self) -> Result<(), End> {
        self.seat.room.close();
        self.leaving = Some(Leaving::Instance);
        let until = timestamp(Utc::now() + self.rpc.drain_timeout);
        send(&self.out, Out::Draining(pb::work_response::Draining { until: Some(until) })).await
    }

    fn let_go(&mut self, lease_id: LeaseId) {
        if self.held.remove(&lease_id).is_some() {
            self.seat.room.give_back(1);
        }
    }

    /// Jobs claimed for this session that its worker was never told of.
    fn hand_back_unsent(&mut self) {
        self.seat.jobs.close();
        while let Ok(jobs) = self.seat.jobs.try_recv() {
            self.rpc.app.answers.give_back(&self.asking, &jobs);
        }
    }
}

/// Why there is no next message: the worker sent what is none, or it has gone.
fn unread(status: Status) -> End {
    match status.code() {
        Code::OutOfRange | Code::ResourceExhausted => {
            End::Because(Fault::invalid("request", "is larger than 1 MiB").caused_by(status))
        }
        Code::Internal => End::Because(Fault::invalid("request", "cannot be decoded").caused_by(status)),
        _ => End::WorkerLeft,
    }
}

pub(super) fn token_expired() -> Fault {
    Fault::new(Reason::Auth401InvalidToken, "the token has expired; connect again with a new one")
        .with("cause", "token_expired")
}

async fn send(out: &Outbound, message: Out) -> Result<(), End> {
    out.send(Ok(pb::WorkResponse { message: Some(message) })).await.map_err(|_| End::WorkerLeft)
}
