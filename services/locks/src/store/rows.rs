//! Rows to domain values. What the CHECKs promise is parsed, not assumed.

use holdfast_ids::{
    ActorId, IdempotencyKey, InstanceId, LeaseId, LockClass, LockOwner, ProjectId, ResourceKey, TenantId,
};
use uuid::Uuid;

use super::StoreError;
use crate::domain::Time;
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

/// A row of lock_leases; columns as in board_load.sql.
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
