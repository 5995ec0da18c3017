//! How a job moves. Each function takes a locked job and the database's clock and says what it becomes, or why not; what
//! it says is persisted by one statement, with one history row and one event.

use chrono::TimeDelta;
use holdfast_ids::{ActorId, IdempotencyKey, LeaseId};

use super::job::{Clock, Facts, Failure, Job, LEASE_LOST, Lease, Progressed, State, StateName, Time};
use super::payload::Payload;
use super::retry::RetryPolicy;

/// A move that was decided: the job after it, and what is said about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    pub after: Job,
    /// None for the submission.
    pub from: Option<StateName>,
    /// The lease that the move ended, for those who hold or watch it.
    pub ended_lease: Option<LeaseId>,
    /// What a person reading the history wants to know.
    pub detail: String,
    pub said: Said,
    pub occurred_at: Time,
}

/// What the event tells beyond the job itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    Queued { released: bool, payload_digest: [u8; 32], payload_bytes: usize },
    Running,
    Retrying,
    Done,
    Failed { retries_exhausted: bool },
    TimedOut,
    Cancelled { reason: String },
}

/// Why a job does not move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the job has ended")]
    AlreadyTerminal,
    #[error("the lease is not, or no longer, the current one")]
    StaleFence,
}

/// What an answer presents: the lease it was given under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Presented {
    pub lease_id: LeaseId,
    pub fence: i64,
}

/// A new lease to be taken.
#[derive(Debug, Clone)]
pub struct Take {
    pub lease_id: LeaseId,
    pub worker_id: String,
    pub ttl: std::time::Duration,
}

/// The next fencing token: it grows with every lease and is never behind the clock, so that a database restored from a
/// backup cannot hand out a token that was seen before.
fn next_fence(last: i64, now: Time) -> i64 {
    (last + 1).max(now.timestamp_micros())
}

/// Nothing -> queued.
pub fn submit(facts: Facts, payload: &Payload) -> Transition {
    let progressed =
        Progressed { seq: 1, attempt: 0, fence: 0, run_ms: 0, last_failure: None, retry_since: None, started_at: None };
    let payload_digest = *blake3::hash(&payload.data).as_bytes();
    Transition {
        occurred_at: facts.created_at,
        after: Job { facts, state: State::Queued, progressed },
        from: None,
        ended_lease: None,
        detail: "submitted".to_owned(),
        said: Said::Queued { released: false, payload_digest, payload_bytes: payload.data.len() },
    }
}

/// queued, retrying -> running. A job whose run budget is already spent is not leased: see [`expire`].
pub fn lease(job: Job, take: Take, now: Time) -> Result<Transition, Refusal> {
    match job.state {
        State::Queued | State::Retrying { .. } => {}
        State::Running(_) => return Err(Refusal::StaleFence),
        _ => return Err(Refusal::AlreadyTerminal),
    }
    let budget_left = TimeDelta::milliseconds((job.facts.run_budget_ms - job.progressed.run_ms).max(1));
    let run_deadline = now + budget_left;
    let fence = next_fence(job.progressed.fence, now);
    let lease = Lease {
        lease_id: take.lease_id,
        fence,
        leased_at: now,
        expires_at: (now + take.ttl).min(run_deadline),
        run_deadline,
        worker_id: take.worker_id,
    };
    let detail = format!("leased by {}", lease.worker_id);
    let mut moved = Move::of(job, now);
    moved.progressed.attempt += 1;
    moved.progressed.fence = fence;
    moved.progressed.started_at = Some(now);
    Ok(moved.to(State::Running(lease), Said::Running, detail))
}

/// running -> done.
pub fn complete(job: Job, presented: Presented, result: Payload, now: Time) -> Result<Transition, Refusal> {
    holds(&job, presented, now)?;
    let detail = format!("{} bytes of {}", result.data.len(), result.content_type);
    Ok(Move::of(job, now).to(State::Done { result, finished_at: now }, Said::Done, detail))
}

/// What a worker says of an attempt that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reported {
    pub retryable: bool,
    pub code: String,
    pub message: String,
}

/// running -> retrying, failed. `chance` is uniform in 0..1.
pub fn fail(
    job: Job,
    presented: Presented,
    reported: Reported,
    policy: &RetryPolicy,
    now: Time,
    chance: f64,
) -> Result<Transition, Refusal> {
    holds(&job, presented, now)?;
    let failure = Failure { code: reported.code, message: reported.message, occurred_at: now };
    Ok(attempt_failed(job, failure, reported.retryable, policy, now, chance))
}

