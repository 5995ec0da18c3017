//! Locks and leases as tables and as JSON.

use holdfast_client::{
    Granted, Lease, Lock, MirrorState, Released, Resource,
    locks_pb::{LockClass, Waiter},
};
use serde_json::{Value, json};

use super::{moment, time};
use crate::output::Table;

/// Unique within a tenant, and as it is typed.
fn name(resource: Option<&Resource>) -> String {
    resource.map(|of| format!("{}/{}/{}", of.class, of.project_id, of.key)).unwrap_or_default()
}

pub(crate) fn resource_json(resource: Option<&Resource>) -> Value {
    resource.map_or(Value::Null, |of| json!({ "project_id": of.project_id, "class": of.class, "key": of.key }))
}

pub(crate) fn lease_json(lease: &Lease) -> Value {
    let held = lease
        .resources
        .iter()
        .map(|held| json!({ "resource": resource_json(held.resource.as_ref()), "fencing_token": held.fencing_token }));
    json!({
        "tenant_id": lease.tenant_id,
        "lease_id": lease.lease_id,
        "resources": held.collect::<Vec<Value>>(),
        "actor_id": lease.actor_id,
        "owner": lease.owner,
        "granted_at": time(lease.granted_at.as_ref()),
        "expires_at": time(lease.expires_at.as_ref()),
        "stale_at": time(lease.stale_at.as_ref()),
        "renewals": lease.renewals,
        "renewals_max": lease.renewals_max,
    })
}

pub(crate) fn granted_json(granted: &Granted) -> Value {
    json!({
        "lease": lease_json(&granted.lease),
        "mirror": mirror_name(granted.mirror),
        "replayed": granted.replayed,
        "waited_ms": u64::try_from(granted.waited.as_millis()).unwrap_or(u64::MAX),
    })
}

pub(crate) fn granted_table(granted: &Granted) -> Table {
    let lease = &granted.lease;
    let mut table = Table::fields();
    table.field("lease", &lease.lease_id);
    table.field("owner", &lease.owner);
    for held in &lease.resources {
        table.field(&name(held.resource.as_ref()), format!("token {}", held.fencing_token));
    }
    table.field("expires", time(lease.expires_at.as_ref()));
    table.field("others may have it from", time(lease.stale_at.as_ref()));
    table.field("mirror", mirror_name(granted.mirror));
    table
}

fn mirror_name(mirror: MirrorState) -> &'static str {
    match mirror {
        MirrorState::Unspecified => "",
        MirrorState::Written => "written",
        MirrorState::Degraded => "degraded",
    }
}

pub(crate) fn lock_json(lock: &Lock) -> Value {
    let holder = lock.holder.as_ref().map(|holder| {
        json!({
            "lease_id": holder.lease_id,
            "actor_id": holder.actor_id,
            "owner": holder.owner,
            "fencing_token": holder.fencing_token,
            "granted_at": time(holder.granted_at.as_ref()),
            "expires_at": time(holder.expires_at.as_ref()),
            "stale_at": time(holder.stale_at.as_ref()),
            "renewals": holder.renewals,
            "reserved": holder.reserved,
        })
    });
    let waiter = |waiter: &Waiter| {
        json!({
            "position": waiter.position,
            "actor_id": waiter.actor_id,
            "owner": waiter.owner,
            "waiting_since": time(waiter.waiting_since.as_ref()),
        })
    };
    json!({
        "tenant_id": lock.tenant_id,
        "resource": resource_json(lock.resource.as_ref()),
        "holder": holder,
        "waiters": lock.waiters.iter().map(waiter).collect::<Vec<Value>>(),
        "waiter_count": lock.waiter_count,
        "fencing_token": lock.fencing_token,
        "version": lock.version,
    })
}

