//! What callers read.

use holdfast_ids::{ActorId, LeaseId, LockClass, LockOwner, ProjectId, ResourceKey, TenantId};
use holdfast_pg::Tx;
use sqlx::PgConnection;

use super::StoreError;
use super::board::NameColumns;
use super::rows::{LeaseRow, corrupt};
use crate::domain::Time;
use crate::domain::lease::{Lease, Reach};
use crate::domain::resource::{Name, Resource};
use crate::metrics::{self, Query};

/// Waiters that are told of a resource.
const WAITERS_MAX: i32 = 100;

fn projects(reach: &Reach) -> Option<Vec<String>> {
    reach.projects.as_ref().map(|projects| projects.iter().map(ToString::to_string).collect())
}

/// How a lease ended.
#[derive(Debug, Clone)]
pub struct Ending {
    /// "released", "expired" or "forced"; "stale" where it has not been ended yet and can no longer be renewed.
    pub what: String,
    pub at: Time,
    /// Whose it was.
    pub holder: String,
    /// Of its first resource.
    pub class: LockClass,
}

/// None of a lease that has not ended, and of one that is not all within reach.
pub async fn lease_ending(tx: &mut Tx, reach: &Reach, lease_id: LeaseId) -> Result<Option<Ending>, StoreError> {
    let query = sqlx::query_file!(
        "src/store/queries/lease_ending.sql",
        lease_id.as_uuid(),
        reach.tenant_id.as_str(),
        projects(reach) as _,
    );
    let Some(row) = query.fetch_optional(&mut **tx).await? else { return Ok(None) };
    let class = LockClass::parse(&row.class).map_err(|_| corrupt("locks", "class"))?;
    Ok(Some(Ending { what: row.what, at: row.at, holder: row.holder, class }))
}

/// A lease that this principal holds, stale or not.
pub async fn lease_get(
    tx: &mut Tx,
    reach: &Reach,
    actor_id: &ActorId,
    lease_id: LeaseId,
) -> Result<Option<Lease>, StoreError> {
    let query = sqlx::query_file_as!(
        LeaseRow,
        "src/store/queries/lease_get.sql",
        lease_id.as_uuid(),
        reach.tenant_id.as_str(),
        actor_id.as_str(),
        projects(reach) as _,
    );
    query.fetch_optional(&mut **tx).await?.map(LeaseRow::into_lease).transpose()
}

/// When a lease that this principal holds is stale, and the time, by the database's clock. None where it does not hold.
pub async fn lease_standing(
    tx: &mut Tx,
    reach: &Reach,
    actor_id: &ActorId,
    lease_id: LeaseId,
) -> Result<Option<(Time, Time)>, StoreError> {
    let query = sqlx::query_file!(
        "src/store/queries/lease_standing.sql",
        lease_id.as_uuid(),
        reach.tenant_id.as_str(),
        actor_id.as_str(),
        projects(reach) as _,
    );
    Ok(query.fetch_optional(&mut **tx).await?.map(|row| (row.stale_at, row.now)))
}

/// Whoever has a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    pub lease_id: LeaseId,
    pub actor_id: String,
    pub owner: String,
    /// Its token. None: reserved for a request that waits for more.
    pub fence: Option<i64>,
    pub granted_at: Option<Time>,
    pub expires_at: Option<Time>,
    pub stale_at: Option<Time>,
    pub renewals: i32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiter {
    pub actor_id: String,
    pub owner: String,
    pub since: Time,
}

/// How a resource stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub name: Name,
    /// The highest token ever given; 0 before the first.
    pub fence: i64,
    pub version: i64,
    pub holder: Option<Holder>,
    /// Of those that are alive the first, in their order; and how many there are.
    pub waiters: Vec<Waiter>,
    pub waiter_count: i64,
}

impl Seen {
    pub fn is_free(&self) -> bool {
        self.holder.is_none() && self.waiter_count == 0
    }
}

