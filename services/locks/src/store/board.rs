//! The board of a batch of commands: locked, loaded, and written back.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use holdfast_events::shard_of;
use holdfast_ids::{IdempotencyKey, LeaseId, TenantId};
use holdfast_pg::Tx;

use super::rows::{LeaseRow, corrupt, name};
use super::{EncodeEvent, StoreError};
use crate::domain::Time;
use crate::domain::board::{Board, Changes, Head, Queue};
use crate::domain::command::Command;
use crate::domain::lease::{Lease, Owner};
use crate::domain::resource::Name;
use crate::metrics::{self, Query};

/// What the commands of a batch touch.
#[derive(Debug, Default)]
pub struct Wanted {
    pub names: BTreeSet<Name>,
    pub leases: BTreeSet<(LeaseId, TenantId)>,
    pub owners: BTreeSet<Owner>,
    pub keys: BTreeSet<(Owner, IdempotencyKey)>,
    /// Leases that are to be ended because they are stale.
    pub expiring: BTreeSet<(LeaseId, TenantId)>,
}

impl Wanted {
    pub fn of<'a>(commands: impl IntoIterator<Item = &'a Command>) -> Self {
        let mut wanted = Self::default();
        for command in commands {
            if let Some(lease_id) = command.lease_id() {
                wanted.leases.insert((lease_id, command.tenant_id().clone()));
            }
            match command {
                Command::Acquire { facts, .. } => {
                    wanted.names.extend(facts.names());
                    wanted.owners.insert(facts.owner.clone());
                    wanted.keys.extend(facts.idempotency_key.clone().map(|key| (facts.owner.clone(), key)));
                }
                Command::Leave { owner, names, .. } => {
                    wanted.names.extend(names.iter().cloned());
                    wanted.owners.insert(owner.clone());
                }
                Command::Reject { name, .. } => {
                    wanted.names.insert(name.clone());
                }
                Command::Expire { lease_id, tenant_id, .. } => {
                    wanted.expiring.insert((*lease_id, tenant_id.clone()));
                }
                _ => {}
            }
        }
        wanted
    }

    /// Numbers of the advisory locks under which owners and keys ask.
    fn guards(&self) -> Vec<i64> {
        let number = |parts: [&str; 3]| {
            let mut hasher = blake3::Hasher::new();
            for part in parts {
                // No name holds a NUL.
                hasher.update(part.as_bytes()).update(&[0]);
            }
            let [a, b, c, d, e, f, g, h, ..] = *hasher.finalize().as_bytes();
            i64::from_be_bytes([a, b, c, d, e, f, g, h])
        };
        let owners = self.owners.iter().map(|owner| {
            number([owner.tenant_id.as_str(), owner.actor_id.as_str(), &format!("owner {}", owner.label)])
        });
        let keys = self
            .keys
            .iter()
            .map(|(owner, key)| number([owner.tenant_id.as_str(), owner.actor_id.as_str(), &format!("key {key}")]));
        owners.chain(keys).collect()
    }
}

/// Names as the queries take them.
#[derive(Debug, Default)]
pub(super) struct NameColumns {
    pub(super) tenants: Vec<String>,
    pub(super) projects: Vec<String>,
    pub(super) classes: Vec<String>,
    pub(super) keys: Vec<String>,
}

impl<'a> FromIterator<&'a Name> for NameColumns {
    fn from_iter<T: IntoIterator<Item = &'a Name>>(names: T) -> Self {
        let mut columns = Self::default();
        for Name { tenant_id, resource } in names {
            columns.tenants.push(tenant_id.to_string());
            columns.projects.push(resource.project_id.to_string());
            columns.classes.push(resource.class.to_string());
            columns.keys.push(resource.key.to_string());
        }
        columns
    }
}

/// Makes heads that are not there yet. Before anything is locked.
pub async fn heads_create(tx: &mut Tx, names: &[&Name]) -> Result<(), StoreError> {
    let names: NameColumns = names.iter().copied().collect();
    let query = sqlx::query_file!(
        "src/store/queries/heads_create.sql",
        &names.tenants,
        &names.projects,
        &names.classes,
        &names.keys
    );
    query.execute(&mut **tx).await?;
    Ok(())
}

