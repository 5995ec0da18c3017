//! A job that was never in a table.

use std::time::Duration;

use chrono::TimeDelta;
use holdfast_ids::{ActorId, ApprovalId, JobId, LeaseId};
use holdfast_jobs::domain::approval::{self, Approval, Deciding, Decision};
use holdfast_jobs::domain::job::{Job, State, StateName, Time};
use holdfast_jobs::domain::payload::Payload;
use holdfast_jobs::domain::retry::RetryPolicy;
use holdfast_jobs::domain::transition::{self, Cause, Command, Presented, Refusal, Reported, Said, Transition};

/// Longer than a case takes: time passes only where a case makes it.
pub const POLICY: RetryPolicy =
    RetryPolicy { initial: Duration::from_secs(10), cap: Duration::from_secs(40), window: Duration::from_secs(300) };

/// Where a job stands in dispatch: in one small table, or in none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Queue {
        ready_at: Time,
    },
    Delayed {
        due_at: Time,
    },
    Leases,
    /// It waits for people or for other jobs, or has ended.
    Nowhere,
}

/// What somebody asks of a job.
#[derive(Debug, Clone)]
pub enum Asked {
    Complete(Presented, Payload),
    Fail(Presented, Reported),
    Release(Presented),
    Cancel { reason: String, key: String },
    Decide { approval_id: ApprovalId, decision: Decision },
}

impl Asked {
    /// By which the repetition of a command finds what the first one did.
    pub fn command_key(&self) -> String {
        match self {
            Self::Complete(presented, _) | Self::Fail(presented, _) | Self::Release(presented) => {
                presented.lease_id.to_string()
            }
            Self::Cancel { key, .. } => format!("cancel:{key}"),
            Self::Decide { approval_id, .. } => format!("decide:{approval_id}"),
        }
    }

    pub fn hash(&self) -> [u8; 32] {
        *blake3::hash(format!("{self:?}").as_bytes()).as_bytes()
    }

    /// The moves that come of it: none where it was decided so before, two where a decision follows up another.
    pub fn decide(&self, job: Job, earlier: &[Approval], now: Time, chance: f64) -> Result<Vec<Transition>, Refusal> {
        let moved = match self.clone() {
            Self::Complete(presented, result) => transition::complete(job, presented, result, now),
            Self::Fail(presented, reported) => transition::fail(job, presented, reported, &POLICY, now, chance),
            Self::Release(presented) => transition::release(job, presented, now),
            Self::Cancel { reason, .. } => transition::cancel(job, &reason, now),
            Self::Decide { approval_id, decision } => {
                let reason = "as discussed".to_owned();
                let deciding = Deciding { approval_id, decision, reason, corrects: None };
                return approval::decide(job, earlier, &deciding, now);
            }
        };
        moved.map(|transition| vec![transition])
    }

    /// The record of a decision that was taken.
    pub fn record(&self, number: usize, now: Time) -> Option<Approval> {
        let Self::Decide { approval_id, decision } = self else { return None };
        Some(Approval {
            approval_id: *approval_id,
            number: number as i32,
            decision: *decision,
            reason: "as discussed".to_owned(),
            actor_id: ActorId::parse("olga").expect("an actor"),
            role: "owner".to_owned(),
            corrects: None,
            command: Command { key: approval_id.to_string(), hash: self.hash(), idempotency_key: None },
            decided_at: now,
            request_id: "request-3".to_owned(),
            traceparent: String::new(),
        })
    }
}

/// Whose lease an answer presents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    Holders,
    /// The lease before the latest one.
    Stale,
    /// The latest lease under the token of the one before.
    OldFence,
    /// The lease before the latest, under the latest token.
    OldLease,
    Invented,
}

#[derive(Debug)]
pub struct Oracle {
    pub job: Job,
    pub place: Place,
    pub payload: Payload,
    /// Every transition after the submission.
    pub history: Vec<(Transition, Cause)>,
    pub last_asked: Option<Asked>,
    /// What people decided.
    pub approvals: Vec<Approval>,
    leases: Vec<Presented>,
}

impl Oracle {
    pub fn new(job: Job, payload: Payload) -> Self {
        let place = match job.facts.run_after {
            _ if job.state != State::Queued => Place::Nowhere,
            Some(due_at) if due_at > job.facts.created_at => Place::Delayed { due_at },
            _ => Place::Queue { ready_at: job.facts.created_at },
        };
        Self { job, place, payload, history: Vec::new(), last_asked: None, approvals: Vec::new(), leases: Vec::new() }
    }

    pub fn job_id(&self) -> JobId {
        self.job.facts.job_id
    }

    pub fn state(&self) -> StateName {
        self.job.state.name()
    }

