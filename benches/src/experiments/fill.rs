//! Finished jobs of earlier days, written by SQL as the superuser: what a service finds after it has been used a while.

use anyhow::Result;
use sqlx::PgPool;

const CHUNK: i64 = 50_000;

/// Puts jobs `from..to` and their histories into the tables.
pub async fn fill(admin: &PgPool, from: i64, to: i64) -> Result<()> {
    let mut first = from;
    while first < to {
        let beyond = to.min(first + CHUNK);
        sqlx::query(include_str!("../../sql/fill.sql")).bind(first).bind(beyond - 1).execute(admin).await?;
        first = beyond;
    }
    // As autovacuum would within the minute; and what was written is not to be flushed during the run.
    for upkeep in ["VACUUM ANALYZE jobs.jobs", "VACUUM ANALYZE jobs.job_events", "CHECKPOINT"] {
        sqlx::query(upkeep).execute(admin).await?;
    }
    Ok(())
}

/// Some of the jobs, with the number of their tenant.
pub async fn sample(admin: &PgPool, jobs: i64) -> Result<Vec<(String, usize)>> {
    let rows: Vec<(String, i32)> = sqlx::query_as(
        "SELECT job_id::text, substr(tenant_id, 2)::int4 FROM jobs.jobs WHERE request_id = 'fill' ORDER BY random() LIMIT $1",
    )
    .bind(jobs)
    .fetch_all(admin)
    .await?;
    Ok(rows.into_iter().map(|(job_id, tenant)| (job_id, tenant as usize)).collect())
}
