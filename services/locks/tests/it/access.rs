//! Every method of the descriptor set, called by those who may not. A method that this test does not know fails it.

use anyhow::{Context as _, Result};
use holdfast_caller::issuer::TokenSpec;
use holdfast_caller::{Kind, Role, Tier};
use holdfast_fault::Received;
use holdfast_ids::{Intent, ProjectId, TenantId};
use pb::hold_lock_request::{Message as In, Resume};
use prost::Message as _;
use tonic::Status;

use crate::asks::{Ask, lease_ref, look, resource, token};
use crate::support::raw::{Method, methods};
use crate::support::*;

/// How a method treats a token of another tenant or project.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Reach {
    /// The request names it: refused.
    Named,
    /// The request names a lease: there is none.
    Found,
    /// It is about no tenant.
    Open,
}

struct Known {
    kinds: &'static [Kind],
    /// Roles that let a person in.
    roles: &'static [Role],
    reach: Reach,
    request: Vec<u8>,
}

const CALLERS: &[Kind] = &[Kind::User, Kind::Agent, Kind::Service, Kind::Worker];
const HOLDERS: &[Role] = &[Role::Owner, Role::Admin, Role::ProjectMaintainer, Role::InfraApprover];

/// What the contract says of a method, with a request that would be answered. The lease is of the tenant.
fn known(method: &Method, tenant: &TenantId, lease: &pb::Lease) -> Result<Known> {
    let tenant_id = tenant.to_string();
    let named = lease.resources[0].resource.clone();
    let lease_ref = || lease_ref(lease).map(|lease| pb::LeaseRef { tenant_id: tenant.to_string(), ..lease });
    let terms = Some(pb::AcquireTerms { owner: uuid::Uuid::now_v7().to_string(), ..Default::default() });
    let hold = |reach, request| Known { kinds: CALLERS, roles: HOLDERS, reach, request };
    let read = |reach, request| Known { kinds: CALLERS, roles: &Role::ALL, reach, request };
    Ok(match method.name() {
        "AcquireLock" => {
            hold(Reach::Named, pb::AcquireLockRequest { tenant_id, resource: named, terms }.encode_to_vec())
        }
        "AcquireLocks" => {
            let resources = named.into_iter().collect();
            hold(Reach::Named, pb::AcquireLocksRequest { tenant_id, resources, terms }.encode_to_vec())
        }
        "RenewLock" => hold(Reach::Found, pb::RenewLockRequest { lease: lease_ref(), renewal: 0 }.encode_to_vec()),
        "ReleaseLock" => hold(Reach::Found, pb::ReleaseLockRequest { lease: lease_ref() }.encode_to_vec()),
        "HoldLock" => {
            let message = Some(In::Resume(Resume { lease: lease_ref() }));
            hold(Reach::Found, pb::HoldLockRequest { message }.encode_to_vec())
        }
        "GetLock" => read(Reach::Named, pb::GetLockRequest { tenant_id, resource: named }.encode_to_vec()),
        "ListLocks" => {
            let request = pb::ListLocksRequest { tenant_id, project_id: "team".to_owned(), ..Default::default() };
            read(Reach::Named, request.encode_to_vec())
        }
        "WatchLock" => read(Reach::Named, pb::WatchLockRequest { tenant_id, resource: named }.encode_to_vec()),
        "CheckFence" => {
            let request = pb::CheckFenceRequest { tenant_id, resource: named, fencing_token: token(lease) };
            read(Reach::Named, request.encode_to_vec())
        }
        "ForceReleaseLock" => {
            let request = pb::ForceReleaseLockRequest { lease: lease_ref(), reason: "it hangs".to_owned() };
            let roles = &[Role::Owner, Role::InfraApprover];
            Known { kinds: &[Kind::User], roles, reach: Reach::Found, request: request.encode_to_vec() }
        }
        "ListLockClasses" => read(Reach::Open, pb::ListLockClassesRequest {}.encode_to_vec()),
        unknown => anyhow::bail!("this test does not know {unknown}: say here who may call it"),
    })
}

fn of_kind(kind: Kind, role: Option<Role>, tenant: &TenantId) -> TokenSpec {
    let name = actor("walker");
    match kind {
        Kind::Agent => {
            let intents = vec![Intent::parse("repo.digest").expect("an intent")];
            TokenSpec::agent(name, tenant.clone(), intents, Tier::C)
        }
        _ => TokenSpec { roles: role.into_iter().collect(), ..TokenSpec::new(kind, name, tenant.clone()) },
    }
}

struct Walk<'w> {
    world: &'w World,
    tenant: TenantId,
    lease: pb::Lease,
}

