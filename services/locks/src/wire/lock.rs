//! Resources, leases by reference, and how a resource stands.

use holdfast_fault::Fault;
use holdfast_ids::{LeaseId, LockClass, ProjectId, ResourceKey, TenantId};
use holdfast_proto::locks::v1 as pb;
use holdfast_runtime::field::{id, optional_id, required, timestamp, wire_duration};

use crate::app::end::Ended;
use crate::app::renew::Renewed;
use crate::domain::order::Class;
use crate::domain::resource::Resource;
use crate::store::read::{Holder, Seen, Waiter};

pub fn resource(field: &str, resource: pb::Resource) -> Result<Resource, Fault> {
    Ok(Resource {
        project_id: id(&format!("{field}.project_id"), &resource.project_id, ProjectId::parse)?,
        class: id(&format!("{field}.class"), &resource.class, LockClass::parse)?,
        key: id(&format!("{field}.key"), &resource.key, ResourceKey::parse)?,
    })
}

pub fn wire_resource(resource: &Resource) -> pb::Resource {
    pb::Resource {
        project_id: resource.project_id.to_string(),
        class: resource.class.to_string(),
        key: resource.key.to_string(),
    }
}

/// The resource that a request names, and its tenant.
pub fn named(tenant_id: &str, named: Option<pb::Resource>) -> Result<(Option<TenantId>, Resource), Fault> {
    let tenant_id = optional_id("tenant_id", tenant_id, TenantId::parse)?;
    Ok((tenant_id, resource("resource", required("resource", named)?)?))
}

/// The lease that a request names, and its tenant.
pub fn lease(lease: Option<pb::LeaseRef>) -> Result<(Option<TenantId>, LeaseId), Fault> {
    let lease = required("lease", lease)?;
    let lease_id = id("lease.lease_id", &lease.lease_id, LeaseId::parse)?;
    Ok((optional_id("lease.tenant_id", &lease.tenant_id, TenantId::parse)?, lease_id))
}

/// None where the caller does not count.
pub fn renewal(field: &str, number: u32) -> Result<Option<i32>, Fault> {
    let number = i32::try_from(number).map_err(|_| Fault::invalid(field, "is not a number of a renewal"))?;
    Ok(Some(number).filter(|number| *number > 0))
}

pub fn fencing_token(token: u64) -> Result<i64, Fault> {
    match i64::try_from(token) {
        Ok(0) => Err(Fault::missing("fencing_token")),
        Ok(token) => Ok(token),
        Err(_) => Err(Fault::invalid("fencing_token", "is not a fencing token")),
    }
}

/// Of what the schema keeps from being negative.
pub(super) fn count(number: i32) -> u32 {
    number.unsigned_abs()
}

impl From<Seen> for pb::Lock {
    fn from(seen: Seen) -> Self {
        let waiters = seen.waiters.into_iter().enumerate().map(|(index, waiter)| wire_waiter(index, waiter)).collect();
        Self {
            tenant_id: seen.name.tenant_id.to_string(),
            resource: Some(wire_resource(&seen.name.resource)),
            holder: seen.holder.map(Into::into),
            waiters,
            waiter_count: u32::try_from(seen.waiter_count).unwrap_or(u32::MAX),
            fencing_token: seen.fence.unsigned_abs(),
            version: seen.version.unsigned_abs(),
        }
    }
}

impl From<Holder> for pb::lock::Holder {
    fn from(holder: Holder) -> Self {
        Self {
            lease_id: holder.lease_id.to_string(),
            actor_id: holder.actor_id,
            owner: holder.owner,
            fencing_token: holder.fence.unwrap_or_default().unsigned_abs(),
            granted_at: holder.granted_at.map(timestamp),
            expires_at: holder.expires_at.map(timestamp),
            stale_at: holder.stale_at.map(timestamp),
            renewals: count(holder.renewals),
            reserved: holder.fence.is_none(),
        }
    }
}

fn wire_waiter(index: usize, waiter: Waiter) -> pb::Waiter {
    pb::Waiter {
        position: index as u32 + 1,
        actor_id: waiter.actor_id,
        owner: waiter.owner,
        waiting_since: Some(timestamp(waiter.since)),
    }
}

impl From<Renewed> for pb::RenewLockResponse {
    fn from(renewed: Renewed) -> Self {
        Self {
            expires_at: Some(timestamp(renewed.expires_at)),
            stale_at: Some(timestamp(renewed.stale_at)),
            expires_in: Some(wire_duration(renewed.expires_in)),
            renewals: count(renewed.renewals),
            renewals_max: count(renewed.renewals_max),
        }
    }
}

impl From<&Renewed> for pb::hold_lock_response::Renewed {
    fn from(renewed: &Renewed) -> Self {
        Self {
            expires_at: Some(timestamp(renewed.expires_at)),
            expires_in: Some(wire_duration(renewed.expires_in)),
            renewals: count(renewed.renewals),
        }
    }
}

impl From<Ended> for pb::ReleaseLockResponse {
    fn from(ended: Ended) -> Self {
        Self { released_at: Some(timestamp(ended.at)), replayed: ended.replayed }
    }
}

impl From<Ended> for pb::ForceReleaseLockResponse {
    fn from(ended: Ended) -> Self {
        Self { released_at: Some(timestamp(ended.at)), replayed: ended.replayed }
    }
}

impl From<&Class> for pb::LockClass {
    fn from(class: &Class) -> Self {
        Self {
            name: class.name.to_string(),
            rank: class.rank.unsigned_abs().into(),
            description: class.description.clone(),
        }
    }
}
