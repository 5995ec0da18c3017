//! The connection breaks during a COMMIT, before the server hears it or after it has done it. The caller is told the
//! same in both cases, and the repetition of the call comes to the same end.

use std::fmt::Debug;

use anyhow::{Result, ensure};
use holdfast_ids::TenantId;
use holdfast_pg::Role as Login;
use holdfast_testkit::{Database, Loss, Postgres, Proxy};
use pb::JobState;
use pb::batch_submit_jobs_result::Outcome;
use tonic::Status;

use super::{complete_key, reserved};
use crate::support::*;

/// A world whose service speaks to its database through the proxy; background work does not.
async fn behind_a_proxy() -> Result<(Proxy, World)> {
    let proxy = Proxy::start(Postgres::shared().await?.service_port()).await?;
    let db = Database::create().await?;
    let settings = Settings::default().set("database.app_url", proxy.url(db.url(Login::JobsApp)));
    Ok((proxy, World::over(db, settings).await?))
}

/// The call whose COMMIT is lost: it fails, the caller is told that it may be repeated, and nothing else was lost.
async fn lost<T: Debug>(proxy: &Proxy, loss: Loss, call: impl Future<Output = Result<T, Status>>) {
    let before = proxy.lost();
    proxy.lose(loss);
    let refusal = refused(call.await, Reason::Infra503DependencyDown);
    assert_eq!(refusal.metadata.get("component").map(String::as_str), Some("postgres"));
    assert!(refusal.retryable() && refusal.retry_after.is_some());
    assert_eq!(proxy.lost(), before + 1);
}

/// Rows of history and events of the tenant, which are as many as there were transitions.
async fn transitions(world: &World, tenant: &TenantId) -> Result<i64> {
    let history = rows::of_tenant(world.db.admin(), "job_events", tenant).await?;
    let events = rows::of_tenant(world.db.admin(), "outbox", tenant).await?;
    ensure!(history == events, "{history} rows of history, {events} events");
    Ok(history)
}

#[test]
fn a_submission_is_there_once() -> Result<()> {
    run(async {
        let (proxy, world) = behind_a_proxy().await?;
        for loss in [Loss::Answer, Loss::Command] {
            let tenant = tenant();
            let alice = world.user("alice", &tenant);
            let request = job();
            lost(&proxy, loss, alice.submit_job(request.clone())).await;
            let job_ids: Vec<String> = sqlx::query_scalar("SELECT job_id::text FROM jobs.jobs WHERE tenant_id = $1")
                .bind(tenant.as_str())
                .fetch_all(world.db.admin())
                .await?;
            assert_eq!(job_ids.len(), usize::from(loss == Loss::Answer), "{loss:?}");

            let again = alice.submit_job(request.clone()).await?;
            assert_eq!((again.replayed, again.generation), (loss == Loss::Answer, 1));
            assert!(job_ids.iter().all(|job_id| *job_id == again.job_id));
            assert_eq!(alice.submit_job(request).await?.job_id, again.job_id);
            for table in ["jobs", "job_queue", "idempotency_ledger", "idempotency_heads"] {
                assert_eq!(rows::of_tenant(world.db.admin(), table, &tenant).await?, 1, "{table} after {loss:?}");
            }
            assert_eq!(transitions(&world, &tenant).await?, 1);
        }
        Ok(())
    })
}

/// Calls that shared the transaction share its fate, and each converges by itself.
#[test]
fn a_batch_of_submissions_is_there_once() -> Result<()> {
    run(async {
        let (proxy, world) = behind_a_proxy().await?;
        for loss in [Loss::Answer, Loss::Command] {
            let tenant = tenant();
            let alice = world.user("alice", &tenant);
            let jobs: Vec<_> = (0..20).map(|_| job()).collect();
            proxy.lose(loss);
            let first = alice.batch_submit_jobs(batch(jobs.clone())).await?.results;
            let again = alice.batch_submit_jobs(batch(jobs.clone())).await?.results;
            let mut unheard = 0;
            for (first, again) in first.iter().zip(&again) {
                let Some(Outcome::Job(again)) = &again.outcome else { panic!("refused again: {again:?}") };
                match &first.outcome {
                    Some(Outcome::Job(first)) => assert_eq!((&again.job_id, again.replayed), (&first.job_id, true)),
                    Some(Outcome::Error(status)) => {
                        assert!(refused_item(status, Reason::Infra503DependencyDown).retry_after.is_some());
                        assert_eq!(again.replayed, loss == Loss::Answer);
                        unheard += 1;
                    }
                    None => panic!("an item without an outcome"),
                }
            }
            assert!(unheard > 0, "no item met the loss");
            assert_eq!(rows::of_tenant(world.db.admin(), "jobs", &tenant).await?, jobs.len() as i64);
            assert_eq!(transitions(&world, &tenant).await?, jobs.len() as i64);
        }
        Ok(())
    })
}

