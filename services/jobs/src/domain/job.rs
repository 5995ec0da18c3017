//! A job and its states.

use chrono::{DateTime, TimeDelta, Utc};
use holdfast_ids::{ActorId, IdempotencyKey, Intent, JobId, LeaseId, ProjectId, TenantId};

use super::labels::Labels;
use super::payload::Payload;

pub type Time = DateTime<Utc>;

named! {
    /// The name of a state, without what a job in it carries.
    StateName {
        /// Waits for a worker, or for its run_after. From submission; from blocked, when nothing blocks it any more; from
        /// waiting_human_decision, when it is approved; from running, when a draining worker gives it back.
        Queued = "queued",
        /// Held under a lease. From queued and retrying, by the claim.
        Running = "running",
        /// Waits for its back-off. From running, when an attempt fails or its lease is lost.
        Retrying = "retrying",
        /// Final. From running, by the holder of the lease.
        Done = "done",
        /// Final. From running, when a failure is not retryable or no retry is left.
        Failed = "failed",
        /// Final. From every state that is not, when a clock runs out.
        TimedOut = "timed_out",
        /// Final. From queued, running, retrying and changes_requested, by a caller; from running and retrying, by a kill
        /// switch; from blocked, by a caller or by what it waited for.
        Cancelled = "cancelled",
        /// Tier C: waits for a person to decide. From submission and blocked; from deferred, when it is followed up; from
        /// queued, when its approval is corrected.
        WaitingHumanDecision = "waiting_human_decision",
        /// Tier C: sent back. From waiting_human_decision.
        ChangesRequested = "changes_requested",
        /// Tier C: put off, once. From waiting_human_decision.
        Deferred = "deferred",
        /// Final. From waiting_human_decision, by a person.
        Rejected = "rejected",
        /// Waits for other jobs to end, or is held by a kill switch or an outage of policy. From submission; from queued and
        /// retrying, when it may not go on.
        Blocked = "blocked",
        /// Final. From queued, running and retrying, when a budget that it draws on is exceeded.
        BudgetExceeded = "budget_exceeded",
    }
}

impl StateName {
    pub fn is_final(self) -> bool {
        matches!(
            self,
            Self::Done | Self::Failed | Self::TimedOut | Self::Cancelled | Self::Rejected | Self::BudgetExceeded
        )
    }

    /// Whether the job has ended otherwise than done.
    pub fn has_failed(self) -> bool {
        self.is_final() && self != Self::Done
    }
}

named! {
    Queue {
        Project = "project",
        Infra = "infra",
    }
}

named! {
    Tier {
        A = "A",
        B = "B",
        C = "C",
    }
}

named! {
    /// A clock that can end a job.
    Clock {
        /// Time under lease, over all attempts.
        Run = "run",
        /// Time spent waiting for a decision, deferred time included.
        Human = "human",
        /// Time under lease, in back-off and with people together. Time in the queue is none of it: otherwise a backlog or an
        /// outage of workers would destroy work.
        Total = "total",
        /// Time since it could first have run: what nobody will ever run ends by it.
        Age = "age",
        /// Time in the queue, over all stays, while nothing but a worker was missing. Ends only jobs whose intent says so.
        Queue = "queue",
    }
}

/// Why an attempt ended without a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub code: String,
    pub message: String,
    pub occurred_at: Time,
}

/// The code of an attempt whose worker was not heard of before its lease expired.
pub const LEASE_LOST: &str = "lease_lost";

/// The lease of a running job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    pub lease_id: LeaseId,
    pub worker_id: String,
    pub fence: i64,
    pub leased_at: Time,
    pub expires_at: Time,
    pub run_deadline: Time,
}

/// A wait for a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    /// Since when the clock of decisions runs.
    pub since: Time,
    /// When the first of its clocks runs out.
    pub due_at: Time,
}

/// Where a job stands, with what only a job there has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    Queued,
    Running(Lease),
    Retrying {
        next_attempt_at: Time,
    },
    Done {
        result: Payload,
        finished_at: Time,
    },
    Failed {
        finished_at: Time,
    },
    TimedOut {
        clock: Clock,
        finished_at: Time,
    },
    Cancelled {
        finished_at: Time,
    },
    WaitingHumanDecision(Wait),
    /// Only the maximum age runs.
    ChangesRequested {
        due_at: Time,
    },
    Deferred(Wait),
    Rejected {
        finished_at: Time,
    },
    Blocked,
    BudgetExceeded {
        finished_at: Time,
    },
}

