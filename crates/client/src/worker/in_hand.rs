//! What a worker has in hand, whatever becomes of its sessions: leases, the work on them, and how far it is in stopping.
//!
//! Everything that happens on this side comes through [`InHand::tend`]: work that ends, leases that run out unheard of,
//! the wish to stop and the ends of its patience. It is awaited beside the session, while one is being opened, and between
//! two, so that none of it waits for a network.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use tokio::{
    sync::mpsc,
    task::{AbortHandle, Id, JoinError, JoinSet},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    Handler, Observer, WorkerEvent, WorkerSpec,
    held::Held,
    job::{Job, JobError, Verdict},
};
use crate::retry::in_future;
use crate::{
    Client, Error, ErrorKind, Reason,
    payload::check_result,
    pb::{
        LeaseRef, LeasedJob, WorkRequest,
        work_request::{Drain, Message},
    },
};

/// After the last work was given back, for the service's word on it.
const GIVE_BACK_PATIENCE: Duration = Duration::from_secs(5);
const TTL_UNTIL_TOLD: Duration = Duration::from_secs(30);
const LEASE_RAN_OUT: &str = "the lease ran out, and the service was not heard of";
/// The panic itself is for the worker's log: what it says was not written for a history that others read.
const PANICKED: &str = "the handler panicked; the worker's log says why";

#[derive(Debug, Clone, Copy)]
enum Phase {
    Working,
    /// Nothing more is taken; what is held is finished until then.
    Finishing {
        until: Instant,
    },
    /// What still runs was told to stop, and may clean up until then.
    Stopping {
        until: Instant,
    },
    /// The rest was ended and given back.
    GivingBack {
        until: Instant,
    },
    Over,
}

pub(super) struct InHand<H> {
    /// For calls that handlers make.
    client: Client,
    spec: WorkerSpec,
    handler: Arc<H>,
    observer: Observer,
    stop: CancellationToken,
    pub(super) held: Held,
    tasks: JoinSet<Verdict>,
    /// Work whose lease is gone, in the order in which it is ended if it does not end by itself.
    lingering: VecDeque<(Instant, AbortHandle)>,
    phase: Phase,
    ttl: Duration,
    /// Of the session, once it is welcome. Unbounded, but never longer than a few messages a held lease.
    outgoing: Option<mpsc::UnboundedSender<WorkRequest>>,
}

impl<H: Handler> InHand<H> {
    pub(super) fn new(
        client: Client,
        spec: WorkerSpec,
        handler: H,
        observer: Observer,
        stop: CancellationToken,
    ) -> Self {
        Self {
            client,
            spec,
            handler: Arc::new(handler),
            observer,
            stop,
            held: Held::default(),
            tasks: JoinSet::new(),
            lingering: VecDeque::new(),
            phase: Phase::Working,
            ttl: TTL_UNTIL_TOLD,
            outgoing: None,
        }
    }

    pub(super) fn spec(&self) -> &WorkerSpec {
        &self.spec
    }

    pub(super) fn observe(&self, event: &WorkerEvent<'_>) {
        (self.observer)(event);
    }

