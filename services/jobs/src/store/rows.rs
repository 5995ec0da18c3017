//! Rows to domain values. What the CHECKs promise is parsed, not assumed.

use std::time::Duration;

use holdfast_ids::{ActorId, IdempotencyKey, Intent, JobId, LeaseId, ProjectId, TenantId};
use uuid::Uuid;

use super::StoreError;
use crate::domain::dependency::{Dependency, OnFailure};
use crate::domain::job::{
    Clock, Facts, Failure, HumanTerms, Job, Lease, Parent, Progressed, Queue, State, StateName, Tier, Time, Wait,
};
use crate::domain::labels::{Classification, Labels, Residency};
use crate::domain::payload::Payload;

pub(super) fn corrupt(table: &'static str, column: &'static str) -> StoreError {
    StoreError::Corrupt { table, column }
}

macro_rules! parsed {
    ($type:ident, $row:expr, $column:ident) => {
        $type::parse(&$row.$column).map_err(|_| corrupt("jobs", stringify!($column)))
    };
}
macro_rules! named {
    ($type:ident, $text:expr, $column:literal) => {
        $type::from_name($text).ok_or_else(|| corrupt("jobs", $column))
    };
}

/// A job under lock; columns as in jobs_load.sql.
pub(super) struct LoadedRow {
    pub job_id: Uuid,
    pub tenant_id: String,
    pub project_id: String,
    pub intent: String,
    pub queue: String,
    pub tier: String,
    pub priority: i16,
    pub state: String,
    pub seq: i64,
    pub actor_id: String,
    pub idempotency_key: String,
    pub max_attempts: i32,
    pub run_budget_ms: i64,
    pub attempt: i32,
    pub fence: i64,
    pub run_ms: i64,
    pub failure_code: Option<String>,
    pub failure_message: Option<String>,
    pub failed_at: Option<Time>,
    pub retry_since: Option<Time>,
    pub next_attempt_at: Option<Time>,
    pub timed_out_clock: Option<String>,
    pub run_after: Option<Time>,
    pub resubmits: Option<Uuid>,
    pub parent_job_id: Option<Uuid>,
    pub depth: i16,
    pub awaited: bool,
    pub total_budget_ms: Option<i64>,
    pub backoff_ms: i64,
    pub classification: String,
    pub residency: String,
    pub created_at: Time,
    pub started_at: Option<Time>,
    pub finished_at: Option<Time>,
    pub request_id: String,
    pub traceparent: String,
    pub lease_id: Option<Uuid>,
    pub worker_id: Option<String>,
    pub lease_fence: Option<i64>,
    pub leased_at: Option<Time>,
    pub expires_at: Option<Time>,
    pub run_deadline: Option<Time>,
    pub payload_bytes: i32,
    pub now: Time,
}

/// The time of people for a job, as its row has it.
#[derive(Debug, Clone, Copy)]
pub(super) struct WaitRow {
    pub budget_ms: i64,
    pub spent_ms: i64,
    pub ends_at: Time,
    pub since: Option<Time>,
    pub due_at: Option<Time>,
}

impl WaitRow {
    fn wait(&self) -> Option<Wait> {
        Some(Wait { since: self.since?, due_at: self.due_at? })
    }
}

impl LoadedRow {
    pub(super) fn into_job(self, waits: Option<WaitRow>) -> Result<Job, StoreError> {
        let state = self.state(waits)?;
        let last_failure = failure(self.failure_code, self.failure_message, self.failed_at);
        Ok(Job {
            facts: Facts {
                job_id: JobId::from_uuid(self.job_id),
                tenant_id: TenantId::parse(&self.tenant_id).map_err(|_| corrupt("jobs", "tenant_id"))?,
                project_id: ProjectId::parse(&self.project_id).map_err(|_| corrupt("jobs", "project_id"))?,
                intent: Intent::parse(&self.intent).map_err(|_| corrupt("jobs", "intent"))?,
                queue: named!(Queue, &self.queue, "queue")?,
                tier: named!(Tier, &self.tier, "tier")?,
                priority: self.priority,
                actor_id: ActorId::parse(&self.actor_id).map_err(|_| corrupt("jobs", "actor_id"))?,
                idempotency_key: IdempotencyKey::parse(&self.idempotency_key)
                    .map_err(|_| corrupt("jobs", "idempotency_key"))?,
                max_attempts: self.max_attempts,
                run_budget_ms: self.run_budget_ms,
                total_budget_ms: self.total_budget_ms,
                run_after: self.run_after,
                human: waits.map(|waits| HumanTerms { budget_ms: waits.budget_ms, ends_at: waits.ends_at }),
                resubmits: self.resubmits.map(JobId::from_uuid),
                parent: self.parent_job_id.map(|id| Parent { job_id: JobId::from_uuid(id), depth: self.depth }),
                labels: labels(&self.classification, &self.residency)?,
                created_at: self.created_at,
                request_id: self.request_id,
                traceparent: self.traceparent,
            },
            state,
            progressed: Progressed {
                seq: self.seq,
                attempt: self.attempt,
                fence: self.fence,
                run_ms: self.run_ms,
                human_ms: waits.map_or(0, |waits| waits.spent_ms),
                backoff_ms: self.backoff_ms,
                last_failure,
                retry_since: self.retry_since,
                started_at: self.started_at,
                awaited: self.awaited,
            },
        })
    }