impl State {
    pub fn name(&self) -> StateName {
        match self {
            Self::Queued => StateName::Queued,
            Self::Running(_) => StateName::Running,
            Self::Retrying { .. } => StateName::Retrying,
            Self::Done { .. } => StateName::Done,
            Self::Failed { .. } => StateName::Failed,
            Self::TimedOut { .. } => StateName::TimedOut,
            Self::Cancelled { .. } => StateName::Cancelled,
            Self::WaitingHumanDecision(_) => StateName::WaitingHumanDecision,
            Self::ChangesRequested { .. } => StateName::ChangesRequested,
            Self::Deferred(_) => StateName::Deferred,
            Self::Rejected { .. } => StateName::Rejected,
            Self::Blocked => StateName::Blocked,
            Self::BudgetExceeded { .. } => StateName::BudgetExceeded,
        }
    }
}

/// The time that people have for a job of tier C.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HumanTerms {
    pub budget_ms: i64,
    /// The job's maximum age.
    pub ends_at: Time,
}

/// On whose behalf a job is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parent {
    pub job_id: JobId,
    /// Of the child: how many parents are above it, from 1.
    pub depth: i16,
}

/// Parents above one job.
pub const DEPTH_MAX: i16 = 3;

/// What a submission fixed for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    pub job_id: JobId,
    pub tenant_id: TenantId,
    pub project_id: ProjectId,
    pub intent: Intent,
    pub queue: Queue,
    pub tier: Tier,
    pub priority: i16,
    pub actor_id: ActorId,
    pub idempotency_key: IdempotencyKey,
    pub max_attempts: i32,
    pub run_budget_ms: i64,
    /// None where it was submitted before there was a total clock.
    pub total_budget_ms: Option<i64>,
    pub run_after: Option<Time>,
    /// None for tiers A and B, and for what has ended.
    pub human: Option<HumanTerms>,
    /// The job that this one does anew.
    pub resubmits: Option<JobId>,
    pub parent: Option<Parent>,
    pub labels: Labels,
    pub created_at: Time,
    pub request_id: String,
    pub traceparent: String,
}

/// What transitions change, beside the state itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progressed {
    /// The number of the latest transition.
    pub seq: i64,
    /// Attempts begun.
    pub attempt: i32,
    /// The fencing token of the latest lease.
    pub fence: i64,
    /// Time under lease of the attempts that have ended.
    pub run_ms: i64,
    /// Time of the waits for a decision that have ended.
    pub human_ms: i64,
    /// Time of the back-offs that have ended.
    pub backoff_ms: i64,
    pub last_failure: Option<Failure>,
    /// The first failure: the retry window counts from it.
    pub retry_since: Option<Time>,
    pub started_at: Option<Time>,
    /// Whether other jobs may wait for its end: their submissions say so, under its lock.
    pub awaited: bool,
}

impl Facts {
    /// What is left on the total clock, of what has ended; None where there is none.
    pub fn total_left(&self, spent: &Progressed) -> Option<TimeDelta> {
        let spent_ms = spent.run_ms + spent.human_ms + spent.backoff_ms;
        self.total_budget_ms.map(|budget_ms| TimeDelta::milliseconds((budget_ms - spent_ms).max(0)))
    }

    pub fn run_left(&self, spent: &Progressed) -> TimeDelta {
        TimeDelta::milliseconds((self.run_budget_ms - spent.run_ms).max(0))
    }
}

/// A job as a transition sees it: locked, and without its payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    pub facts: Facts,
    pub state: State,
    pub progressed: Progressed,
}

impl Job {
    /// Whether a worker could have it: it waits for nothing else.
    pub fn is_ready(&self, now: Time) -> bool {
        match &self.state {
            State::Queued => self.facts.run_after.is_none_or(|at| at <= now),
            State::Retrying { next_attempt_at } => *next_attempt_at <= now,
            _ => false,
        }
    }

    /// Whether it runs, or may begin to, before that time. Of live jobs that nobody has to decide about.
    pub fn may_run_before(&self, at: Time) -> bool {
        match &self.state {
            State::Retrying { next_attempt_at } => *next_attempt_at < at,
            State::Queued => self.facts.run_after.is_none_or(|run_after| run_after < at),
            state => matches!(state, State::Running(_)),
        }
    }
}