/// Heads under lock, without their queues, and the time after the last lock. None where there is no head to lock.
#[derive(Debug)]
pub struct Locked {
    pub heads: BTreeMap<Name, Head>,
    pub now: Time,
}

pub async fn board_lock(tx: &mut Tx, wanted: &Wanted) -> Result<Option<Locked>, StoreError> {
    let names: NameColumns = wanted.names.iter().collect();
    let (lease_ids, tenants): (Vec<_>, Vec<_>) =
        wanted.leases.iter().map(|(lease_id, tenant_id)| (lease_id.as_uuid(), tenant_id.to_string())).unzip();
    let query = sqlx::query_file!(
        "src/store/queries/board_lock.sql",
        &names.tenants,
        &names.projects,
        &names.classes,
        &names.keys,
        &lease_ids,
        &tenants,
        &wanted.guards(),
    );
    let rows = metrics::timed(Query::BoardLock, query.fetch_all(&mut **tx)).await?;
    let now = rows.iter().map(|row| row.now).max();
    let mut heads = BTreeMap::new();
    for row in rows {
        let name = name(&row.tenant_id, &row.project_id, &row.class, &row.resource_key)?;
        let head = Head {
            fence: row.fence,
            version: row.version,
            places: row.places,
            lease_id: row.lease_id.map(LeaseId::from_uuid),
            rejected_at: row.rejected_at,
            queue: Queue::Empty,
        };
        heads.insert(name, head);
    }
    if wanted.names.iter().any(|name| !heads.contains_key(name)) {
        return Err(StoreError::Raced);
    }
    Ok(now.map(|now| Locked { heads, now }))
}

/// Loads the leases that matter, and puts the first of each queue into its head. Who does not `judge` takes every instance for alive.
pub async fn board_load(
    tx: &mut Tx,
    wanted: &Wanted,
    locked: &mut Locked,
    judges: bool,
) -> Result<HashMap<LeaseId, Lease>, StoreError> {
    if !wanted.expiring.is_empty() {
        let (lease_ids, tenants): (Vec<_>, Vec<_>) =
            wanted.expiring.iter().map(|(lease_id, tenant_id)| (lease_id.as_uuid(), tenant_id.to_string())).unzip();
        sqlx::query_file!("src/store/queries/leases_lock.sql", &lease_ids, &tenants).execute(&mut **tx).await?;
    }
    let names: NameColumns = locked.heads.keys().collect();
    let holders = locked.heads.iter().filter_map(|(name, head)| Some((head.lease_id?, name.tenant_id.clone())));
    let (lease_ids, tenants): (Vec<_>, Vec<_>) = wanted
        .leases
        .iter()
        .cloned()
        .chain(holders)
        .map(|(lease_id, tenant_id)| (lease_id.as_uuid(), tenant_id.to_string()))
        .unzip();
    let owners = || wanted.owners.iter();
    let keys = || wanted.keys.iter();
    let query = sqlx::query_file_as!(
        LeaseRow,
        "src/store/queries/board_load.sql",
        &lease_ids,
        &tenants,
        &owners().map(|owner| owner.tenant_id.to_string()).collect::<Vec<_>>(),
        &owners().map(|owner| owner.actor_id.to_string()).collect::<Vec<_>>(),
        &owners().map(|owner| owner.label.to_string()).collect::<Vec<_>>(),
        &keys().map(|(owner, _)| owner.tenant_id.to_string()).collect::<Vec<_>>(),
        &keys().map(|(owner, _)| owner.actor_id.to_string()).collect::<Vec<_>>(),
        &keys().map(|(_, key)| key.to_string()).collect::<Vec<_>>(),
        &names.tenants,
        &names.projects,
        &names.classes,
        &names.keys,
        locked.now,
        judges,
    );
    let rows = metrics::timed(Query::BoardLoad, query.fetch_all(&mut **tx)).await?;
    let mut leases = HashMap::with_capacity(rows.len());
    for row in rows {
        let lease = row.into_lease()?;
        leases.insert(lease.facts.lease_id, lease);
    }
    seat(&mut locked.heads, &leases)?;
    Ok(leases)
}

