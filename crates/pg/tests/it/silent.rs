//! A server that goes silent with its connections open. TCP says nothing about it, and neither does the server: only our
//! own bounds do. Silence lasts to the end of a test: a pool that waits for its end would look healthy after it.

use std::time::{Duration, Instant};

use anyhow::Result;
use futures::future::join_all;
use holdfast_pg::{AppDb, DbError, PoolConfig, Role, TaskDb, Tx};
use holdfast_testkit::{Database, Postgres, PostgresOptions, eventually};

use crate::scope;

const ROUNDS: usize = 5;
const SLOTS: usize = 2;
/// Of a transaction, where the test waits for the end of it.
const TIME_MAX: Duration = Duration::from_millis(1_500);
/// Of a transaction, where something else ends it.
const LONG: Duration = Duration::from_secs(8);
/// A ROLLBACK and a return to the pool that are not answered, and some, on a machine that is slow.
const SOON: Duration = Duration::from_secs(60);

const INSERT: &str = "INSERT INTO jobs.project_intake (tenant_id, project_id, submitted, infra_submitted)
                      VALUES ('a', 'p', 0, 0)";

struct Bench {
    postgres: Postgres,
    database: Database,
    config: PoolConfig,
    app: AppDb,
}

/// A server of its own: others would wait for its silent sessions.
async fn bench(time_max: Duration) -> Result<Bench> {
    let postgres = Postgres::start(PostgresOptions { fsync: false, ..PostgresOptions::default() }).await?;
    let database = Database::create_on(&postgres).await?;
    let mut config = PoolConfig::new(database.url(Role::JobsApp).clone()).with_connections_max(SLOTS as u32);
    config.transaction_time_max_ms = time_max.as_millis() as u64;
    let app = AppDb::open(&config, "test")?;
    Ok(Bench { postgres, database, config, app })
}

impl Bench {
    /// A transaction in every slot of the pool, and their sessions. That they can be had shows that no slot is lost.
    async fn every_slot(&self) -> Result<(Vec<Tx>, Vec<i32>)> {
        let look = || async {
            let (mut open, mut backends) = (Vec::new(), Vec::new());
            for _ in 0..SLOTS {
                let mut tx = self.app.begin(&scope(&["a"]), None).await?;
                backends.push(sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut *tx).await?);
                open.push(tx);
            }
            Ok::<_, DbError>((open, backends))
        };
        eventually(look, SOON).await
    }

    async fn idle_in_every_slot(&self) -> Result<Vec<i32>> {
        let (open, backends) = self.every_slot().await?;
        for tx in open {
            tx.commit().await?;
        }
        eventually(|| async { self.app.pool().num_idle() == SLOTS }, SOON).await?;
        Ok(backends)
    }

    async fn rows(&self) -> Result<i64> {
        Ok(sqlx::query_scalar("SELECT count(*) FROM jobs.project_intake").fetch_one(self.database.admin()).await?)
    }
}

#[tokio::test]
async fn a_statement_ends_in_time_and_costs_no_slot() -> Result<()> {
    let bench = bench(TIME_MAX).await?;
    let mut silence = Vec::new();
    for _ in 0..ROUNDS {
        let (open, backends) = bench.every_slot().await?;
        silence.push(bench.postgres.freeze_sessions(&backends)?);
        let (app, began) = (&bench.app, Instant::now());
        join_all(open.into_iter().map(|mut tx| async move {
            let statement = async { Ok(sqlx::query("SELECT 1").execute(&mut *tx).await?) };
            let ended = app.bounded(statement).await;
            assert!(matches!(ended, Err(DbError::TimeOver)), "{ended:?}");
        }))
        .await;
        assert!(began.elapsed() < SOON, "after {:?}", began.elapsed());
    }
    bench.every_slot().await?;
    Ok(())
}

#[tokio::test]
async fn a_commit_is_ambiguous_in_time_and_costs_no_slot() -> Result<()> {
    let bench = bench(TIME_MAX).await?;
    for _ in 0..ROUNDS {
        let (mut open, backends) = bench.every_slot().await?;
        sqlx::query(INSERT).execute(&mut *open[0]).await?;
        let silence = bench.postgres.freeze_sessions(&backends)?;
        let began = Instant::now();
        for ended in join_all(open.into_iter().map(Tx::commit)).await {
            assert!(matches!(ended, Err(DbError::AmbiguousCommit(_))), "{ended:?}");
        }
        assert!(began.elapsed() < SOON, "after {:?}", began.elapsed());
        assert_eq!(bench.rows().await?, 0);
        bench.every_slot().await?;
        // The server finds the COMMIT where the network left it, and nobody there to tell.
        drop(silence);
        eventually(|| async { bench.rows().await.is_ok_and(|rows| rows == 1) }, SOON).await?;
        sqlx::query("DELETE FROM jobs.project_intake").execute(bench.database.admin()).await?;
    }
    bench.every_slot().await?;
    Ok(())
}

