//! PostgreSQL goes away under the calls and comes back.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use futures::future::join_all;
use holdfast_caller::Role;
use holdfast_caller::issuer::TokenSpec;
use holdfast_fault::Received;
use holdfast_ids::TenantId;
use holdfast_testkit::{Database, Postgres, PostgresOptions, http_get};
use pb::JobState;
use pb::batch_submit_jobs_result::Outcome as Item;
use pb::lease_extension_result::Outcome as Extended;
use pb::record_usage_result::Outcome as Reported;
use pb::work_response::answered::Outcome as Answered;

use super::{complete_key, key_scope, reserve_key, reserved};
use crate::support::raw::methods;
use crate::support::*;

/// Of every call: longer than two of them, one behind the other, wait for a connection.
pub(super) const DEADLINE: Duration = Duration::from_secs(30);
const SUBMITTERS: usize = 8;

#[derive(Debug, Clone, Copy)]
enum Ending {
    /// Sessions break.
    Crash,
    /// Sessions are told.
    Shutdown,
}

#[test]
fn a_crash_of_postgres_is_outlived() -> Result<()> {
    run(outlived(Ending::Crash))
}

#[test]
fn a_shutdown_of_postgres_is_outlived() -> Result<()> {
    run(outlived(Ending::Shutdown))
}

async fn outlived(ending: Ending) -> Result<()> {
    let postgres = Postgres::start(PostgresOptions::default()).await?;
    let settings = Settings::default().set("leases.ttl_ms", 600_000);
    let world = World::over(Database::create_on(&postgres).await?, settings).await?;
    let process = world.first.process.pid();
    let tenant = tenant();
    let callers = Callers::of(&world, &tenant);
    let work = Work::begun(&callers).await?;
    let mut session = callers.worker.session(hello(1)).await?;
    callers.alice.submit_job(job()).await?;
    let pushed = session.leased().await?;

    let submissions = under_calls(&callers.alice, async || match ending {
        Ending::Crash => postgres.kill().await,
        Ending::Shutdown => postgres.stop().await,
    })
    .await?;
    every_call_is_refused(&callers, &work).await;
    session.complete(&pushed).await;
    match session.answered().await?.outcome {
        Some(Answered::Error(status)) => is_away(refused_item(&status, Reason::Infra503DependencyDown)),
        other => panic!("answered without a database: {other:?}"),
    }
    eventually(|| async { readiness(&world).await.is_ok_and(|status| status == 503) }, SOON).await?;

    postgres.restart().await?;
    world.first.process.ready(SOON).await?;
    assert_eq!(world.first.process.pid(), process, "another process answers");
    converged(&callers.alice, submissions).await?;
    session.complete(&pushed).await;
    match session.answered().await?.outcome {
        Some(Answered::Completed(completed)) => assert!(!completed.replayed),
        other => panic!("the session did not go on: {other:?}"),
    }
    work.ended(&callers).await
}

pub(super) async fn readiness(world: &World) -> Result<u16> {
    let port = world.first.process.http_port().expect("every instance has one");
    Ok(http_get(port, "/readyz").await?.status)
}

/// One of each kind, whose calls carry the deadline.
pub(super) struct Callers {
    pub(super) alice: Api,
    pub(super) worker: Api,
    memory: Api,
    olga: Api,
}

impl Callers {
    pub(super) fn of(world: &World, tenant: &TenantId) -> Self {
        Self {
            alice: world.user("alice", tenant).timeout(DEADLINE),
            // Its session lives for longer than a call.
            worker: world.worker("worker-1", tenant),
            memory: world.service("memory", tenant).timeout(DEADLINE),
            olga: world.caller(TokenSpec::user(actor("olga"), tenant.clone(), Role::Owner)).timeout(DEADLINE),
        }
    }
}

/// What was begun before PostgreSQL went.
pub(super) struct Work {
    pub(super) held: pb::LeasedJob,
    queued: String,
    token: u64,
}

impl Work {
    pub(super) async fn begun(callers: &Callers) -> Result<Self> {
        callers.alice.submit_job(job()).await?;
        let held = callers.worker.lease_jobs(lease_waiting(1)).await?.jobs.remove(0);
        // Nobody leases it within the hour.
        let later = chrono::Utc::now() + chrono::TimeDelta::hours(1);
        let queued = callers.alice.submit_job(job().not_before(later)).await?.job_id;
        Ok(Self { held, queued, token: reserved(&callers.memory, "begun").await? })
    }