    pub fn presented(&self, whose: Whose) -> Presented {
        let invented = Presented { lease_id: LeaseId::new(), fence: 1 };
        let mut latest_first = self.leases.iter().rev().copied();
        let (latest, before) = (latest_first.next().unwrap_or(invented), latest_first.next().unwrap_or(invented));
        match whose {
            Whose::Holders => latest,
            Whose::Stale => before,
            Whose::OldFence => Presented { fence: before.fence, ..latest },
            Whose::OldLease => Presented { lease_id: before.lease_id, ..latest },
            Whose::Invented => invented,
        }
    }

    /// Whether it waited for a worker before it was held.
    pub fn was_queued(&self) -> bool {
        let held_from = self.history.last().and_then(|(transition, _)| transition.from);
        self.state() == StateName::Blocked && matches!(held_from, Some(StateName::Queued | StateName::Retrying))
    }

    /// Whether a lease holds at a time: whoever holds it may give the job back.
    pub fn is_held(&self, presented: Presented, at: Time) -> bool {
        transition::release(self.job.clone(), presented, at).is_ok()
    }

    /// The transition that a command caused, if it caused one.
    pub fn caused_by(&self, command_key: &str) -> Option<&(Transition, Cause)> {
        let is_cause = |cause: &Cause| cause.command.as_ref().is_some_and(|command| command.key == command_key);
        self.history.iter().find(|(_, cause)| is_cause(cause))
    }

    pub fn apply(&mut self, transition: Transition, cause: Cause) {
        self.job = transition.after.clone();
        self.place = match &self.job.state {
            State::Queued => match self.job.facts.run_after {
                Some(due_at) if due_at > transition.occurred_at => Place::Delayed { due_at },
                _ => Place::Queue { ready_at: transition.occurred_at },
            },
            State::Retrying { next_attempt_at } => Place::Delayed { due_at: *next_attempt_at },
            State::Running(lease) => {
                self.leases.push(Presented { lease_id: lease.lease_id, fence: lease.fence });
                Place::Leases
            }
            _ => Place::Nowhere,
        };
        self.history.push((transition, cause));
    }

    /// Its back-off or run_after is over.
    pub fn promote(&mut self) {
        if let Place::Delayed { due_at } = self.place {
            self.place = Place::Queue { ready_at: due_at };
        }
    }

    /// Moves what the job remembers into the past, which is the same as moving the clock. A job that has ended is over.
    pub fn age(&mut self, by: TimeDelta) {
        match &mut self.job.state {
            State::Running(lease) => {
                lease.leased_at -= by;
                lease.expires_at -= by;
                lease.run_deadline -= by;
            }
            State::Retrying { next_attempt_at } => *next_attempt_at -= by,
            State::WaitingHumanDecision(wait) | State::Deferred(wait) => {
                wait.since -= by;
                wait.due_at -= by;
            }
            State::ChangesRequested { due_at } => *due_at -= by,
            State::Queued | State::Blocked => {}
            _ => return,
        }
        if let Some(human) = &mut self.job.facts.human {
            human.ends_at -= by;
        }
        match &mut self.place {
            Place::Queue { ready_at: at } | Place::Delayed { due_at: at } => *at -= by,
            Place::Leases | Place::Nowhere => {}
        }
        let progressed = &mut self.job.progressed;
        let failed_at = progressed.last_failure.as_mut().map(|failure| &mut failure.occurred_at);
        for at in [progressed.retry_since.as_mut(), progressed.started_at.as_mut(), failed_at].into_iter().flatten() {
            *at -= by;
        }
    }

    /// The job as a load under lock shows it: the result of a done job stays in its row.
    pub fn as_loaded(&self) -> Job {
        let mut job = self.job.clone();
        if job.state.name().is_final() {
            // The time that people had goes with the end.
            job.facts.human = None;
            job.progressed.human_ms = 0;
        }
        if let State::Done { result, .. } = &mut job.state {
            *result = Payload { data: bytes::Bytes::new(), content_type: String::new() };
        }
        job
    }
}

/// What the event of a transition is called, and the message that it carries.
pub fn event_of(said: &Said) -> (&'static str, &'static str) {
    match said {
        Said::Blocked { .. } => ("job.blocked", "JobBlocked"),
        Said::Queued { .. } => ("job.queued", "JobQueued"),
        Said::Running => ("job.running", "JobRunning"),
        Said::Retrying { .. } => ("job.retrying", "JobRetrying"),
        Said::Done => ("job.done", "JobDone"),
        Said::Failed { .. } => ("job.failed", "JobFailed"),
        Said::TimedOut => ("job.timed_out", "JobTimedOut"),
        Said::Cancelled { .. } => ("job.cancelled", "JobCancelled"),
        Said::WaitingHumanDecision { .. } => ("job.waiting_human_decision", "JobWaitingHumanDecision"),
        Said::ChangesRequested { .. } => ("job.changes_requested", "JobChangesRequested"),
        Said::Deferred { .. } => ("job.deferred", "JobDeferred"),
        Said::Rejected { .. } => ("job.rejected", "JobRejected"),
        Said::BudgetExceeded(_) => ("job.budget_exceeded", "JobBudgetExceeded"),
    }
}