#[test]
fn a_completion_counts_once() -> Result<()> {
    run(async {
        let (proxy, world) = behind_a_proxy().await?;
        for loss in [Loss::Answer, Loss::Command] {
            let tenant = tenant();
            let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
            let job_id = alice.submit_job(job()).await?.job_id;
            let leased = worker.lease_jobs(lease_waiting(1)).await?.jobs.remove(0);
            lost(&proxy, loss, worker.complete_job(complete(&leased, json("7")))).await;
            let seen = alice.job(&job_id).await?;
            let expected = if loss == Loss::Answer { JobState::Done } else { JobState::Running };
            assert_eq!(seen.state(), expected);

            let again = worker.complete_job(complete(&leased, json("7"))).await?;
            assert_eq!((again.state(), again.replayed), (JobState::Done, loss == Loss::Answer));
            let seen = alice.job(&job_id).await?;
            assert_eq!((seen.state(), seen.result, seen.seq), (JobState::Done, Some(json("7")), 3));
            assert_eq!(seen.finished_at, again.finished_at, "the repetition is told what happened, not when it asked");
            assert_eq!(transitions(&world, &tenant).await?, 3);
        }
        Ok(())
    })
}

#[test]
fn a_failure_costs_one_attempt() -> Result<()> {
    run(async {
        let (proxy, world) = behind_a_proxy().await?;
        for loss in [Loss::Answer, Loss::Command] {
            let tenant = tenant();
            let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
            let job_id = alice.submit_job(job().intent("slow.retry")).await?.job_id;
            let leased = worker.lease_jobs(lease_waiting(1)).await?.jobs.remove(0);
            lost(&proxy, loss, worker.fail_job(fail(&leased, true))).await;
            let again = worker.fail_job(fail(&leased, true)).await?;
            assert_eq!((again.state(), again.replayed), (JobState::Retrying, loss == Loss::Answer));
            let seen = alice.job(&job_id).await?;
            assert_eq!((seen.state(), seen.attempt, seen.seq), (JobState::Retrying, 1, 3));
            assert_eq!(seen.next_attempt_at, again.next_attempt_at, "one back-off, told twice");
            assert_eq!(transitions(&world, &tenant).await?, 3);
        }
        Ok(())
    })
}

#[test]
fn a_cancellation_counts_once() -> Result<()> {
    run(async {
        let (proxy, world) = behind_a_proxy().await?;
        for loss in [Loss::Answer, Loss::Command] {
            let tenant = tenant();
            let alice = world.user("alice", &tenant);
            let request = cancel(&alice.submit_job(job()).await?.job_id);
            lost(&proxy, loss, alice.cancel_job(request.clone())).await;
            let again = alice.cancel_job(request).await?;
            assert_eq!(again.replayed, loss == Loss::Answer);
            assert_eq!(again.job.map(|job| (job.state(), job.seq)), Some((JobState::Cancelled, 2)));
            assert_eq!(transitions(&world, &tenant).await?, 2);
        }
        Ok(())
    })
}

/// Nobody knows of a lease whose COMMIT was not heard, so that it runs out, as that of a worker that died.
#[test]
fn a_lease_that_nobody_heard_of_runs_out() -> Result<()> {
    run(async {
        let (proxy, world) = behind_a_proxy().await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let job_id = alice.submit_job(job().intent("quick.retry")).await?.job_id;
        lost(&proxy, Loss::Command, worker.lease_jobs(lease(1))).await;
        assert_eq!(alice.job(&job_id).await?.state(), JobState::Queued);

        lost(&proxy, Loss::Answer, worker.lease_jobs(lease(1))).await;
        let unheard = alice.job(&job_id).await?;
        assert_eq!((unheard.state(), unheard.attempt), (JobState::Running, 1));
        assert!(worker.lease_jobs(lease(1)).await?.jobs.is_empty(), "held, though nobody knows by whom");
        rows::expire_lease(world.db.admin(), &job_id).await?;
        let leased = worker.lease_jobs(lease_waiting(1)).await?.jobs.remove(0);
        assert_eq!((id_of(&leased), leased.attempt), (job_id, 2));
        worker.complete_job(complete(&leased, json("1"))).await?;
        Ok(())
    })
}

#[test]
fn a_key_is_completed_once() -> Result<()> {
    run(async {
        let (proxy, world) = behind_a_proxy().await?;
        for loss in [Loss::Answer, Loss::Command] {
            let memory = world.service("memory", &tenant());
            let token = reserved(&memory, "k").await?;
            lost(&proxy, loss, memory.complete_key(complete_key("k", token))).await;
            let again = memory.complete_key(complete_key("k", token)).await?;
            assert_eq!(again.replayed, loss == Loss::Answer);
            assert_eq!(memory.complete_key(complete_key("k", token)).await?.completed_at, again.completed_at);
        }
        Ok(())
    })
}