    fn state(&self, waits: Option<WaitRow>) -> Result<State, StoreError> {
        let wait = || waits.and_then(|waits| waits.wait()).ok_or_else(|| corrupt("job_waits", "since"));
        let finished_at = || self.finished_at.ok_or_else(|| corrupt("jobs", "finished_at"));
        Ok(match named!(StateName, &self.state, "state")? {
            StateName::Queued => State::Queued,
            StateName::Running => State::Running(self.lease().ok_or_else(|| corrupt("job_leases", "job_id"))?),
            StateName::Retrying => State::Retrying {
                next_attempt_at: self.next_attempt_at.ok_or_else(|| corrupt("jobs", "next_attempt_at"))?,
            },
            // No transition leaves a final state, so its result is not read under lock.
            StateName::Done => State::Done {
                result: Payload { data: bytes::Bytes::new(), content_type: String::new() },
                finished_at: finished_at()?,
            },
            StateName::Failed => State::Failed { finished_at: finished_at()? },
            StateName::TimedOut => State::TimedOut {
                clock: named!(Clock, self.timed_out_clock.as_deref().unwrap_or_default(), "timed_out_clock")?,
                finished_at: finished_at()?,
            },
            StateName::Cancelled => State::Cancelled { finished_at: finished_at()? },
            StateName::WaitingHumanDecision => State::WaitingHumanDecision(wait()?),
            StateName::Deferred => State::Deferred(wait()?),
            StateName::ChangesRequested => State::ChangesRequested {
                due_at: waits.and_then(|waits| waits.due_at).ok_or_else(|| corrupt("job_waits", "due_at"))?,
            },
            StateName::Rejected => State::Rejected { finished_at: finished_at()? },
            StateName::Blocked => State::Blocked,
            StateName::BudgetExceeded => State::BudgetExceeded { finished_at: finished_at()? },
        })
    }

    fn lease(&self) -> Option<Lease> {
        Some(Lease {
            lease_id: LeaseId::from_uuid(self.lease_id?),
            worker_id: self.worker_id.clone()?,
            fence: self.lease_fence?,
            leased_at: self.leased_at?,
            expires_at: self.expires_at?,
            run_deadline: self.run_deadline?,
        })
    }
}

/// A job as callers see it; columns as in job_get.sql and jobs_list.sql.
pub struct SeenRow {
    pub job_id: Uuid,
    pub tenant_id: String,
    pub project_id: String,
    pub intent: String,
    pub queue: String,
    pub tier: String,
    pub priority: i16,
    pub state: String,
    pub seq: i64,
    pub actor_id: String,
    pub idempotency_key: String,
    pub max_attempts: i32,
    pub run_budget_ms: i64,
    pub attempt: i32,
    pub run_ms: i64,
    pub failure_code: Option<String>,
    pub failure_message: Option<String>,
    pub failed_at: Option<Time>,
    pub next_attempt_at: Option<Time>,
    pub timed_out_clock: Option<String>,
    pub exceeded_budget: Option<String>,
    pub run_after: Option<Time>,
    pub resubmits: Option<Uuid>,
    pub parent_job_id: Option<Uuid>,
    pub depth: i16,
    pub classification: String,
    pub residency: String,
    pub decide_by: Option<Time>,
    pub depends_on: Option<Vec<Uuid>>,
    pub on_dependency_failure: Option<Vec<String>>,
    pub blocked_by: Option<Vec<Uuid>>,
    pub held_by: Option<Vec<String>>,
    pub queue_waited_ms: Option<i64>,
    pub created_at: Time,
    pub started_at: Option<Time>,
    pub finished_at: Option<Time>,
    pub request_id: String,
    pub traceparent: String,
    pub payload: Option<Vec<u8>>,
    pub payload_content_type: String,
    pub result: Option<Vec<u8>>,
    pub result_content_type: Option<String>,
    pub worker_id: Option<String>,
    pub lease_expires_at: Option<Time>,
    pub progress_percent: Option<i16>,
    pub progress_note: Option<String>,
    /// Which of the items asked for it is, from 1.
    pub ordinal: i64,
}