/// The resources, in the order of their names. The scope covers their tenants.
pub async fn locks_see(connection: &mut PgConnection, names: &[Name]) -> Result<Vec<Seen>, StoreError> {
    let columns: NameColumns = names.iter().collect();
    let query = sqlx::query_file!(
        "src/store/queries/locks_see.sql",
        &columns.tenants,
        &columns.projects,
        &columns.classes,
        &columns.keys,
        WAITERS_MAX,
    );
    let mut rows = metrics::timed(Query::See, query.fetch_all(connection)).await?;
    rows.sort_by_key(|row| row.ordinal);
    let seen = rows.into_iter().zip(names).map(|(row, name)| {
        let holder = match (row.lease_id, row.actor_id, row.owner, row.renewals) {
            (Some(lease_id), Some(actor_id), Some(owner), Some(renewals)) => Some(Holder {
                lease_id: LeaseId::from_uuid(lease_id),
                actor_id,
                owner,
                fence: row.holder_fence,
                granted_at: row.granted_at,
                expires_at: row.expires_at,
                stale_at: row.stale_at,
                renewals,
            }),
            _ => None,
        };
        let waiters = row.waiting_actors.into_iter().zip(row.waiting_owners).zip(row.waiting_since);
        Seen {
            name: name.clone(),
            fence: row.fence,
            version: row.version,
            holder,
            waiters: waiters.map(|((actor_id, owner), since)| Waiter { actor_id, owner, since }).collect(),
            waiter_count: row.waiter_count,
        }
    });
    Ok(seen.collect())
}

/// Where a page begins: after this resource of the project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub class: LockClass,
    pub key: ResourceKey,
}

#[derive(Debug, Clone)]
pub struct Listing {
    pub tenant_id: TenantId,
    pub project_id: ProjectId,
    /// None: any.
    pub class: Option<LockClass>,
    /// Of the holder.
    pub owner: Option<LockOwner>,
    pub actor_id: Option<ActorId>,
    pub after: Option<Place>,
    pub locks_max: i64,
}

/// Names of what is held, reserved or waited for, in the order of the registry.
pub async fn locks_list(connection: &mut PgConnection, listing: &Listing) -> Result<Vec<Name>, StoreError> {
    let query = sqlx::query_file!(
        "src/store/queries/locks_list.sql",
        listing.tenant_id.as_str(),
        listing.project_id.as_str(),
        listing.class.as_ref().map(LockClass::as_str),
        listing.owner.as_ref().map(LockOwner::as_str),
        listing.actor_id.as_ref().map(ActorId::as_str),
        listing.after.as_ref().map(|place| place.class.as_str()),
        listing.after.as_ref().map(|place| place.key.as_str()),
        listing.locks_max,
    );
    let rows = query.fetch_all(connection).await?;
    rows.into_iter()
        .map(|row| {
            let resource = Resource {
                project_id: listing.project_id.clone(),
                class: LockClass::parse(&row.class).map_err(|_| corrupt("lock_leases", "classes"))?,
                key: ResourceKey::parse(&row.resource_key).map_err(|_| corrupt("lock_leases", "resource_keys"))?,
            };
            Ok(Name { tenant_id: listing.tenant_id.clone(), resource })
        })
        .collect()
}

/// The tokens of a resource.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fences {
    /// The highest ever given; 0 before the first.
    pub highest: i64,
    /// Under which it is held, where that lease has not expired.
    pub current: Option<i64>,
}

/// None of a resource that was never locked.
pub async fn fence_look(tx: &mut Tx, name: &Name) -> Result<Option<Fences>, StoreError> {
    let Name { tenant_id, resource } = name;
    let query = sqlx::query_file!(
        "src/store/queries/fence_look.sql",
        tenant_id.as_str(),
        resource.project_id.as_str(),
        resource.class.as_str(),
        resource.key.as_str(),
    );
    Ok(query.fetch_optional(&mut **tx).await?.map(|row| Fences { highest: row.fence, current: row.current }))
}
