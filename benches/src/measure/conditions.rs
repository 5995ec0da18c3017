//! How the servers were set, as a session of the service's own login sees it, and what they wrote meanwhile.

use std::collections::BTreeMap;

use anyhow::Result;
use holdfast_pg::Role;
use holdfast_testkit::Database;
use serde::{Deserialize, Serialize};
use sqlx::{Connection as _, PgConnection, PgPool};

/// `SHOW` of each, through the login of the service.
const SETTINGS: [&str; 9] = [
    "fsync",
    "synchronous_commit",
    "full_page_writes",
    "wal_level",
    "shared_buffers",
    "max_wal_size",
    "autovacuum",
    "row_security",
    "server_version",
];

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Conditions {
    /// Read over a connection of this role.
    pub role: String,
    pub settings: BTreeMap<String, String>,
    pub unlogged_tables: i64,
    /// Tables of the service's schema with forced row-level security, partitions not counted, and those without.
    pub tables_with_row_security: i64,
    pub tables_without_row_security: Vec<String>,
    /// Sessions of the service while it ran, by role.
    pub sessions: BTreeMap<String, i64>,
}

impl Conditions {
    /// Of the jobs service.
    pub async fn look(database: &Database) -> Result<Self> {
        Self::look_at(database, Role::JobsApp, "jobs").await
    }

    /// Of the service with this login and schema.
    pub async fn look_at(database: &Database, role: Role, schema: &str) -> Result<Self> {
        let mut session = PgConnection::connect(database.url(role).expose()).await?;
        let settings = settings(&mut session).await?;
        session.close().await?;
        let admin = database.admin();
        let unlogged_tables =
            sqlx::query_scalar("SELECT count(*) FROM pg_class WHERE relpersistence = 'u'").fetch_one(admin).await?;
        let tables: Vec<(String, bool)> = sqlx::query_as(
            "SELECT relname::text, relrowsecurity AND relforcerowsecurity FROM pg_class
             WHERE relnamespace = $1::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition ORDER BY relname",
        )
        .bind(schema)
        .fetch_all(admin)
        .await?;
        let sessions: Vec<(String, i64)> = sqlx::query_as(
            "SELECT usename::text, count(*) FROM pg_stat_activity
             WHERE usename LIKE 'holdfast%' AND datname = current_database() GROUP BY usename",
        )
        .fetch_all(admin)
        .await?;
        let (with, without): (Vec<_>, Vec<_>) = tables.into_iter().partition(|(_, forced)| *forced);
        Ok(Self {
            role: role.to_string(),
            settings,
            unlogged_tables,
            tables_with_row_security: with.len() as i64,
            tables_without_row_security: without.into_iter().map(|(name, _)| name).collect(),
            sessions: sessions.into_iter().collect(),
        })
    }
}

/// As the session sees them.
pub async fn settings(session: &mut PgConnection) -> Result<BTreeMap<String, String>> {
    let mut settings = BTreeMap::new();
    for name in SETTINGS {
        let value: String =
            sqlx::query_scalar("SELECT current_setting($1)").bind(name).fetch_one(&mut *session).await?;
        settings.insert(name.to_owned(), value);
    }
    Ok(settings)
}

/// Counters of the server that show commits reaching the disk.
#[derive(Debug, Clone, Copy)]
pub struct Written {
    wal_syncs: i64,
    wal_bytes: i64,
    commits: i64,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct WriteRates {
    pub commits_per_s: f64,
    pub wal_syncs_per_s: f64,
    pub wal_mib_per_s: f64,
}

impl Written {
    pub async fn look(admin: &PgPool) -> Result<Self> {
        let wal_syncs = sqlx::query_scalar(Self::wal_syncs_query(admin).await?).fetch_one(admin).await?;
        let (wal_bytes, commits) = sqlx::query_as(
            "SELECT wal_bytes::int8, (SELECT xact_commit FROM pg_stat_database WHERE datname = current_database())
             FROM pg_stat_wal",
        )
        .fetch_one(admin)
        .await?;
        Ok(Self { wal_syncs, wal_bytes, commits })
    }

    /// PostgreSQL 18 counts them with all other reads and writes, and no longer in pg_stat_wal.
    async fn wal_syncs_query(admin: &PgPool) -> Result<&'static str> {
        let version: i32 =
            sqlx::query_scalar("SELECT current_setting('server_version_num')::int4").fetch_one(admin).await?;
        Ok(match version {
            180_000.. => "SELECT sum(fsyncs)::int8 FROM pg_stat_io WHERE object = 'wal' AND context = 'normal'",
            _ => "SELECT wal_sync FROM pg_stat_wal",
        })
    }

    pub fn until(self, later: Self, window_s: f64) -> WriteRates {
        WriteRates {
            commits_per_s: (later.commits - self.commits) as f64 / window_s,
            wal_syncs_per_s: (later.wal_syncs - self.wal_syncs) as f64 / window_s,
            wal_mib_per_s: (later.wal_bytes - self.wal_bytes) as f64 / window_s / f64::from(1 << 20),
        }
    }
}
