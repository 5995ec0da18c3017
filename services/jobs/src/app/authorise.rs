//! What a verified caller may do here, beyond the access table and what [`Caller`] says of itself.

use holdfast_caller::{Caller, Projects};
use holdfast_fault::{Fault, Reason};
use holdfast_ids::{Intent, TenantId};

use super::limits::Limits;
use crate::domain::job::{Queue, Tier};
use crate::store::claim::Wanted;

impl From<Tier> for holdfast_caller::Tier {
    fn from(tier: Tier) -> Self {
        match tier {
            Tier::A => Self::A,
            Tier::B => Self::B,
            Tier::C => Self::C,
        }
    }
}

/// The tenant a request is for: the one it names, or the only one of the token.
pub fn tenant(caller: &Caller, named: Option<TenantId>) -> Result<TenantId, Fault> {
    match named {
        Some(tenant) => caller.require_tenant(&tenant).map(|()| tenant),
        None => caller.sole_tenant().cloned().ok_or_else(|| Fault::missing("tenant_id")),
    }
}

/// What is told of all projects together is not for a token that is held to some of them.
pub fn all_projects(caller: &Caller) -> Result<(), Fault> {
    match &caller.projects {
        Projects::All => Ok(()),
        Projects::Some(_) => Err(Fault::new(Reason::Auth403Scope, "the token is not for all projects")),
    }
}

/// The projects that a token is held to; empty where it is for all.
pub fn projects(caller: &Caller) -> Vec<String> {
    match &caller.projects {
        Projects::All => Vec::new(),
        Projects::Some(projects) => projects.iter().map(ToString::to_string).collect(),
    }
}

/// As [`projects`], for a list of which none means all of them: a token for no project is refused.
pub fn named_projects(caller: &Caller) -> Result<Vec<String>, Fault> {
    if matches!(&caller.projects, Projects::Some(projects) if projects.is_empty()) {
        return Err(Fault::new(Reason::Auth403Scope, "the token is for no project"));
    }
    Ok(projects(caller))
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
        return Err(Fault::new(Reason::Auth403Scope, "the token is for no tenant to lease from"));
    }
    let projects = named_projects(caller)?;
    let intents = granted_intents(&grants, intents, any_intent)?;
    Ok(Wanted { tenants, queues, intents, projects })
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
