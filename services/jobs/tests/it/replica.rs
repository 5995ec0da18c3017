//! Lists, histories and reports come from a replica, decisions never do.

use anyhow::{Context as _, Result, ensure};
use holdfast_pg::Role as Login;
use holdfast_testkit::{Database, Postgres, PostgresOptions};
use pb::{BudgetScope, CountSource, record_usage_result::Outcome};
use sqlx::{Connection as _, PgConnection};

use crate::support::*;

/// A service that reads its replica, whatever that lacks.
struct Lagging {
    world: World,
    at_replica: PgConnection,
    _replica: Postgres,
    _primary: Postgres,
}

impl Lagging {
    async fn start(settings: Settings) -> Result<Self> {
        let primary = Postgres::start(PostgresOptions { fsync: false, ..PostgresOptions::default() }).await?;
        let db = Database::create_on(&primary).await?;
        let replica = primary.replica().await?;
        let settings = settings
            .set("database.read_url", replica.login(Login::JobsApp, db.name())?.expose())
            .set("database.read_lag_max_ms", 3_600_000);
        let at_replica = PgConnection::connect(replica.admin_url(db.name())?.expose()).await?;
        let world = World::over(db, settings).await?;
        Ok(Self { world, at_replica, _replica: replica, _primary: primary })
    }

    /// Once the replica has all that was written before. `written` counts it.
    async fn pause_after(&mut self, written: &'static str) -> Result<()> {
        while sqlx::query_scalar::<_, i64>(written).fetch_one(&mut self.at_replica).await? == 0 {}
        sqlx::query("SELECT pg_wal_replay_pause()").execute(&mut self.at_replica).await?;
        Ok(())
    }

    async fn resume(&mut self) -> Result<()> {
        sqlx::query("SELECT pg_wal_replay_resume()").execute(&mut self.at_replica).await?;
        Ok(())
    }
}

#[test]
fn lists_may_lag_and_decisions_never_do() -> Result<()> {
    run(async {
        let mut lagging = Lagging::start(Settings::default()).await?;
        let alice = lagging.world.user("alice", &tenant());
        let listed = async || anyhow::Ok(alice.list_jobs(list()).await?.jobs.len());

        let first = alice.submit_job(job()).await?.job_id;
        lagging.pause_after("SELECT count(*) FROM jobs.jobs").await?;
        let second = alice.submit_job(job()).await?.job_id;
        // The service knows of the replica when it has measured twice.
        eventually(|| async { listed().await.is_ok_and(|jobs| jobs == 1) }, SOON).await?;
        ensure!(alice.history(&first).await?.len() == 1);
        refused(alice.history(&second).await, Reason::Job404NotFound);

        // Asked for by its id it is there.
        alice.job(&second).await?;
        lagging.resume().await?;
        eventually(|| async { listed().await.is_ok_and(|jobs| jobs == 2) }, SOON).await?;
        ensure!(alice.history(&second).await?.len() == 1);
        Ok(())
    })
}

#[test]
fn reports_of_usage_may_lag_and_what_ends_a_job_never_does() -> Result<()> {
    run(async {
        let mut lagging = Lagging::start(Settings::default().set("budgets.job_tokens", 100)).await?;
        let tenant = tenant();
        let (alice, worker) = (lagging.world.user("alice", &tenant), lagging.world.worker("worker-1", &tenant));
        let job_id = alice.submit_job(job()).await?.job_id;
        let leased = worker.lease_jobs(lease_waiting(1)).await?.jobs.remove(0);
        let record = async |tokens| {
            let usage = pb::Usage { lease: leased.lease.clone(), ..usage(&job_id, tokens, 0) };
            match worker.record_usage(reports([usage])).await?.results.remove(0).outcome {
                Some(Outcome::Recorded(recorded)) => Ok(recorded),
                other => anyhow::bail!("not recorded: {other:?}"),
            }
        };
        let used = |budget: &pb::Budget| budget.tokens.map_or(0, |amount| amount.used);
        let told = async |scope, id: &str| {
            let answer = alice.get_budget(budget(scope, id)).await?;
            let tokens = answer.budget.as_ref().map(used).context("an answer has a budget")?;
            anyhow::Ok((tokens, answer.source()))
        };
        let says = async |scope, id: &str, tokens| {
            let expected = (tokens, CountSource::Postgres);
            eventually(|| async { told(scope, id).await.is_ok_and(|told| told == expected) }, SOON).await
        };

        record(60).await?;
        lagging.pause_after("SELECT count(*) FROM jobs.model_usage").await?;
        assert_eq!(used(&record(30).await?.budgets[0]), 90, "what counts is the primary's");
        says(BudgetScope::Job, &job_id, 60).await?;
        // Redis would tell what is shared; without it that is the replica's to tell as well.
        assert_eq!(told(BudgetScope::Project, PROJECT).await?.1, CountSource::Redis);
        lagging.world.redis.kill().await?;
        says(BudgetScope::Project, PROJECT, 60).await?;
        // Sixty and twenty would be within the budget.
        let last = record(20).await?;
        assert_eq!((last.exceeded, last.job_state()), (true, pb::JobState::BudgetExceeded));
        assert_eq!(told(BudgetScope::Job, &job_id).await?.0, 60);

        lagging.resume().await?;
        says(BudgetScope::Job, &job_id, 110).await?;
        says(BudgetScope::Project, PROJECT, 110).await
    })
}
