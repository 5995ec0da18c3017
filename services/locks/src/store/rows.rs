//! Rows to domain values. What the CHECKs promise is parsed, not assumed.

use holdfast_ids::{
    ActorId, IdempotencyKey, InstanceId, LeaseId, LockClass, LockOwner, ProjectId, ResourceKey, TenantId,
};
use uuid::Uuid;

use super::StoreError;
use crate::domain::Time;
use crate::domain::head::{Head, Queue};
use crate::domain::lease::{Facts, Held, Lease, Owner, State, Terms, Waiting};
use crate::domain::resource::{Name, Resource};

pub(super) fn corrupt(table: &'static str, column: &'static str) -> StoreError {
    StoreError::Corrupt { table, column }
}

pub(super) fn resource(project_id: &str, class: &str, key: &str) -> Result<Resource, StoreError> {
    Ok(Resource {
        project_id: ProjectId::parse(project_id).map_err(|_| corrupt("lock_heads", "project_id"))?,
        class: LockClass::parse(class).map_err(|_| corrupt("lock_heads", "class"))?,
        key: ResourceKey::parse(key).map_err(|_| corrupt("lock_heads", "resource_key"))?,
    })
}

pub(super) fn name(tenant_id: &str, project_id: &str, class: &str, key: &str) -> Result<Name, StoreError> {
    let tenant_id = TenantId::parse(tenant_id).map_err(|_| corrupt("lock_heads", "tenant_id"))?;
    Ok(Name { tenant_id, resource: resource(project_id, class, key)? })
}

pub(super) fn resources(
    project_ids: &[String],
    classes: &[String],
    keys: &[String],
) -> Result<Vec<Resource>, StoreError> {
    project_ids
        .iter()
        .zip(classes)
        .zip(keys)
        .map(|((project_id, class), key)| resource(project_id, class, key))
        .collect()
}

/// A row of lock_leases.
pub(super) struct LeaseRow {
    pub lease_id: Uuid,
    pub tenant_id: String,
    pub actor_id: String,
    pub owner: String,
    pub idempotency_key: Option<String>,
    pub request_hash: Vec<u8>,
    pub project_ids: Vec<String>,
    pub classes: Vec<String>,
    pub resource_keys: Vec<String>,
    pub fences: Vec<i64>,
    pub ttl_ms: i32,
    pub stale_after_ms: i32,
    pub renewals: i32,
    pub renewals_max: i32,
    pub asked_at: Time,
    pub call_id: Uuid,
    pub granted_at: Option<Time>,
    pub expires_at: Option<Time>,
    pub stale_at: Option<Time>,
    pub instance_id: Option<Uuid>,
    pub standing: Option<i16>,
    pub place: Option<i64>,
    pub is_live: bool,
    pub request_id: String,
    pub traceparent: String,
}

impl LeaseRow {
    pub(super) fn into_lease(self) -> Result<Lease, StoreError> {
        let bad = |column| corrupt("lock_leases", column);
        let state = match (self.granted_at, self.expires_at, self.stale_at, self.instance_id, self.standing, self.place)
        {
            (Some(granted_at), Some(expires_at), Some(stale_at), None, None, None) => {
                State::Held(Held { fences: self.fences, granted_at, expires_at, stale_at, renewals: self.renewals })
            }
            (None, None, None, Some(instance_id), Some(standing), Some(place)) => State::Waiting(Waiting {
                instance_id: InstanceId::from_uuid(instance_id),
                is_live: self.is_live,
                standing: usize::try_from(standing - 1).map_err(|_| bad("standing"))?,
                place,
            }),
            _ => return Err(bad("state")),
        };
        let facts = Facts {
            lease_id: LeaseId::from_uuid(self.lease_id),
            owner: Owner {
                tenant_id: TenantId::parse(&self.tenant_id).map_err(|_| bad("tenant_id"))?,
                actor_id: ActorId::parse(&self.actor_id).map_err(|_| bad("actor_id"))?,
                label: LockOwner::parse(&self.owner).map_err(|_| bad("owner"))?,
            },
            idempotency_key: self
                .idempotency_key
                .map(|key| IdempotencyKey::parse(&key).map_err(|_| bad("idempotency_key")))
                .transpose()?,
            request_hash: self.request_hash.try_into().map_err(|_| bad("request_hash"))?,
            resources: resources(&self.project_ids, &self.classes, &self.resource_keys)?,
            terms: Terms { ttl_ms: self.ttl_ms, stale_after_ms: self.stale_after_ms, renewals_max: self.renewals_max },
            request_id: self.request_id,
            traceparent: self.traceparent,
        };
        Ok(Lease { facts, call_id: self.call_id, asked_at: self.asked_at, state })
    }
}

