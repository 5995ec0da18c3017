//! Sizes of tables, the dead rows in them, and how often they were vacuumed. Partitions count as their table.

use anyhow::Result;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Upkeep {
    /// The largest first.
    pub tables: Vec<Table>,
}

#[derive(Debug, Clone, Serialize, Deserialize, sqlx::FromRow)]
pub struct Table {
    pub name: String,
    pub live_rows: i64,
    pub dead_rows: i64,
    pub heap_mib: f64,
    pub index_mib: f64,
    pub autovacuums: i64,
    pub autoanalyzes: i64,
}

impl Upkeep {
    /// Of every table in the services' schemas.
    pub async fn look(admin: &PgPool) -> Result<Self> {
        let tables = sqlx::query_as(
            "SELECT
                 root.oid::regclass::text AS name,
                 sum(leaf.n_live_tup)::int8 AS live_rows,
                 sum(leaf.n_dead_tup)::int8 AS dead_rows,
                 sum(pg_table_size(leaf.relid))::float8 / 1048576 AS heap_mib,
                 sum(pg_indexes_size(leaf.relid))::float8 / 1048576 AS index_mib,
                 sum(leaf.autovacuum_count)::int8 AS autovacuums,
                 sum(leaf.autoanalyze_count)::int8 AS autoanalyzes
             FROM pg_stat_user_tables AS leaf
             JOIN pg_class AS root ON root.oid = coalesce(pg_partition_root(leaf.relid)::oid, leaf.relid)
             WHERE leaf.schemaname IN ('jobs', 'relay')
             GROUP BY root.oid
             ORDER BY sum(pg_total_relation_size(leaf.relid)) DESC, name",
        );
        Ok(Self { tables: tables.fetch_all(admin).await? })
    }
}

/// The server's settings, then those that tables have of their own.
pub async fn autovacuum_settings(admin: &PgPool) -> Result<Vec<(String, String)>> {
    let settings = sqlx::query_as(
        "(SELECT name, current_setting(name) FROM pg_settings WHERE name LIKE 'autovacuum%' ORDER BY name)
         UNION ALL
         (SELECT coalesce(pg_partition_root(oid)::oid::regclass, oid::regclass)::text || ', ' || split_part(option, '=', 1),
             split_part(option, '=', 2)
         FROM pg_class CROSS JOIN LATERAL unnest(reloptions) AS option
         WHERE relnamespace IN ('jobs'::regnamespace, 'relay'::regnamespace) AND relkind = 'r' AND option LIKE 'autovacuum%'
         GROUP BY 1, 2 ORDER BY 1)",
    );
    Ok(settings.fetch_all(admin).await?)
}
