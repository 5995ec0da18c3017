//! Every method of the descriptor set, called by those who may not. A method that this test does not know fails it.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use holdfast_caller::issuer::{DevIssuer, TokenSpec};
use holdfast_caller::{Kind, Role, Tier};
use holdfast_fault::Received;
use holdfast_ids::{Intent, ProjectId, TenantId};
use prost::Message as _;
use tonic::Status;

use crate::support::raw::{Method, methods};
use crate::support::*;

/// How a method treats a token of another tenant or project.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Reach {
    /// The request names it: refused.
    Named,
    /// The request names a job: there is none.
    Found,
    /// Each item is refused, or not found, by itself.
    Items(Reason),
    /// Nothing of another tenant is leased.
    Leases,
    /// The request names the tenant, and lists what the token is for.
    Lists,
}

struct Known {
    kinds: &'static [Kind],
    /// Roles that let a person in.
    roles: &'static [Role],
    reach: Reach,
    request: Vec<u8>,
}

const CALLERS: &[Kind] = &[Kind::User, Kind::Agent, Kind::Service];
const SUBMITTERS: &[Role] = &[Role::Owner, Role::Admin, Role::ProjectMaintainer, Role::InfraApprover];
const READERS: &[Role] = &Role::ALL;

/// What the contract says of a method, with a request that would be answered. The job and the lease are of the tenant.
fn known(method: &Method, tenant: &TenantId, leased: &pb::LeasedJob) -> Result<Known> {
    let job_id = id_of(leased);
    let scope = Some(pb::KeyScope {
        tenant_id: tenant.to_string(),
        project_id: PROJECT.to_owned(),
        intent: INTENT.to_owned(),
        idempotency_key: "k".to_owned(),
    });
    let submission = job().tenant(tenant);
    let name = format!("{}.{}", method.parent_service().name(), method.name());
    let submit = |reach, request| Known { kinds: CALLERS, roles: SUBMITTERS, reach, request };
    let read = |reach, request| Known { kinds: CALLERS, roles: READERS, reach, request };
    let work = |reach, request| Known { kinds: &[Kind::Worker], roles: &[], reach, request };
    let ledger = |request| Known { kinds: &[Kind::Agent, Kind::Service], roles: &[], reach: Reach::Named, request };
    Ok(match name.as_str() {
        "JobService.SubmitJob" => submit(Reach::Named, submission.encode_to_vec()),
        "JobService.BatchSubmitJobs" => submit(Reach::Items(Reason::Auth403Scope), batch([submission]).encode_to_vec()),
        "JobService.DecideJob" => {
            let request = pb::DecideJobRequest {
                job_id,
                decision: pb::Decision::Approve.into(),
                idempotency_key: "k".to_owned(),
                ..Default::default()
            };
            Known { kinds: &[Kind::User], roles: SUBMITTERS, reach: Reach::Found, request: request.encode_to_vec() }
        }
        "JobService.ListApprovals" => read(Reach::Found, pb::ListApprovalsRequest { job_id }.encode_to_vec()),
        "JobService.ResubmitJob" => {
            let request = pb::ResubmitJobRequest { job_id, idempotency_key: "k".to_owned() };
            submit(Reach::Found, request.encode_to_vec())
        }
        "JobService.CancelJob" => submit(Reach::Found, cancel(&job_id).encode_to_vec()),
        "JobService.GetJob" => read(Reach::Found, pb::GetJobRequest { job_id }.encode_to_vec()),
        "JobService.ListJobs" => {
            read(Reach::Named, pb::ListJobsRequest { tenant_id: tenant.to_string(), ..list() }.encode_to_vec())
        }
        "JobService.ListJobEvents" => {
            read(Reach::Found, pb::ListJobEventsRequest { job_id, ..Default::default() }.encode_to_vec())
        }
        "JobService.WatchJobs" => {
            let request = pb::WatchJobsRequest { catch_up_only: true, ..watch_job(&job_id) };
            read(Reach::Found, request.encode_to_vec())
        }
        "ProjectService.GetProject" => {
            let request = pb::GetProjectRequest { tenant_id: tenant.to_string(), project_id: PROJECT.to_owned() };
            read(Reach::Named, request.encode_to_vec())
        }
        "ProjectService.UpdateProject" => {
            let request = pb::UpdateProjectRequest {
                tenant_id: tenant.to_string(),
                ..update(PROJECT, 0, pb::ProjectSettings { running_max: 1000, ..Default::default() })
            };
            let roles = &[Role::Owner, Role::Admin];
            Known { kinds: &[Kind::User], roles, reach: Reach::Named, request: request.encode_to_vec() }
        }
        "ProjectService.ListProjects" => {
            let request = pb::ListProjectsRequest { tenant_id: tenant.to_string(), ..Default::default() };
            read(Reach::Lists, request.encode_to_vec())
        }
        "WorkerService.Work" => {
            let message = Some(pb::work_request::Message::Hello(hello(10)));
            work(Reach::Leases, pb::WorkRequest { message }.encode_to_vec())
        }
        "WorkerService.LeaseJobs" => work(Reach::Leases, lease(10).encode_to_vec()),
        "WorkerService.ExtendLeases" => work(Reach::Items(Reason::Job404NotFound), extend(leased).encode_to_vec()),
        "WorkerService.CompleteJob" => work(Reach::Found, complete(leased, json("1")).encode_to_vec()),
        "WorkerService.FailJob" => work(Reach::Found, fail(leased, true).encode_to_vec()),
        "UsageService.RecordUsage" => {
            let usage = pb::Usage { lease: leased.lease.clone(), ..usage(&job_id, 1, 1) };
            let kinds = &[Kind::Worker, Kind::Agent, Kind::Service];
            let request = reports([usage]).encode_to_vec();
            Known { kinds, roles: &[], reach: Reach::Items(Reason::Job404NotFound), request }
        }
        "UsageService.GetBudget" => {
            let request = budget(pb::BudgetScope::Project, PROJECT);
            let request = pb::GetBudgetRequest { tenant_id: tenant.to_string(), ..request };
            read(Reach::Named, request.encode_to_vec())
        }
        "IdempotencyService.ReserveKey" => {
            ledger(pb::ReserveKeyRequest { scope, request: b"{}".to_vec(), ..Default::default() }.encode_to_vec())
        }
        "IdempotencyService.CompleteKey" => ledger(
            pb::CompleteKeyRequest { scope, token: 1, outcome: b"{}".to_vec(), ..Default::default() }.encode_to_vec(),
        ),
        "IdempotencyService.GetKey" => ledger(pb::GetKeyRequest { scope }.encode_to_vec()),
        unknown => anyhow::bail!("this test does not know {unknown}: say here who may call it"),
    })
}

