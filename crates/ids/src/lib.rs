//! Typed identifiers: what a value names is its type, and a value of the type is well-formed.
//!
//! Owns the alphabets and lengths of every name that crosses a boundary. Names are parsed once, at the edge, and are
//! cheap to clone from there on. Identifiers that the platform makes are UUIDv7, so that their order is the order of
//! their making. Parsing is the only thing that fails here, with an [`IdError`] that says what is allowed.
#![forbid(unsafe_code)]

mod name;
mod request;
mod unique;

pub use name::{
    ActorId, IdempotencyKey, Intent, LockClass, LockOwner, ModelName, ProjectId, ProviderName, ResourceKey, TenantId,
    WorkerId,
};
pub use request::RequestId;
pub use unique::{ApprovalId, EventId, InstanceId, JobId, LeaseId, LedgerId};

/// Why a text is not an identifier. Says what is allowed and never repeats the text, which may be anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    #[error("{what} is empty")]
    Empty { what: &'static str },
    #[error("{what} is longer than {chars_max} characters")]
    TooLong { what: &'static str, chars_max: usize },
    #[error("{what} may only hold {allowed}")]
    Alphabet { what: &'static str, allowed: &'static str },
    #[error("{what} is not a UUID")]
    NotUuid { what: &'static str },
    #[error("{what} is not a UUID of version 7")]
    NotVersion7 { what: &'static str },
}
