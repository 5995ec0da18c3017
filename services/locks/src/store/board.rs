//! The board of a batch of commands: looked at, and written where nothing has moved meanwhile, or under lock.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use holdfast_events::shard_of;
use holdfast_ids::{IdempotencyKey, LeaseId, TenantId};
use holdfast_pg::{Statement, TenantScope, Tx};
use sqlx::PgConnection;
use uuid::Uuid;

pub use super::rows::SeenRow;
use super::rows::{Found, corrupt};
use super::{EncodeEvent, StoreError};
use crate::domain::Time;
use crate::domain::board::{Board, Changes};
use crate::domain::command::Command;
use crate::domain::head::{Head, Queue};
use crate::domain::lease::{Lease, Owner};
use crate::domain::resource::Name;
use crate::metrics::{self, Query};

/// How long a write waits for locks: less than a client waits for the answer.
const LOCK_WITHIN_MS: i32 = 1000;

/// What the commands of a batch touch.
#[derive(Debug, Default)]
pub struct Wanted {
    pub names: BTreeSet<Name>,
    pub leases: BTreeSet<(LeaseId, TenantId)>,
    pub owners: BTreeSet<Owner>,
    pub keys: BTreeSet<(Owner, IdempotencyKey)>,
    /// Leases that are to be ended because they are stale.
    pub expiring: BTreeSet<(LeaseId, TenantId)>,
    /// Whether the commands are only carried out under lock: a heartbeat, which moves no head, must not come between the look at a lease and its
    /// end as a stale one; and who leaves stands behind what the same call may still have under way.
    pub under_lock: bool,
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
                    wanted.under_lock = true;
                }
                Command::Reject { name, .. } => {
                    wanted.names.insert(name.clone());
                }
                Command::Expire { lease_id, tenant_id, .. } => {
                    wanted.expiring.insert((*lease_id, tenant_id.clone()));
                    wanted.under_lock = true;
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

struct OwnerColumns {
    tenants: Vec<String>,
    actors: Vec<String>,
    labels: Vec<String>,
}

impl OwnerColumns {
    fn of(wanted: &Wanted) -> Self {
        let owners = || wanted.owners.iter();
        Self {
            tenants: owners().map(|owner| owner.tenant_id.to_string()).collect(),
            actors: owners().map(|owner| owner.actor_id.to_string()).collect(),
            labels: owners().map(|owner| owner.label.to_string()).collect(),
        }
    }
}

struct KeyColumns {
    tenants: Vec<String>,
    actors: Vec<String>,
    keys: Vec<String>,
}

impl KeyColumns {
    fn of(wanted: &Wanted) -> Self {
        let keys = || wanted.keys.iter();
        Self {
            tenants: keys().map(|(owner, _)| owner.tenant_id.to_string()).collect(),
            actors: keys().map(|(owner, _)| owner.actor_id.to_string()).collect(),
            keys: keys().map(|(_, key)| key.to_string()).collect(),
        }
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

/// Locks all that the commands name, and makes heads that are not there yet: until the transaction ends nobody else writes them.
pub async fn board_lock(tx: &mut Tx, wanted: &Wanted) -> Result<(), StoreError> {
    let names: NameColumns = wanted.names.iter().collect();
    let heads = sqlx::query_file!(
        "src/store/queries/heads_create.sql",
        &names.tenants,
        &names.projects,
        &names.classes,
        &names.keys
    );
    heads.execute(&mut **tx).await?;
    let (lease_ids, tenants) = lease_columns(&wanted.leases);
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
    metrics::timed(Query::BoardLock, query.execute(&mut **tx)).await?;
    if !wanted.expiring.is_empty() {
        let (lease_ids, tenants) = lease_columns(&wanted.expiring);
        sqlx::query_file!("src/store/queries/leases_lock.sql", &lease_ids, &tenants).execute(&mut **tx).await?;
    }
    Ok(())
}

fn lease_columns(leases: &BTreeSet<(LeaseId, TenantId)>) -> (Vec<Uuid>, Vec<String>) {
    leases.iter().map(|(lease_id, tenant_id)| (lease_id.as_uuid(), tenant_id.to_string())).unzip()
}

/// What is there of what the commands want, in one moment.
#[derive(Debug)]
pub struct Seen {
    pub now: Time,
    /// All that were named, whether they are there or not.
    pub heads: BTreeMap<Name, Head>,
    pub leases: HashMap<LeaseId, Lease>,
}

/// A look at it: one trip, which sets the scope itself.
pub struct Look<'a> {
    pub scope: &'a TenantScope,
    pub wanted: &'a Wanted,
    /// Whether it is known who is alive; every instance is taken for alive otherwise.
    pub judges: bool,
}

impl Statement for Look<'_> {
    type Answer = Vec<SeenRow>;

    async fn run(&self, connection: &mut PgConnection) -> Result<Vec<SeenRow>, sqlx::Error> {
        board_look(connection, self).await
    }
}

async fn board_look(connection: &mut PgConnection, look: &Look<'_>) -> Result<Vec<SeenRow>, sqlx::Error> {
    let Look { scope, wanted, judges } = look;
    let names: NameColumns = wanted.names.iter().collect();
    let (lease_ids, tenants) = lease_columns(&wanted.leases);
    let (owners, keys) = (OwnerColumns::of(wanted), KeyColumns::of(wanted));
    let query = sqlx::query_file_as!(
        SeenRow,
        "src/store/queries/board_look.sql",
        scope.setting(),
        &names.tenants,
        &names.projects,
        &names.classes,
        &names.keys,
        &lease_ids,
        &tenants,
        &owners.tenants,
        &owners.actors,
        &owners.labels,
        &keys.tenants,
        &keys.actors,
        &keys.keys,
        *judges,
    );
    metrics::timed(Query::BoardLook, query.fetch_all(connection)).await
}

impl Seen {
    pub fn read(wanted: &Wanted, rows: Vec<SeenRow>) -> Result<Self, StoreError> {
        let now = rows.first().ok_or_else(|| corrupt("board_look", "now"))?.now;
        let mut heads: BTreeMap<Name, Head> = wanted.names.iter().map(|name| (name.clone(), Head::UNWRITTEN)).collect();
        let mut leases = HashMap::new();
        for row in rows {
            match row.read()? {
                Some(Found::Head(name, head)) => drop(heads.insert(*name, head)),
                Some(Found::Lease(lease)) => drop(leases.insert(lease.facts.lease_id, *lease)),
                None => {}
            }
        }
        seat(&mut heads, &leases)?;
        Ok(Self { now, heads, leases })
    }
}

/// The first of each queue whose instance is alive was found; others of the same queue may have been for other reasons.
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

/// What the commands came to. One trip, which sets the scope itself, and is a transaction where none is open. It answers the time by the database's clock, and
/// None where it was not written, since something has moved since the look.
pub struct Write<'a> {
    pub scope: &'a TenantScope,
    pub wanted: &'a Wanted,
    /// The time of the look, and the leases that were seen.
    pub now: Time,
    pub known: &'a [LeaseId],
    pub board: &'a Board<'a>,
    pub encode: EncodeEvent,
}

