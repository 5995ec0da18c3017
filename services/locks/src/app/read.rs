//! Reading: how resources stand, what the registry says, and whether a lease still holds.

use std::sync::Arc;
use std::time::{Duration, Instant};

use holdfast_fault::Fault;
use holdfast_ids::{LeaseId, TenantId};
use holdfast_pg::{ReadTx, TenantScope};

use super::renew::Renewed;
use super::{App, Asking, authorise};
use crate::domain::lease::Lease;
use crate::domain::order::Order;
use crate::domain::resource::{Name, Resource};
use crate::error;
use crate::store::StoreError;
use crate::store::read::{Holder, Listing, Place, Seen, lease_get, lease_standing, locks_list, locks_see};

/// A page of a listing.
#[derive(Debug)]
pub struct Page {
    pub locks: Vec<Seen>,
    /// Where the next one begins, where there is one.
    pub next: Option<Place>,
}

/// A lease with which its holder goes on.
#[derive(Debug)]
pub struct Resumed {
    pub lease: Lease,
    pub renewed: Renewed,
    pub mirrored: bool,
    pub expires_in: Duration,
}

impl App {
    /// The name of a resource that the caller may look at.
    pub(super) fn name(&self, asking: &Asking, tenant_id: Option<TenantId>, resource: Resource) -> Result<Name, Fault> {
        let tenant_id = authorise::tenant(&asking.caller, tenant_id)?;
        asking.caller.require_project(&resource.project_id)?;
        Ok(Name { tenant_id, resource })
    }

    /// From the primary: who was granted a lock sees that he has it.
    pub async fn get(&self, asking: &Asking, tenant_id: Option<TenantId>, resource: Resource) -> Result<Seen, Fault> {
        let name = self.name(asking, tenant_id, resource)?;
        let db = &self.core.app_db;
        let look = async {
            let mut tx = db.begin(&TenantScope::one(&name.tenant_id), asking.deadline).await?;
            let seen = locks_see(&mut tx, std::slice::from_ref(&name)).await?;
            tx.rollback().await?;
            Ok::<_, StoreError>(seen)
        };
        let seen = db.bounded(look).await?.pop();
        seen.ok_or_else(|| Fault::unexpected("a look that answers nothing"))
    }

    pub async fn list(&self, asking: &Asking, listing: &Listing) -> Result<Page, Fault> {
        asking.caller.require_tenant(&listing.tenant_id)?;
        asking.caller.require_project(&listing.project_id)?;
        let scope = TenantScope::one(&listing.tenant_id);
        Ok(self.core.read_db.read(&scope, asking.deadline, |tx| list_once(tx, listing)).await?)
    }

    pub fn registry(&self) -> Arc<Order> {
        self.core.order()
    }

    /// Renews a lease of this caller, and tells all of it.
    pub async fn resume(
        &self,
        asking: &Asking,
        tenant_id: Option<TenantId>,
        lease_id: LeaseId,
    ) -> Result<Resumed, Fault> {
        let asked = Instant::now();
        let renewed = self.renew(asking, tenant_id.clone(), lease_id, None).await?;
        let reach = authorise::reach(&asking.caller, tenant_id)?;
        let db = &self.core.app_db;
        let look = async {
            let mut tx = db.begin(&TenantScope::one(&reach.tenant_id), asking.deadline).await?;
            let lease = lease_get(&mut tx, &reach, &asking.caller.actor, lease_id).await?;
            tx.rollback().await?;
            Ok::<_, StoreError>(lease)
        };
        let Some(lease) = db.bounded(look).await? else {
            return Err(self.lost(&reach, asking, lease_id).await);
        };
        // As an answer to a repeated request does.
        let mirrored = self.core.mirror.granted(&lease).await;
        let expires_in = renewed.expires_in.saturating_sub(asked.elapsed());
        Ok(Resumed { lease, renewed, mirrored, expires_in })
    }

    /// For how long a lease of this caller is not stale yet, by the database's clock; fails where it is over. Renews nothing: who does not
    /// send heartbeats is not kept alive by being looked at.
    pub async fn look(
        &self,
        asking: &Asking,
        tenant_id: Option<TenantId>,
        lease_id: LeaseId,
    ) -> Result<Duration, Fault> {
        let reach = authorise::reach(&asking.caller, tenant_id)?;
        let db = &self.core.app_db;
        let look = async {
            let mut tx = db.begin(&TenantScope::one(&reach.tenant_id), None).await?;
            let standing = lease_standing(&mut tx, &reach, &asking.caller.actor, lease_id).await?;
            tx.rollback().await?;
            Ok::<_, StoreError>(standing)
        };
        match db.bounded(look).await? {
            Some((stale_at, now)) => Ok((stale_at - now).to_std().unwrap_or_default()),
            None => {
                let ending = self.ending(&reach, asking, lease_id).await?;
                Err(error::lease_over(ending.as_ref().map(|ending| ending.what.as_str())))
            }
        }
    }
}

async fn list_once(mut tx: ReadTx, listing: &Listing) -> Result<Page, StoreError> {
    let asked = Listing { locks_max: listing.locks_max + 1, ..listing.clone() };
    let mut names = locks_list(&mut tx, &asked).await?;
    let has_more = names.len() as i64 > listing.locks_max;
    names.truncate(usize::try_from(listing.locks_max).unwrap_or(usize::MAX));
    let next = names.last().filter(|_| has_more).map(|name| place(&name.resource));
    let mut locks = locks_see(&mut tx, &names).await?;
    tx.commit().await?;
    // Given up, or passed on, between the two looks.
    locks.retain(|seen| !seen.is_free() && is_by(seen.holder.as_ref(), listing));
    Ok(Page { locks, next })
}

pub fn place(resource: &Resource) -> Place {
    Place { class: resource.class.clone(), key: resource.key.clone() }
}

fn is_by(holder: Option<&Holder>, listing: &Listing) -> bool {
    let owner = listing.owner.as_ref().is_none_or(|owner| holder.is_some_and(|holder| holder.owner == owner.as_str()));
    let actor = |actor_id: &holdfast_ids::ActorId| holder.is_some_and(|holder| holder.actor_id == actor_id.as_str());
    owner && listing.actor_id.as_ref().is_none_or(actor)
}
