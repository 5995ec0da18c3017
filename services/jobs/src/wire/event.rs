//! The event of a transition, as it goes into the outbox.

use holdfast_events::{EventHeader, encode as encode_envelope};
use holdfast_ids::EventId;
use holdfast_proto::events::v1 as pb;
use uuid::Uuid;

use super::field::timestamp;
use crate::domain::job::{Failure, Job, State};
use crate::domain::transition::{Cause, Said, Transition};

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
        (Said::Queued { released, payload_digest, payload_bytes }, _) => header.envelope(&pb::JobQueued {
            intent: facts.intent.to_string(),
            queue: facts.queue.as_str().to_owned(),
            tier: facts.tier.as_str().to_owned(),
            priority: facts.priority.into(),
            run_after: facts.run_after.map(timestamp),
            released: *released,
            payload_digest: if *released { Vec::new() } else { payload_digest.to_vec() },
            payload_bytes: *payload_bytes as u64,
        }),
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

fn wire_failure(failure: &Failure) -> pb::JobFailure {
    pb::JobFailure { code: failure.code.clone(), message: failure.message.clone() }
}