/// A token of a kind that may call the method, for all of one tenant.
fn welcome(known: &Known, tenant: &TenantId) -> TokenSpec {
    of_kind(known.kinds[0], known.roles.first().copied(), tenant)
}

fn of_kind(kind: Kind, role: Option<Role>, tenant: &TenantId) -> TokenSpec {
    let name = actor("worker-walker");
    match kind {
        Kind::Agent => {
            let intents = [INTENT, "memory.write"].map(|name| Intent::parse(name).expect("an intent")).to_vec();
            TokenSpec::agent(name, tenant.clone(), intents, Tier::C)
        }
        _ => TokenSpec { roles: role.into_iter().collect(), ..TokenSpec::new(kind, name, tenant.clone()) },
    }
}

struct Walk<'w> {
    world: &'w World,
    tenant: TenantId,
    leased: pb::LeasedJob,
}

async fn walk() -> Result<Walk<'static>> {
    let (world, tenant) = (World::shared().await?, tenant());
    world.user("alice", &tenant).submit_job(job()).await?;
    let leased = world.worker("worker-1", &tenant).lease_jobs(lease_waiting(1)).await?.jobs.remove(0);
    Ok(Walk { world, tenant, leased })
}

impl Walk<'_> {
    async fn call(&self, method: &Method, token: String) -> Result<Vec<Vec<u8>>, Status> {
        let known = known(method, &self.tenant, &self.leased).expect("the walk knows its methods");
        self.world.first.api(token).raw(method, vec![known.request]).await
    }

    async fn refused_everywhere(&self, why: &str, token: impl Fn(&Known) -> String, reason: Reason) -> Result<()> {
        for method in methods() {
            let known = known(&method, &self.tenant, &self.leased)?;
            let outcome = self.call(&method, token(&known)).await;
            let status = outcome.err().with_context(|| format!("{} let in {why}", method.full_name()))?;
            let received = Received::from_status(&status);
            assert_eq!(received.reason, Some(reason), "{why}, {}: {status:?}", method.full_name());
            refused(Err::<(), _>(status), reason);
        }
        Ok(())
    }
}

