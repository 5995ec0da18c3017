//! Looks at the raw tables, as the superuser whom no policy binds.

use std::collections::BTreeMap;

use anyhow::Result;
use holdfast_events::Envelope;
use sqlx::{AssertSqlSafe, PgPool};

/// The tables of the schema that calls write to, without partitions.
pub async fn tables(pool: &PgPool) -> Result<Vec<String>> {
    let names = sqlx::query_scalar(
        "SELECT relname::text FROM pg_class WHERE relnamespace = 'locks'::regnamespace AND relkind IN ('r', 'p') \
         AND NOT relispartition AND relname NOT IN ('task_leases', 'outbox_ring', 'outbox_shards', 'schema_migrations', 'lock_instances') \
         ORDER BY relname",
    );
    Ok(names.fetch_all(pool).await?)
}

/// Every row of each table as one digest: whatever is added, changed or gone shows.
pub async fn digests(pool: &PgPool) -> Result<BTreeMap<String, String>> {
    let mut digests = BTreeMap::new();
    for table in tables(pool).await? {
        let statement = format!(
            "SELECT count(*) || ' rows, ' || md5(coalesce(string_agg(whole::text, '' ORDER BY whole::text), '')) \
             FROM locks.{table} AS whole"
        );
        digests.insert(table, sqlx::query_scalar(AssertSqlSafe(statement)).fetch_one(pool).await?);
    }
    Ok(digests)
}

/// The events of a resource, in order.
pub async fn events(pool: &PgPool, ordering_key: &str) -> Result<Vec<Envelope>> {
    let statement = "SELECT event_payload FROM locks.outbox WHERE ordering_key = $1 ORDER BY key_seq";
    let payloads: Vec<Vec<u8>> = sqlx::query_scalar(statement).bind(ordering_key).fetch_all(pool).await?;
    Ok(payloads.iter().map(|payload| holdfast_events::decode(payload)).collect::<Result<_, _>>()?)
}
