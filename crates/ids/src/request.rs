//! The id that ties a call, its log lines and its error together.

use std::{fmt, sync::Arc};

use uuid::Uuid;

use crate::{
    IdError,
    name::{Grammar, printable},
};

/// Sent by the client in `x-request-id`, or made here.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(Arc<str>);

impl RequestId {
    pub const CHARS_MAX: usize = 128;
    const GRAMMAR: Grammar = Grammar {
        what: "request id",
        chars_max: Self::CHARS_MAX,
        allowed: "printable ASCII characters without spaces",
        first: printable,
        rest: printable,
    };

    /// A fresh UUIDv7 in its hyphenated form.
    #[allow(clippy::new_without_default, reason = "a default that differs each time would surprise")]
    pub fn new() -> Self {
        let mut buffer = Uuid::encode_buffer();
        Self(Arc::from(&*Uuid::now_v7().hyphenated().encode_lower(&mut buffer)))
    }

    pub fn parse(text: &str) -> Result<Self, IdError> {
        Self::GRAMMAR.check(text)?;
        Ok(Self(Arc::from(text)))
    }

    /// The client's id where it sent a well-formed one, a fresh one otherwise: a bad header is no reason to refuse work.
    pub fn received_or_new(header: Option<&str>) -> Self {
        header.and_then(|text| Self::parse(text).ok()).unwrap_or_else(Self::new)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestId({})", self.0)
    }
}
