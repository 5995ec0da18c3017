//! Every way in which PostgreSQL fails, by what the caller can do about it.

use std::sync::Arc;

use holdfast_fault::Fault;

/// A failed statement, transaction or connection. Cheap to clone: one failed batch answers many callers.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DbError {
    /// No usable server: refused, reset, shutting down, starting up, read-only, out of connections or space.
    #[error("PostgreSQL is unavailable")]
    Unavailable(#[source] Arc<sqlx::Error>),
    /// Serialisation failure or deadlock: nothing happened, and the whole transaction may be run again.
    #[error("the transaction conflicted with another")]
    Conflict(#[source] Arc<sqlx::Error>),
    #[error("a lock was not granted in time")]
    LockTimeout(#[source] Arc<sqlx::Error>),
    /// Cancelled by the server, at the deadline that was set when the transaction began or at the role's own bound.
    #[error("the statement ran into its time limit")]
    StatementTimeout(#[source] Arc<sqlx::Error>),
    /// The caller's deadline, or the time that a transaction may take, passed before it had begun.
    #[error("the deadline passed before a transaction began")]
    DeadlinePassed,
    /// It did not end in the time that a transaction may take: the server is silent, or far too slow. Nothing happened,
    /// unless its COMMIT was already under way.
    #[error("the transaction ran out of time")]
    TimeOver,
    /// A constraint of the schema. On a unique index of a partitioned table the name is that of the partition's index.
    #[error("constraint {name} was violated")]
    Constraint { name: String, source: Arc<sqlx::Error> },
    /// The row belongs to no partition: its id names a time for which none has been made.
    #[error("there is no partition for the row")]
    NoPartition(#[source] Arc<sqlx::Error>),
    /// A value that PostgreSQL cannot take.
    #[error("a value was refused")]
    Data(#[source] Arc<sqlx::Error>),
    /// A missing grant, a row-level security policy, or an append-only table.
    #[error("the role may not do this")]
    Insufficient(#[source] Arc<sqlx::Error>),
    /// The connection broke, or fell silent, during COMMIT: the transaction has happened or it has not.
    #[error("the connection was lost during COMMIT")]
    AmbiguousCommit(#[source] Arc<sqlx::Error>),
    /// A mistake of ours: SQL that does not fit the schema, a value that does not decode.
    #[error("unexpected database error")]
    Other(#[source] Arc<sqlx::Error>),
}

impl DbError {
    /// Whether the same work, tried again later, can succeed without anyone changing it.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unavailable(_)
            | Self::Conflict(_)
            | Self::LockTimeout(_)
            | Self::StatementTimeout(_)
            | Self::DeadlinePassed
            | Self::TimeOver
            | Self::NoPartition(_)
            | Self::AmbiguousCommit(_) => true,
            Self::Constraint { .. } | Self::Data(_) | Self::Insufficient(_) | Self::Other(_) => false,
        }
    }

    /// Whether it took a wait to find out: whoever asks the same server now waits as long.
    pub fn is_outage(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::DeadlinePassed | Self::TimeOver)
    }

    /// Whether one item of a batch is at fault rather than the batch or the server. A batch that failed so is taken apart
    /// until the item stands alone.
    pub fn blames_a_row(&self) -> bool {
        matches!(self, Self::Constraint { .. } | Self::NoPartition(_) | Self::Data(_) | Self::Insufficient(_))
    }

    pub(crate) fn from_commit(error: sqlx::Error) -> Self {
        if connection_is_lost(&error) { Self::AmbiguousCommit(Arc::new(error)) } else { error.into() }
    }
}

impl From<sqlx::Error> for DbError {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error::{Io, PoolClosed, PoolTimedOut, Tls, WorkerCrashed};
        match &error {
            Io(_) | Tls(_) | PoolTimedOut | PoolClosed | WorkerCrashed => Self::Unavailable(Arc::new(error)),
            sqlx::Error::Database(reply) => {
                let class = Class::of(reply.as_ref());
                class.with(error)
            }
            _ => Self::Other(Arc::new(error)),
        }
    }
}

enum Class {
    Unavailable,
    Conflict,
    LockTimeout,
    StatementTimeout,
    Constraint(String),
    NoPartition,
    Data,
    Insufficient,
    Other,
}

impl Class {
    fn of(reply: &dyn sqlx::error::DatabaseError) -> Self {
        let code = reply.code().unwrap_or_default();
        match code.as_ref() {
            // Read-only: we talk to a primary that has been demoted.
            "25006" => Self::Unavailable,
            // The session was ended for idling inside its transaction.
            "25P03" => Self::Unavailable,
            "40001" | "40P01" => Self::Conflict,
            "42501" => Self::Insufficient,
            "55P03" => Self::LockTimeout,
            "57014" => Self::StatementTimeout,
            code if code.starts_with("57P") || code.starts_with("08") || code.starts_with("53") => Self::Unavailable,
            code if code.starts_with("22") => Self::Data,
            code if code.starts_with("23") => match reply.constraint() {
                Some(name) => Self::Constraint(name.to_owned()),
                // The one check violation without a name: "no partition of relation ... found for row".
                None if code == "23514" => Self::NoPartition,
                // NOT NULL has no name before PostgreSQL 18.
                None => Self::Data,
            },
            _ => Self::Other,
        }
    }

    fn with(self, error: sqlx::Error) -> DbError {
        let source = Arc::new(error);
        match self {
            Self::Unavailable => DbError::Unavailable(source),
            Self::Conflict => DbError::Conflict(source),
            Self::LockTimeout => DbError::LockTimeout(source),
            Self::StatementTimeout => DbError::StatementTimeout(source),
            Self::Constraint(name) => DbError::Constraint { name, source },
            Self::NoPartition => DbError::NoPartition(source),
            Self::Data => DbError::Data(source),
            Self::Insufficient => DbError::Insufficient(source),
            Self::Other => DbError::Other(source),
        }
    }
}

/// Whether the session is gone, as opposed to a statement refused within it.
pub(crate) fn connection_is_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(reply) => {
            reply.code().is_some_and(|code| code.starts_with("57P") || code.starts_with("08") || code == "25P03")
        }
        _ => false,
    }
}

/// Whether PgBouncer has no server to give, or lost the one that it had given: it says no more than that the protocol was
/// violated, and ends the connection.
pub(crate) fn pooler_has_no_server(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(reply) if reply.code().is_some_and(|code| code == "08P01"))
}

/// What a lost connection is to its user, where nothing says that it is lost.
pub(crate) fn no_answer(silent: tokio::time::error::Elapsed) -> sqlx::Error {
    sqlx::Error::Io(silent.into())
}

impl From<DbError> for Fault {
    fn from(error: DbError) -> Self {
        if error.is_transient() { Fault::dependency_down("postgres", error) } else { Fault::unexpected(error) }
    }
}
