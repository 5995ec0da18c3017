//! The event of a journal's entry, as it goes into the outbox.

use holdfast_events::{EventHeader, encode as encode_envelope};
use holdfast_ids::EventId;
use holdfast_proto::events::v1 as pb;
use holdfast_runtime::field::timestamp;
use holdfast_telemetry::context::TraceContext;

use crate::domain::entry::{Entry, What};

const SOURCE: &str = "holdfast.locks";

pub fn encode(entry: &Entry) -> Vec<u8> {
    let (lease_id, ordering_key) = (entry.lease_id.to_string(), entry.name.to_string());
    // What nobody asked for, such as an expiry, begins a trace.
    let traceparent = match entry.traceparent.as_str() {
        "" => TraceContext::fresh().to_string(),
        known => known.to_owned(),
    };
    let header = EventHeader {
        event_id: EventId::from_uuid(entry.event_id),
        source: SOURCE,
        occurred_at: entry.occurred_at,
        tenant_id: entry.name.tenant_id.as_str(),
        project_id: entry.name.resource.project_id.as_str(),
        job_id: None,
        actor_id: entry.actor_id.as_str(),
        idempotency_key: &lease_id,
        request_id: &entry.request_id,
        traceparent: &traceparent,
        ordering_key: &ordering_key,
        key_seq: entry.version.unsigned_abs(),
    };
    let resource = &entry.name.resource;
    let lock = || {
        Some(pb::LockSubject {
            class: resource.class.to_string(),
            key: resource.key.to_string(),
            lease_id: lease_id.clone(),
            fencing_token: entry.fence.unsigned_abs(),
            holder_actor_id: entry.holder.to_string(),
            owner: entry.owner.clone(),
        })
    };
    let envelope = match &entry.what {
        What::Granted { expires_at, waited_ms } => header.envelope(&pb::LockGranted {
            lock: lock(),
            expires_at: Some(timestamp(*expires_at)),
            waited_ms: waited_ms.unsigned_abs(),
        }),
        What::Released { held_ms } => {
            header.envelope(&pb::LockReleased { lock: lock(), held_ms: held_ms.unsigned_abs() })
        }
        What::Expired { held_ms, expired_at } => header.envelope(&pb::LockExpired {
            lock: lock(),
            held_ms: held_ms.unsigned_abs(),
            expired_at: Some(timestamp(*expired_at)),
        }),
        What::Forced { held_ms, reason } => {
            header.envelope(&pb::LockForced { lock: lock(), held_ms: held_ms.unsigned_abs(), reason: reason.clone() })
        }
        What::FenceRejected { presented } => header.envelope(&pb::LockFenceRejected {
            class: resource.class.to_string(),
            key: resource.key.to_string(),
            presented_token: presented.unsigned_abs(),
            highest_token: entry.fence.unsigned_abs(),
        }),
    };
    encode_envelope(&envelope)
}