    /// It comes to its end as if nothing had been.
    pub(super) async fn ended(self, callers: &Callers) -> Result<()> {
        let done = callers.worker.complete_job(complete(&self.held, json("7"))).await?;
        assert_eq!((done.state(), done.replayed), (JobState::Done, false));
        assert!(!callers.alice.cancel_job(cancel(&self.queued)).await?.replayed);
        assert!(!callers.memory.complete_key(complete_key("begun", self.token)).await?.replayed);
        Ok(())
    }
}

/// A submission, and the job that was acknowledged.
pub(super) type Submission = (pb::SubmitJobRequest, Option<String>);

/// Has submitters call until each is refused, and ends PostgreSQL in the midst of it.
pub(super) async fn under_calls(alice: &Api, end: impl AsyncFnOnce() -> Result<()>) -> Result<Vec<Submission>> {
    let acknowledged = Arc::new(AtomicUsize::new(0));
    let submitters: Vec<_> =
        (0..SUBMITTERS).map(|_| tokio::spawn(until_refused(alice.clone(), acknowledged.clone()))).collect();
    eventually(|| async { acknowledged.load(Ordering::Relaxed) >= 5 * SUBMITTERS }, SOON).await?;
    end().await?;
    Ok(tokio::time::timeout(2 * DEADLINE, join_all(submitters)).await?.into_iter().flat_map(Result::unwrap).collect())
}

async fn until_refused(alice: Api, acknowledged: Arc<AtomicUsize>) -> Vec<Submission> {
    let mut submissions = Vec::new();
    loop {
        let request = job();
        match alice.submit_job(request.clone()).await {
            Ok(submitted) => {
                submissions.push((request, Some(submitted.job_id)));
                acknowledged.fetch_add(1, Ordering::Relaxed);
            }
            Err(status) => {
                is_away(refused(Err::<(), _>(status), Reason::Infra503DependencyDown));
                submissions.push((request, None));
                return submissions;
            }
        }
    }
}

/// What was acknowledged is there, and what was not is there once it is asked for again.
pub(super) async fn converged(alice: &Api, submissions: Vec<Submission>) -> Result<()> {
    let mut job_ids = BTreeSet::new();
    let asked = submissions.len();
    for (request, acknowledged) in submissions {
        let again = alice.submit_job(request.clone()).await?;
        if let Some(job_id) = acknowledged {
            assert_eq!((&again.job_id, again.replayed), (&job_id, true));
        }
        let third = alice.submit_job(request).await?;
        assert_eq!((&third.job_id, third.replayed, third.generation), (&again.job_id, true, 1));
        assert_eq!(alice.job(&again.job_id).await?.state(), JobState::Queued);
        job_ids.insert(again.job_id);
    }
    assert_eq!(job_ids.len(), asked, "two keys share a job");
    Ok(())
}

pub(super) fn is_away(refusal: Received) {
    assert_eq!(refusal.metadata.get("component").map(String::as_str), Some("postgres"), "{refusal:?}");
    assert!(refusal.retry_after.is_some(), "{refusal:?}");
}

type Call = Pin<Box<dyn Future<Output = Received> + Send>>;

/// Calls every method that takes one message, all at once.
pub(super) async fn every_call_is_refused(callers: &Callers, work: &Work) {
    let calls = calls(callers, work);
    let mut known: BTreeSet<&str> = calls.iter().map(|(method, _)| *method).collect();
    // The session is another's to look at.
    known.insert("Work");
    let methods = methods();
    assert_eq!(known, methods.iter().map(|method| method.name()).collect(), "a method is not called here");
    let began = Instant::now();
    join_all(calls.into_iter().map(|(method, call)| async move {
        is_away(call.await);
        assert!(began.elapsed() < DEADLINE, "{method} took {:?}", began.elapsed());
    }))
    .await;
}

macro_rules! refusal {
    ($api:ident.$call:ident($request:expr)) => {{
        let (api, request) = ($api.clone(), $request);
        Box::pin(async move { refused(api.$call(request).await, Reason::Infra503DependencyDown) })
    }};
}

