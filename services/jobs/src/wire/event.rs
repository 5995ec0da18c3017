//! The event of a transition, as it goes into the outbox.

use holdfast_events::{EventHeader, encode as encode_envelope};
use holdfast_ids::{EventId, TenantId};
use holdfast_proto::events::v1 as pb;
use uuid::Uuid;

use super::field::timestamp;
use crate::domain::growth::MarkPassed;
use crate::domain::hold::Hold;
use crate::domain::job::{Facts, Failure, Job, State};
use crate::domain::transition::{Cause, Entry, Said, Transition};
use crate::store::projects::NewChange;
use crate::store::queue_clock::Overdue;
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
    let told = |text: &str| facts.labels.told(text);
    let failed = |message: &String| progressed.last_failure.as_ref().map(|failure| wire_failure(failure, message));
    let envelope = match (&transition.said, state) {
        (Said::Queued { entry }, _) => header.envelope(&pb::JobQueued {
            intent: facts.intent.to_string(),
            queue: facts.queue.as_str().to_owned(),
            tier: facts.tier.as_str().to_owned(),
            priority: facts.priority.into(),
            run_after: facts.run_after.map(timestamp),
            released: *entry == Entry::Released,
            payload_digest: payload_digest(facts, entry),
            payload_bytes: payload_bytes(entry),
            approval_id: approval_id(entry),
            resubmits: resubmits(facts),
            parent_job_id: parent_job_id(facts),
            classification: facts.labels.classification.as_str().to_owned(),
            residency: facts.labels.residency.as_str().to_owned(),
        }),
        (Said::Blocked { entry, by, held_by }, _) => header.envelope(&pb::JobBlocked {
            intent: facts.intent.to_string(),
            queue: facts.queue.as_str().to_owned(),
            tier: facts.tier.as_str().to_owned(),
            priority: facts.priority.into(),
            run_after: facts.run_after.map(timestamp),
            payload_digest: payload_digest(facts, entry),
            payload_bytes: payload_bytes(entry),
            parent_job_id: parent_job_id(facts),
            depends_on: by.iter().map(ToString::to_string).collect(),
            classification: facts.labels.classification.as_str().to_owned(),
            residency: facts.labels.residency.as_str().to_owned(),
            held_by: held_by.iter().map(Hold::name).collect(),
        }),
        (Said::WaitingHumanDecision { entry }, State::WaitingHumanDecision(wait)) => {
            header.envelope(&pb::JobWaitingHumanDecision {
                intent: facts.intent.to_string(),
                queue: facts.queue.as_str().to_owned(),
                tier: facts.tier.as_str().to_owned(),
                priority: facts.priority.into(),
                decide_by: Some(timestamp(wait.due_at)),
                payload_digest: payload_digest(facts, entry),
                payload_bytes: payload_bytes(entry),
                approval_id: approval_id(entry),
                resubmits: resubmits(facts),
                parent_job_id: parent_job_id(facts),
                classification: facts.labels.classification.as_str().to_owned(),
                residency: facts.labels.residency.as_str().to_owned(),
            })
        }
        (Said::ChangesRequested { approval_id, reason }, _) => {
            header.envelope(&pb::JobChangesRequested { approval_id: approval_id.to_string(), reason: told(reason) })
        }
        (Said::Deferred { approval_id, reason }, State::Deferred(wait)) => header.envelope(&pb::JobDeferred {
            approval_id: approval_id.to_string(),
            reason: told(reason),
            decide_by: Some(timestamp(wait.due_at)),
        }),
        (Said::Rejected { approval_id, reason }, _) => {
            header.envelope(&pb::JobRejected { approval_id: approval_id.to_string(), reason: told(reason) })
        }
        (Said::Running, State::Running(lease)) => header.envelope(&pb::JobRunning {
            attempt,
            worker_id: lease.worker_id.clone(),
            lease_id: lease.lease_id.to_string(),
            fencing_token: lease.fence.unsigned_abs(),
            lease_expires_at: Some(timestamp(lease.expires_at)),
        }),
        (Said::Retrying { message }, State::Retrying { next_attempt_at }) => header.envelope(&pb::JobRetrying {
            attempt,
            failure: failed(message),
            next_attempt_at: Some(timestamp(*next_attempt_at)),
        }),
        (Said::Done, State::Done { result, .. }) => header.envelope(&pb::JobDone {
            attempt,
            fencing_token: progressed.fence.unsigned_abs(),
            result_digest: digest(facts, blake3::hash(&result.data).as_bytes()),
            result_bytes: result.data.len() as u64,
            run_ms: progressed.run_ms.unsigned_abs(),
        }),
        (Said::Failed { message, retries_exhausted }, _) => {
            header.envelope(&pb::JobFailed { attempt, failure: failed(message), retries_exhausted: *retries_exhausted })
        }
        (Said::TimedOut, State::TimedOut { clock, .. }) => {
            header.envelope(&pb::JobTimedOut { attempt, clock: clock.as_str().to_owned() })
        }
        (Said::BudgetExceeded(exceeded), _) => header.envelope(&pb::JobBudgetExceeded {
            scope: exceeded.scope.as_str().to_owned(),
            scope_id: exceeded.scope_id.clone(),
            measure: exceeded.measure.as_str().to_owned(),
            limit: exceeded.limit,
            used: exceeded.used,
            resets_at: exceeded.resets_at.map(timestamp),
            attempt,
        }),
        (Said::Cancelled { reason }, _) => header.envelope(&pb::JobCancelled { reason: reason.clone(), attempt }),
        (said, state) => unreachable!("no transition says {said:?} of {}", state.name().as_str()),
    };
    encode_envelope(&envelope)
}

