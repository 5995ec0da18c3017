//! How a job moves. Each function takes a locked job and the database's clock and says what it becomes, or why not; what
//! it says is persisted by one statement, with one history row and one event.

use chrono::TimeDelta;
use holdfast_ids::{ActorId, ApprovalId, IdempotencyKey, JobId, LeaseId};

use super::budget::Exceeded;
use super::hold::Hold;
use super::job::{Clock, Facts, Failure, HumanTerms, Job, LEASE_LOST, Lease, Progressed, State, StateName, Time, Wait};
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

/// What the event tells beyond the job itself: messages of failures and reasons of cancellations as they may be told, reasons of
/// decisions as they were given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    Queued { entry: Entry },
    Blocked { entry: Entry, by: Vec<JobId>, held_by: Vec<Hold> },
    Running,
    Retrying { message: String },
    Done,
    Failed { message: String, retries_exhausted: bool },
    TimedOut,
    Cancelled { reason: String },
    WaitingHumanDecision { entry: Entry },
    ChangesRequested { approval_id: ApprovalId, reason: String },
    Deferred { approval_id: ApprovalId, reason: String },
    Rejected { approval_id: ApprovalId, reason: String },
    BudgetExceeded(Exceeded),
}

/// How a job came to wait, for a worker or a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    Submitted {
        payload_digest: [u8; 32],
        payload_bytes: usize,
    },
    Released,
    /// It may not go on for now.
    Held,
    /// What it waited for has ended, or nothing holds it any more.
    Unblocked,
    Decided(ApprovalId),
}

/// Why a job does not move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the job has ended")]
    AlreadyTerminal,
    #[error("the lease is not, or no longer, the current one")]
    StaleFence,
    #[error("the job waits for a decision: reject it instead")]
    NotCancellable,
    #[error("the job does not wait for a decision")]
    NotWaiting,
    #[error("another decision about this job stands")]
    DecidedOtherwise,
    #[error("the job was put off before")]
    DeferredTwice,
    #[error("only the latest decision can be corrected")]
    NotTheLatestDecision,
    #[error("the decision has taken effect and can no longer be corrected")]
    DecisionTookEffect,
    #[error("the job has too many decisions")]
    TooManyDecisions,
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

impl HumanTerms {
    /// A wait for a decision from now on, with what is left of the time for it.
    pub fn wait(&self, facts: &Facts, spent: &Progressed, now: Time) -> Wait {
        let left = self.left(spent);
        let left = facts.total_left(spent).map_or(left, |total_left| left.min(total_left));
        Wait { since: now, due_at: (now + left).min(self.ends_at) }
    }

    fn left(&self, spent: &Progressed) -> TimeDelta {
        TimeDelta::milliseconds((self.budget_ms - spent.human_ms).max(0))
    }

    /// The clock by which such a wait runs out.
    fn clock(&self, facts: &Facts, spent: &Progressed, wait: &Wait) -> Clock {
        if wait.due_at >= self.ends_at {
            Clock::Age
        } else if facts.total_left(spent).is_some_and(|total_left| total_left < self.left(spent)) {
            Clock::Total
        } else {
            Clock::Human
        }
    }
}

/// Nothing -> queued, waiting_human_decision; blocked, where it waits for other jobs or is held.
pub fn submit(facts: Facts, payload: &Payload, blocked_by: Vec<JobId>, held_by: Vec<Hold>) -> Transition {
    let progressed = Progressed {
        seq: 1,
        attempt: 0,
        fence: 0,
        run_ms: 0,
        human_ms: 0,
        backoff_ms: 0,
        last_failure: None,
        retry_since: None,
        started_at: None,
        awaited: false,
    };
    let entry =
        Entry::Submitted { payload_digest: *blake3::hash(&payload.data).as_bytes(), payload_bytes: payload.data.len() };
    let (state, said) = if blocked_by.is_empty() && held_by.is_empty() {
        waits(&facts, &progressed, entry, facts.created_at)
    } else {
        (State::Blocked, Said::Blocked { entry, by: blocked_by, held_by })
    };
    Transition {
        occurred_at: facts.created_at,
        after: Job { facts, state, progressed },
        from: None,
        ended_lease: None,
        detail: "submitted".to_owned(),
        said,
    }
}

/// Where a job waits that nothing blocks: for people, or for a worker.
pub(super) fn waits(facts: &Facts, spent: &Progressed, entry: Entry, now: Time) -> (State, Said) {
    match &facts.human {
        Some(terms) => {
            (State::WaitingHumanDecision(terms.wait(facts, spent, now)), Said::WaitingHumanDecision { entry })
        }
        None => (State::Queued, Said::Queued { entry }),
    }
}

/// blocked -> queued, waiting_human_decision: what it waited for has ended.
pub fn unblock(job: Job, now: Time) -> Option<Transition> {
    if job.state != State::Blocked {
        return None;
    }
    let (state, said) = waits(&job.facts, &job.progressed, Entry::Unblocked, now);
    Some(Move::of(job, now).to(state, said, "what it waited for has ended".to_owned()))
}

