use chrono::{DateTime, Utc};
use holdfast_ids::{EventId, JobId};
use holdfast_proto::events::v1::Envelope;
use prost::Message;

use crate::EventData;

/// CloudEvents `specversion` of every envelope.
pub const SPEC_VERSION: &str = "1.0";

/// What every event carries beside its typed data. Borrowed: an envelope is built on a hot path, from rows at hand.
#[derive(Clone, Copy, Debug)]
pub struct EventHeader<'a> {
    /// Made once, in the transaction; the same on every delivery.
    pub event_id: EventId,
    /// The service that owns the fact: "holdfast.jobs".
    pub source: &'a str,
    /// When the change was committed to, by the database's clock.
    pub occurred_at: DateTime<Utc>,
    pub tenant_id: &'a str,
    pub project_id: &'a str,
    pub job_id: Option<JobId>,
    /// A principal, or "system:<task>".
    pub actor_id: &'a str,
    /// Of the command that caused it; the job's, where that had none of its own.
    pub idempotency_key: &'a str,
    pub request_id: &'a str,
    /// W3C trace context: the traceparent and, behind a space, the tracestate where there is one.
    pub traceparent: &'a str,
    pub ordering_key: &'a str,
    /// From 1, without gaps within the ordering key.
    pub key_seq: u64,
}

impl EventHeader<'_> {
    /// The envelope of one event; its name, schema version and type URL come from the data's type.
    pub fn envelope<D: EventData>(&self, data: &D) -> Envelope {
        let (traceparent, tracestate) = self.traceparent.split_once(' ').unwrap_or((self.traceparent, ""));
        Envelope {
            event_id: self.event_id.to_string(),
            source: self.source.to_owned(),
            spec_version: SPEC_VERSION.to_owned(),
            event_name: D::EVENT_NAME.to_owned(),
            occurred_at: Some(timestamp(self.occurred_at)),
            schema_version: D::SCHEMA_VERSION,
            tenant_id: self.tenant_id.to_owned(),
            project_id: self.project_id.to_owned(),
            job_id: self.job_id.map(|id| id.to_string()).unwrap_or_default(),
            actor_id: self.actor_id.to_owned(),
            idempotency_key: self.idempotency_key.to_owned(),
            request_id: self.request_id.to_owned(),
            traceparent: traceparent.to_owned(),
            tracestate: tracestate.to_owned(),
            trace_id: trace_id(traceparent).to_owned(),
            ordering_key: self.ordering_key.to_owned(),
            key_seq: self.key_seq,
            data: Some(prost_types::Any { type_url: D::TYPE_URL.to_owned(), value: data.encode_to_vec() }),
        }
    }
}

/// Why bytes are no envelope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    #[error("not an Envelope message: {0}")]
    Malformed(#[from] prost::DecodeError),
    #[error("{0} is missing or malformed")]
    Field(&'static str),
    #[error("the data is {found:?}, not {expected:?}")]
    OtherData { expected: &'static str, found: String },
}

pub fn encode(envelope: &Envelope) -> Vec<u8> {
    envelope.encode_to_vec()
}

/// Decodes an envelope and checks what delivery depends on: id, name, ordering key and sequence.
pub fn decode(bytes: &[u8]) -> Result<Envelope, EnvelopeError> {
    let envelope = Envelope::decode(bytes)?;
    if EventId::parse(&envelope.event_id).is_err() {
        return Err(EnvelopeError::Field("event_id"));
    }
    if envelope.event_name.is_empty() {
        return Err(EnvelopeError::Field("event_name"));
    }
    if envelope.ordering_key.is_empty() {
        return Err(EnvelopeError::Field("ordering_key"));
    }
    if envelope.key_seq == 0 {
        return Err(EnvelopeError::Field("key_seq"));
    }
    Ok(envelope)
}

/// The typed data of an envelope whose type is known.
pub fn unpack<D: EventData>(envelope: &Envelope) -> Result<D, EnvelopeError> {
    let data = envelope.data.as_ref().ok_or(EnvelopeError::Field("data"))?;
    if data.type_url != D::TYPE_URL {
        return Err(EnvelopeError::OtherData { expected: D::TYPE_URL, found: data.type_url.clone() });
    }
    Ok(D::decode(data.value.as_slice())?)
}

fn timestamp(at: DateTime<Utc>) -> prost_types::Timestamp {
    // Subsecond nanoseconds are below 2e9 even in a leap second, so they fit.
    prost_types::Timestamp { seconds: at.timestamp(), nanos: at.timestamp_subsec_nanos() as i32 }
}

/// The second part of a traceparent, `00-<trace id>-<span id>-<flags>`.
fn trace_id(traceparent: &str) -> &str {
    traceparent.split('-').nth(1).filter(|id| id.len() == 32).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use holdfast_proto::events::v1::{JobCancelled, JobDone};

    use super::*;

    fn header() -> EventHeader<'static> {
        EventHeader {
            event_id: EventId::new(),
            source: "holdfast.jobs",
            occurred_at: DateTime::from_timestamp(1_800_000_000, 123_000_000).unwrap(),
            tenant_id: "acme",
            project_id: "site",
            job_id: Some(JobId::new()),
            actor_id: "alice",
            idempotency_key: "k-1",
            request_id: "r-1",
            traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 vendor=a",
            ordering_key: "job:1",
            key_seq: 3,
        }
    }

    #[test]
    fn an_envelope_survives_the_wire() {
        let data = JobDone { attempt: 2, fencing_token: 9, run_ms: 40, ..Default::default() };
        let envelope = header().envelope(&data);
        assert_eq!(envelope.event_name, "job.done");
        assert_eq!(envelope.trace_id, "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(envelope.traceparent, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
        assert_eq!(envelope.tracestate, "vendor=a");
        let read = decode(&encode(&envelope)).unwrap();
        assert_eq!(read, envelope);
        assert_eq!(unpack::<JobDone>(&read), Ok(data));
    }

    #[test]
    fn data_of_another_type_is_not_misread() {
        let envelope = header().envelope(&JobDone::default());
        assert!(matches!(unpack::<JobCancelled>(&envelope), Err(EnvelopeError::OtherData { .. })));
    }

    #[test]
    fn what_delivery_depends_on_must_be_there() {
        let whole = header().envelope(&JobDone::default());
        for (field, broken) in [
            ("event_id", Envelope { event_id: "7".into(), ..whole.clone() }),
            ("event_name", Envelope { event_name: String::new(), ..whole.clone() }),
            ("ordering_key", Envelope { ordering_key: String::new(), ..whole.clone() }),
            ("key_seq", Envelope { key_seq: 0, ..whole.clone() }),
        ] {
            assert_eq!(decode(&encode(&broken)), Err(EnvelopeError::Field(field)));
        }
        assert!(matches!(decode(b"\xff\xff"), Err(EnvelopeError::Malformed(_))));
    }
}