#[test]
fn a_call_without_a_token_is_refused() -> Result<()> {
    run(async { walk().await?.refused_everywhere("no token", |_| String::new(), Reason::Auth401MissingToken).await })
}

/// Makes the token of one flaw for a method.
type Forge<'a> = Box<dyn Fn(&Known) -> String + 'a>;

#[test]
fn a_token_that_does_not_hold_is_refused() -> Result<()> {
    run(async {
        let walk = walk().await?;
        let (issuer, tenant) = (&walk.world.issuer, &walk.tenant);
        let foreign = DevIssuer::generate()?;
        let stranger = DevIssuer::generate()?;
        let bent = |known: &Known, claim: &str, value: serde_json::Value| {
            let mut claims = issuer.claims(welcome(known, tenant));
            claims[claim] = value;
            issuer.sign(&claims)
        };
        let hour = Duration::from_secs(3600);
        let long = |known: &Known| welcome(known, tenant).lifetime(Duration::from_secs(8 * 3600 + 60));
        let tokens: Vec<(&str, Forge<'_>)> = vec![
            ("a foreign key", Box::new(|known| foreign.issue(welcome(known, tenant)))),
            (
                "a foreign key under a known name",
                Box::new(|known| {
                    forged(&stranger.issue(welcome(known, tenant)), &issuer.issue(welcome(known, tenant)))
                }),
            ),
            (
                "HMAC over the public key",
                Box::new(|known| {
                    let mut header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256);
                    header.kid = Some(issuer.key_id().to_owned());
                    let key = jsonwebtoken::EncodingKey::from_secret(issuer.key_set_json().as_bytes());
                    jsonwebtoken::encode(&header, &issuer.claims(welcome(known, tenant)), &key).expect("claims encode")
                }),
            ),
            ("no signature", Box::new(|known| unsigned(&issuer.issue(welcome(known, tenant))))),
            (
                "an expired token",
                Box::new(|known| {
                    issuer.issue(TokenSpec { issued_at: SystemTime::now() - 2 * hour, ..welcome(known, tenant) })
                }),
            ),
            (
                "a token from the future",
                Box::new(|known| {
                    issuer.issue(TokenSpec { issued_at: SystemTime::now() + hour, ..welcome(known, tenant) })
                }),
            ),
            ("a token that lives too long", Box::new(move |known| issuer.issue(long(known)))),
            ("another audience", Box::new(move |known| bent(known, "aud", "elsewhere".into()))),
            ("another issuer", Box::new(move |known| bent(known, "iss", "elsewhere".into()))),
            ("no subject", Box::new(move |known| bent(known, "sub", serde_json::Value::Null))),
            ("an unknown kind", Box::new(move |known| bent(known, "kind", "root".into()))),
            ("a wildcard tenant", Box::new(move |known| bent(known, "tenant", "*".into()))),
            ("no token at all", Box::new(|_| "not.a.token".to_owned())),
        ];
        for (why, token) in tokens {
            walk.refused_everywhere(why, token, Reason::Auth401InvalidToken).await?;
        }
        Ok(())
    })
}

/// The header of one token on the claims and signature of another.
fn forged(claims: &str, header: &str) -> String {
    let rest = claims.split_once('.').expect("three parts").1;
    format!("{}.{rest}", header.split_once('.').expect("three parts").0)
}

fn unsigned(token: &str) -> String {
    // {"alg":"none","typ":"JWT"}
    let claims = token.split('.').nth(1).expect("three parts");
    format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{claims}.")
}

#[test]
fn an_agents_token_lives_four_hours_at_most() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let agent = |hours: u64| of_kind(Kind::Agent, None, &tenant).lifetime(Duration::from_secs(hours * 3600 + 60));
        world.caller(agent(3)).list_jobs(list()).await?;
        refused(world.caller(agent(4)).list_jobs(list()).await, Reason::Auth401InvalidToken);
        Ok(())
    })
}

