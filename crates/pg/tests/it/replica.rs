//! Lists from a streaming replica: while it is within its lag, and from the primary while it is not.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use holdfast_pg::{DbError, PoolConfig, ReadDb, ReadTx, Role};
use holdfast_testkit::{Database, Postgres, PostgresOptions, eventually};
use sqlx::{Connection as _, PgConnection};

use crate::scope;

const LAG_MAX: Duration = Duration::from_millis(500);
const SOON: Duration = Duration::from_secs(60);
const INSERT: &str = "INSERT INTO jobs.project_intake (tenant_id, project_id, submitted, infra_submitted)
                      VALUES ($1, $2, 0, 0)";

struct Pair {
    read: ReadDb,
    database: Database,
    replica: Postgres,
    _primary: Postgres,
}

/// What a read found: the projects that it saw, and whether it saw them on the replica.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    projects: Vec<String>,
    on_replica: bool,
}

impl Pair {
    async fn start() -> Result<Self> {
        let primary = Postgres::start(PostgresOptions { fsync: false, ..PostgresOptions::default() }).await?;
        let database = Database::create_on(&primary).await?;
        let replica = primary.replica().await?;
        let at = |url: &holdfast_pg::DatabaseUrl| PoolConfig::new(url.clone()).with_connections_max(4);
        let elsewhere = replica.login(Role::JobsApp, database.name())?;
        let read = ReadDb::open(&at(database.url(Role::JobsApp)), "test")?;
        let read = read.with_replica(&at(&elsewhere), LAG_MAX, "test")?;
        let pair = Self { read, database, replica, _primary: primary };
        pair.reads_on_the_replica().await?;
        Ok(pair)
    }

    async fn insert(&self, tenant: &str, project: &str) -> Result<()> {
        sqlx::query(INSERT).bind(tenant).bind(project).execute(self.database.admin()).await?;
        Ok(())
    }

    /// As tenant a.
    async fn found(&self) -> Result<Found, DbError> {
        self.read.read(&scope(&["a"]), None, look).await
    }

    async fn reads_on_the_replica(&self) -> Result<()> {
        eventually(|| async { self.found().await.is_ok_and(|found| found.on_replica) }, SOON).await
    }

    /// On the replica itself.
    async fn tell_replica(&self, statement: &'static str) -> Result<()> {
        let mut admin = PgConnection::connect(self.replica.admin_url(self.database.name())?.expose()).await?;
        sqlx::query(statement).execute(&mut admin).await?;
        Ok(admin.close().await?)
    }
}

async fn look(mut tx: ReadTx) -> Result<Found, DbError> {
    let on_replica = sqlx::query_scalar("SELECT pg_is_in_recovery()").fetch_one(&mut *tx).await?;
    let projects =
        sqlx::query_scalar("SELECT project_id FROM jobs.project_intake ORDER BY 1").fetch_all(&mut *tx).await?;
    tx.commit().await?;
    Ok(Found { projects, on_replica })
}

#[tokio::test]
async fn a_stale_replica_is_not_read_until_it_has_caught_up() -> Result<()> {
    let pair = Pair::start().await?;
    pair.tell_replica("SELECT pg_wal_replay_pause()").await?;
    pair.insert("a", "written-behind-its-back").await?;
    let written = Instant::now();
    let known = ["written-behind-its-back"];

    // Until the lag is over it may be missing, and not a moment longer.
    loop {
        let asked = Instant::now();
        let found = pair.found().await?;
        if found.on_replica {
            ensure!(found.projects.is_empty(), "the replica replays nothing");
            ensure!(asked < written + LAG_MAX, "stale {:?} after the write", written.elapsed());
        } else {
            ensure!(found.projects == known, "the primary does not show what was written: {found:?}");
            break;
        }
    }
    for _ in 0..50 {
        assert_eq!(pair.found().await?, Found { projects: vec![known[0].to_owned()], on_replica: false });
    }

    pair.tell_replica("SELECT pg_wal_replay_resume()").await?;
    pair.reads_on_the_replica().await?;
    assert_eq!(pair.found().await?.projects, known, "it was read before it had caught up");
    Ok(())
}