/// A row of what commands are decided on: a head, a lease, or just the time.
pub struct SeenRow {
    pub now: Time,
    pub is_head: bool,
    pub tenant_id: Option<String>,
    pub project_id: Option<String>,
    pub class: Option<String>,
    pub resource_key: Option<String>,
    pub turn: Option<i64>,
    pub fence: Option<i64>,
    pub version: Option<i64>,
    pub places: Option<i64>,
    pub is_waited_for: Option<bool>,
    pub rejected_at: Option<Time>,
    pub lease_id: Option<Uuid>,
    pub actor_id: Option<String>,
    pub owner: Option<String>,
    pub idempotency_key: Option<String>,
    pub request_hash: Option<Vec<u8>>,
    pub project_ids: Option<Vec<String>>,
    pub classes: Option<Vec<String>>,
    pub resource_keys: Option<Vec<String>>,
    pub fences: Option<Vec<i64>>,
    pub ttl_ms: Option<i32>,
    pub stale_after_ms: Option<i32>,
    pub renewals: Option<i32>,
    pub renewals_max: Option<i32>,
    pub asked_at: Option<Time>,
    pub call_id: Option<Uuid>,
    pub granted_at: Option<Time>,
    pub expires_at: Option<Time>,
    pub stale_at: Option<Time>,
    pub instance_id: Option<Uuid>,
    pub standing: Option<i16>,
    pub place: Option<i64>,
    pub is_live: Option<bool>,
    pub request_id: Option<String>,
    pub traceparent: Option<String>,
}

pub(super) enum Found {
    Head(Box<Name>, Head),
    Lease(Box<Lease>),
}

impl SeenRow {
    pub(super) fn read(self) -> Result<Option<Found>, StoreError> {
        let Some(tenant_id) = self.tenant_id.clone() else { return Ok(None) };
        if !self.is_head {
            let lease = self.lease(tenant_id).ok_or_else(|| corrupt("lock_leases", "lease_id"))?;
            return Ok(Some(Found::Lease(Box::new(lease.into_lease()?))));
        }
        let (name, head) = self.head(&tenant_id).ok_or_else(|| corrupt("lock_heads", "turn"))?;
        Ok(Some(Found::Head(Box::new(name?), head)))
    }

    fn head(self, tenant_id: &str) -> Option<(Result<Name, StoreError>, Head)> {
        let name = name(tenant_id, &self.project_id?, &self.class?, &self.resource_key?);
        let head = Head {
            turn: self.turn?,
            fence: self.fence?,
            version: self.version?,
            places: self.places?,
            lease_id: self.lease_id.map(LeaseId::from_uuid),
            rejected_at: self.rejected_at,
            // Until one of them is found that is alive.
            queue: if self.is_waited_for? { Queue::Dead } else { Queue::Empty },
        };
        Some((name, head))
    }

    fn lease(self, tenant_id: String) -> Option<LeaseRow> {
        Some(LeaseRow {
            lease_id: self.lease_id?,
            tenant_id,
            actor_id: self.actor_id?,
            owner: self.owner?,
            idempotency_key: self.idempotency_key,
            request_hash: self.request_hash?,
            project_ids: self.project_ids?,
            classes: self.classes?,
            resource_keys: self.resource_keys?,
            fences: self.fences?,
            ttl_ms: self.ttl_ms?,
            stale_after_ms: self.stale_after_ms?,
            renewals: self.renewals?,
            renewals_max: self.renewals_max?,
            asked_at: self.asked_at?,
            call_id: self.call_id?,
            granted_at: self.granted_at,
            expires_at: self.expires_at,
            stale_at: self.stale_at,
            instance_id: self.instance_id,
            standing: self.standing,
            place: self.place,
            is_live: self.is_live?,
            request_id: self.request_id?,
            traceparent: self.traceparent?,
        })
    }
}