/// The digest of what may be told of.
fn digest(facts: &Facts, digest: &[u8; 32]) -> Vec<u8> {
    if facts.labels.is_redacted() { Vec::new() } else { digest.to_vec() }
}

fn payload_digest(facts: &Facts, entry: &Entry) -> Vec<u8> {
    match entry {
        Entry::Submitted { payload_digest, .. } => digest(facts, payload_digest),
        Entry::Released | Entry::Held | Entry::Unblocked | Entry::Decided(_) => Vec::new(),
    }
}

fn payload_bytes(entry: &Entry) -> u64 {
    match entry {
        Entry::Submitted { payload_bytes, .. } => *payload_bytes as u64,
        Entry::Released | Entry::Held | Entry::Unblocked | Entry::Decided(_) => 0,
    }
}

fn approval_id(entry: &Entry) -> String {
    match entry {
        Entry::Decided(approval_id) => approval_id.to_string(),
        Entry::Submitted { .. } | Entry::Released | Entry::Held | Entry::Unblocked => String::new(),
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

/// The event of a job that is overdue in its queue: under a key of its own, since it is no transition of the job.
pub fn encode_overdue(job: &Overdue, event_id: Uuid, ordering_key: &str) -> Vec<u8> {
    let facts = &job.facts;
    let header = EventHeader {
        event_id: EventId::from_uuid(event_id),
        source: SOURCE,
        occurred_at: job.at,
        tenant_id: facts.tenant_id.as_str(),
        project_id: facts.project_id.as_str(),
        job_id: Some(facts.job_id),
        actor_id: "system:queue_clock",
        idempotency_key: facts.idempotency_key.as_str(),
        request_id: &facts.request_id,
        traceparent: &facts.traceparent,
        ordering_key,
        // Once a job.
        key_seq: 1,
    };
    encode_envelope(&header.envelope(&pb::JobQueueOverdue {
        intent: facts.intent.to_string(),
        queue: facts.queue.as_str().to_owned(),
        tier: facts.tier.as_str().to_owned(),
        waited_ms: job.waited_ms.unsigned_abs(),
        budget_ms: job.budget_ms.unsigned_abs(),
    }))
}

/// The event of a change of a project's settings: under a key of its own, numbered by versions.
pub fn encode_change(new: &NewChange<'_>, event_id: Uuid, ordering_key: &str) -> Vec<u8> {
    let version = new.change.version.unsigned_abs();
    let header = EventHeader {
        event_id: EventId::from_uuid(event_id),
        source: SOURCE,
        occurred_at: new.change.at,
        tenant_id: new.project.tenant_id.as_str(),
        project_id: new.project.project_id.as_str(),
        job_id: None,
        actor_id: new.change.by.as_str(),
        // The version that it was asked for under is what makes a repetition one.
        idempotency_key: &format!("version-{version}"),
        request_id: new.request_id,
        traceparent: new.traceparent,
        ordering_key,
        key_seq: version,
    };
    let changed = new.changed.iter().map(|name| (*name).to_owned()).collect();
    encode_envelope(&header.envelope(&pb::ProjectSettingsChanged { version, changed }))
}

/// The event of a table that has passed a mark: of no job, in the name of the platform's tenant.
pub fn encode_mark_passed(
    passed: &MarkPassed,
    platform: &TenantId,
    event_id: Uuid,
    ordering_key: &str,
    traceparent: &str,
) -> Vec<u8> {
    let header = EventHeader {
        event_id: EventId::from_uuid(event_id),
        source: SOURCE,
        occurred_at: passed.at,
        tenant_id: platform.as_str(),
        project_id: "",
        job_id: None,
        actor_id: "system:growth",
        idempotency_key: ordering_key,
        request_id: &event_id.to_string(),
        traceparent,
        ordering_key,
        key_seq: 1,
    };
    encode_envelope(&header.envelope(&pb::TableRowCountPassed {
        schema: "jobs".to_owned(),
        table: passed.table.clone(),
        rows: passed.rows.unsigned_abs(),
        mark: passed.mark.as_str().to_owned(),
        mark_rows: passed.mark_rows.unsigned_abs(),
        severity: passed.mark.severity().to_owned(),
        is_partitioned: passed.is_partitioned,
        day: passed.day.to_string(),
    }))
}

fn wire_failure(failure: &Failure, message: &str) -> pb::JobFailure {
    pb::JobFailure { code: failure.code.clone(), message: message.to_owned() }
}