impl Statement for Write<'_> {
    type Answer = Option<Time>;

    async fn run(&self, connection: &mut PgConnection) -> Result<Option<Time>, sqlx::Error> {
        board_write(connection, self).await
    }
}

async fn board_write(connection: &mut PgConnection, write: &Write<'_>) -> Result<Option<Time>, sqlx::Error> {
    let Write { scope, wanted, now, known, board, encode } = write;
    let (owners, asked) = (OwnerColumns::of(wanted), KeyColumns::of(wanted));
    let changes: &Changes = board.changes();
    let names: NameColumns = board.heads().map(|(name, _)| name).collect();
    let heads = || board.heads().map(|(_, head)| head);
    let told = changes.told_again.difference(&changes.put);
    let told: Vec<&Lease> = told.filter_map(|lease_id| board.lease(*lease_id)).collect();
    let put: Vec<&Lease> = changes.put.iter().filter_map(|lease_id| board.lease(*lease_id)).collect();
    let joined = |parts: Vec<&str>| parts.join(" ");
    let held = || put.iter().map(|lease| lease.held());
    let waiting = || put.iter().map(|lease| lease.waiting());
    let entries = &changes.entries;
    let keys: Vec<String> = entries.iter().map(|entry| entry.name.to_string()).collect();
    let query = sqlx::query_file_scalar!(
        "src/store/queries/board_write.sql",
        scope.setting(),
        now,
        LOCK_WITHIN_MS,
        &wanted.guards(),
        &owners.tenants,
        &owners.actors,
        &owners.labels,
        &asked.tenants,
        &asked.actors,
        &asked.keys,
        &known.iter().map(LeaseId::as_uuid).collect::<Vec<_>>(),
        &names.tenants,
        &names.projects,
        &names.classes,
        &names.keys,
        &heads().map(|head| head.turn).collect::<Vec<_>>(),
        &board.heads().map(|(name, head)| board.next_turn(name, head)).collect::<Vec<_>>(),
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
        &entries.iter().map(*encode).collect::<Vec<_>>(),
    );
    metrics::timed(Query::BoardWrite, query.fetch_one(connection)).await
}
