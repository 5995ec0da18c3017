//! PostgreSQL stops, is killed and comes back, under a pool full of connections.

use std::time::Duration;

use anyhow::Result;
use holdfast_pg::{AppDb, DbError, PoolConfig, Role};
use holdfast_testkit::{Database, Postgres, PostgresOptions};

use crate::scope;

async fn fill(app: &AppDb, connections: usize) -> Result<()> {
    let mut open = Vec::new();
    for _ in 0..connections {
        open.push(app.begin(&scope(&["a"]), None).await?);
    }
    for tx in open {
        tx.commit().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_restart_is_seen_by_what_was_running_and_by_nothing_after() -> Result<()> {
    let postgres = Postgres::start(PostgresOptions::default()).await?;
    let database = Database::create_on(&postgres).await?;
    let mut config = PoolConfig::new(database.url(Role::JobsApp).clone()).with_connections_max(8);
    config.acquire_timeout_ms = 300;
    let app = AppDb::open(&config, "test")?;

    for crash in [false, true] {
        fill(&app, 8).await?;
        let mut running = app.begin(&scope(&["a"]), None).await?;
        sqlx::query("INSERT INTO jobs.project_intake VALUES ('a', 'p', 0, 0)").execute(&mut *running).await?;

        if crash {
            postgres.kill().await?
        } else {
            postgres.stop().await?
        };
        let committed = running.commit().await;
        assert!(matches!(committed, Err(DbError::AmbiguousCommit(_))), "{committed:?}");
        let away = app.begin(&scope(&["a"]), None).await.err();
        assert!(matches!(away, Some(DbError::Unavailable(_))), "{away:?}");

        postgres.restart().await?;
        // The very first call succeeds, though every connection of the pool is broken.
        let mut tx = app.begin(&scope(&["a"]), Some(std::time::Instant::now() + Duration::from_secs(10))).await?;
        let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM jobs.project_intake").fetch_one(&mut *tx).await?;
        assert_eq!(rows, 0, "what was not committed is not there");
        app.ping().await?;
    }
    Ok(())
}

#[tokio::test]
async fn broken_idle_connections_cost_no_call() -> Result<()> {
    let postgres = Postgres::start(PostgresOptions::default()).await?;
    let database = Database::create_on(&postgres).await?;
    let app = AppDb::open(&PoolConfig::new(database.url(Role::JobsApp).clone()).with_connections_max(8), "test")?;
    fill(&app, 8).await?;
    postgres.stop().await?;
    postgres.restart().await?;
    for _ in 0..20 {
        app.begin(&scope(&["a"]), None).await?.commit().await?;
    }
    Ok(())
}