#[test]
fn every_kind_and_role_that_may_not_call_a_method_is_refused() -> Result<()> {
    run(async {
        let walk = walk().await?;
        for method in methods() {
            let known = known(&method, &walk.tenant, &walk.leased)?;
            let roles: BTreeSet<Role> = known.roles.iter().copied().collect();
            for kind in Kind::ALL {
                let no_roles = (kind == Kind::User).then_some(None);
                let roles_of_kind = Role::ALL.into_iter().map(Some).filter(|_| kind == Kind::User);
                let cases: Vec<Option<Role>> =
                    if kind == Kind::User { roles_of_kind.chain(no_roles).collect() } else { vec![None] };
                for role in cases {
                    let may = known.kinds.contains(&kind)
                        && (kind != Kind::User || role.is_some_and(|role| roles.contains(&role)));
                    if may {
                        continue;
                    }
                    let token = walk.world.issuer.issue(of_kind(kind, role, &walk.tenant));
                    let outcome = walk.call(&method, token).await;
                    assert!(outcome.is_err(), "{} let in {kind:?} {role:?}", method.full_name());
                    refused(outcome, Reason::Auth403Role);
                }
            }
        }
        Ok(())
    })
}

#[test]
fn every_kind_and_role_that_may_call_a_method_gets_past_the_door() -> Result<()> {
    run(async {
        let walk = walk().await?;
        for method in methods().iter().filter(|method| !method.is_client_streaming()) {
            let known = known(method, &walk.tenant, &walk.leased)?;
            for kind in known.kinds {
                let roles: Vec<_> =
                    if *kind == Kind::User { known.roles.iter().copied().map(Some).collect() } else { vec![None] };
                for role in roles {
                    let outcome = walk.call(method, walk.world.issuer.issue(of_kind(*kind, role, &walk.tenant))).await;
                    let reason = outcome.err().and_then(|status| Received::from_status(&status).reason);
                    let shut = [
                        Reason::Auth401MissingToken,
                        Reason::Auth401InvalidToken,
                        Reason::Auth403Role,
                        Reason::Auth403Scope,
                    ];
                    assert!(
                        reason.is_none_or(|reason| !shut.contains(&reason)),
                        "{}, {kind:?} {role:?}: {reason:?}",
                        method.full_name()
                    );
                }
            }
        }
        Ok(())
    })
}

#[test]
fn a_token_of_another_tenant_or_project_reaches_nothing() -> Result<()> {
    run(async {
        let walk = walk().await?;
        // A further job waits, which nobody else may be given.
        walk.world.user("alice", &walk.tenant).submit_job(job().project("beta")).await?;
        for method in methods() {
            let known = known(&method, &walk.tenant, &walk.leased)?;
            let other_tenant = welcome(&known, &tenant());
            let other_project = welcome(&known, &walk.tenant).projects([ProjectId::parse("elsewhere")?]);
            for (why, spec) in [("tenant", other_tenant), ("project", other_project)] {
                let what = format!("{} with a token of another {why}", method.full_name());
                reaches_nothing(&walk, &method, known.reach, walk.world.issuer.issue(spec), &what).await?;
            }
        }
        let seen = walk.world.user("alice", &walk.tenant).job(&id_of(&walk.leased)).await?;
        assert_eq!((seen.seq, seen.state()), (2, pb::JobState::Running), "nobody moved it");
        Ok(())
    })
}

