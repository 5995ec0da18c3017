//! The raw tables, read as the superuser, whom row-level security does not bind.

use std::collections::BTreeMap;

use anyhow::Result;
use sqlx::{AssertSqlSafe, PgPool};

#[derive(Debug, Clone, sqlx::FromRow)]
pub struct JobRow {
    pub job_id: String,
    pub tenant_id: String,
    pub project_id: String,
    pub idempotency_key: String,
    pub state: String,
    pub seq: i64,
    pub result: Option<Vec<u8>>,
}

impl JobRow {
    pub fn is_final(&self) -> bool {
        matches!(self.state.as_str(), "done" | "failed" | "timed_out" | "cancelled")
    }
}

#[derive(Debug, Clone, sqlx::FromRow)]
pub struct EventRow {
    pub job_id: String,
    pub seq: i64,
    pub tenant_id: String,
    pub project_id: String,
    pub event_id: String,
    pub to_state: String,
    pub fence: i64,
    pub actor_id: String,
    pub command_key: Option<String>,
    pub occurred_at_us: i64,
}

pub async fn jobs(admin: &PgPool) -> Result<BTreeMap<String, JobRow>> {
    let rows: Vec<JobRow> = sqlx::query_as(
        "SELECT job_id::text, tenant_id, project_id, idempotency_key, state, seq, result FROM jobs.jobs",
    )
    .fetch_all(admin)
    .await?;
    Ok(rows.into_iter().map(|row| (row.job_id.clone(), row)).collect())
}

/// The history of each job, in order.
pub async fn histories(admin: &PgPool) -> Result<BTreeMap<String, Vec<EventRow>>> {
    let rows: Vec<EventRow> = sqlx::query_as(
        "SELECT job_id::text, seq, tenant_id, project_id, event_id::text, to_state, fence, actor_id, command_key,
             (extract(epoch FROM occurred_at) * 1000000)::bigint AS occurred_at_us
         FROM jobs.job_events ORDER BY job_id, seq",
    )
    .fetch_all(admin)
    .await?;
    let mut histories: BTreeMap<String, Vec<EventRow>> = BTreeMap::new();
    for row in rows {
        histories.entry(row.job_id.clone()).or_default().push(row);
    }
    Ok(histories)
}

pub async fn unfinished(admin: &PgPool) -> Result<i64> {
    let unfinished = sqlx::query_scalar("SELECT count(*) FROM jobs.jobs WHERE finished_at IS NULL");
    Ok(unfinished.fetch_one(admin).await?)
}

pub async fn unpublished(admin: &PgPool, schema: &str) -> Result<i64> {
    let unpublished = AssertSqlSafe(format!("SELECT count(*) FROM {schema}.outbox WHERE published_at IS NULL"));
    Ok(sqlx::query_scalar(unpublished).fetch_one(admin).await?)
}

/// Every event that a service's outbox was given: its bytes by its id.
pub async fn outbox(admin: &PgPool, schema: &str) -> Result<BTreeMap<String, Vec<u8>>> {
    let rows = AssertSqlSafe(format!("SELECT outbox_id::text, event_payload FROM {schema}.outbox"));
    let rows: Vec<(String, Vec<u8>)> = sqlx::query_as(rows).fetch_all(admin).await?;
    Ok(rows.into_iter().collect())
}