fn calls(callers: &Callers, work: &Work) -> Vec<(&'static str, Call)> {
    let (alice, memory, olga) = (&callers.alice, &callers.memory, &callers.olga);
    let worker = callers.worker.clone().timeout(DEADLINE);
    let (queued, scope) = (work.queued.clone(), key_scope("begun"));
    let history = pb::ListJobEventsRequest { job_id: queued.clone(), ..Default::default() };
    vec![
        ("SubmitJob", refusal!(alice.submit_job(job()))),
        ("BatchSubmitJobs", Box::pin(batch_refusal(alice.clone()))),
        ("GetJob", Box::pin(job_refusal(alice.clone(), queued.clone()))),
        ("ListJobs", refusal!(alice.list_jobs(list()))),
        ("ListJobEvents", refusal!(alice.list_job_events(history))),
        ("DecideJob", refusal!(olga.decide_job(decision(&queued)))),
        ("ListApprovals", refusal!(alice.list_approvals(pb::ListApprovalsRequest { job_id: queued.clone() }))),
        ("WatchJobs", Box::pin(watch_refusal(alice.clone()))),
        ("ResubmitJob", refusal!(alice.resubmit_job(resubmission(&queued)))),
        ("CancelJob", refusal!(alice.cancel_job(cancel(&queued)))),
        ("GetProject", refusal!(alice.get_project(project()))),
        ("UpdateProject", refusal!(olga.update_project(update(PROJECT, 0, Default::default())))),
        ("ListProjects", refusal!(alice.list_projects(Default::default()))),
        ("LeaseJobs", refusal!(worker.lease_jobs(lease(1)))),
        ("ExtendLeases", Box::pin(extension_refusal(worker.clone(), extend(&work.held)))),
        ("CompleteJob", refusal!(worker.complete_job(complete(&work.held, json("7"))))),
        ("FailJob", refusal!(worker.fail_job(fail(&work.held, true)))),
        ("RecordUsage", Box::pin(usage_refusal(worker.clone(), work.held.lease.clone()))),
        ("GetBudget", refusal!(alice.get_budget(budget(pb::BudgetScope::Job, &queued)))),
        ("ReserveKey", refusal!(memory.reserve_key(reserve_key("new")))),
        ("CompleteKey", refusal!(memory.complete_key(complete_key("begun", work.token)))),
        ("GetKey", refusal!(memory.get_key(pb::GetKeyRequest { scope }))),
    ]
}

fn project() -> pb::GetProjectRequest {
    pb::GetProjectRequest { project_id: PROJECT.to_owned(), ..Default::default() }
}

fn decision(job_id: &str) -> pb::DecideJobRequest {
    pb::DecideJobRequest {
        job_id: job_id.to_owned(),
        decision: pb::Decision::Approve.into(),
        idempotency_key: fresh_key(),
        ..Default::default()
    }
}

fn resubmission(job_id: &str) -> pb::ResubmitJobRequest {
    pb::ResubmitJobRequest { job_id: job_id.to_owned(), idempotency_key: fresh_key() }
}

async fn job_refusal(alice: Api, job_id: String) -> Received {
    refused(alice.job(&job_id).await, Reason::Infra503DependencyDown)
}

async fn watch_refusal(alice: Api) -> Received {
    let watched = alice.watch(watch_project(PROJECT)).await;
    refused(watched.map(|watch| watch.token), Reason::Infra503DependencyDown)
}

/// Batches answer for each item.
async fn batch_refusal(alice: Api) -> Received {
    let results = alice.batch_submit_jobs(batch([job()])).await.expect("a batch is answered").results;
    match &results[0].outcome {
        Some(Item::Error(status)) => refused_item(status, Reason::Infra503DependencyDown),
        other => panic!("submitted without a database: {other:?}"),
    }
}

async fn usage_refusal(worker: Api, lease: Option<pb::LeaseRef>) -> Received {
    let usage = pb::Usage { lease, ..usage("", 1, 1) };
    let results = worker.record_usage(reports([usage])).await.expect("a batch is answered").results;
    match &results[0].outcome {
        Some(Reported::Error(status)) => refused_item(status, Reason::Infra503DependencyDown),
        other => panic!("recorded without a database: {other:?}"),
    }
}

async fn extension_refusal(worker: Api, request: pb::ExtendLeasesRequest) -> Received {
    let results = worker.extend_leases(request).await.expect("a batch is answered").results;
    match &results[0].outcome {
        Some(Extended::Error(status)) => refused_item(status, Reason::Infra503DependencyDown),
        other => panic!("extended without a database: {other:?}"),
    }
}
