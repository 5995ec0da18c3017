//! Identifiers that the platform makes: UUIDv7, ordered by the time of their making.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::IdError;

macro_rules! unique_ids {
    ($($(#[$doc:meta])* $name:ident { $what:literal, $check:ident })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A fresh UUIDv7.
            #[allow(clippy::new_without_default, reason = "a default that differs each time would surprise")]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }

            pub fn parse(text: &str) -> Result<Self, IdError> {
                let uuid = Uuid::try_parse(text).map_err(|_| IdError::NotUuid { what: $what })?;
                $check(uuid, $what).map(Self)
            }

            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            pub const fn as_uuid(&self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::parse(text)
            }
        }
    )*};
}

fn any_version(uuid: Uuid, _what: &'static str) -> Result<Uuid, IdError> {
    Ok(uuid)
}

fn version_7(uuid: Uuid, what: &'static str) -> Result<Uuid, IdError> {
    match uuid.get_version_num() {
        7 => Ok(uuid),
        _ => Err(IdError::NotVersion7 { what }),
    }
}

unique_ids! {
    /// A job. Only version 7 parses: jobs are range-partitioned on this id, and any other version would name a time
    /// that has no partition.
    JobId { "job id", version_7 }
    /// One attempt's hold on a job, or one owner's on what it has locked.
    LeaseId { "lease id", any_version }
    /// A running process of a service.
    InstanceId { "instance id", any_version }
    /// An event; the same on every redelivery.
    EventId { "event id", any_version }
    /// One window of an idempotency key.
    LedgerId { "ledger id", any_version }
    /// The record of one decision about a job.
    ApprovalId { "approval id", any_version }
}
