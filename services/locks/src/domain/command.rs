//! What is asked of a board, and what comes of it.

use holdfast_ids::{ActorId, InstanceId, LeaseId, TenantId};
use uuid::Uuid;

use super::Time;
use super::lease::{Facts, Lease, Owner, Reach};
use super::resource::{Name, Resource};

/// Who caused a command, for the journal and its events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    pub actor_id: ActorId,
    pub request_id: String,
    pub traceparent: String,
}

/// Why nobody attends to a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unattended {
    /// The instance through which it waits is gone.
    Instance,
    /// This instance has no such call.
    Call(Uuid),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Takes all of it, or stands in line for it where `waits`, or goes on standing there for this call.
    Acquire { facts: Facts, call_id: Uuid, instance_id: InstanceId, waits: bool },
    /// Looks whether a lease that waits for this call can go on.
    Claim { tenant_id: TenantId, lease_id: LeaseId, call_id: Uuid },
    /// Gives up the wait of this call, and, where `grant_too`, a grant that nobody was told of; otherwise it tells of the grant. Names what was
    /// asked for: so it stands behind a transaction of the call that has not come to its end.
    Leave { owner: Owner, names: Vec<Name>, call_id: Uuid, grant_too: bool, cause: Cause },
    /// By its holder.
    Release { reach: Reach, lease_id: LeaseId, cause: Cause },
    /// By a person.
    Force { reach: Reach, lease_id: LeaseId, reason: String, cause: Cause },
    /// Where it is stale.
    Expire { tenant_id: TenantId, lease_id: LeaseId, cause: Cause },
    /// A wait that nobody attends to: its instance is gone, or has no such call any more.
    Abandon { tenant_id: TenantId, lease_id: LeaseId, why: Unattended },
    /// A token was presented that is not current.
    Reject { name: Name, presented: i64, cause: Cause },
}

impl Command {
    /// On behalf of the call that attends to a waiting lease.
    pub fn claim(lease: &Lease) -> Self {
        let tenant_id = lease.facts.owner.tenant_id.clone();
        Self::Claim { tenant_id, lease_id: lease.facts.lease_id, call_id: lease.call_id }
    }

    pub fn tenant_id(&self) -> &TenantId {
        match self {
            Self::Acquire { facts, .. } => &facts.owner.tenant_id,
            Self::Leave { owner, .. } => &owner.tenant_id,
            Self::Claim { tenant_id, .. } | Self::Expire { tenant_id, .. } | Self::Abandon { tenant_id, .. } => {
                tenant_id
            }
            Self::Release { reach, .. } | Self::Force { reach, .. } => &reach.tenant_id,
            Self::Reject { name, .. } => &name.tenant_id,
        }
    }

    /// The lease that it names, beside those that it may meet.
    pub fn lease_id(&self) -> Option<LeaseId> {
        match self {
            Self::Claim { lease_id, .. }
            | Self::Release { lease_id, .. }
            | Self::Force { lease_id, .. }
            | Self::Expire { lease_id, .. }
            | Self::Abandon { lease_id, .. } => Some(*lease_id),
            Self::Acquire { .. } | Self::Leave { .. } | Self::Reject { .. } => None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Held from now on, or by the same request before. `now` is the time by the database's clock.
    Granted { lease: Box<Lease>, replayed: bool, now: Time },
    /// It stands in line, under this id: another one than that of the request where an earlier call put it there.
    Waiting { lease_id: LeaseId, standing: Name, place: i64 },
    /// The lease has ended by this.
    Ended { at: Time },
    /// Somebody holds this resource, or stands in line for it.
    Busy { resource: Resource },
    /// A stale lease is in the way: it is to be ended first.
    Stale { lease_id: LeaseId },
    /// The owner has, or waits for, this resource, which comes after one that is asked for, or is one of them.
    OutOfOrder { after: Resource },
    /// The key stands for another request.
    KeyConflict,
    /// A later call under the same key goes on in this one's place.
    Superseded,
    /// There is no such lease for this command.
    Gone,
    /// The command found nothing to do.
    Nothing,
}