/// A job as callers see it.
#[derive(Debug, Clone)]
pub struct SeenJob {
    pub job_id: JobId,
    pub tenant_id: TenantId,
    pub project_id: ProjectId,
    pub intent: Intent,
    pub queue: Queue,
    pub tier: Tier,
    pub state: StateName,
    pub priority: i16,
    pub seq: i64,
    pub actor_id: String,
    pub idempotency_key: String,
    pub max_attempts: i32,
    pub run_budget_ms: i64,
    pub attempt: i32,
    pub run_ms: i64,
    pub last_failure: Option<Failure>,
    pub next_attempt_at: Option<Time>,
    pub timed_out_clock: Option<String>,
    /// "project.tokens".
    pub exceeded_budget: Option<String>,
    pub run_after: Option<Time>,
    pub resubmits: Option<JobId>,
    pub parent: Option<Parent>,
    pub labels: Labels,
    /// When it times out, while it waits for people.
    pub decide_by: Option<Time>,
    pub dependencies: Vec<Dependency>,
    /// Those that it still waits for.
    pub blocked_by: Vec<JobId>,
    /// What else holds it.
    pub held_by: Vec<String>,
    /// What its clock of the queue says while it stands there; None in lists.
    pub queue_waited_ms: Option<i64>,
    /// What it may come to, by the terms of today; for who reads a single job.
    pub queue_budget: Option<Duration>,
    pub created_at: Time,
    pub started_at: Option<Time>,
    pub finished_at: Option<Time>,
    pub request_id: String,
    pub traceparent: String,
    /// None in lists.
    pub payload: Option<Payload>,
    pub result: Option<Payload>,
    pub held: Option<Held>,
}

/// Who holds a running job, and how far it says it is.
#[derive(Debug, Clone)]
pub struct Held {
    pub worker_id: String,
    pub expires_at: Time,
    pub progress_percent: Option<i16>,
    pub progress_note: Option<String>,
}

impl SeenRow {
    pub(super) fn into_job(self) -> Result<SeenJob, StoreError> {
        Ok(SeenJob {
            job_id: JobId::from_uuid(self.job_id),
            tenant_id: parsed!(TenantId, self, tenant_id)?,
            project_id: parsed!(ProjectId, self, project_id)?,
            intent: parsed!(Intent, self, intent)?,
            queue: named!(Queue, &self.queue, "queue")?,
            tier: named!(Tier, &self.tier, "tier")?,
            state: named!(StateName, &self.state, "state")?,
            priority: self.priority,
            seq: self.seq,
            actor_id: self.actor_id,
            idempotency_key: self.idempotency_key,
            max_attempts: self.max_attempts,
            run_budget_ms: self.run_budget_ms,
            attempt: self.attempt,
            run_ms: self.run_ms,
            last_failure: failure(self.failure_code, self.failure_message, self.failed_at),
            next_attempt_at: self.next_attempt_at,
            timed_out_clock: self.timed_out_clock,
            exceeded_budget: self.exceeded_budget,
            run_after: self.run_after,
            resubmits: self.resubmits.map(JobId::from_uuid),
            parent: self.parent_job_id.map(|id| Parent { job_id: JobId::from_uuid(id), depth: self.depth }),
            labels: labels(&self.classification, &self.residency)?,
            decide_by: self.decide_by,
            dependencies: dependencies(self.depends_on, self.on_dependency_failure)?,
            blocked_by: self.blocked_by.unwrap_or_default().into_iter().map(JobId::from_uuid).collect(),
            held_by: self.held_by.unwrap_or_default(),
            queue_waited_ms: self.queue_waited_ms,
            queue_budget: None,
            created_at: self.created_at,
            started_at: self.started_at,
            finished_at: self.finished_at,
            request_id: self.request_id,
            traceparent: self.traceparent,
            payload: self.payload.map(|data| Payload { data: data.into(), content_type: self.payload_content_type }),
            result: self
                .result
                .zip(self.result_content_type)
                .map(|(data, content_type)| Payload { data: data.into(), content_type }),
            held: self.worker_id.zip(self.lease_expires_at).map(|(worker_id, expires_at)| Held {
                worker_id,
                expires_at,
                progress_percent: self.progress_percent,
                progress_note: self.progress_note,
            }),
        })
    }
}

fn dependencies(depends_on: Option<Vec<Uuid>>, on_failure: Option<Vec<String>>) -> Result<Vec<Dependency>, StoreError> {
    let pairs = depends_on.unwrap_or_default().into_iter().zip(on_failure.unwrap_or_default());
    pairs
        .map(|(job_id, on_failure)| {
            let on_failure = named!(OnFailure, &on_failure, "on_dependency_failure")?;
            Ok(Dependency { job_id: JobId::from_uuid(job_id), on_failure })
        })
        .collect()
}

fn labels(classification: &str, residency: &str) -> Result<Labels, StoreError> {
    Ok(Labels {
        classification: named!(Classification, classification, "classification")?,
        residency: named!(Residency, residency, "residency")?,
    })
}

fn failure(code: Option<String>, message: Option<String>, at: Option<Time>) -> Option<Failure> {
    Some(Failure { code: code?, message: message?, occurred_at: at? })
}
