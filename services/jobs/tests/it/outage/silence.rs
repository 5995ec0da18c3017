//! PostgreSQL goes silent: its connections stand, and nothing comes through them. A network that loses packets does that,
//! and a host that freezes.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use holdfast_pg::Role as Login;
use holdfast_testkit::{Database, Postgres, Proxy};
use pb::JobState;

use super::postgres::{Callers, Work, converged, every_call_is_refused, is_away, readiness, under_calls};
use crate::support::*;

/// Of a transaction.
const TIME_MAX: Duration = Duration::from_secs(2);
/// Calls whose first transaction was cut off by then are answered; the rest is for a machine that is busy.
const ANSWERED: Duration = Duration::from_secs(20);

/// A service that reaches its database through the proxy alone.
async fn behind_a_proxy() -> Result<(Proxy, World)> {
    let proxy = Proxy::start(Postgres::shared().await?.service_port()).await?;
    let db = Database::create().await?;
    let settings = Settings::default()
        .set("database.app_url", proxy.url(db.url(Login::JobsApp)))
        .set("database.task_url", proxy.url(db.url(Login::JobsTask)))
        .set("database.transaction_time_max_ms", TIME_MAX.as_millis())
        .set("leases.ttl_ms", 600_000);
    Ok((proxy, World::over(db, settings).await?))
}

#[test]
fn connections_that_went_silent_are_given_up() -> Result<()> {
    run(async {
        let (proxy, world) = behind_a_proxy().await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let acknowledged = alice.submit_job(job()).await?.job_id;
        let held = worker.lease_jobs(lease_waiting(1)).await?.jobs.remove(0);
        let queued = alice.submit_job(job()).await?.job_id;

        // Each call waits in a statement of its own when the silence begins.
        let mut gate = world.db.admin().begin().await?;
        sqlx::query("LOCK TABLE jobs.idempotency_heads, jobs.jobs IN ACCESS EXCLUSIVE MODE")
            .execute(&mut *gate)
            .await?;
        let (submission, completion) = (job(), complete(&held, json("7")));
        let submits = tokio::spawn(submit(alice.clone(), submission.clone()));
        let leases = tokio::spawn(lease_one(worker.clone(), lease(1)));
        let completes = tokio::spawn(complete_one(worker.clone(), completion.clone()));
        eventually(|| waiting(&world, 3), SOON).await?;
        let began = Instant::now();
        proxy.silence_standing();
        gate.rollback().await?;

        is_away(refused(submits.await?, Reason::Infra503DependencyDown));
        is_away(refused(leases.await?, Reason::Infra503DependencyDown));
        is_away(refused(completes.await?, Reason::Infra503DependencyDown));
        assert!(began.elapsed() < ANSWERED, "after {:?}", began.elapsed());

        // Over connections that are new. What the lost transactions had locked is free once the server gives them up.
        let again = alice.submit_job(job()).await?;
        assert!(!again.replayed && began.elapsed() < ANSWERED, "after {:?}", began.elapsed());
        eventually(|| async { readiness(&world).await.is_ok_and(|status| status == 200) }, SOON).await?;
        let submitted = eventually(|| alice.submit_job(submission.clone()), SOON).await?;
        assert_eq!(alice.job(&submitted.job_id).await?.state(), JobState::Queued);
        assert_eq!(eventually(|| worker.complete_job(completion.clone()), SOON).await?.state(), JobState::Done);
        let leased = eventually(|| lease_one(worker.clone(), lease_waiting(1)), SOON).await?.jobs.remove(0);
        assert_eq!(id_of(&leased), queued, "the oldest");
        assert_eq!(alice.job(&acknowledged).await?.state(), JobState::Done);
        Ok(())
    })
}

#[test]
fn a_silence_of_postgres_is_outlived() -> Result<()> {
    run(async {
        let (proxy, world) = behind_a_proxy().await?;
        let tenant = tenant();
        let callers = Callers::of(&world, &tenant);
        let work = Work::begun(&callers).await?;

        let submissions = under_calls(&callers.alice, async || {
            proxy.silence_all();
            Ok(())
        })
        .await?;
        // Twice: what the first round leaves behind costs the second nothing.
        every_call_is_refused(&callers, &work).await;
        every_call_is_refused(&callers, &work).await;
        eventually(|| async { readiness(&world).await.is_ok_and(|status| status == 503) }, SOON).await?;

        proxy.silence_standing();
        eventually(|| async { readiness(&world).await.is_ok_and(|status| status == 200) }, SOON).await?;
        eventually(|| callers.alice.submit_job(job()), SOON).await?;
        converged(&callers.alice, submissions).await?;
        work.ended(&callers).await
    })
}

async fn submit(alice: Api, request: pb::SubmitJobRequest) -> Result<pb::SubmitJobResponse, tonic::Status> {
    alice.submit_job(request).await
}

async fn lease_one(worker: Api, request: pb::LeaseJobsRequest) -> Result<pb::LeaseJobsResponse, tonic::Status> {
    worker.lease_jobs(request).await
}

async fn complete_one(worker: Api, request: pb::CompleteJobRequest) -> Result<pb::CompleteJobResponse, tonic::Status> {
    worker.complete_job(request).await
}

/// Whether so many of the service's sessions wait for a lock.
async fn waiting(world: &World, sessions: i64) -> Result<()> {
    let sql = "SELECT count(*) FROM pg_stat_activity
               WHERE datname = current_database() AND usename = 'holdfast_jobs_app' AND wait_event_type = 'Lock'";
    let waiting: i64 = sqlx::query_scalar(sql).fetch_one(world.db.admin()).await?;
    ensure!(waiting >= sessions, "{waiting} wait");
    Ok(())
}