/// blocked -> cancelled: a job that it was to be cancelled with has ended otherwise than done.
pub fn cancel_with(job: Job, other: JobId, now: Time) -> Option<Transition> {
    if job.state != State::Blocked {
        return None;
    }
    stop(job, format!("job {other}, on which it depends, was not done"), now).ok()
}

/// queued, retrying -> running. A job whose time is already spent has a millisecond left: [`expire`] ends it by the clock that
/// ran out.
pub fn lease(job: Job, take: Take, now: Time) -> Result<Transition, Refusal> {
    match job.state {
        State::Queued | State::Retrying { .. } => {}
        state if state.name().is_final() => return Err(Refusal::AlreadyTerminal),
        _ => return Err(Refusal::StaleFence),
    }
    let mut moved = Move::of(job, now);
    let run_left = moved.facts.run_left(&moved.progressed);
    let budget_left = moved.facts.total_left(&moved.progressed).map_or(run_left, |left| left.min(run_left));
    let run_deadline = now + budget_left.max(TimeDelta::milliseconds(1));
    let fence = next_fence(moved.progressed.fence, now);
    let lease = Lease {
        lease_id: take.lease_id,
        fence,
        leased_at: now,
        expires_at: (now + take.ttl).min(run_deadline),
        run_deadline,
        worker_id: take.worker_id,
    };
    let detail = format!("leased by {}", lease.worker_id);
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

/// running -> retrying, failed; timed_out, where the total clock has no time for a retry. `chance` is uniform in 0..1.
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
    let told = job.facts.labels.told(&failure.message);
    Ok(attempt_failed(job, failure, told, reported.retryable, policy, chance))
}

/// running -> queued: a draining worker gives the job back. The attempt is not spent.
pub fn release(job: Job, presented: Presented, now: Time) -> Result<Transition, Refusal> {
    holds(&job, presented, now)?;
    let mut moved = Move::of(job, now);
    moved.progressed.attempt -= 1;
    let said = Said::Queued { entry: Entry::Released };
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
        let run_left = job.facts.run_left(&job.progressed);
        let is_total = job.facts.total_left(&job.progressed).is_some_and(|left| left < run_left);
        return Some(time_out(job, if is_total { Clock::Total } else { Clock::Run }, now));
    }
    let message = format!("worker {} was not heard of before its lease expired", lease.worker_id);
    let failure = Failure { code: LEASE_LOST.to_owned(), message: message.clone(), occurred_at: now };
    Some(attempt_failed(job, failure, message, true, policy, chance))
}

/// Who ends a wait for a decision that is over: the sweep, or whoever decides too late.
pub const DECISION_CLOCK: &str = "system:decision_clock";

/// waiting_human_decision, deferred, changes_requested -> timed_out; blocked, where people would have to decide later. None
/// where the time is not over.
pub fn run_out(job: Job, now: Time) -> Option<Transition> {
    let (clock, due_at) = match (&job.state, job.facts.human) {
        (State::WaitingHumanDecision(wait) | State::Deferred(wait), Some(terms)) => {
            (terms.clock(&job.facts, &job.progressed, wait), wait.due_at)
        }
        (State::ChangesRequested { due_at }, _) => (Clock::Age, *due_at),
        (State::Blocked, Some(terms)) => (Clock::Age, terms.ends_at),
        _ => return None,
    };
    (now >= due_at).then(|| time_out(job, clock, now))
}

/// queued, retrying, blocked -> timed_out, at the maximum age.
pub fn outlive(job: Job, max_age: TimeDelta, now: Time) -> Option<Transition> {
    let could_run_at = job.facts.run_after.map_or(job.facts.created_at, |at| at.max(job.facts.created_at));
    let waits = matches!(job.state, State::Queued | State::Retrying { .. } | State::Blocked);
    (waits && now >= could_run_at + max_age).then(|| time_out(job, Clock::Age, now))
}

/// queued, retrying -> timed_out, where its intent asks for that: it has waited for a worker for as long as it may. None where a
/// worker could not have it, or has it already.
pub fn overstay(job: Job, budget_ms: i64, now: Time) -> Option<Transition> {
    if !job.is_ready(now) {
        return None;
    }
    // Not among the facts: it is what the intent lets its jobs wait today.
    let detail = format!("queue budget of {budget_ms} ms used up");
    Some(ran_out(Move::of(job, now), Clock::Queue, detail))
}

fn time_out(job: Job, clock: Clock, now: Time) -> Transition {
    timed_out(Move::of(job, now), clock)
}

fn timed_out(moved: Move, clock: Clock) -> Transition {
    let facts = &moved.facts;
    let detail = match clock {
        Clock::Run => format!("run budget of {} ms used up", facts.run_budget_ms),
        Clock::Human => "no decision in time".to_owned(),
        Clock::Total => format!("total budget of {} ms used up", facts.total_budget_ms.unwrap_or_default()),
        Clock::Age => "older than a job may become".to_owned(),
        Clock::Queue => "queue budget used up".to_owned(),
    };
    ran_out(moved, clock, detail)
}

