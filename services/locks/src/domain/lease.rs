//! A lease, held or waited for.

use std::time::Duration;

use chrono::TimeDelta;
use holdfast_ids::{ActorId, IdempotencyKey, InstanceId, LeaseId, LockOwner, ProjectId, TenantId};
use uuid::Uuid;

use super::Time;
use super::resource::{Name, Resource};

/// How long a request may wait.
pub const WAIT_MAX: Duration = Duration::from_secs(3600);

/// How long a lease holds, and how often it may be renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    pub ttl_ms: i32,
    /// From the latest renewal on; the time to live or longer.
    pub stale_after_ms: i32,
    pub renewals_max: i32,
}

impl Terms {
    /// When a lease that is granted or renewed at `now` runs out, and when it is stale.
    pub fn ends(&self, now: Time) -> (Time, Time) {
        let after = |ms: i32| now + TimeDelta::milliseconds(ms.into());
        (after(self.ttl_ms), after(self.stale_after_ms))
    }
}

/// Whoever takes resources in order.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Owner {
    pub tenant_id: TenantId,
    pub actor_id: ActorId,
    pub label: LockOwner,
}

/// What is asked for, and by whom; the same from the request to the lease's end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    pub lease_id: LeaseId,
    pub owner: Owner,
    pub idempotency_key: Option<IdempotencyKey>,
    /// BLAKE3 of the request.
    pub request_hash: [u8; 32],
    /// In the order in which they are taken; at least one.
    pub resources: Vec<Resource>,
    pub terms: Terms,
    pub request_id: String,
    pub traceparent: String,
}

impl Facts {
    pub fn names(&self) -> impl Iterator<Item = Name> {
        self.resources.iter().map(|resource| self.name(resource))
    }

    pub fn name(&self, resource: &Resource) -> Name {
        Name { tenant_id: self.owner.tenant_id.clone(), resource: resource.clone() }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Through which it waits.
    pub instance_id: InstanceId,
    /// Whether that instance is alive.
    pub is_live: bool,
    /// Index of the resource in whose queue it stands. Those before are reserved for it.
    pub standing: usize,
    /// Its place in that queue.
    pub place: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// One a resource, in their order.
    pub fences: Vec<i64>,
    pub granted_at: Time,
    pub expires_at: Time,
    pub stale_at: Time,
    pub renewals: i32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// From the request, until it has all that it asks for or is withdrawn.
    Waiting(Waiting),
    /// Until it is released, stale or ended by force.
    Held(Held),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    pub facts: Facts,
    /// The latest call that asked for it.
    pub call_id: Uuid,
    pub asked_at: Time,
    pub state: State,
}

impl Lease {
    pub fn held(&self) -> Option<&Held> {
        match &self.state {
            State::Held(held) => Some(held),
            State::Waiting(_) => None,
        }
    }

    pub fn waiting(&self) -> Option<&Waiting> {
        match &self.state {
            State::Waiting(waiting) => Some(waiting),
            State::Held(_) => None,
        }
    }

    pub fn is_stale(&self, now: Time) -> bool {
        self.held().is_some_and(|held| held.stale_at <= now)
    }
}

/// What a caller's token reaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    pub tenant_id: TenantId,
    /// None: all.
    pub projects: Option<Vec<ProjectId>>,
}

impl Reach {
    /// All of a lease, or none of it: part of one cannot be told of.
    pub fn covers(&self, facts: &Facts) -> bool {
        facts.owner.tenant_id == self.tenant_id
            && self
                .projects
                .as_ref()
                .is_none_or(|projects| facts.resources.iter().all(|resource| projects.contains(&resource.project_id)))
    }
}
