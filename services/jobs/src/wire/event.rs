//! The event of a transition, as it goes into the outbox.

use holdfast_events::{EventHeader, encode as encode_envelope};
use holdfast_ids::EventId;
use holdfast_proto::events::v1 as pb;
use uuid::Uuid;

use super::field::timestamp;
use crate::domain::job::{Facts, Failure, Job, State};
use crate::domain::transition::{Cause, Entry, Said, Transition};
use crate::store::waits::Reminder;

const SOURCE: &str = "holdfast.jobs";

pub fn encode(transition: &Transition, cause: &Cause, event_id: Uuid) -> Vec<u8> {
    let Job { facts, state, progressed } = &transition.after;
    let job_id = facts.job_id.to_string();
    let own_key = cause.command.as_ref().and_then(|command| command.idempotency_key.as_ref());
    let header = EventHeader {
        event_id: EventId::from_uuid(event_id),
        source: SOURCE,
        occurred_at: transition.occurred_at,
        tenant_id: facts.tenant_id.as_str(),
        project_id: facts.project_id.as_str(),
        job_id: Some(facts.job_id),
        actor_id: cause.actor_id.as_str(),
        idempotency_key: own_key.unwrap_or(&facts.idempotency_key).as_str(),
        request_id: &cause.request_id,
        traceparent: &cause.traceparent,
        ordering_key: &job_id,
        key_seq: progressed.seq.unsigned_abs(),
    };
    let attempt = progressed.attempt;
    let failure = progressed.last_failure.as_ref().map(wire_failure);
    let envelope = match (&transition.said, state) {
        (Said::Queued { entry }, _) => header.envelope(&pb::JobQueued {
            intent: facts.intent.to_string(),
            queue: facts.queue.as_str().to_owned(),
            tier: facts.tier.as_str().to_owned(),
            priority: facts.priority.into(),
            run_after: facts.run_after.map(timestamp),
            released: *entry == Entry::Released,
            payload_digest: payload_digest(entry),
            payload_bytes: payload_bytes(entry),
            approval_id: approval_id(entry),
            resubmits: resubmits(facts),
            parent_job_id: parent_job_id(facts),
        }),
        (Said::Blocked { entry, by }, _) => header.envelope(&pb::JobBlocked {
            intent: facts.intent.to_string(),
            queue: facts.queue.as_str().to_owned(),
            tier: facts.tier.as_str().to_owned(),
            priority: facts.priority.into(),
            run_after: facts.run_after.map(timestamp),
            payload_digest: payload_digest(entry),
            payload_bytes: payload_bytes(entry),
            parent_job_id: parent_job_id(facts),
            depends_on: by.iter().map(ToString::to_string).collect(),
        }),
        (Said::WaitingHumanDecision { entry }, State::WaitingHumanDecision(wait)) => {
            header.envelope(&pb::JobWaitingHumanDecision {
                intent: facts.intent.to_string(),
                queue: facts.queue.as_str().to_owned(),
                tier: facts.tier.as_str().to_owned(),
                priority: facts.priority.into(),
                decide_by: Some(timestamp(wait.due_at)),
                payload_digest: payload_digest(entry),
                payload_bytes: payload_bytes(entry),
                approval_id: approval_id(entry),
                resubmits: resubmits(facts),
                parent_job_id: parent_job_id(facts),
            })
        }
        (Said::ChangesRequested { approval_id, reason }, _) => {
            header.envelope(&pb::JobChangesRequested { approval_id: approval_id.to_string(), reason: reason.clone() })
        }
        (Said::Deferred { approval_id, reason }, State::Deferred(wait)) => header.envelope(&pb::JobDeferred {
            approval_id: approval_id.to_string(),
            reason: reason.clone(),
            decide_by: Some(timestamp(wait.due_at)),
        }),
        (Said::Rejected { approval_id, reason }, _) => {
            header.envelope(&pb::JobRejected { approval_id: approval_id.to_string(), reason: reason.clone() })
        }
        (Said::Running, State::Running(lease)) => header.envelope(&pb::JobRunning {
            attempt,
            worker_id: lease.worker_id.clone(),
            lease_id: lease.lease_id.to_string(),
            fencing_token: lease.fence.unsigned_abs(),
            lease_expires_at: Some(timestamp(lease.expires_at)),
        }),
        (Said::Retrying, State::Retrying { next_attempt_at }) => {
            header.envelope(&pb::JobRetrying { attempt, failure, next_attempt_at: Some(timestamp(*next_attempt_at)) })
        }
        (Said::Done, State::Done { result, .. }) => header.envelope(&pb::JobDone {
            attempt,
            fencing_token: progressed.fence.unsigned_abs(),
            result_digest: blake3::hash(&result.data).as_bytes().to_vec(),
            result_bytes: result.data.len() as u64,
            run_ms: progressed.run_ms.unsigned_abs(),
        }),
        (Said::Failed { retries_exhausted }, _) => {
            header.envelope(&pb::JobFailed { attempt, failure, retries_exhausted: *retries_exhausted })
        }
        (Said::TimedOut, State::TimedOut { clock, .. }) => {
            header.envelope(&pb::JobTimedOut { attempt, clock: clock.as_str().to_owned() })
        }
        (Said::Cancelled { reason }, _) => header.envelope(&pb::JobCancelled { reason: reason.clone(), attempt }),
        (said, state) => unreachable!("no transition says {said:?} of {}", state.name().as_str()),
    };
    encode_envelope(&envelope)
}