fn ran_out(moved: Move, clock: Clock, detail: String) -> Transition {
    let finished_at = moved.now;
    moved.to(State::TimedOut { clock, finished_at }, Said::TimedOut, detail)
}

/// queued, retrying, running, blocked, changes_requested -> cancelled, by somebody who says why.
pub fn cancel(job: Job, reason: &str, now: Time) -> Result<Transition, Refusal> {
    let reason = job.facts.labels.told(reason);
    stop(job, reason, now)
}

/// The same. The reason is ours, or may be told: it says nothing that is in the job.
pub(super) fn stop(job: Job, reason: String, now: Time) -> Result<Transition, Refusal> {
    match &job.state {
        state if state.name().is_final() => return Err(Refusal::AlreadyTerminal),
        State::WaitingHumanDecision(_) | State::Deferred(_) => return Err(Refusal::NotCancellable),
        _ => {}
    }
    let detail = reason.clone();
    Ok(Move::of(job, now).to(State::Cancelled { finished_at: now }, Said::Cancelled { reason }, detail))
}

/// queued, retrying, running -> budget_exceeded. None where the job has ended or does not spend anything: what waits for people
/// is left to them.
pub fn exceed_budget(job: Job, exceeded: Exceeded, now: Time) -> Option<Transition> {
    if !matches!(job.state, State::Queued | State::Retrying { .. } | State::Running(_)) {
        return None;
    }
    // A job's answer to "which budget?" is the first word of it.
    let detail = format!("{}: {} used of {}", exceeded.name(), exceeded.used, exceeded.limit);
    Some(Move::of(job, now).to(State::BudgetExceeded { finished_at: now }, Said::BudgetExceeded(exceeded), detail))
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

/// `message` is the failure's as it may be told.
fn attempt_failed(
    job: Job,
    failure: Failure,
    message: String,
    retryable: bool,
    policy: &RetryPolicy,
    chance: f64,
) -> Transition {
    let now = failure.occurred_at;
    let detail = format!("{}: {message}", failure.code);
    let mut moved = Move::of(job, now);
    let retry_since = *moved.progressed.retry_since.get_or_insert(now);
    let next = policy.next(moved.progressed.attempt, moved.facts.max_attempts, retry_since, now, chance);
    moved.progressed.last_failure = Some(failure);
    let total_left = moved.facts.total_left(&moved.progressed);
    match next {
        // Nothing would be left to run in: the back-off counts too.
        Some(next_attempt_at) if retryable && total_left.is_some_and(|left| next_attempt_at - now >= left) => {
            timed_out(moved, Clock::Total)
        }
        Some(next_attempt_at) if retryable => {
            moved.to(State::Retrying { next_attempt_at }, Said::Retrying { message }, detail)
        }
        _ => {
            let said = Said::Failed { message, retries_exhausted: retryable };
            moved.to(State::Failed { finished_at: now }, said, detail)
        }
    }
}

/// A move under way: the common part of every transition.
pub(super) struct Move {
    facts: Facts,
    progressed: Progressed,
    from: StateName,
    ended_lease: Option<LeaseId>,
    /// The wait for a decision that the job was in.
    waited: Option<Wait>,
    now: Time,
}

impl Move {
    pub(super) fn of(job: Job, now: Time) -> Self {
        let Job { facts, state, mut progressed } = job;
        progressed.seq += 1;
        let mut ended_lease = None;
        if let State::Running(lease) = &state {
            progressed.run_ms += (now.min(lease.expires_at) - lease.leased_at).num_milliseconds().max(0);
            ended_lease = Some(lease.lease_id);
        }
        if let (State::Retrying { next_attempt_at }, Some(failure)) = (&state, &progressed.last_failure) {
            progressed.backoff_ms += (now.min(*next_attempt_at) - failure.occurred_at).num_milliseconds().max(0);
        }
        let waited = match &state {
            State::WaitingHumanDecision(wait) | State::Deferred(wait) => Some(*wait),
            _ => None,
        };
        Self { facts, progressed, from: state.name(), ended_lease, waited, now }
    }

    pub(super) fn to(mut self, state: State, said: Said, detail: String) -> Transition {
        if let Some(wait) = self.waited
            && !matches!(state, State::WaitingHumanDecision(_) | State::Deferred(_))
        {
            self.progressed.human_ms += (self.now - wait.since).num_milliseconds().max(0);
        }
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

impl Cause {
    /// Background work, under the request and the trace of the job's submission.
    pub fn background(actor_id: ActorId, facts: &Facts) -> Self {
        let (request_id, traceparent) = (facts.request_id.clone(), facts.traceparent.clone());
        Self { actor_id, worker_id: None, command: None, request_id, traceparent }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// As the history keeps it: commands of different kinds never meet.
    pub key: String,
    pub hash: [u8; 32],
    /// The caller's own key, where it sent one.
    pub idempotency_key: Option<IdempotencyKey>,
}
