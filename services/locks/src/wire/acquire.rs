//! Requests for locks, and what is granted.

use std::collections::HashSet;
use std::time::Duration;

use holdfast_fault::Fault;
use holdfast_ids::{IdempotencyKey, LockOwner, TenantId};
use holdfast_proto::locks::v1 as pb;
use holdfast_runtime::field::{duration, id, optional_id, required, timestamp, wire_duration};

use super::lock::{count, resource, wire_resource};
use crate::app::acquire::{Acquired, Request};
use crate::app::read::Resumed;
use crate::domain::lease::{Held, Lease, WAIT_MAX};
use crate::domain::order::Order;
use crate::domain::resource::Resource;
use crate::error;

const RESOURCES_MAX: usize = 64;
const TTL_MIN: Duration = Duration::from_secs(1);

/// What a request is held to, beside its form.
#[derive(Debug, Clone, Copy)]
pub struct Bounds<'a> {
    pub ttl_max: Duration,
    pub order: &'a Order,
}

pub fn one(request: pb::AcquireLockRequest, bounds: Bounds<'_>) -> Result<Request, Fault> {
    let resource = resource("resource", required("resource", request.resource)?)?;
    known_class("resource", &resource, bounds.order)?;
    asked(&request.tenant_id, vec![resource], request.terms, bounds)
}

pub fn several(request: pb::AcquireLocksRequest, bounds: Bounds<'_>) -> Result<Request, Fault> {
    let resources = resources("", request.resources, bounds.order)?;
    asked(&request.tenant_id, resources, request.terms, bounds)
}

/// The first message of a stream; its fields are named as those of that member.
pub fn held(request: pb::hold_lock_request::Acquire, bounds: Bounds<'_>) -> Result<Request, Fault> {
    const MEMBER: &str = "acquire.";
    let resources = resources(MEMBER, request.resources, bounds.order)?;
    asked(&request.tenant_id, resources, request.terms, bounds).map_err(|fault| fault.under(MEMBER))
}

fn resources(member: &str, resources: Vec<pb::Resource>, order: &Order) -> Result<Vec<Resource>, Fault> {
    let field = format!("{member}resources");
    if resources.is_empty() {
        return Err(Fault::missing(field));
    }
    if resources.len() > RESOURCES_MAX {
        return Err(Fault::invalid(field, format!("has more than {RESOURCES_MAX} elements")));
    }
    let mut seen = HashSet::with_capacity(resources.len());
    let mut parsed = Vec::with_capacity(resources.len());
    for (index, named) in resources.into_iter().enumerate() {
        let field = format!("{field}[{index}]");
        let resource = resource(&field, named)?;
        known_class(&field, &resource, order)?;
        if !seen.insert(resource.clone()) {
            return Err(Fault::invalid(field, "is asked for twice"));
        }
        parsed.push(resource);
    }
    Ok(parsed)
}

fn known_class(field: &str, resource: &Resource, order: &Order) -> Result<(), Fault> {
    if order.knows(&resource.class) { Ok(()) } else { Err(error::no_such_class(&format!("{field}.class"))) }
}

fn asked(
    tenant_id: &str,
    resources: Vec<Resource>,
    terms: Option<pb::AcquireTerms>,
    bounds: Bounds<'_>,
) -> Result<Request, Fault> {
    let terms = required("terms", terms)?;
    let ttl = terms.ttl.map(|ttl| duration("terms.ttl", ttl, TTL_MIN, bounds.ttl_max)).transpose()?;
    let wait = terms.wait.map(|wait| duration("terms.wait", wait, Duration::ZERO, WAIT_MAX)).transpose()?;
    Ok(Request {
        tenant_id: optional_id("tenant_id", tenant_id, TenantId::parse)?,
        resources,
        owner: id("terms.owner", &terms.owner, LockOwner::parse)?,
        idempotency_key: optional_id("terms.idempotency_key", &terms.idempotency_key, IdempotencyKey::parse)?,
        ttl,
        wait: wait.unwrap_or_default(),
        require_mirror: terms.require_mirror,
    })
}

fn mirror(is_written: bool) -> i32 {
    let state = if is_written { pb::MirrorState::Written } else { pb::MirrorState::Degraded };
    state.into()
}

impl From<Acquired> for pb::AcquireLockResponse {
    fn from(acquired: Acquired) -> Self {
        Self {
            lease: wire_lease(&acquired.lease, acquired.expires_in),
            mirror: mirror(acquired.mirrored),
            replayed: acquired.replayed,
            waited: Some(wire_duration(acquired.waited)),
        }
    }
}

impl From<Acquired> for pb::AcquireLocksResponse {
    fn from(acquired: Acquired) -> Self {
        let pb::AcquireLockResponse { lease, mirror, replayed, waited } = acquired.into();
        Self { lease, mirror, replayed, waited }
    }
}

impl From<Acquired> for pb::hold_lock_response::Granted {
    fn from(acquired: Acquired) -> Self {
        let pb::AcquireLockResponse { lease, mirror, replayed, waited } = acquired.into();
        Self { lease, mirror, replayed, waited }
    }
}

impl From<Resumed> for pb::hold_lock_response::Granted {
    fn from(resumed: Resumed) -> Self {
        let waited = resumed.lease.held().map(|held| held.granted_at - resumed.lease.asked_at);
        Self {
            lease: wire_lease(&resumed.lease, resumed.expires_in),
            mirror: mirror(resumed.mirrored),
            replayed: true,
            waited: waited.map(|waited| wire_duration(waited.to_std().unwrap_or_default())),
        }
    }
}

/// None of one that is not held.
fn wire_lease(lease: &Lease, expires_in: Duration) -> Option<pb::Lease> {
    let Held { fences, granted_at, expires_at, stale_at, renewals } = lease.held()?;
    let facts = &lease.facts;
    let held = |(resource, fence): (&Resource, &i64)| pb::HeldResource {
        resource: Some(wire_resource(resource)),
        fencing_token: fence.unsigned_abs(),
    };
    let ttl = Duration::from_millis(facts.terms.ttl_ms.unsigned_abs().into());
    Some(pb::Lease {
        tenant_id: facts.owner.tenant_id.to_string(),
        lease_id: facts.lease_id.to_string(),
        resources: facts.resources.iter().zip(fences).map(held).collect(),
        actor_id: facts.owner.actor_id.to_string(),
        owner: facts.owner.label.to_string(),
        granted_at: Some(timestamp(*granted_at)),
        expires_at: Some(timestamp(*expires_at)),
        stale_at: Some(timestamp(*stale_at)),
        expires_in: Some(wire_duration(expires_in)),
        heartbeat_interval: Some(wire_duration(heartbeat_interval(ttl))),
        renewals: count(*renewals),
        renewals_max: count(facts.terms.renewals_max),
    })
}

/// A third of the time to live; in whole seconds from one on.
fn heartbeat_interval(ttl: Duration) -> Duration {
    let third = ttl / 3;
    match third.as_secs() {
        0 => third,
        seconds => Duration::from_secs(seconds),
    }
}
