//! Page tokens: opaque to callers, bound to the listing they came from, so that a token does not travel between filters.

use holdfast_fault::Fault;
use holdfast_ids::{ActorId, LockClass, LockOwner, ProjectId, ResourceKey, TenantId};
use holdfast_proto::locks::v1 as pb;
use holdfast_runtime::field::{id, optional_id};
use holdfast_runtime::page::size;

use crate::store::read::{Listing, Place};

const LOCKS_DEFAULT: i32 = 50;

/// A listing of this tenant, from where the page begins.
pub fn listing(tenant_id: TenantId, request: &pb::ListLocksRequest) -> Result<Listing, Fault> {
    let mut listing = Listing {
        tenant_id,
        project_id: id("project_id", &request.project_id, ProjectId::parse)?,
        class: optional_id("class", &request.class, LockClass::parse)?,
        owner: optional_id("owner", &request.owner, LockOwner::parse)?,
        actor_id: optional_id("actor_id", &request.actor_id, ActorId::parse)?,
        after: None,
        locks_max: size("page_size", request.page_size, LOCKS_DEFAULT)?,
    };
    listing.after = after(&listing, &request.page_token)?;
    Ok(listing)
}

/// Eight hex characters over the filters, then the last resource; its key comes last, it may hold what separates.
pub fn token(listing: &Listing, last: &Place) -> String {
    format!("{}/{}/{}", filters(listing), last.class, last.key)
}

fn after(listing: &Listing, token: &str) -> Result<Option<Place>, Fault> {
    if token.is_empty() {
        return Ok(None);
    }
    let bad = || Fault::invalid("page_token", "is not a next_page_token of this listing");
    let mut parts = token.splitn(3, '/');
    let (Some(digest), Some(class), Some(key)) = (parts.next(), parts.next(), parts.next()) else { return Err(bad()) };
    if digest != filters(listing) {
        return Err(bad());
    }
    let class = LockClass::parse(class).map_err(|_| bad())?;
    Ok(Some(Place { class, key: ResourceKey::parse(key).map_err(|_| bad())? }))
}

fn filters(listing: &Listing) -> String {
    let Listing { tenant_id, project_id, class, owner, actor_id, .. } = listing;
    let text = format!("{tenant_id}\n{project_id}\n{class:?}\n{owner:?}\n{actor_id:?}");
    blake3::hash(text.as_bytes()).to_hex()[..8].to_owned()
}
