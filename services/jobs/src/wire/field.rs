//! Fields: those of all services, and those that only jobs have.

use holdfast_fault::Fault;
use holdfast_proto::jobs::v1 as pb;
pub use holdfast_runtime::field::*;

use super::media_type::is_media_type;
use crate::domain::payload::{CONTENT_TYPE_CHARS_MAX, JSON, PAYLOAD_BYTES_MAX, Payload};

pub fn payload(field: &str, payload: pb::Payload) -> Result<Payload, Fault> {
    let content_type = media_type(&format!("{field}.content_type"), payload.content_type)?;
    bytes_within(&format!("{field}.data"), payload.data.len(), PAYLOAD_BYTES_MAX)?;
    Ok(Payload { data: payload.data, content_type })
}

/// An RFC 9110 media type; JSON when empty.
pub fn media_type(field: &str, content_type: String) -> Result<String, Fault> {
    if content_type.is_empty() {
        return Ok(JSON.to_owned());
    }
    if content_type.len() > CONTENT_TYPE_CHARS_MAX || !is_media_type(&content_type) {
        return Err(Fault::invalid(
            field,
            format!("is not a media type of at most {CONTENT_TYPE_CHARS_MAX} characters"),
        ));
    }
    Ok(content_type)
}
