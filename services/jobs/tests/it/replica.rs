//! Lists and histories come from a replica, decisions never do.

use anyhow::{Result, ensure};
use holdfast_pg::Role as Login;
use holdfast_testkit::{Database, Postgres, PostgresOptions};
use sqlx::{Connection as _, PgConnection};

use crate::support::*;

#[test]
fn lists_may_lag_and_decisions_never_do() -> Result<()> {
    run(async {
        let primary = Postgres::start(PostgresOptions { fsync: false, ..PostgresOptions::default() }).await?;
        let db = Database::create_on(&primary).await?;
        let replica = primary.replica().await?;
        // So much that the replica is read for as long as the test goes on, whatever it lacks.
        let settings = Settings::default()
            .set("database.read_url", replica.login(Login::JobsApp, db.name())?.expose())
            .set("database.read_lag_max_ms", 3_600_000);
        let world = World::over(db, settings.clone()).await?;
        let tenant = tenant();
        let alice = world.user("alice", &tenant);
        let listed = async || anyhow::Ok(alice.list_jobs(list()).await?.jobs.len());

        let first = alice.submit_job(job()).await?.job_id;
        let at_replica = replica.admin_url(world.db.name())?;
        let mut at_replica = PgConnection::connect(at_replica.expose()).await?;
        while sqlx::query_scalar::<_, i64>("SELECT count(*) FROM jobs.jobs").fetch_one(&mut at_replica).await? == 0 {}
        sqlx::query("SELECT pg_wal_replay_pause()").execute(&mut at_replica).await?;
        let second = alice.submit_job(job()).await?.job_id;
        // The service knows of the replica when it has measured twice.
        eventually(|| async { listed().await.is_ok_and(|jobs| jobs == 1) }, SOON).await?;
        ensure!(alice.history(&first).await?.len() == 1);
        refused(alice.history(&second).await, Reason::Job404NotFound);

        // Asked for by its id it is there.
        alice.job(&second).await?;
        sqlx::query("SELECT pg_wal_replay_resume()").execute(&mut at_replica).await?;
        eventually(|| async { listed().await.is_ok_and(|jobs| jobs == 2) }, SOON).await?;
        ensure!(alice.history(&second).await?.len() == 1);
        Ok(())
    })
}
