//! What a verified caller may do here, beyond the access table: tenants, projects, intents, tiers.

use holdfast_caller::{Caller, Projects};
use holdfast_fault::{Fault, Reason};
use holdfast_ids::{Intent, ProjectId, TenantId};

use super::limits::Limits;
use crate::domain::job::{Queue, Tier};
use crate::store::claim::Wanted;

fn out_of_scope(what: &'static str) -> Fault {
    Fault::new(Reason::Auth403Scope, format!("the token is not for this {what}"))
}

/// The tenant a request is for: the one it names, or the only one of the token.
pub fn tenant(caller: &Caller, named: Option<TenantId>) -> Result<TenantId, Fault> {
    match (named, caller.tenants.as_slice()) {
        (Some(tenant), tenants) if tenants.contains(&tenant) => Ok(tenant),
        (Some(_), _) => Err(out_of_scope("tenant")),
        (None, [tenant]) => Ok(tenant.clone()),
        (None, _) => Err(Fault::missing("tenant_id")),
    }
}

pub fn project(caller: &Caller, project: &ProjectId) -> Result<(), Fault> {
    if has_project(caller, project) { Ok(()) } else { Err(out_of_scope("project")) }
}

pub fn has_project(caller: &Caller, project: &ProjectId) -> bool {
    match &caller.projects {
        Projects::All => true,
        Projects::Some(projects) => projects.contains(project),
    }
}

/// The projects that a token is held to; empty where it is for all.
pub fn projects(caller: &Caller) -> Vec<String> {
    match &caller.projects {
        Projects::All => Vec::new(),
        Projects::Some(projects) => projects.iter().map(ToString::to_string).collect(),
    }
}

/// An agent acts for the intents that its token names.
pub fn agent_intent(caller: &Caller, intent: &Intent) -> Result<(), Fault> {
    let allowed = caller.intents.as_ref().is_none_or(|intents| intents.contains(intent));
    if allowed { Ok(()) } else { Err(out_of_scope("intent")) }
}

/// An agent submits the intents and up to the tier that its token names.
pub fn agent_profile(caller: &Caller, intent: &Intent, tier: Tier) -> Result<(), Fault> {
    agent_intent(caller, intent)?;
    let above = caller.max_tier.is_some_and(|max| tier.as_str() > max.as_str());
    if above { Err(out_of_scope("risk tier")) } else { Ok(()) }
}

/// What a worker may lease of what it asks for. Workers of the platform tenant get tenants by configuration, all get
/// their intents by it; without a grant there is nothing to lease.
pub fn worker(
    caller: &Caller,
    limits: &Limits,
    queues: Vec<Queue>,
    intents: &[Intent],
    any_intent: bool,
) -> Result<Wanted, Fault> {
    let grants: Vec<_> = limits.workers.iter().filter(|grant| grant.covers(caller.subject.as_str())).collect();
    if grants.is_empty() {
        return Err(Fault::new(Reason::Auth403Scope, "no configuration grants this worker anything to lease"));
    }
    let mut tenants: Vec<TenantId> =
        caller.tenants.iter().filter(|tenant| **tenant != limits.platform_tenant).cloned().collect();
    if caller.tenants.contains(&limits.platform_tenant) {
        tenants.extend(grants.iter().flat_map(|grant| grant.tenants.iter().cloned()));
    }
    tenants.sort();
    tenants.dedup();
    if tenants.is_empty() {
        return Err(out_of_scope("tenant"));
    }
    // From here on an empty list of projects means all of them.
    if matches!(&caller.projects, Projects::Some(projects) if projects.is_empty()) {
        return Err(out_of_scope("project"));
    }
    let intents = granted_intents(&grants, intents, any_intent)?;
    Ok(Wanted { tenants, queues, intents, projects: projects(caller) })
}

fn granted_intents(grants: &[&super::limits::WorkerGrant], asked: &[Intent], any: bool) -> Result<Vec<String>, Fault> {
    let all_granted = grants.iter().any(|grant| grant.intents.is_empty());
    let granted = || grants.iter().flat_map(|grant| grant.intents.iter());
    let mut intents: Vec<String> = match (any, all_granted) {
        (true, true) => Vec::new(),
        (true, false) => granted().map(ToString::to_string).collect(),
        (false, all) => {
            if !all && let Some(intent) = asked.iter().find(|intent| !granted().any(|own| own == *intent)) {
                return Err(Fault::new(
                    Reason::Auth403Scope,
                    format!("this worker is not granted the intent {intent}"),
                ));
            }
            asked.iter().map(ToString::to_string).collect()
        }
    };
    intents.sort();
    intents.dedup();
    Ok(intents)
}

/// The tenants whose leases a worker may answer for.
pub fn worker_tenants(caller: &Caller, limits: &Limits) -> Result<Vec<TenantId>, Fault> {
    Ok(worker(caller, limits, Vec::new(), &[], true)?.tenants)
}
