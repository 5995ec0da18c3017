//! The counters in Redis are compared with PostgreSQL and set right.

use anyhow::{Context as _, Result, ensure};
use holdfast_testkit::http_get;
use pb::{BudgetScope, CountSource};

use super::*;

/// A figure of the instance's metrics; 0 where it is not there yet.
async fn figure(world: &World, name: &str) -> Result<f64> {
    let port = world.first.process.http_port().context("every instance has one")?;
    let page = http_get(port, "/metrics").await?.body;
    let line = page.lines().find_map(|line| line.strip_prefix(name));
    line.map_or(Ok(0.0), |value| Ok(value.trim().parse()?))
}

const LOW: &str = "jobs_budget_drift_total{direction=\"low\"}";
const HIGH: &str = "jobs_budget_drift_total{direction=\"high\"}";

/// What GetBudget reads from Redis.
async fn counted(api: &Api, project: &str) -> Result<i64> {
    let told = api.get_budget(budget(BudgetScope::Project, project)).await?;
    ensure!(told.source() == CountSource::Redis, "from PostgreSQL");
    Ok(told.budget.and_then(|budget| budget.tokens).context("a count")?.used)
}

async fn says(api: &Api, tokens: i64) -> Result<()> {
    let agrees = || async {
        let counted = counted(api, PROJECT).await?;
        ensure!(counted == tokens, "{counted} and not {tokens}");
        anyhow::Ok(())
    };
    eventually(agrees, SOON).await
}

#[test]
fn lost_counters_come_back_and_wrong_ones_are_set_right_and_it_is_told() -> Result<()> {
    run(async {
        let world = World::with(lively()).await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let leased = running(&world, &tenant, PROJECT).await?;
        recorded(&worker, held(&leased, 100, 7)).await?;
        says(&alice, 100).await?;

        let before = figure(&world, LOW).await?;
        // More than once, if need be: what was still to be written of the usage may come just behind the flush.
        let found = || async {
            world.redis.flush().await?;
            says(&alice, 100).await?;
            let now = figure(&world, LOW).await?;
            ensure!(now >= before + 3.0, "{now} after {before}");
            anyhow::Ok(())
        };
        eventually(found, SOON).await?;

        // A counter that says too much would not be raised away.
        let since = at(alice.get_budget(budget(BudgetScope::Project, PROJECT)).await?.budget.and_then(|b| b.resets_at));
        let since = (since - chrono::TimeDelta::days(1)).format("%Y%m%d");
        let key = format!("hf:test:budget:project:{tenant}:{since}:{PROJECT}");
        world.redis.command(&format!("HSET {key} tokens 999999")).await?;
        says(&alice, 100).await?;
        eventually(|| async { figure(&world, HIGH).await.is_ok_and(|now| now >= 1.0) }, SOON).await?;
        let ttl = world.redis.command(&format!("PTTL {key}")).await?;
        let ttl: i64 = ttl.trim_start_matches(':').parse()?;
        ensure!(ttl > 0 && ttl <= 2 * 24 * 3600 * 1000, "it would stay for {ttl} ms");

        // What was counted while Redis was away.
        world.redis.kill().await?;
        recorded(&worker, held(&leased, 11, 1)).await?;
        let told = alice.get_budget(budget(BudgetScope::Project, PROJECT)).await?;
        assert_eq!(told.source(), CountSource::Postgres);
        assert_eq!(told.budget.and_then(|budget| budget.tokens).map(|amount| amount.used), Some(111));
        world.redis.restart().await?;
        says(&alice, 111).await?;
        let quiet = || async { figure(&world, "jobs_budget_drift_tokens").await.is_ok_and(|tokens| tokens == 0.0) };
        eventually(quiet, SOON).await
    })
}

/// A limit that was lowered since makes an exceeded budget of a count that nothing is added to any more.
#[test]
fn a_lowered_limit_is_noticed() -> Result<()> {
    run(async {
        let world = World::with(lively().set("tasks.leadership_ttl_ms", 1000)).await?;
        let tenant = tenant();
        let alice = world.user("alice", &tenant);
        let leased = running(&world, &tenant, PROJECT).await?;
        recorded(&world.worker("worker-1", &tenant), held(&leased, 100, 7)).await?;
        let strict = world.another_instance_with(&lively().set("budgets.project_day_tokens", 99)).await?;
        alice.over(&strict).submit_job(job().project("beta")).await?;
        // Then the other leads.
        world.first.process.signal(holdfast_testkit::Signal::SIGKILL)?;
        let refusal = eventually(|| async { alice.over(&strict).submit_job(job()).await.err() }, SOON).await?;
        refused(Err::<(), _>(refusal), Reason::Budget429Limit);
        let ended = || async {
            alice.over(&strict).job(&id_of(&leased)).await.is_ok_and(|job| job.exceeded_budget == "project.tokens")
        };
        eventually(ended, SOON).await
    })
}

/// However many counts there are, and whether there is a Redis to compare them with.
#[test]
fn lowered_limits_are_noticed_without_redis() -> Result<()> {
    run(async {
        let world = World::with(lively().set("budgets.user_day_tokens", 1000)).await?;
        let tenant = tenant();
        world.redis.kill().await?;
        // As counts stand whose limit was lowered: over it, and not marked.
        let insert = "INSERT INTO jobs.budget_usage \
             (tenant_id, scope, scope_id, period_start, period_end, tokens, cost_micro_usd, entries) \
             SELECT $1, 'user', 'user-' || number, date_trunc('day', now(), 'UTC'), date_trunc('day', now(), 'UTC') + interval '1 day', \
                 1001, 0, 1 FROM generate_series(1, 2100) AS number";
        sqlx::query(insert).bind(tenant.as_str()).execute(world.db.admin()).await?;
        let all_marked = || async {
            let count = "SELECT count(*) FROM jobs.budget_usage WHERE breached_at IS NOT NULL AND tenant_id = $1";
            let marked: i64 = sqlx::query_scalar(count).bind(tenant.as_str()).fetch_one(world.db.admin()).await?;
            ensure!(marked == 2100, "{marked} are marked");
            anyhow::Ok(())
        };
        eventually(all_marked, SOON).await?;
        world.redis.restart().await
    })
}