/// running -> queued: a draining worker gives the job back. The attempt is not spent.
pub fn release(job: Job, presented: Presented, now: Time) -> Result<Transition, Refusal> {
    holds(&job, presented, now)?;
    let mut moved = Move::of(job, now);
    moved.progressed.attempt -= 1;
    let said = Said::Queued { released: true, payload_digest: [0; 32], payload_bytes: 0 };
    Ok(moved.to(State::Queued, said, "released by its worker".to_owned()))
}

/// running -> retrying, failed, timed_out: the lease was not renewed in time, or was held to the end of the run budget. None
/// where the lease still holds. However late it is called: what counts is when the lease ended, not when it was noticed.
pub fn expire(job: Job, policy: &RetryPolicy, now: Time, chance: f64) -> Option<Transition> {
    let State::Running(lease) = &job.state else { return None };
    if now < lease.expires_at {
        return None;
    }
    if lease.expires_at >= lease.run_deadline {
        let detail = format!("run budget of {} ms used up", job.facts.run_budget_ms);
        return Some(Move::of(job, now).to(
            State::TimedOut { clock: Clock::Run, finished_at: now },
            Said::TimedOut,
            detail,
        ));
    }
    let message = format!("worker {} was not heard of before its lease expired", lease.worker_id);
    let failure = Failure { code: LEASE_LOST.to_owned(), message, occurred_at: now };
    Some(attempt_failed(job, failure, true, policy, now, chance))
}

/// queued, retrying, running -> cancelled.
pub fn cancel(job: Job, reason: String, now: Time) -> Result<Transition, Refusal> {
    if job.state.name().is_final() {
        return Err(Refusal::AlreadyTerminal);
    }
    let said = Said::Cancelled { reason: reason.clone() };
    Ok(Move::of(job, now).to(State::Cancelled { finished_at: now }, said, reason))
}

/// Whether the answer comes from the holder of the current lease, before its expiry.
fn holds(job: &Job, presented: Presented, now: Time) -> Result<(), Refusal> {
    match &job.state {
        State::Running(lease)
            if lease.lease_id == presented.lease_id && lease.fence == presented.fence && now < lease.expires_at =>
        {
            Ok(())
        }
        state if state.name().is_final() => Err(Refusal::AlreadyTerminal),
        _ => Err(Refusal::StaleFence),
    }
}

fn attempt_failed(
    job: Job,
    failure: Failure,
    retryable: bool,
    policy: &RetryPolicy,
    now: Time,
    chance: f64,
) -> Transition {
    let detail = format!("{}: {}", failure.code, failure.message);
    let mut moved = Move::of(job, now);
    let retry_since = *moved.progressed.retry_since.get_or_insert(now);
    let next = policy.next(moved.progressed.attempt, moved.facts.max_attempts, retry_since, now, chance);
    moved.progressed.last_failure = Some(failure);
    match next {
        Some(next_attempt_at) if retryable => moved.to(State::Retrying { next_attempt_at }, Said::Retrying, detail),
        _ => moved.to(State::Failed { finished_at: now }, Said::Failed { retries_exhausted: retryable }, detail),
    }
}

/// A move under way: the common part of every transition.
struct Move {
    facts: super::job::Facts,
    progressed: Progressed,
    from: StateName,
    ended_lease: Option<LeaseId>,
    now: Time,
}

impl Move {
    fn of(job: Job, now: Time) -> Self {
        let Job { facts, state, mut progressed } = job;
        progressed.seq += 1;
        let mut ended_lease = None;
        if let State::Running(lease) = &state {
            progressed.run_ms += (now.min(lease.expires_at) - lease.leased_at).num_milliseconds().max(0);
            ended_lease = Some(lease.lease_id);
        }
        Self { facts, progressed, from: state.name(), ended_lease, now }
    }

    fn to(self, state: State, said: Said, detail: String) -> Transition {
        let after = Job { facts: self.facts, state, progressed: self.progressed };
        Transition { after, from: Some(self.from), ended_lease: self.ended_lease, detail, said, occurred_at: self.now }
    }
}

/// Who and what caused a transition, for the history and the event.
#[derive(Debug, Clone)]
pub struct Cause {
    pub actor_id: ActorId,
    pub worker_id: Option<String>,
    /// The key of the command: a repeated one finds its first answer by it. None for background work.
    pub command: Option<Command>,
    pub request_id: String,
    pub traceparent: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// As the history keeps it: commands of different kinds never meet.
    pub key: String,
    pub hash: [u8; 32],
    /// The caller's own key, where it sent one.
    pub idempotency_key: Option<IdempotencyKey>,
}
