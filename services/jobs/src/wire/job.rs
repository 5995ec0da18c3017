//! Jobs and their history, for callers.

use holdfast_proto::jobs::v1 as pb;

use super::field::{timestamp, trace_id, wire_duration};
use crate::domain::dependency::{Dependency, OnFailure};
use crate::domain::job::{Failure, Queue, StateName, Tier};
use crate::domain::labels::{Classification, Residency};
use crate::domain::payload::Payload;
use crate::store::read::{SeenEvent, SeenJob};

pub fn state(state: StateName) -> pb::JobState {
    match state {
        StateName::Queued => pb::JobState::Queued,
        StateName::Running => pb::JobState::Running,
        StateName::Retrying => pb::JobState::Retrying,
        StateName::Done => pb::JobState::Done,
        StateName::Failed => pb::JobState::Failed,
        StateName::TimedOut => pb::JobState::TimedOut,
        StateName::Cancelled => pb::JobState::Cancelled,
        StateName::WaitingHumanDecision => pb::JobState::WaitingHumanDecision,
        StateName::ChangesRequested => pb::JobState::ChangesRequested,
        StateName::Deferred => pb::JobState::Deferred,
        StateName::Rejected => pb::JobState::Rejected,
        StateName::Blocked => pb::JobState::Blocked,
        StateName::BudgetExceeded => pb::JobState::BudgetExceeded,
    }
}

pub fn known_state(state: pb::JobState) -> Option<StateName> {
    StateName::ALL.iter().copied().find(|known| self::state(*known) == state)
}

pub fn queue(queue: Queue) -> pb::Queue {
    match queue {
        Queue::Project => pb::Queue::Project,
        Queue::Infra => pb::Queue::Infra,
    }
}

pub fn known_queue(queue: pb::Queue) -> Option<Queue> {
    Queue::ALL.iter().copied().find(|known| self::queue(*known) == queue)
}

pub fn tier(tier: Tier) -> pb::RiskTier {
    match tier {
        Tier::A => pb::RiskTier::A,
        Tier::B => pb::RiskTier::B,
        Tier::C => pb::RiskTier::C,
    }
}

pub fn known_tier(tier: pb::RiskTier) -> Option<Tier> {
    Tier::ALL.iter().copied().find(|known| self::tier(*known) == tier)
}

pub fn classification(classification: Classification) -> pb::Classification {
    match classification {
        Classification::Public => pb::Classification::Public,
        Classification::Internal => pb::Classification::Internal,
        Classification::Sensitive => pb::Classification::Sensitive,
    }
}

pub fn known_classification(classification: pb::Classification) -> Option<Classification> {
    Classification::ALL.iter().copied().find(|known| self::classification(*known) == classification)
}

pub fn residency(residency: Residency) -> pb::Residency {
    match residency {
        Residency::Us => pb::Residency::Us,
        Residency::Eu => pb::Residency::Eu,
        Residency::Global => pb::Residency::Global,
    }
}

pub fn known_residency(residency: pb::Residency) -> Option<Residency> {
    Residency::ALL.iter().copied().find(|known| self::residency(*known) == residency)
}

pub fn payload(payload: Payload) -> pb::Payload {
    pb::Payload { data: payload.data, content_type: payload.content_type }
}

pub fn on_failure(on_failure: OnFailure) -> pb::OnFailure {
    match on_failure {
        OnFailure::Block => pb::OnFailure::Block,
        OnFailure::Cancel => pb::OnFailure::Cancel,
        OnFailure::Run => pb::OnFailure::Run,
    }
}

pub fn known_on_failure(on_failure: pb::OnFailure) -> Option<OnFailure> {
    OnFailure::ALL.iter().copied().find(|known| self::on_failure(*known) == on_failure)
}

fn dependency(dependency: &Dependency) -> pb::Dependency {
    pb::Dependency {
        on: Some(pb::dependency::On::JobId(dependency.job_id.to_string())),
        on_failure: on_failure(dependency.on_failure).into(),
    }
}

fn failure(failure: Failure) -> pb::Failure {
    pb::Failure { code: failure.code, message: failure.message, occurred_at: Some(timestamp(failure.occurred_at)) }
}

impl From<SeenJob> for pb::Job {
    fn from(job: SeenJob) -> Self {
        let run_budget = std::time::Duration::from_millis(u64::try_from(job.run_budget_ms).unwrap_or(0));
        let held = job.held.filter(|_| job.state == StateName::Running);
        Self {
            job_id: job.job_id.to_string(),
            tenant_id: job.tenant_id.to_string(),
            project_id: job.project_id.to_string(),
            intent: job.intent.to_string(),
            queue: queue(job.queue).into(),
            tier: tier(job.tier).into(),
            priority: job.priority.into(),
            state: state(job.state).into(),
            actor_id: job.actor_id,
            idempotency_key: job.idempotency_key,
            payload: job.payload.map(payload),
            result: job.result.map(payload),
            constraints: Some(pb::Constraints {
                run_budget: Some(wire_duration(run_budget)),
                max_attempts: job.max_attempts,
            }),
            attempt: job.attempt,
            max_attempts: job.max_attempts,
            last_failure: job.last_failure.map(failure),
            progress: held.as_ref().and_then(|held| {
                let percent = held.progress_percent?;
                Some(pb::Progress { percent: percent.into(), note: held.progress_note.clone().unwrap_or_default() })
            }),
            timed_out_clock: job.timed_out_clock.unwrap_or_default(),
            worker_id: held.as_ref().map(|held| held.worker_id.clone()).unwrap_or_default(),
            lease_expires_at: held.map(|held| timestamp(held.expires_at)),
            run_ms: job.run_ms,
            created_at: Some(timestamp(job.created_at)),
            run_after: job.run_after.map(timestamp),
            started_at: job.started_at.map(timestamp),
            finished_at: job.finished_at.map(timestamp),
            next_attempt_at: job.next_attempt_at.map(timestamp),
            decide_by: job.decide_by.map(timestamp),
            resubmits: job.resubmits.map(|job_id| job_id.to_string()).unwrap_or_default(),
            parent_job_id: job.parent.map(|parent| parent.job_id.to_string()).unwrap_or_default(),
            depth: job.parent.map_or(0, |parent| parent.depth.into()),
            dependencies: job.dependencies.iter().map(dependency).collect(),
            blocked_by: job.blocked_by.iter().map(ToString::to_string).collect(),
            classification: classification(job.labels.classification).into(),
            residency: residency(job.labels.residency).into(),
            held_by: job.held_by,
            seq: job.seq,
            trace_id: trace_id(&job.traceparent),
            request_id: job.request_id,
            exceeded_budget: job.exceeded_budget.unwrap_or_default(),
            queue_clock: job
                .queue_waited_ms
                .zip(job.queue_budget)
                .map(|(waited_ms, budget)| pb::QueueClock { waited_ms, budget: Some(wire_duration(budget)) }),
        }
    }
}

impl From<SeenEvent> for pb::JobEvent {
    fn from(event: SeenEvent) -> Self {
        Self {
            job_id: event.job_id.to_string(),
            seq: event.seq,
            from_state: event.from_state.map_or(pb::JobState::Unspecified, state).into(),
            to_state: state(event.to_state).into(),
            attempt: event.attempt,
            fencing_token: event.fence.unsigned_abs(),
            actor_id: event.actor_id,
            worker_id: event.worker_id.unwrap_or_default(),
            detail: event.detail,
            occurred_at: Some(timestamp(event.occurred_at)),
            trace_id: trace_id(&event.traceparent),
            request_id: event.request_id,
            event_id: event.event_id.to_string(),
        }
    }
}
