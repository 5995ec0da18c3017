//! Tenant scope: no scope, no rows; and a scope ends with its transaction.

use std::{
    future::poll_fn,
    pin::pin,
    task::Poll,
    time::{Duration, Instant},
};

use anyhow::Result;
use holdfast_pg::{AppDb, DbError, PoolConfig, Role, Tx};
use holdfast_testkit::{Database, eventually};
use sqlx::PgConnection;

use crate::scope;

const INSERT_INTAKE: &str =
    "INSERT INTO jobs.project_intake (tenant_id, project_id, submitted, infra_submitted) VALUES ($1, 'p', 0, 0)";

/// One connection, so that every transaction of a test follows the other on it.
fn one_connection(database: &Database) -> Result<AppDb> {
    let config = PoolConfig::new(database.url(Role::JobsApp).clone()).with_connections_max(1);
    Ok(AppDb::open(&config, "test")?)
}

async fn insert(connection: &mut PgConnection, tenant: &str) -> Result<(), DbError> {
    sqlx::query(INSERT_INTAKE).bind(tenant).execute(connection).await?;
    Ok(())
}

async fn tenants_seen(connection: &mut PgConnection) -> Result<Vec<String>, DbError> {
    Ok(sqlx::query_scalar("SELECT tenant_id FROM jobs.project_intake ORDER BY tenant_id").fetch_all(connection).await?)
}

async fn database_with_rows_of_a_and_b() -> Result<Database> {
    let database = Database::create().await?;
    for tenant in ["a", "b"] {
        sqlx::query(INSERT_INTAKE).bind(tenant).execute(database.admin()).await?;
    }
    Ok(database)
}

/// Each table that a tenant owns and callers may read, by the catalogue and not by a list that someone forgets to extend.
async fn tenant_tables(database: &Database) -> Result<Vec<String>> {
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = 'jobs' AND c.relkind IN ('r', 'p') AND NOT c.relispartition
           AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id')
           AND has_table_privilege('holdfast_jobs_app', c.oid, 'SELECT')
         ORDER BY 1",
    )
    .fetch_all(database.admin())
    .await?;
    assert!(tables.len() >= 10, "only {tables:?} belong to tenants");
    Ok(tables)
}

#[tokio::test]
async fn a_transaction_sees_and_writes_the_tenants_of_its_scope() -> Result<()> {
    let database = database_with_rows_of_a_and_b().await?;
    let app = database.app()?;

    let mut tx = app.begin(&scope(&["a"]), None).await?;
    assert_eq!(tenants_seen(&mut tx).await?, ["a"]);
    let refused = insert(&mut tx, "c").await;
    assert!(matches!(refused, Err(DbError::Insufficient(_))), "{refused:?}");
    drop(tx);

    let mut tx = app.begin(&scope(&["b", "a"]), None).await?;
    assert_eq!(tenants_seen(&mut tx).await?, ["a", "b"]);
    Ok(())
}

#[tokio::test]
async fn without_a_scope_nothing_is_seen_or_written_and_no_cast_fails() -> Result<()> {
    let database = database_with_rows_of_a_and_b().await?;
    sqlx::raw_sql(include_str!("../../../../migrations/jobs/sample.sql")).execute(database.admin()).await?;
    let tables = tenant_tables(&database).await?;
    let app = one_connection(&database)?;

    // Never set on this session; then set and over, which leaves '' and not NULL behind.
    for earlier_scope in [None, Some(scope(&["a"]))] {
        if let Some(earlier) = earlier_scope {
            app.begin(&earlier, None).await?.commit().await?;
        }
        for table in &tables {
            let count = format!("SELECT count(*) FROM {table}");
            let seen: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(count)).fetch_one(app.pool()).await?;
            assert_eq!(seen, 0, "{table} shows rows to a session without a scope");
        }
        let refused = sqlx::query(INSERT_INTAKE).bind("a").execute(app.pool()).await.map_err(DbError::from);
        assert!(matches!(refused, Err(DbError::Insufficient(_))), "{refused:?}");
        let updated = sqlx::query("UPDATE jobs.project_intake SET submitted = 1").execute(app.pool()).await?;
        assert_eq!(updated.rows_affected(), 0);
        // The empty tenant is nobody's: '' is a scope of none, not of a tenant without a name.
        let refused = sqlx::query(INSERT_INTAKE).bind("").execute(app.pool()).await.map_err(DbError::from);
        assert!(matches!(refused, Err(DbError::Insufficient(_))), "{refused:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_scope_does_not_leak_to_the_next_transaction_of_the_connection() -> Result<()> {
    let database = database_with_rows_of_a_and_b().await?;
    let app = one_connection(&database)?;
    let backend = |tx: Tx| async move {
        let mut tx = tx;
        let pid: i32 = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut *tx).await?;
        anyhow::Ok((tx, pid))
    };

    let (tx, first) = backend(app.begin(&scope(&["a"]), None).await?).await?;
    tx.commit().await?;
    let (mut tx, second) = backend(app.begin(&scope(&["b"]), None).await?).await?;
    assert_eq!(first, second, "the test needs both transactions on one connection");
    assert_eq!(tenants_seen(&mut tx).await?, ["b"]);
    drop(tx);

    let left: Option<String> = sqlx::query_scalar("SELECT nullif(current_setting('holdfast.tenants', true), '')")
        .fetch_one(app.pool())
        .await?;
    assert_eq!(left, None);
    Ok(())
}

