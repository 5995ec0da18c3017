//! Jobs that somebody else has locked at the moment: background work neither waits for them nor forgets them.

use std::time::Duration;

use anyhow::{Result, ensure};
use chrono::TimeDelta;
use holdfast_ids::JobId;
use holdfast_jobs::domain::job::{Queue, StateName};
use holdfast_jobs::store::maintenance::{delayed_promote_if_due, leases_expired_lock};
use sqlx::{Postgres, Transaction};

use super::project::{Project, Store, Terms};
use crate::support::{rows, run};

const ROWS_MAX: i64 = 10;
const TTL: Duration = Duration::from_secs(30);

pub(super) fn terms() -> Terms {
    Terms {
        queue: Queue::Project,
        priority: 5,
        max_attempts: 5,
        run_budget_ms: 600_000,
        total_budget_ms: 3_600_000,
        is_delayed: false,
        is_dangerous: false,
        is_blocked: false,
    }
}

/// A job's row, locked as by whoever is about to move it, until the transaction ends.
async fn held(store: &Store, job_id: JobId) -> Result<Transaction<'static, Postgres>> {
    let mut holding = store.db.admin().begin().await?;
    let lock = "SELECT job_id FROM jobs.jobs WHERE job_id = $1 FOR UPDATE";
    sqlx::query(lock).bind(job_id.as_uuid()).fetch_one(&mut *holding).await?;
    Ok(holding)
}

/// Whoever waits for a lock of these tests waits for ever.
async fn at_once<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(Duration::from_secs(10), work).await?
}

async fn promoted(store: &Store) -> Result<u64> {
    at_once(async {
        let mut tx = store.task.begin().await?;
        let promoted = delayed_promote_if_due(&mut tx, ROWS_MAX).await?;
        tx.commit().await?;
        Ok(promoted)
    })
    .await
}

#[test]
fn promotion_passes_over_a_job_that_somebody_moves_and_comes_back_to_it() -> Result<()> {
    run(async {
        let store = Store::open().await?;
        let mut project = Project::new(&store, 1);
        for _ in 0..2 {
            project.submit(&Terms { is_delayed: true, ..terms() }).await?;
        }
        project.age(TimeDelta::minutes(2)).await?;
        let holding = held(&store, project.jobs[0].job_id()).await?;
        ensure!(promoted(&store).await? == 1, "the one that nobody holds");
        project.jobs[1].promote();
        ensure!(rows::of_tenant(store.db.admin(), "job_delayed", &project.tenant).await? == 1);
        ensure!(promoted(&store).await? == 0, "it is still held");
        holding.rollback().await?;
        project.compare().await?;
        ensure!(promoted(&store).await? == 1, "it was forgotten");
        project.jobs[0].promote();
        project.compare().await
    })
}

/// A lease that stayed locked for a job that is passed over would be in the way of whoever holds the job.
#[test]
fn the_sweep_of_leases_locks_none_of_a_job_that_somebody_moves() -> Result<()> {
    run(async {
        let store = Store::open().await?;
        let mut project = Project::new(&store, 1);
        project.submit(&terms()).await?;
        ensure!(project.claim(1, TTL).await? == 1);
        project.age(TimeDelta::minutes(1)).await?;
        let holding = held(&store, project.jobs[0].job_id()).await?;
        let mut sweep = store.task.begin().await?;
        let found = at_once(async { Ok(leases_expired_lock(&mut sweep, ROWS_MAX).await?) }).await?;
        ensure!(found.job_ids.is_empty(), "{found:?} is held");
        // While the sweep's transaction goes on.
        let mut mover = store.db.admin().begin().await?;
        let lock = "SELECT lease_id FROM jobs.job_leases WHERE job_id = $1 FOR UPDATE NOWAIT";
        let job_id = project.jobs[0].job_id().as_uuid();
        sqlx::query(lock).bind(job_id).fetch_one(&mut *mover).await?;
        mover.rollback().await?;
        sweep.rollback().await?;
        holding.rollback().await?;
        ensure!(project.sweep(0.0).await? == [StateName::Retrying]);
        project.compare().await
    })
}