/// A lease of somebody else's.
async fn walk() -> Result<Walk<'static>> {
    let (world, tenant) = (World::shared().await?, tenant());
    let lease = Ask::for_one("main").lease(&world.service("holder", &tenant)).await?;
    Ok(Walk { world, tenant, lease })
}

impl Walk<'_> {
    fn known(&self, method: &Method) -> Result<Known> {
        known(method, &self.tenant, &self.lease)
    }

    async fn call(&self, method: &Method, token: String) -> Result<Vec<Vec<u8>>, Status> {
        let known = self.known(method).expect("the walk knows its methods");
        self.world.first.api(token).raw(method, vec![known.request]).await
    }

    async fn is_untouched(&self) -> Result<()> {
        let holder = look(&self.world.service("holder", &self.tenant), resource("project", "main")).await?.holder;
        let holder = holder.context("it is held")?;
        assert_eq!((holder.lease_id.as_str(), holder.renewals), (self.lease.lease_id.as_str(), 0));
        Ok(())
    }
}

#[test]
fn a_call_without_a_token_is_refused() -> Result<()> {
    run(async {
        let walk = walk().await?;
        for method in methods() {
            refused(walk.call(&method, String::new()).await, Reason::Auth401MissingToken);
        }
        walk.is_untouched().await
    })
}

#[test]
fn every_kind_and_role_is_let_in_where_the_contract_says_so_and_nowhere_else() -> Result<()> {
    run(async {
        let walk = walk().await?;
        for method in methods() {
            for kind in Kind::ALL {
                let known = walk.known(&method)?;
                let roles = Role::ALL.into_iter().map(Some).filter(|_| kind == Kind::User);
                for role in roles.chain([None]) {
                    let may = known.kinds.contains(&kind)
                        && (kind != Kind::User || role.is_some_and(|role| known.roles.contains(&role)));
                    // Forced once, the lease would be gone for the others.
                    if may && method.name() == "ForceReleaseLock" {
                        continue;
                    }
                    let token = walk.world.issuer.issue(of_kind(kind, role, &walk.tenant));
                    let outcome = walk.call(&method, token).await;
                    let reason = outcome.err().and_then(|status| Received::from_status(&status).reason);
                    let what = format!("{}, {kind:?} {role:?}: {reason:?}", method.full_name());
                    match may {
                        false => assert_eq!(reason, Some(Reason::Auth403Role), "{what}"),
                        true => {
                            let shut = [Reason::Auth401InvalidToken, Reason::Auth403Role, Reason::Auth403Scope];
                            assert!(reason.is_none_or(|reason| !shut.contains(&reason)), "{what}");
                        }
                    }
                }
            }
        }
        walk.is_untouched().await
    })
}

#[test]
fn a_token_of_another_tenant_or_project_reaches_nothing_and_is_told_nothing() -> Result<()> {
    run(async {
        let walk = walk().await?;
        for method in methods() {
            let known = walk.known(&method)?;
            let welcome = |tenant: &TenantId| of_kind(known.kinds[0], known.roles.first().copied(), tenant);
            let other_tenant = welcome(&tenant());
            let both = welcome(&tenant());
            let own_and_other = [both.tenants.clone(), vec![walk.tenant.clone()]].concat();
            let other_project = welcome(&walk.tenant).projects([ProjectId::parse("elsewhere")?]);
            let no_project_of_both = both.tenants(own_and_other).projects([ProjectId::parse("elsewhere")?]);
            for spec in [other_tenant, other_project, no_project_of_both] {
                let is_of_the_tenant = spec.tenants.contains(&walk.tenant);
                let outcome = walk.call(&method, walk.world.issuer.issue(spec)).await;
                match known.reach {
                    // That of a lease which there is not is refused alike, with the tenant and without.
                    Reach::Found if is_of_the_tenant => {
                        let received = refused(outcome, Reason::Lock404NotFound);
                        assert!(received.metadata.is_empty(), "{}: {received:?}", method.full_name());
                    }
                    Reach::Named | Reach::Found => drop(refused(outcome, Reason::Auth403Scope)),
                    Reach::Open => drop(outcome?),
                }
            }
        }
        walk.is_untouched().await
    })
}

#[test]
fn a_lease_is_nobodys_but_its_holders() -> Result<()> {
    run(async {
        let walk = walk().await?;
        for name in ["RenewLock", "ReleaseLock", "HoldLock"] {
            let method = methods().into_iter().find(|method| method.name() == name).context("a method")?;
            let token = walk.world.issuer.issue(of_kind(Kind::Service, None, &walk.tenant));
            refused(walk.call(&method, token).await, Reason::Lock404NotFound);
        }
        walk.is_untouched().await
    })
}
