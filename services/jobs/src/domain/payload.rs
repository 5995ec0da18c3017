//! Payloads and results: bytes with a media type, kept verbatim.

use std::fmt;

use bytes::Bytes;

/// The largest payload, result or reserved request.
pub const PAYLOAD_BYTES_MAX: usize = 960 * 1024;
pub const CONTENT_TYPE_CHARS_MAX: usize = 128;
/// How deep JSON may nest.
pub const JSON_DEPTH_MAX: usize = 10;
pub const JSON: &str = "application/json";

#[derive(Clone, PartialEq, Eq)]
pub struct Payload {
    pub data: Bytes,
    pub content_type: String,
}

/// What it is and how much, never what it holds: that has no place in a log.
impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes of {}", self.data.len(), self.content_type)
    }
}

impl Payload {
    pub fn is_json(&self) -> bool {
        is_json(&self.content_type)
    }
}

/// Whether a media type says JSON: application/json, or any with the suffix +json, whatever the parameters.
pub fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case(JSON)
        || essence.len() > 5
            && essence.is_char_boundary(essence.len() - 5)
            && essence[essence.len() - 5..].eq_ignore_ascii_case("+json")
}
