//! Looks at the raw tables, as the superuser whom no policy binds.

use std::collections::BTreeMap;

use anyhow::Result;
use holdfast_events::Envelope;
use holdfast_ids::TenantId;
use sqlx::{AssertSqlSafe, PgPool};

/// The tables of the schema, without partitions and without what background work keeps for itself.
pub async fn tables(pool: &PgPool) -> Result<Vec<String>> {
    let names = sqlx::query_scalar(
        "SELECT relname::text FROM pg_class WHERE relnamespace = 'jobs'::regnamespace AND relkind IN ('r', 'p') \
         AND NOT relispartition AND relname NOT IN ('task_leases', 'outbox_ring', 'outbox_shards', 'schema_migrations', \
         'table_row_counts', 'archive_queue', 'job_queue_clock') \
         ORDER BY relname",
    );
    Ok(names.fetch_all(pool).await?)
}

/// How many rows each table has.
pub async fn counts(pool: &PgPool) -> Result<BTreeMap<String, i64>> {
    let mut counts = BTreeMap::new();
    for table in tables(pool).await? {
        let count =
            sqlx::query_scalar(AssertSqlSafe(format!("SELECT count(*) FROM jobs.{table}"))).fetch_one(pool).await?;
        counts.insert(table, count);
    }
    Ok(counts)
}

/// Every row of each table as one digest: whatever is added, changed or gone shows.
pub async fn digests(pool: &PgPool) -> Result<BTreeMap<String, String>> {
    let mut digests = BTreeMap::new();
    for table in tables(pool).await? {
        let statement = format!(
            "SELECT count(*) || ' rows, ' || md5(coalesce(string_agg(entry::text, '' ORDER BY entry::text), '')) \
             FROM jobs.{table} AS entry"
        );
        digests.insert(table, sqlx::query_scalar(AssertSqlSafe(statement)).fetch_one(pool).await?);
    }
    Ok(digests)
}

/// Rows of one tenant in one table.
pub async fn of_tenant(pool: &PgPool, table: &str, tenant: &TenantId) -> Result<i64> {
    let statement = format!("SELECT count(*) FROM jobs.{table} WHERE tenant_id = $1");
    Ok(sqlx::query_scalar(AssertSqlSafe(statement)).bind(tenant.as_str()).fetch_one(pool).await?)
}

/// The events of a job, in order.
pub async fn events(pool: &PgPool, ordering_key: &str) -> Result<Vec<Envelope>> {
    let statement = "SELECT event_payload FROM jobs.outbox WHERE ordering_key = $1 ORDER BY position";
    let payloads: Vec<Vec<u8>> = sqlx::query_scalar(statement).bind(ordering_key).fetch_all(pool).await?;
    Ok(payloads.iter().map(|payload| holdfast_events::decode(payload)).collect::<Result<_, _>>()?)
}

/// Makes the lease of a job run out now.
pub async fn expire_lease(pool: &PgPool, job_id: &str) -> Result<()> {
    let statement =
        "UPDATE jobs.job_leases SET expires_at = clock_timestamp() - interval '1 ms' WHERE job_id = $1::uuid";
    let rows = sqlx::query(statement).bind(job_id).execute(pool).await?.rows_affected();
    anyhow::ensure!(rows == 1, "{job_id} holds no lease");
    Ok(())
}

/// Makes the run budget of a job's attempt used up now.
pub async fn use_up_run_budget(pool: &PgPool, job_id: &str) -> Result<()> {
    let statement = "UPDATE jobs.job_leases SET expires_at = now(), run_deadline = now() \
                     WHERE job_id = $1::uuid";
    let rows = sqlx::query(statement).bind(job_id).execute(pool).await?.rows_affected();
    anyhow::ensure!(rows == 1, "{job_id} holds no lease");
    Ok(())
}
