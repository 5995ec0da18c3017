//! The logins of the platform's programs. None is a member of another.

use std::fmt;

/// A role that `migrations/bootstrap.sql` makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Owns schema jobs; runs its migrations and nothing else.
    JobsOwner,
    /// The jobs service for its callers: sees the tenants in scope.
    JobsApp,
    /// The jobs service for itself: dispatch, sweepers, partitions.
    JobsTask,
    /// Owns schema locks.
    LocksOwner,
    /// The locks service for its callers: sees the tenants in scope.
    LocksApp,
    /// The locks service for itself: sweepers, partitions, who is alive.
    LocksTask,
    /// Owns schema relay.
    RelayOwner,
    /// Publishes the outboxes of every schema.
    Relay,
}

impl Role {
    pub const ALL: [Self; 8] = [
        Self::JobsOwner,
        Self::JobsApp,
        Self::JobsTask,
        Self::LocksOwner,
        Self::LocksApp,
        Self::LocksTask,
        Self::RelayOwner,
        Self::Relay,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::JobsOwner => "holdfast_jobs_owner",
            Self::JobsApp => "holdfast_jobs_app",
            Self::JobsTask => "holdfast_jobs_task",
            Self::LocksOwner => "holdfast_locks_owner",
            Self::LocksApp => "holdfast_locks_app",
            Self::LocksTask => "holdfast_locks_task",
            Self::RelayOwner => "holdfast_relay_owner",
            Self::Relay => "holdfast_relay",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
