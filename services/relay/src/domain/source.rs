use std::fmt;

use serde::Deserialize;

/// An outbox that a relay publishes: its schema, and the domain of its streams, its hints and its leases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    Jobs,
    Locks,
}

impl Source {
    /// What a relay publishes where its configuration does not say.
    pub const DEFAULT: &'static [Self] = &[Self::Jobs, Self::Locks];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Jobs => "jobs",
            Self::Locks => "locks",
        }
    }

    /// What its outbox is called among the things that readiness depends on.
    pub const fn dependency(self) -> &'static str {
        match self {
            Self::Jobs => "outbox_jobs",
            Self::Locks => "outbox_locks",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