#[tokio::test]
async fn a_connection_that_goes_silent_on_its_way_back_costs_no_slot() -> Result<()> {
    let bench = bench(TIME_MAX).await?;
    let mut silence = Vec::new();
    for _ in 0..ROUNDS {
        let (open, backends) = bench.every_slot().await?;
        for (tx, backend) in open.into_iter().zip(backends) {
            tx.commit().await?;
            // This runtime has one thread: the task that gives the connection back has not begun.
            silence.push(bench.postgres.freeze_sessions(&[backend])?);
        }
    }
    bench.every_slot().await?;
    Ok(())
}

#[tokio::test]
async fn a_rollback_ends_in_time_and_costs_no_slot() -> Result<()> {
    let bench = bench(TIME_MAX).await?;
    let mut silence = Vec::new();
    for _ in 0..ROUNDS {
        let (mut open, backends) = bench.every_slot().await?;
        silence.push(bench.postgres.freeze_sessions(&backends)?);
        // One is waited for, the other dropped.
        let ended = open.remove(0).rollback().await;
        assert!(matches!(ended, Err(DbError::Unavailable(_))), "{ended:?}");
    }
    bench.every_slot().await?;
    Ok(())
}

#[tokio::test]
async fn silent_idle_connections_are_replaced_at_the_cost_of_one_wait() -> Result<()> {
    let bench = bench(LONG).await?;
    let mut silence = Vec::new();
    for _ in 0..ROUNDS {
        let silent = bench.idle_in_every_slot().await?;
        silence.push(bench.postgres.freeze_sessions(&silent)?);
        let mut tx = bench.app.begin(&scope(&["a"]), None).await?;
        let backend: i32 = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut *tx).await?;
        assert!(!silent.contains(&backend));
        assert_eq!(bench.app.pool().size(), 1, "the other silent connection is still there");
        tx.commit().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_ping_replaces_them_too_and_fails_while_nobody_answers() -> Result<()> {
    let bench = bench(LONG).await?;
    let silent = bench.idle_in_every_slot().await?;
    let silence = bench.postgres.freeze_sessions(&silent)?;
    bench.app.ping().await?;
    drop(silence);

    bench.idle_in_every_slot().await?;
    let silence = bench.postgres.freeze()?;
    for _ in 0..SLOTS {
        let began = Instant::now();
        let pinged = bench.app.ping().await;
        assert!(pinged.as_ref().is_err_and(DbError::is_transient), "{pinged:?}");
        assert!(began.elapsed() < SOON, "after {:?}", began.elapsed());
    }
    drop(silence);
    bench.app.ping().await?;
    bench.every_slot().await?;
    Ok(())
}

#[tokio::test]
async fn a_single_statement_ends_in_time_and_costs_no_slot() -> Result<()> {
    let bench = bench(TIME_MAX).await?;
    if bench.postgres.pgbouncer().is_some() {
        // Outside a transaction the next statement gets another session, which nobody has silenced.
        return Ok(());
    }
    let task = TaskDb::open(&bench.config, "test")?;
    let backend = || task.run(async |on| sqlx::query_scalar::<_, i32>("SELECT pg_backend_pid()").fetch_one(on).await);
    let mut silence = Vec::new();
    for _ in 0..ROUNDS {
        let served = tokio::try_join!(backend(), backend())?;
        eventually(|| async { task.pool().num_idle() == SLOTS }, SOON).await?;
        silence.push(bench.postgres.freeze_sessions(&[served.0, served.1])?);
        let ended = backend().await;
        assert!(matches!(ended, Err(DbError::TimeOver)), "{ended:?}");
        // The other silent one went with it.
        backend().await?;
        eventually(|| async { task.pool().num_idle() == 1 }, SOON).await?;
    }
    Ok(())
}

/// The server answers, but the caller does not wait for it.
#[tokio::test]
async fn calls_cut_off_in_mid_statement_leave_the_pool_usable() -> Result<()> {
    let bench = bench(LONG).await?;
    for statement in ["SELECT pg_sleep(60)", "SELECT pg_sleep(0.5)"] {
        for _ in 0..ROUNDS {
            let (open, _) = bench.every_slot().await?;
            for mut tx in open {
                let cut_off = sqlx::query(statement).execute(&mut *tx);
                assert!(tokio::time::timeout(Duration::from_millis(10), cut_off).await.is_err());
            }
        }
    }
    bench.every_slot().await?;
    Ok(())
}

#[tokio::test]
async fn a_dropped_transaction_keeps_its_connection() -> Result<()> {
    let bench = bench(LONG).await?;
    let (mut open, mut backends) = bench.every_slot().await?;
    // In order, and failed.
    sqlx::query(INSERT).execute(&mut *open[0]).await?;
    sqlx::query("SELECT 1 / 0").execute(&mut *open[1]).await.expect_err("nothing divides by zero");
    drop(open);
    let (_open, mut again) = bench.every_slot().await?;
    backends.sort_unstable();
    again.sort_unstable();
    assert_eq!(again, backends);
    assert_eq!(bench.rows().await?, 0);
    Ok(())
}
