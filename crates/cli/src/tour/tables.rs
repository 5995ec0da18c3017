//! What the tables themselves hold, read as their administrator: the reckoning does not ask the service.

use std::collections::BTreeMap;

use holdfast_pg::DatabaseUrl;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::dev::{TOUR_SERIAL_PROJECT, connect_admin};

pub(super) struct Tables {
    connection: PgConnection,
}

/// One job as the tables tell it.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct JobRow {
    pub(super) job_id: Uuid,
    pub(super) state: String,
    pub(super) result: Option<Vec<u8>>,
    /// How often its history says that it was done.
    pub(super) done_events: i64,
    /// How often its history says that an attempt was lost or failed.
    pub(super) retrying_events: i64,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pickup {
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
}

impl Tables {
    pub(super) async fn open(url: &DatabaseUrl) -> anyhow::Result<Self> {
        Ok(Self { connection: connect_admin(url).await? })
    }

    /// Leases of this run that a worker holds now.
    pub(super) async fn held_by(&mut self, worker_id: &str, run_id: &str) -> anyhow::Result<usize> {
        let held: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM jobs.job_leases l JOIN jobs.jobs j USING (job_id)
             WHERE l.worker_id = $1 AND j.idempotency_key LIKE 'tour-' || $2 || '-%'",
        )
        .bind(worker_id)
        .bind(run_id)
        .fetch_one(&mut self.connection)
        .await?;
        Ok(usize::try_from(held)?)
    }

    /// How many of these are in a final state.
    pub(super) async fn ended(&mut self, jobs: &[Uuid]) -> anyhow::Result<usize> {
        let ended: i64 =
            sqlx::query_scalar("SELECT count(*) FROM jobs.jobs WHERE job_id = ANY ($1) AND finished_at IS NOT NULL")
                .bind(jobs)
                .fetch_one(&mut self.connection)
                .await?;
        Ok(usize::try_from(ended)?)
    }

    pub(super) async fn events_written(&mut self, jobs: &[Uuid]) -> anyhow::Result<usize> {
        let written: i64 = sqlx::query_scalar("SELECT count(*) FROM jobs.job_events WHERE job_id = ANY ($1)")
            .bind(jobs)
            .fetch_one(&mut self.connection)
            .await?;
        Ok(usize::try_from(written)?)
    }

    pub(super) async fn jobs(&mut self, jobs: &[Uuid]) -> anyhow::Result<BTreeMap<Uuid, JobRow>> {
        let rows: Vec<JobRow> = sqlx::query_as(
            "SELECT j.job_id, j.state, j.result,
                    count(*) FILTER (WHERE e.to_state = 'done') AS done_events,
                    count(*) FILTER (WHERE e.from_state = 'running' AND e.to_state = 'retrying') AS retrying_events
             FROM jobs.jobs j JOIN jobs.job_events e USING (job_id)
             WHERE j.job_id = ANY ($1)
             GROUP BY j.job_id",
        )
        .bind(jobs)
        .fetch_all(&mut self.connection)
        .await?;
        Ok(rows.into_iter().map(|row| (row.job_id, row)).collect())
    }

    /// From the submission to the first lease, by the database's clock. Jobs of the serial project are left out: what they
    /// wait for is each other. So are those that waited for a decision or for other jobs: their second transition is no lease.
    pub(super) async fn pickup(&mut self, jobs: &[Uuid]) -> anyhow::Result<Pickup> {
        let quantiles: Option<Vec<f64>> = sqlx::query_scalar(
            "SELECT percentile_cont(ARRAY[0.5, 0.99]) WITHIN GROUP
                 (ORDER BY (extract(epoch FROM leased.occurred_at - queued.occurred_at) * 1000)::float8)
             FROM jobs.job_events queued JOIN jobs.job_events leased USING (job_id)
             WHERE queued.job_id = ANY ($1) AND queued.seq = 1 AND leased.seq = 2 AND leased.to_state = 'running'
               AND queued.project_id <> $2",
        )
        .bind(jobs)
        .bind(TOUR_SERIAL_PROJECT)
        .fetch_one(&mut self.connection)
        .await?;
        match quantiles.as_deref() {
            Some([p50_ms, p99_ms]) => Ok(Pickup { p50_ms: *p50_ms, p99_ms: *p99_ms }),
            _ => Ok(Pickup::default()),
        }
    }
}