async fn reaches_nothing(walk: &Walk<'_>, method: &Method, reach: Reach, token: String, what: &str) -> Result<()> {
    match reach {
        Reach::Lists => match walk.call(method, token).await {
            Ok(answers) => {
                let response = pb::ListProjectsResponse::decode(answers.concat().as_slice())?;
                assert!(response.projects.is_empty(), "{what}: {response:?}");
            }
            refusal => drop(refused(refusal, Reason::Auth403Scope)),
        },
        Reach::Named => drop(refused(walk.call(method, token).await, Reason::Auth403Scope)),
        Reach::Found => drop(refused(walk.call(method, token).await, Reason::Job404NotFound)),
        Reach::Items(reason) => {
            let answer = walk.call(method, token).await?.remove(0);
            let status = if method.name() == "RecordUsage" {
                let response = pb::RecordUsageResponse::decode(answer.as_slice())?;
                match response.results.into_iter().next().and_then(|result| result.outcome) {
                    Some(pb::record_usage_result::Outcome::Error(status)) => status,
                    other => panic!("{what}: {other:?}"),
                }
            } else if reason == Reason::Auth403Scope {
                let response = pb::BatchSubmitJobsResponse::decode(answer.as_slice())?;
                match response.results.into_iter().next().and_then(|result| result.outcome) {
                    Some(pb::batch_submit_jobs_result::Outcome::Error(status)) => status,
                    other => panic!("{what}: {other:?}"),
                }
            } else {
                let response = pb::ExtendLeasesResponse::decode(answer.as_slice())?;
                match response.results.into_iter().next().and_then(|result| result.outcome) {
                    Some(pb::lease_extension_result::Outcome::Error(status)) => status,
                    other => panic!("{what}: {other:?}"),
                }
            };
            refused_item(&status, reason);
        }
        Reach::Leases if method.is_client_streaming() => {
            let mut session = walk.world.first.api(token).session(hello(10)).await?;
            session.heartbeat(vec![pb::LeaseExtension { lease: walk.leased.lease.clone(), progress: None }]).await;
            let next = session.next().await?;
            assert!(matches!(next, pb::work_response::Message::Extended(_)), "{what}: {next:?}");
        }
        Reach::Leases => {
            let response = pb::LeaseJobsResponse::decode(walk.call(method, token).await?.remove(0).as_slice())?;
            assert!(response.jobs.is_empty(), "{what}: {response:?}");
        }
    }
    Ok(())
}

#[test]
fn an_agent_submits_what_its_token_names() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let profile = TokenSpec::agent(actor("agent-1"), tenant.clone(), vec![Intent::parse(INTENT)?], Tier::A);
        let agent = world.caller(profile);
        agent.submit_job(job()).await?;
        refused(agent.submit_job(job().intent("other.intent")).await, Reason::Auth403Scope);
        refused(agent.submit_job(job().tier(pb::RiskTier::B)).await, Reason::Auth403Scope);
        Ok(())
    })
}

#[test]
fn a_caller_with_several_tenants_names_one() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let (one, two) = (tenant(), tenant());
        let both = world.caller(user("alice", &one).tenants([one.clone(), two.clone()]));
        assert_eq!(fields(&refused(both.submit_job(job()).await, Reason::Req400MissingField)), ["tenant_id"]);
        let submitted = both.submit_job(job().tenant(&two)).await?;
        assert_eq!(both.job(&submitted.job_id).await?.tenant_id, two.to_string());
        refused(world.user("alice", &one).job(&submitted.job_id).await, Reason::Job404NotFound);
        Ok(())
    })
}

#[test]
fn health_and_reflection_are_open() -> Result<()> {
    run(async {
        use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};
        use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
        use tonic_reflection::pb::v1::{
            ServerReflectionRequest, server_reflection_request, server_reflection_response,
        };

        let world = World::shared().await?;
        let request = HealthCheckRequest { service: String::new() };
        let health = HealthClient::new(world.first.channel()).check(request).await?.into_inner();
        assert_eq!(health.status(), ServingStatus::Serving);

        let message_request = Some(server_reflection_request::MessageRequest::ListServices(String::new()));
        let request = ServerReflectionRequest { host: String::new(), message_request };
        let mut reflection = ServerReflectionClient::new(world.first.channel());
        let mut answers = reflection.server_reflection_info(tokio_stream::once(request)).await?.into_inner();
        let answer = answers.message().await?.and_then(|answer| answer.message_response);
        let Some(server_reflection_response::MessageResponse::ListServicesResponse(list)) = answer else {
            panic!("not a list of services: {answer:?}");
        };
        let served: BTreeSet<_> = list.service.into_iter().map(|service| service.name).collect();
        for method in methods() {
            assert!(served.contains(method.parent_service().full_name()), "{served:?}");
        }
        Ok(())
    })
}