    /// Told to stop, and nothing is held; or told to stop, and its patience is over. While a session is open, it is the
    /// service that ends it: a job may be on its way that was sent before the service knew.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over) || !self.is_working() && self.held.is_empty() && self.outgoing.is_none()
    }

    /// With nothing left to finish, only the service's farewell is waited for.
    pub(super) fn hurry(&mut self) {
        if matches!(self.phase, Phase::Finishing { .. } | Phase::Stopping { .. }) && self.held.is_empty() {
            self.phase = Phase::GivingBack { until: Instant::now() + GIVE_BACK_PATIENCE };
        }
    }

    pub(super) fn is_working(&self) -> bool {
        matches!(self.phase, Phase::Working)
    }

    /// Waits for the next thing that happens on this side, and does what it asks for. Can be dropped at any time.
    pub(super) async fn tend(&mut self) {
        let (due, is_working) = (self.next_due(), self.is_working());
        tokio::select! {
            Some(ended) = self.tasks.join_next_with_id(), if !self.tasks.is_empty() => self.ended(ended),
            () = self.stop.cancelled(), if is_working => self.begin_stopping(),
            () = until(due) => self.due(Instant::now()),
        }
    }

    /// Tends for a while; shorter where there is nothing more to do.
    pub(super) async fn rest(&mut self, delay: Duration) {
        let over = Instant::now() + delay;
        while !self.is_over() {
            tokio::select! {
                () = self.tend() => {}
                () = sleep_until(over) => return,
            }
        }
    }

    fn next_due(&self) -> Option<Instant> {
        let phase = match self.phase {
            Phase::Working | Phase::Over => None,
            Phase::Finishing { until } | Phase::Stopping { until } | Phase::GivingBack { until } => Some(until),
        };
        let lingering = self.lingering.front().map(|(until, _)| *until);
        [phase, lingering, self.held.next_expiry()].into_iter().flatten().min()
    }

    fn due(&mut self, now: Instant) {
        while self.lingering.front().is_some_and(|(until, _)| *until <= now) {
            if let Some((_, work)) = self.lingering.pop_front() {
                work.abort();
            }
        }
        for lease_id in self.held.expired(now) {
            self.revoke(&lease_id, LEASE_RAN_OUT);
        }
        match self.phase {
            Phase::Finishing { until } if until <= now => {
                self.held.stop_all();
                self.phase = Phase::Stopping { until: in_future(self.spec.stop_patience) };
            }
            Phase::Stopping { until } if until <= now => self.give_back(now),
            Phase::GivingBack { until } if until <= now => self.phase = Phase::Over,
            _ => {}
        }
    }

    fn begin_stopping(&mut self) {
        self.phase = Phase::Finishing { until: in_future(self.spec.drain_patience) };
        self.send(Message::Drain(Drain { release: Vec::new() }));
    }

    fn give_back(&mut self, now: Instant) {
        self.phase = Phase::GivingBack { until: now + GIVE_BACK_PATIENCE };
        self.held.abort_all();
        self.send(Message::Drain(Drain { release: self.held.unanswered_leases() }));
    }

    /// A session has begun: whatever the one before may not have carried through is said again.
    pub(super) fn welcomed(&mut self, outgoing: mpsc::UnboundedSender<WorkRequest>, ttl: Duration) {
        (self.outgoing, self.ttl) = (Some(outgoing), ttl);
        match self.phase {
            Phase::Working | Phase::Over => {}
            Phase::Finishing { .. } | Phase::Stopping { .. } => {
                self.send(Message::Drain(Drain { release: Vec::new() }));
            }
            Phase::GivingBack { .. } => self.send(Message::Drain(Drain { release: self.held.unanswered_leases() })),
        }
        self.held.unacknowledged().into_iter().for_each(|request| self.transmit(request));
    }

    pub(super) fn disconnected(&mut self) {
        self.outgoing = None;
    }

    pub(super) fn begin(&mut self, leased: LeasedJob) {
        let job = Job::new(leased, self.client.clone());
        let Some(job) = job.filter(|job| !self.held.contains(&job.lease().lease_id)) else { return };
        if !self.is_working() {
            // Sent before the service knew. It costs the job nothing.
            self.send(Message::Drain(Drain { release: vec![job.lease().clone()] }));
            return;
        }
        self.observe(&WorkerEvent::Leased(&job));
        let (handler, given) = (self.handler.clone(), job.clone());
        let work = self.tasks.spawn(async move { handler.handle(given).await });
        self.held.begin(job, work, Instant::now() + self.ttl);
    }

    fn ended(&mut self, ended: Result<(Id, Verdict), JoinError>) {
        let (work, verdict) = match ended {
            Ok((work, verdict)) => (work, verdict),
            Err(error) if error.is_cancelled() => return,
            Err(error) => {
                let work = error.id();
                tracing::error!(panic = %error, "a handler panicked");
                (work, Err(JobError::retryable("panicked", PANICKED)))
            }
        };
        // The lease of work that only lingered is gone: nobody wants its answer.
        let Some(lease_id) = self.held.lease_of(work) else { return };
        if self.held.expired(Instant::now()).contains(&lease_id) {
            // Both came at once, as after a pause of this process.
            return self.revoke(&lease_id, LEASE_RAN_OUT);
        }
        let verdict = verdict.and_then(|result| match check_result(&result) {
            Ok(()) => Ok(result),
            Err((code, message)) => Err(JobError::permanent(code, message)),
        });
        match (self.phase, &verdict) {
            // Given back a moment ago.
            (Phase::GivingBack { .. } | Phase::Over, _) => {}
            // It failed because it was told to stop: that is no attempt. It is given back with the rest.
            (Phase::Stopping { .. }, Err(_)) => {
                if !self.held.has_running() {
                    self.give_back(Instant::now());
                }
            }
            _ => self.answer(&lease_id, verdict),
        }
    }

    pub(super) fn answer(&mut self, lease_id: &str, verdict: Verdict) {
        if let Some(request) = self.held.answer(lease_id, verdict) {
            self.transmit(request);
        }
    }

    /// The lease is void, for this cause.
    pub(super) fn revoke(&mut self, lease_id: &str, cause: &str) {
        if let Some((job, work)) = self.held.revoke(lease_id) {
            if self.spec.stop_patience.is_zero() {
                work.abort();
            } else {
                self.lingering.push_back((in_future(self.spec.stop_patience), work));
            }
            self.observe(&WorkerEvent::Revoked { lease: job.lease(), cause });
        }
    }

    /// The service's word on an answer, or on a release.
    pub(super) fn acknowledged(&mut self, lease: &LeaseRef, outcome: Result<super::Answer, Error>) {
        match &outcome {
            Err(error) if error.is_retryable() => return self.held.postpone(&lease.lease_id),
            _ => self.observe(&WorkerEvent::Answered { lease, outcome: &outcome }),
        }
        match outcome {
            // The lease still holds. Left alone it would run out, and the job be tried again in vain.
            Err(refusal) if is_of_request(&refusal) && self.held.is_completed(&lease.lease_id) => {
                let error = JobError::permanent("result_refused", &refusal.message);
                self.answer(&lease.lease_id, Err(error));
            }
            _ => self.held.settle(&lease.lease_id),
        }
    }

    pub(super) fn heartbeat(&mut self) {
        let heartbeats = self.held.heartbeats(Instant::now());
        let again = self.held.take_postponed();
        heartbeats.into_iter().chain(again).for_each(|request| self.transmit(request));
    }

    pub(super) fn ttl(&self) -> Duration {
        self.ttl
    }

    fn send(&self, message: Message) {
        self.transmit(WorkRequest { message: Some(message) });
    }

    fn transmit(&self, request: WorkRequest) {
        // Where the stream is gone, reading from it says so, and the next session repeats what matters.
        if let Some(outgoing) = &self.outgoing {
            let _ = outgoing.send(request);
        }
    }
}

/// What was sent is at fault, not when or by whom.
fn is_of_request(refusal: &Error) -> bool {
    matches!(refusal.kind, ErrorKind::Refused(Reason::Req400InvalidSchema | Reason::Req400MissingField))
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}
