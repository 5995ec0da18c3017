//! A request to queue a job, checked and ready to be persisted.

use std::time::Instant;

use chrono::TimeDelta;
use holdfast_ids::{ActorId, IdempotencyKey, Intent, JobId, ProjectId, TenantId};

use super::dependency::Dependency;
use super::job::{HumanTerms, Parent, Queue, Tier, Time};
use super::labels::{AskedLabels, Labels};
use super::payload::Payload;
use super::payload_hash::PayloadHash;

/// How far ahead run_after may lie.
pub const RUN_AFTER_AHEAD_MAX_S: i64 = 7 * 24 * 3600;

/// What scopes an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyScope {
    pub tenant_id: TenantId,
    pub project_id: ProjectId,
    pub intent: Intent,
    pub actor_id: ActorId,
    pub key: IdempotencyKey,
}

#[derive(Debug, Clone)]
pub struct Submission {
    pub scope: KeyScope,
    /// Past it nobody waits for the answer.
    pub deadline: Option<Instant>,
    pub queue: Queue,
    pub tier: Tier,
    pub priority: i16,
    pub run_after: Option<Time>,
    /// For tier C: how long people have for a decision, and how old the job may become.
    pub human: Option<HumanLimits>,
    /// The job that this one does anew.
    pub resubmits: Option<JobId>,
    pub parent: Option<Parent>,
    /// In the order of ids, each once.
    pub dependencies: Vec<Dependency>,
    pub labels: Labels,
    pub max_attempts: i32,
    pub run_budget_ms: i64,
    pub total_budget_ms: i64,
    pub payload: Payload,
    pub payload_hash: PayloadHash,
    pub window_ms: i64,
    pub request_id: String,
    pub traceparent: String,
}

/// See [`HumanTerms`], which begin with the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HumanLimits {
    pub budget_ms: i64,
    pub max_age: TimeDelta,
}

impl HumanLimits {
    pub fn terms(&self, created_at: Time, run_after: Option<Time>) -> HumanTerms {
        let could_run_at = run_after.map_or(created_at, |at| at.max(created_at));
        HumanTerms { budget_ms: self.budget_ms, ends_at: could_run_at + self.max_age }
    }
}

impl Submission {
    /// Whether a worker that waits may have it at once. Work of the infra queue is always claimed, in its order.
    pub fn may_run_at_once(&self) -> bool {
        self.queue == Queue::Project && self.run_after.is_none() && self.human.is_none() && self.dependencies.is_empty()
    }
}

/// Every field beside the payload that changes what a submission means, as the caller sent it: what configuration fills in
/// may change between a call and its repetition and is left out.
#[derive(Debug, Clone, Copy)]
pub struct Meaning<'a> {
    pub intent: &'a Intent,
    pub queue: Queue,
    pub tier: Tier,
    pub priority: i16,
    pub run_after: Option<Time>,
    pub run_budget_ms: Option<i64>,
    pub max_attempts: Option<i32>,
    pub resubmits: Option<JobId>,
    pub parent_job_id: Option<JobId>,
    /// In the order of ids.
    pub dependencies: &'a [Dependency],
    pub labels: AskedLabels,
}

impl Meaning<'_> {
    /// Whether it names a parent, or a job that it does anew. Such meanings are hashed under a form of their own.
    pub fn has_kin(&self) -> bool {
        self.resubmits.is_some() || self.parent_job_id.is_some()
    }

    /// Whether it waits for other jobs. Such meanings are hashed under a form of their own, which has room for kin.
    pub fn has_dependencies(&self) -> bool {
        !self.dependencies.is_empty()
    }

    /// Whether it says what the data is, or where that may be kept. Hashed under a form of their own as well, in which the
    /// names of other jobs have their place too.
    pub fn is_labelled(&self) -> bool {
        !self.labels.is_empty()
    }

    /// Feeds every field, absent ones included, so that no two meanings give one sequence.
    pub fn feed(&self, mut field: impl FnMut(&[u8])) {
        fn optional(value: Option<i64>) -> Vec<u8> {
            value.map_or_else(Vec::new, |value| value.to_le_bytes().to_vec())
        }
        field(self.intent.as_str().as_bytes());
        field(self.queue.as_str().as_bytes());
        field(self.tier.as_str().as_bytes());
        field(&self.priority.to_le_bytes());
        field(&optional(self.run_after.map(|at| at.timestamp_micros())));
        field(&optional(self.run_budget_ms));
        field(&optional(self.max_attempts.map(i64::from)));
        if self.has_kin() || self.has_dependencies() || self.is_labelled() {
            let id = |job_id: Option<JobId>| job_id.map_or_else(Vec::new, |id| id.as_uuid().into_bytes().to_vec());
            field(&id(self.resubmits));
            field(&id(self.parent_job_id));
        }
        if self.is_labelled() {
            field(self.labels.classification.map_or("", |classification| classification.as_str()).as_bytes());
            field(self.labels.residency.map_or("", |residency| residency.as_str()).as_bytes());
        }
        for dependency in self.dependencies {
            field(dependency.job_id.as_uuid().as_bytes());
            field(dependency.on_failure.as_str().as_bytes());
        }
    }
}