fn payload_digest(entry: &Entry) -> Vec<u8> {
    match entry {
        Entry::Submitted { payload_digest, .. } => payload_digest.to_vec(),
        Entry::Released | Entry::Unblocked | Entry::Decided(_) => Vec::new(),
    }
}

fn payload_bytes(entry: &Entry) -> u64 {
    match entry {
        Entry::Submitted { payload_bytes, .. } => *payload_bytes as u64,
        Entry::Released | Entry::Unblocked | Entry::Decided(_) => 0,
    }
}

fn approval_id(entry: &Entry) -> String {
    match entry {
        Entry::Decided(approval_id) => approval_id.to_string(),
        Entry::Submitted { .. } | Entry::Released | Entry::Unblocked => String::new(),
    }
}

fn resubmits(facts: &Facts) -> String {
    facts.resubmits.map(|job_id| job_id.to_string()).unwrap_or_default()
}

fn parent_job_id(facts: &Facts) -> String {
    facts.parent.map(|parent| parent.job_id.to_string()).unwrap_or_default()
}

/// A reminder's event: under a key of its own, since it is no transition of the job.
pub fn encode_reminder(reminder: &Reminder, event_id: Uuid, ordering_key: &str) -> Vec<u8> {
    let header = EventHeader {
        event_id: EventId::from_uuid(event_id),
        source: SOURCE,
        occurred_at: reminder.at,
        tenant_id: reminder.tenant_id.as_str(),
        project_id: reminder.project_id.as_str(),
        job_id: Some(reminder.job_id),
        actor_id: "system:decision_reminders",
        idempotency_key: &reminder.idempotency_key,
        request_id: &reminder.request_id,
        traceparent: &reminder.traceparent,
        ordering_key,
        key_seq: u64::from(reminder.number.unsigned_abs()),
    };
    encode_envelope(&header.envelope(&pb::HitlReminderSent {
        intent: reminder.intent.clone(),
        queue: reminder.queue.clone(),
        waiting_since: Some(timestamp(reminder.waiting_since)),
        decide_by: Some(timestamp(reminder.decide_by)),
    }))
}

fn wire_failure(failure: &Failure) -> pb::JobFailure {
    pb::JobFailure { code: failure.code.clone(), message: failure.message.clone() }
}