pub(crate) fn lock_table(lock: &Lock) -> Table {
    let mut table = Table::fields();
    table.field("lock", name(lock.resource.as_ref()));
    table.field("tenant", &lock.tenant_id);
    table.field("state", state(lock));
    if let Some(holder) = &lock.holder {
        table.field("lease", &holder.lease_id);
        table.field("by", &holder.actor_id);
        table.field("owner", &holder.owner);
        table.field("granted", time(holder.granted_at.as_ref()));
        table.field("expires", time(holder.expires_at.as_ref()));
        table.field("others may have it from", time(holder.stale_at.as_ref()));
        table.field("renewals", holder.renewals.to_string());
    }
    table.field("highest token", lock.fencing_token.to_string());
    for waiter in &lock.waiters {
        let since = time(waiter.waiting_since.as_ref());
        let place = format!("waits in place {}", waiter.position);
        table.field(&place, format!("{} as {} since {since}", waiter.actor_id, waiter.owner));
    }
    let untold = (lock.waiter_count as usize).saturating_sub(lock.waiters.len());
    if untold > 0 {
        table.footer(format!("and {untold} more wait"));
    }
    table
}

fn state(lock: &Lock) -> &'static str {
    match &lock.holder {
        None => "free",
        Some(holder) if holder.reserved => "reserved",
        Some(_) => "held",
    }
}

pub(crate) fn locks_table(locks: &[Lock], more: bool) -> Table {
    let mut table = Table::new(["class", "project", "key", "state", "owner", "by", "token", "expires", "waiting"]);
    for lock in locks {
        let resource = lock.resource.clone().unwrap_or_default();
        let holder = lock.holder.clone().unwrap_or_default();
        table.row([
            resource.class,
            resource.project_id,
            resource.key,
            state(lock).to_owned(),
            holder.owner,
            holder.actor_id,
            lock.fencing_token.to_string(),
            time(holder.expires_at.as_ref()),
            lock.waiter_count.to_string(),
        ]);
    }
    if more {
        table.footer("there are more: raise --limit");
    }
    table
}

/// One line, for those who follow it.
pub(crate) fn lock_line(lock: &Lock) -> String {
    let holder = match &lock.holder {
        None => String::new(),
        Some(holder) => format!("by {} as {}, lease {}", holder.actor_id, holder.owner, holder.lease_id),
    };
    let line = format!("{:>6}  {:<8}  token {}  {holder}", lock.version, state(lock), lock.fencing_token);
    line.trim_end().to_owned()
}

pub(crate) fn released_json(released: &Released) -> Value {
    json!({ "released_at": released.at.map(moment), "replayed": released.replayed })
}

pub(crate) fn released_table(released: &Released) -> Table {
    let mut table = Table::fields();
    table.field("released", released.at.map(moment).unwrap_or_default());
    if released.replayed {
        table.footer("it had ended before");
    }
    table
}

pub(crate) fn classes_table(classes: &[LockClass]) -> Table {
    let mut table = Table::new(["class", "rank", "description"]);
    for class in classes {
        table.row([class.name.clone(), class.rank.to_string(), class.description.clone()]);
    }
    table
}

pub(crate) fn class_json(class: &LockClass) -> Value {
    json!({ "name": class.name, "rank": class.rank, "description": class.description })
}

#[cfg(test)]
mod tests {
    use holdfast_client::{locks_pb::lock::Holder, resource};

    use super::*;

    #[test]
    fn a_lock_says_whose_it_is_and_how_many_wait() {
        let free = Lock { resource: Some(resource("p", "project", "k")), fencing_token: 3, ..Lock::default() };
        assert_eq!(lock_json(&free)["holder"], Value::Null);
        let holder = Holder { owner: "o".into(), actor_id: "ada".into(), lease_id: "l".into(), ..Holder::default() };
        let held = Lock { holder: Some(holder), waiter_count: 2, version: 9, ..free.clone() };
        assert_eq!(lock_line(&held), "     9  held      token 3  by ada as o, lease l");
        assert_eq!(lock_line(&free), "     0  free      token 3");
        let text = lock_table(&held).to_string();
        assert!(text.contains("project/p/k") && text.contains("and 2 more wait"), "{text}");
    }
}
