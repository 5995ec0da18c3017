//! Jobs, keys and leases in PostgreSQL: one function a query, outcomes as enums, no policy.

pub mod answers;
pub mod approvals;
pub mod claim;
pub mod dependencies;
pub mod growth;
pub mod holds;
pub mod key;
pub mod lease;
pub mod live;
pub mod maintenance;
pub mod projects;
pub mod queue_clock;
pub mod read;
mod rows;
pub mod submit;
pub mod transitions;
pub mod usage;
pub mod waits;
pub mod watch;

use holdfast_ids::TenantId;
use holdfast_pg::DbError;

use crate::domain::growth::MarkPassed;
use crate::domain::transition::{Cause, Transition};

/// Encodes the event of a transition. The wire format is not the store's business.
pub type EncodeEvent = fn(&Transition, &Cause, event_id: uuid::Uuid) -> Vec<u8>;
/// The same of a reminder.
pub type EncodeReminder = fn(&waits::Reminder, event_id: uuid::Uuid, ordering_key: &str) -> Vec<u8>;
/// The same of a job that is overdue in its queue.
pub type EncodeOverdue = fn(&queue_clock::Overdue, event_id: uuid::Uuid, ordering_key: &str) -> Vec<u8>;
/// The same of a change of a project's settings.
pub type EncodeChange = fn(&projects::NewChange<'_>, event_id: uuid::Uuid, ordering_key: &str) -> Vec<u8>;

/// The same of a table that has passed a mark.
pub type EncodeMarkPassed =
    fn(&MarkPassed, platform: &TenantId, event_id: uuid::Uuid, ordering_key: &str, traceparent: &str) -> Vec<u8>;

/// Why a store function failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    #[error(transparent)]
    Db(#[from] DbError),
    /// A row that no version of this service writes. A defect, or tampering.
    #[error("{table}.{column} holds what this service never writes")]
    Corrupt { table: &'static str, column: &'static str },
    /// A caller without a tenant.
    #[error(transparent)]
    NoScope(#[from] holdfast_pg::EmptyScope),
    #[error(transparent)]
    Interrupted(#[from] holdfast_pg::coalescer::Interrupted),
    /// What one statement saw, the next did not: the transaction is worth running again.
    #[error("the transaction raced with another")]
    Raced,
    /// Fewer rows moved than were locked: a defect.
    #[error("a locked job moved")]
    LostLock,
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::Db(DbError::from(error))
    }
}

impl From<StoreError> for holdfast_fault::Fault {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Db(error) => error.into(),
            StoreError::Interrupted(interrupted) => interrupted.into(),
            StoreError::Raced => Self::dependency_down("postgres", error),
            defect => Self::unexpected(defect),
        }
    }
}
