//! Locks in PostgreSQL: one function a query, outcomes as enums, no policy.

pub mod board;
pub mod instances;
pub mod maintenance;
pub mod read;
pub mod renew;
mod rows;

use holdfast_pg::DbError;

use crate::domain::entry::Entry;

/// Encodes the event of a journal's entry. The wire format is not the store's business.
pub type EncodeEvent = fn(&Entry) -> Vec<u8>;

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
