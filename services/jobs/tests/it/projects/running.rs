//! The limit of running jobs, raised and lowered under load on two instances: by the history rows, and by the database's clock,
//! never more run than are allowed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::{Context as _, Result};
use chrono::{DateTime, Utc};
use sqlx::PgPool;

use crate::support::*;

/// Leases up to four at a time, and completes them one by one.
async fn work(worker: Api, done: Arc<AtomicUsize>, stop: Arc<AtomicBool>) -> Result<()> {
    let wait = Some(prost_types::Duration { seconds: 0, nanos: 100_000_000 });
    while !stop.load(Ordering::Acquire) {
        for job in worker.lease_jobs(pb::LeaseJobsRequest { wait, ..lease(4) }).await?.jobs {
            worker.complete_job(complete(&job, json("1"))).await?;
            done.fetch_add(1, Ordering::AcqRel);
        }
    }
    Ok(())
}

/// From when to when a limit may have come into force.
struct Phase {
    limit: i64,
    asked_at: DateTime<Utc>,
    answered_at: DateTime<Utc>,
}

async fn now(pool: &PgPool) -> Result<DateTime<Utc>> {
    Ok(sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(pool).await?)
}

/// The highest number of jobs that ran at once under each limit; fails where a lease went beyond what was allowed.
async fn check(pool: &PgPool, phases: &[Phase]) -> Result<Vec<i64>> {
    let moves: Vec<(DateTime<Utc>, i64)> = sqlx::query_as(
        "SELECT occurred_at, CASE WHEN to_state = 'running' THEN 1 ELSE -1 END::int8 FROM jobs.job_events \
         WHERE to_state = 'running' OR from_state = 'running' ORDER BY occurred_at, 2",
    )
    .fetch_all(pool)
    .await?;
    let (mut running, mut most) = (0, vec![0; phases.len()]);
    for (at, step) in moves {
        running += step;
        let current = phases.iter().rposition(|phase| phase.asked_at <= at).context("before the first limit")?;
        // While a change is under way, either limit may hold.
        let before = if at < phases[current].answered_at { current.saturating_sub(1) } else { current };
        let allowed = phases[before..=current].iter().map(|phase| phase.limit).max().unwrap_or(0);
        anyhow::ensure!(step < 0 || running <= allowed, "{running} jobs ran at {at}, where {allowed} may");
        if step > 0 && at >= phases[current].answered_at {
            most[current] = most[current].max(running);
        }
    }
    anyhow::ensure!(running == 0, "{running} jobs never ended");
    Ok(most)
}

#[test]
fn never_more_run_than_are_allowed_while_the_limit_is_raised_and_lowered() -> Result<()> {
    run(async {
        let world = World::with(Settings::default()).await?;
        let (other, tenant, pool) = (world.another_instance().await?, tenant(), world.db.admin());
        let (alice, olga) = (world.user("alice", &tenant), world.owner("olga", &tenant));
        let (done, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let mut phases = Vec::new();
        let mut workers = Vec::new();
        for (version, limit) in [1, 6, 2, 9, 1].into_iter().enumerate() {
            let settings = pb::ProjectSettings { running_max: limit, ..Default::default() };
            let asked_at = now(pool).await?;
            olga.update_project(update(PROJECT, version as u64, settings)).await?;
            phases.push(Phase { limit: i64::from(limit), asked_at, answered_at: now(pool).await? });
            if workers.is_empty() {
                alice.batch_submit_jobs(batch((0..60).map(|_| job()))).await?;
                for number in 0..8_usize {
                    let api = world.worker("worker-1", &tenant);
                    let api = if number % 2 == 0 { api } else { api.over(&other) };
                    workers.push(tokio::spawn(work(api, done.clone(), stop.clone())));
                }
            } else {
                alice.batch_submit_jobs(batch((0..40).map(|_| job()))).await?;
            }
            let target = done.load(Ordering::Acquire) + 35;
            eventually(|| async { done.load(Ordering::Acquire) >= target }, SOON).await?;
        }
        eventually(|| async { done.load(Ordering::Acquire) == 60 + 4 * 40 }, SOON).await?;
        stop.store(true, Ordering::Release);
        for worker in workers {
            worker.await??;
        }
        let most = check(pool, &phases).await?;
        assert!(most[1] > 2 && most[3] > 2, "the raised limits were never used: {most:?}");
        Ok(())
    })
}