/// The first of each queue whose instance is alive was loaded; others of the same queue may have been for other reasons.
fn seat(heads: &mut BTreeMap<Name, Head>, leases: &HashMap<LeaseId, Lease>) -> Result<(), StoreError> {
    let mut first: HashMap<Name, (i64, LeaseId)> = HashMap::new();
    for lease in leases.values() {
        let Some(waiting) = lease.waiting().filter(|waiting| waiting.is_live) else { continue };
        let resource = lease.facts.resources.get(waiting.standing).ok_or_else(|| corrupt("lock_leases", "standing"))?;
        let place = (waiting.place, lease.facts.lease_id);
        first.entry(lease.facts.name(resource)).and_modify(|known| *known = place.min(*known)).or_insert(place);
    }
    for (name, (_, lease_id)) in first {
        if let Some(head) = heads.get_mut(&name) {
            head.queue = Queue::First(lease_id);
        }
    }
    Ok(())
}

pub async fn board_persist(tx: &mut Tx, board: &Board<'_>, encode: EncodeEvent) -> Result<(), StoreError> {
    let changes: &Changes = board.changes();
    let names: NameColumns = changes.heads.iter().collect();
    let heads = || changes.heads.iter().map(|name| board.head(name));
    let told = changes.told_again.difference(&changes.put);
    let told: Vec<&Lease> = told.filter_map(|lease_id| board.lease(*lease_id)).collect();
    let put: Vec<&Lease> = changes.put.iter().filter_map(|lease_id| board.lease(*lease_id)).collect();
    let joined = |parts: Vec<&str>| parts.join(" ");
    let held = || put.iter().map(|lease| lease.held());
    let waiting = || put.iter().map(|lease| lease.waiting());
    let entries = &changes.entries;
    let keys: Vec<String> = entries.iter().map(|entry| entry.name.to_string()).collect();
    let query = sqlx::query_file!(
        "src/store/queries/board_persist.sql",
        &names.tenants,
        &names.projects,
        &names.classes,
        &names.keys,
        &heads().map(|head| head.fence).collect::<Vec<_>>(),
        &heads().map(|head| head.version).collect::<Vec<_>>(),
        &heads().map(|head| head.places).collect::<Vec<_>>(),
        &heads().map(|head| head.lease_id.map(|lease_id| lease_id.as_uuid())).collect::<Vec<_>>() as _,
        &heads().map(|head| head.rejected_at).collect::<Vec<_>>() as _,
        &changes.removed.keys().map(LeaseId::as_uuid).collect::<Vec<_>>(),
        &changes.removed.values().map(ToString::to_string).collect::<Vec<_>>(),
        &told.iter().map(|lease| lease.facts.lease_id.as_uuid()).collect::<Vec<_>>(),
        &told.iter().map(|lease| lease.facts.owner.tenant_id.to_string()).collect::<Vec<_>>(),
        &told.iter().map(|lease| lease.call_id).collect::<Vec<_>>(),
        &put.iter().map(|lease| lease.facts.lease_id.as_uuid()).collect::<Vec<_>>(),
        &put.iter().map(|lease| lease.facts.owner.tenant_id.to_string()).collect::<Vec<_>>(),
        &put.iter().map(|lease| lease.facts.owner.actor_id.to_string()).collect::<Vec<_>>(),
        &put.iter().map(|lease| lease.facts.owner.label.to_string()).collect::<Vec<_>>(),
        &put.iter().map(|lease| lease.facts.idempotency_key.as_ref().map(ToString::to_string)).collect::<Vec<_>>() as _,
        &put.iter().map(|lease| lease.facts.request_hash.to_vec()).collect::<Vec<_>>(),
        &put.iter()
            .map(|lease| joined(lease.facts.resources.iter().map(|resource| resource.project_id.as_str()).collect()))
            .collect::<Vec<_>>(),
        &put.iter()
            .map(|lease| joined(lease.facts.resources.iter().map(|resource| resource.class.as_str()).collect()))
            .collect::<Vec<_>>(),
        &put.iter()
            .map(|lease| joined(lease.facts.resources.iter().map(|resource| resource.key.as_str()).collect()))
            .collect::<Vec<_>>(),
        &held()
            .map(|held| {
                let fences: Vec<String> = held.iter().flat_map(|held| &held.fences).map(i64::to_string).collect();
                fences.join(" ")
            })
            .collect::<Vec<_>>(),
        &put.iter().map(|lease| lease.facts.terms.ttl_ms).collect::<Vec<_>>(),
        &put.iter().map(|lease| lease.facts.terms.stale_after_ms).collect::<Vec<_>>(),
        &put.iter().map(|lease| lease.facts.terms.renewals_max).collect::<Vec<_>>(),
        &put.iter().map(|lease| lease.asked_at).collect::<Vec<_>>(),
        &put.iter().map(|lease| lease.call_id).collect::<Vec<_>>(),
        &held().map(|held| held.map(|held| held.granted_at)).collect::<Vec<_>>() as _,
        &held().map(|held| held.map(|held| held.expires_at)).collect::<Vec<_>>() as _,
        &held().map(|held| held.map(|held| held.stale_at)).collect::<Vec<_>>() as _,
        &waiting().map(|waiting| waiting.map(|waiting| waiting.instance_id.as_uuid())).collect::<Vec<_>>() as _,
        &waiting().map(|waiting| waiting.map(|waiting| waiting.standing as i16 + 1)).collect::<Vec<_>>() as _,
        &waiting().map(|waiting| waiting.map(|waiting| waiting.place)).collect::<Vec<_>>() as _,
        &put.iter().map(|lease| lease.facts.request_id.clone()).collect::<Vec<_>>(),
        &put.iter().map(|lease| lease.facts.traceparent.clone()).collect::<Vec<_>>(),
        &entries.iter().map(|entry| entry.lease_id.as_uuid()).collect::<Vec<_>>(),
        &entries.iter().map(|entry| entry.ordinal).collect::<Vec<_>>(),
        &entries.iter().map(|entry| entry.what.number()).collect::<Vec<_>>(),
        &entries.iter().map(|entry| entry.what.as_str().to_owned()).collect::<Vec<_>>(),
        &entries.iter().map(|entry| entry.name.tenant_id.to_string()).collect::<Vec<_>>(),
        &entries.iter().map(|entry| entry.name.resource.project_id.to_string()).collect::<Vec<_>>(),
        &entries.iter().map(|entry| entry.name.resource.class.to_string()).collect::<Vec<_>>(),
        &entries.iter().map(|entry| entry.name.resource.key.to_string()).collect::<Vec<_>>(),
        &entries.iter().map(|entry| entry.fence).collect::<Vec<_>>(),
        &entries.iter().map(|entry| entry.version).collect::<Vec<_>>(),
        &entries.iter().map(|entry| entry.holder.to_string()).collect::<Vec<_>>(),
        &entries.iter().map(|entry| entry.owner.clone()).collect::<Vec<_>>(),
        &entries.iter().map(|entry| entry.actor_id.to_string()).collect::<Vec<_>>(),
        &entries.iter().map(|entry| entry.what.detail()).collect::<Vec<_>>(),
        &entries.iter().map(|entry| entry.event_id).collect::<Vec<_>>(),
        &entries.iter().map(|entry| entry.occurred_at).collect::<Vec<_>>(),
        &entries.iter().map(|entry| entry.request_id.clone()).collect::<Vec<_>>(),
        &entries.iter().map(|entry| entry.traceparent.clone()).collect::<Vec<_>>(),
        &keys.iter().map(|key| shard_of(key) as i16).collect::<Vec<_>>(),
        &keys,
        &entries.iter().map(encode).collect::<Vec<_>>(),
    );
    metrics::timed(Query::BoardPersist, query.execute(&mut **tx)).await?;
    Ok(())
}