#[tokio::test]
async fn a_partition_cannot_be_read_past_its_parents_policy() -> Result<()> {
    let database = Database::create().await?;
    let app = database.app()?;
    let mut tx = app.begin(&scope(&["a"]), None).await?;
    let refused: Result<i64, DbError> =
        sqlx::query_scalar("SELECT count(*) FROM jobs.outbox_s00").fetch_one(&mut *tx).await.map_err(DbError::from);
    assert!(matches!(refused, Err(DbError::Insufficient(_))), "{refused:?}");
    Ok(())
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_no_transaction_open() -> Result<()> {
    let database = database_with_rows_of_a_and_b().await?;
    let app = one_connection(&database)?;
    let scope = scope(&["a"]);

    // Cancelled at every point of BEGIN's way there and back. Well before idle_in_transaction_session_timeout would end
    // a session that was left in a transaction.
    for polls in 1..=8 {
        app.ping().await?;
        eventually(|| async { app.pool().num_idle() == 1 }, Duration::from_secs(3)).await?;
        drop_after_polls(app.begin(&scope, None), polls).await;
        let look = || async {
            let busy: Vec<String> = sqlx::query_scalar(
                "SELECT state FROM pg_stat_activity WHERE datname = $1 AND usename = $2 AND state <> 'idle'",
            )
            .bind(database.name())
            .bind(Role::JobsApp.name())
            .fetch_all(database.admin())
            .await?;
            anyhow::ensure!(busy.is_empty(), "after {polls} polls: {busy:?}");
            Ok(())
        };
        eventually(look, Duration::from_secs(3)).await?;
    }
    Ok(())
}

async fn drop_after_polls(future: impl Future, mut polls: usize) {
    let mut future = pin!(future);
    poll_fn(|context| {
        polls -= 1;
        let ready = future.as_mut().poll(context).is_ready();
        if ready || polls == 0 { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

#[tokio::test]
async fn a_deadline_becomes_the_statement_timeout() -> Result<()> {
    let database = Database::create().await?;
    let app = database.app()?;
    let began = Instant::now();

    let mut tx = app.begin(&scope(&["a"]), Some(began + Duration::from_millis(200))).await?;
    let slept = sqlx::query("SELECT pg_sleep(20)").execute(&mut *tx).await.map_err(DbError::from);
    assert!(matches!(slept, Err(DbError::StatementTimeout(_))), "{slept:?}");
    assert!(began.elapsed() < Duration::from_secs(10));
    drop(tx);

    // And it ends with its transaction.
    let mut tx = app.begin(&scope(&["a"]), None).await?;
    let timeout: String = sqlx::query_scalar("SHOW statement_timeout").fetch_one(&mut *tx).await?;
    assert_eq!(timeout, "30s", "the role's own");
    Ok(())
}

#[tokio::test]
async fn a_deadline_never_lifts_the_roles_bound_and_a_past_one_begins_nothing() -> Result<()> {
    let database = Database::create().await?;
    let app = database.app()?;
    let mut tx = app.begin(&scope(&["a"]), Some(Instant::now() + Duration::from_secs(3_600))).await?;
    let timeout: String = sqlx::query_scalar("SHOW statement_timeout").fetch_one(&mut *tx).await?;
    assert_eq!(timeout, "30s");

    let late = app.begin(&scope(&["a"]), Instant::now().checked_sub(Duration::from_secs(1))).await;
    assert!(matches!(late, Err(DbError::DeadlinePassed)));
    Ok(())
}

#[tokio::test]
async fn waiting_for_a_connection_ends_at_the_deadline() -> Result<()> {
    let database = Database::create().await?;
    let app = one_connection(&database)?;
    let holder = app.begin(&scope(&["a"]), None).await?;
    let waited = app.begin(&scope(&["a"]), Some(Instant::now() + Duration::from_millis(50))).await;
    assert!(matches!(waited, Err(DbError::DeadlinePassed)));
    holder.commit().await?;
    Ok(())
}

#[tokio::test]
async fn the_read_handle_writes_nothing() -> Result<()> {
    let database = database_with_rows_of_a_and_b().await?;
    let read = database.read()?;
    let seen = read.read(&scope(&["a"]), None, async |mut tx| tenants_seen(&mut tx).await).await?;
    assert_eq!(seen, ["a"]);
    let refused = read.read(&scope(&["a"]), None, async |mut tx| insert(&mut tx, "a").await).await;
    // The class of a demoted primary: read-only.
    assert!(matches!(refused, Err(DbError::Unavailable(_))), "{refused:?}");
    Ok(())
}

#[tokio::test]
async fn dropped_is_rolled_back_and_committed_is_there() -> Result<()> {
    let database = Database::create().await?;
    let app = one_connection(&database)?;
    let mut tx = app.begin(&scope(&["a"]), None).await?;
    insert(&mut tx, "a").await?;
    drop(tx);
    let mut tx = app.begin(&scope(&["a"]), None).await?;
    assert!(tenants_seen(&mut tx).await?.is_empty());
    insert(&mut tx, "a").await?;
    tx.commit().await?;
    let mut tx = app.begin(&scope(&["a"]), None).await?;
    assert_eq!(tenants_seen(&mut tx).await?, ["a"]);
    Ok(())
}
