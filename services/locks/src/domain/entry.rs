//! What the journal records, and events tell.

use holdfast_ids::{ActorId, LeaseId};
use uuid::Uuid;

use super::Time;
use super::resource::Name;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    Granted { expires_at: Time, waited_ms: i64 },
    Released { held_ms: i64 },
    Expired { held_ms: i64, expired_at: Time },
    Forced { held_ms: i64, reason: String },
    FenceRejected { presented: i64 },
}

impl What {
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Granted { .. } => "granted",
            Self::Released { .. } => "released",
            Self::Expired { .. } => "expired",
            Self::Forced { .. } => "forced",
            Self::FenceRejected { .. } => "fence_rejected",
        }
    }

    /// Where it stands among a lease's entries.
    pub fn number(&self) -> i16 {
        match self {
            Self::Granted { .. } => 1,
            Self::Released { .. } | Self::Expired { .. } | Self::Forced { .. } => 2,
            Self::FenceRejected { .. } => 3,
        }
    }

    pub fn detail(&self) -> String {
        match self {
            Self::Forced { reason, .. } => reason.clone(),
            Self::FenceRejected { presented } => presented.to_string(),
            Self::Granted { .. } | Self::Released { .. } | Self::Expired { .. } => String::new(),
        }
    }
}

/// One resource's part of a grant or its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub event_id: Uuid,
    pub lease_id: LeaseId,
    /// Which of the lease's resources, from 1.
    pub ordinal: i16,
    pub what: What,
    pub name: Name,
    pub fence: i64,
    /// Of the resource.
    pub version: i64,
    pub holder: ActorId,
    pub owner: String,
    /// Who caused it: a principal, or "system:<task>".
    pub actor_id: ActorId,
    pub occurred_at: Time,
    pub request_id: String,
    pub traceparent: String,
}
