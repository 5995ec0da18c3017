//! What a failed call says: one reason of the catalogue, a message for people, and google.rpc details for programs.
//!
//! Every service error ends as a [`Fault`] and leaves the process through the one conversion in [`wire`]. The public
//! message and the internal cause are apart: the cause is kept for the log and never encoded. Reading a received error
//! back is [`Received`]. Conversions do not fail; what cannot be understood reads as no reason.
#![forbid(unsafe_code)]

mod catalogue;
mod received;
mod wire;

use std::{
    collections::BTreeMap,
    error::Error,
    fmt::{self, Write as _},
    sync::Arc,
    time::Duration,
};

use holdfast_ids::IdError;
pub use holdfast_proto::errors::v1::Reason;

pub use catalogue::{Traits, reason_by_wire_name, traits};
pub use received::Received;
pub use wire::{DOMAIN, attach_request, has_reason};

/// The delay that clients are told where a retryable fault names none.
pub const RETRY_AFTER_DEFAULT: Duration = Duration::from_secs(1);

/// How many violations the message for people names; the details hold all of them.
const VIOLATIONS_IN_MESSAGE_MAX: usize = 3;

/// One field that does not hold what the contract asks for, by its path: `jobs[3].project_id`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    pub field: String,
    pub description: String,
}

impl Violation {
    pub fn new(field: impl Into<String>, description: impl Into<String>) -> Self {
        Self { field: field.into(), description: description.into() }
    }
}

/// Why a call, or one item of a batch, failed.
#[derive(Debug, Clone)]
pub struct Fault {
    pub reason: Reason,
    /// For the caller: no secrets, no internals.
    pub message: String,
    pub violations: Vec<Violation>,
    pub retry_after: Option<Duration>,
    pub metadata: BTreeMap<String, String>,
    /// For the log only.
    pub source: Option<Arc<dyn Error + Send + Sync>>,
}

impl Fault {
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            violations: Vec::new(),
            retry_after: None,
            metadata: BTreeMap::new(),
            source: None,
        }
    }

    /// A field holds a value that the contract does not allow.
    pub fn invalid(field: impl Into<String>, description: impl Into<String>) -> Self {
        Self::invalid_many(vec![Violation::new(field, description)])
    }

    /// A required field is empty.
    pub fn missing(field: impl Into<String>) -> Self {
        Self::violated(Reason::Req400MissingField, vec![Violation::new(field, "is required")])
    }

    pub fn invalid_many(violations: Vec<Violation>) -> Self {
        Self::violated(Reason::Req400InvalidSchema, violations)
    }

    /// A field that should hold an identifier: missing where it is empty, invalid where it is anything else.
    pub fn malformed(field: impl Into<String>, error: IdError) -> Self {
        match error {
            IdError::Empty { .. } => Self::missing(field),
            other => Self::invalid(field, other.to_string()),
        }
    }

    /// A defect: the caller learns nothing but the request id, the log gets the cause.
    pub fn unexpected(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(Reason::Internal500Unexpected, "unexpected error").caused_by(source)
    }

    /// A store or service that this call needs cannot be reached now. `component` is a name such as `postgres`.
    pub fn dependency_down(component: &'static str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(Reason::Infra503DependencyDown, format!("{component} cannot be reached now"))
            .with("component", component)
            .retry_after(RETRY_AFTER_DEFAULT)
            .caused_by(source)
    }

    #[must_use]
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.retry_after = Some(delay);
        self
    }

    /// Adds a pair to the metadata of the ErrorInfo.
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }

    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(Arc::from(source.into()));
        self
    }

    /// Puts the violated fields below `prefix`, such as `jobs[3].`.
    #[must_use]
    pub fn under(mut self, prefix: &str) -> Self {
        if !self.violations.is_empty() {
            for violation in &mut self.violations {
                violation.field.insert_str(0, prefix);
            }
            self.message = describe(&self.violations);
        }
        self
    }

    pub fn code(&self) -> tonic::Code {
        traits(self.reason).code
    }

    /// Whether the same request, sent again later, can succeed.
    pub fn retryable(&self) -> bool {
        traits(self.reason).retryable
    }

    /// The reason as it stands in ErrorInfo, `JOB_404_NOT_FOUND`.
    pub fn wire_name(&self) -> &'static str {
        traits(self.reason).wire_name
    }

    /// The causes behind the fault, outermost first, for the log.
    pub fn causes(&self) -> Option<String> {
        let mut next: Option<&(dyn Error + 'static)> = Some(self.source.as_deref()?);
        let mut text = String::new();
        while let Some(error) = next {
            let separator = if text.is_empty() { "" } else { ": " };
            let _ = write!(text, "{separator}{error}");
            next = error.source();
        }
        Some(text)
    }

    fn violated(reason: Reason, violations: Vec<Violation>) -> Self {
        let message = describe(&violations);
        Self { violations, ..Self::new(reason, message) }
    }
}

fn describe(violations: &[Violation]) -> String {
    let mut text = String::new();
    for violation in violations.iter().take(VIOLATIONS_IN_MESSAGE_MAX) {
        let separator = if text.is_empty() { "" } else { "; " };
        let _ = write!(text, "{separator}{}: {}", violation.field, violation.description);
    }
    if violations.len() > VIOLATIONS_IN_MESSAGE_MAX {
        let _ = write!(text, "; and {} more", violations.len() - VIOLATIONS_IN_MESSAGE_MAX);
    }
    text
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.wire_name(), self.message)
    }
}

impl Error for Fault {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
