//! What a verified caller may do here, beyond the access table and what [`Caller`] says of itself.

use holdfast_caller::{Caller, Projects};
use holdfast_fault::Fault;
use holdfast_ids::TenantId;

use crate::domain::lease::Reach;
use crate::domain::resource::Resource;

/// The tenant a request is for: the one it names, or the only one of the token.
pub fn tenant(caller: &Caller, named: Option<TenantId>) -> Result<TenantId, Fault> {
    match named {
        Some(tenant) => caller.require_tenant(&tenant).map(|()| tenant),
        None => caller.sole_tenant().cloned().ok_or_else(|| Fault::missing("tenant_id")),
    }
}

/// What the caller reaches of a tenant.
pub fn reach(caller: &Caller, named: Option<TenantId>) -> Result<Reach, Fault> {
    let projects = match &caller.projects {
        Projects::All => None,
        Projects::Some(projects) => Some(projects.iter().cloned().collect()),
    };
    Ok(Reach { tenant_id: tenant(caller, named)?, projects })
}

pub fn resources(caller: &Caller, resources: &[Resource]) -> Result<(), Fault> {
    resources.iter().try_for_each(|resource| caller.require_project(&resource.project_id))
}