#[tokio::test]
async fn nobody_lags_behind_a_primary_that_is_idle() -> Result<()> {
    let pair = Pair::start().await?;
    let until = Instant::now() + 4 * LAG_MAX;
    let (mut reads, mut elsewhere) = (0, 0);
    while Instant::now() < until {
        reads += 1;
        elsewhere += usize::from(!pair.found().await?.on_replica);
    }
    // What the server writes by itself, now and then, has to be replayed like anything else.
    ensure!(elsewhere * 10 < reads, "{elsewhere} of {reads} reads went to the primary");
    Ok(())
}

#[tokio::test]
async fn no_read_fails_while_the_replica_is_away() -> Result<()> {
    let pair = Pair::start().await?;
    for crash in [true, false] {
        if crash {
            pair.replica.kill().await?;
        } else {
            pair.replica.stop().await?;
        }
        for _ in 0..20 {
            assert!(!pair.found().await?.on_replica);
        }
        pair.replica.restart().await?;
        pair.reads_on_the_replica().await?;
    }

    let frozen = pair.replica.freeze()?;
    let began = Instant::now();
    assert!(!pair.found().await?.on_replica);
    assert!(began.elapsed() < SOON, "after {:?}", began.elapsed());
    drop(frozen);
    pair.reads_on_the_replica().await
}

#[tokio::test]
async fn a_read_that_the_replica_breaks_off_is_done_on_the_primary() -> Result<()> {
    let pair = Pair::start().await?;
    let look_and_kill = async |mut tx: ReadTx| {
        let on_replica: bool = sqlx::query_scalar("SELECT pg_is_in_recovery()").fetch_one(&mut *tx).await?;
        if on_replica {
            pair.replica.kill().await.expect("the replica runs");
        }
        look(tx).await
    };
    let found = pair.read.read(&scope(&["a"]), None, look_and_kill).await?;
    assert!(!found.on_replica);
    Ok(())
}

/// It was promoted: what it has from now on is another history, however far it is.
#[tokio::test]
async fn a_replica_that_was_promoted_is_not_read() -> Result<()> {
    let pair = Pair::start().await?;
    pair.tell_replica("SELECT pg_promote()").await?;
    eventually(|| async { pair.read.replica_lag().is_none() }, SOON).await?;
    let mut other = PgConnection::connect(pair.replica.admin_url(pair.database.name())?.expose()).await?;
    sqlx::query(INSERT).bind("a").bind("of-another-history").execute(&mut other).await?;
    for _ in 0..20 {
        assert_eq!(pair.found().await?.projects, [""; 0]);
    }
    Ok(())
}

#[tokio::test]
async fn tenants_are_kept_apart_and_nothing_is_written_there_too() -> Result<()> {
    let pair = Pair::start().await?;
    pair.insert("a", "of-a").await?;
    pair.insert("b", "of-b").await?;
    let look_twice = || async {
        let found = pair.found().await?;
        ensure!(found.on_replica && !found.projects.is_empty(), "not there yet: {found:?}");
        Ok(found)
    };
    assert_eq!(eventually(look_twice, SOON).await?.projects, ["of-a"]);

    let elsewhere = pair.replica.login(Role::JobsApp, pair.database.name())?;
    let mut unscoped = PgConnection::connect(elsewhere.expose()).await?;
    let seen: i64 = sqlx::query_scalar("SELECT count(*) FROM jobs.project_intake").fetch_one(&mut unscoped).await?;
    assert_eq!(seen, 0, "rows are shown to a session without a scope");

    // The primary would take it, were the session not read-only there too.
    let write = async |mut tx: ReadTx| {
        sqlx::query(INSERT).bind("a").bind("by-a-list").execute(&mut *tx).await?;
        Ok::<_, DbError>(())
    };
    let refused = pair.read.read(&scope(&["a"]), None, write).await;
    assert!(matches!(refused, Err(DbError::Unavailable(_))), "{refused:?}");
    Ok(())
}
