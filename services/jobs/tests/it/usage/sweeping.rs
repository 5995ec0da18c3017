//! The sweep for jobs that draw on exceeded budgets: what it finds, and how seldom it looks.

use std::time::Duration;

use anyhow::{Result, ensure};
use pb::JobState;
use sqlx::PgPool;

use super::*;

const BUDGET: &str = "tenant_id = $1 AND scope = 'project' AND scope_id = 'alpha'";

/// A project whose budget was just exceeded.
async fn exceed(world: &World, tenant: &TenantId) -> Result<()> {
    let leased = running(world, tenant, "alpha").await?;
    recorded(&world.worker("worker-1", tenant), held(&leased, 1001, 0)).await?;
    Ok(())
}

/// How long after the last look the next one comes.
async fn rest_ms(pool: &PgPool, tenant: &TenantId) -> Result<f64> {
    let statement = format!(
        "SELECT extract(epoch FROM sweep_at - clock_timestamp())::float8 * 1000 FROM jobs.budget_usage WHERE {BUDGET}"
    );
    let rest: Option<f64> =
        sqlx::query_scalar(sqlx::AssertSqlSafe(statement)).bind(tenant.as_str()).fetch_one(pool).await?;
    Ok(rest.unwrap_or(-1.0))
}

/// A budget that has been exceeded for long is looked at every five minutes; one that is not exceeded, or whose period is over,
/// no more.
#[test]
fn a_budget_that_was_swept_is_left_alone_for_longer_and_longer() -> Result<()> {
    run(async {
        let world = World::with(lively().set("budgets.project_day_tokens", 1000)).await?;
        let (tenant, admin) = (tenant(), world.db.admin());
        exceed(&world, &tenant).await?;
        let doubled = || async {
            let rest = rest_ms(admin, &tenant).await?;
            ensure!(rest > 500.0, "{rest} ms");
            anyhow::Ok(())
        };
        eventually(doubled, SOON).await?;
        let set = async |values: &str| {
            let statement = format!("UPDATE jobs.budget_usage SET {values} WHERE {BUDGET}");
            sqlx::query(sqlx::AssertSqlSafe(statement)).bind(tenant.as_str()).execute(admin).await
        };
        set("sweep_at = now(), breached_at = now() - interval '1 hour'").await?;
        let settled = || async {
            let rest = rest_ms(admin, &tenant).await?;
            ensure!((290_000.0..=300_000.0).contains(&rest), "{rest} ms");
            anyhow::Ok(())
        };
        eventually(settled, SOON).await?;
        let let_go = || async {
            let rest = rest_ms(admin, &tenant).await?;
            ensure!(rest == -1.0, "{rest} ms");
            anyhow::Ok(())
        };
        set("sweep_at = now(), tokens = 1000").await?;
        eventually(let_go, SOON).await?;
        // Again over its limit, as a lowered limit makes it: marked and swept anew.
        set("tokens = 1001").await?;
        eventually(doubled, SOON).await?;
        set("sweep_at = now(), period_end = now()").await?;
        eventually(let_go, SOON).await
    })
}

/// Of many jobs in one queue those end that draw on the budget, whatever stands between them.
#[test]
fn the_sweep_goes_through_all_of_a_queue() -> Result<()> {
    const JOBS: usize = 1300;
    run(async {
        let settings = lively().set("budgets.user_day_tokens", 1000).set("rates.users_per_minute", 0);
        let world = World::with(settings).await?;
        let tenant = tenant();
        let leased = running(&world, &tenant, "alpha").await?;
        for first in (0..JOBS).step_by(100) {
            let submitted = (first..first + 100).map(|index| {
                let name = if index % 3 == 0 { "bob" } else { "alice" };
                (name, job().project(["alpha", "beta"][index % 2]).priority((index % 10) as i32))
            });
            for name in ["alice", "bob"] {
                let own = submitted.clone().filter(|(of, _)| *of == name).map(|(_, job)| job);
                world.user(name, &tenant).batch_submit_jobs(batch(own)).await?;
            }
        }
        recorded(&world.worker("worker-1", &tenant), held(&leased, 1001, 0)).await?;
        let ended = || async {
            let left =
                "SELECT count(*) FROM jobs.jobs WHERE tenant_id = $1 AND actor_id = 'alice' AND state = 'queued'";
            let left: i64 = sqlx::query_scalar(left).bind(tenant.as_str()).fetch_one(world.db.admin()).await?;
            ensure!(left == 0, "{left} are left");
            anyhow::Ok(())
        };
        eventually(ended, Duration::from_secs(60)).await?;
        let bobs = "SELECT count(*) FROM jobs.job_queue AS queue JOIN jobs.jobs AS job USING (job_id) \
                    WHERE job.tenant_id = $1 AND job.actor_id = 'bob' AND job.state = 'queued'";
        let bobs: i64 = sqlx::query_scalar(bobs).bind(tenant.as_str()).fetch_one(world.db.admin()).await?;
        assert_eq!(bobs, JOBS.div_ceil(3) as i64);
        check_sums(world.db.admin()).await
    })
}

/// What was admitted by somebody who did not know is found, though nothing new is exceeded.
#[test]
fn what_slips_in_is_ended_about_as_late_again() -> Result<()> {
    run(async {
        let world = World::with(lively().set("budgets.project_day_tokens", 1000)).await?;
        let tenant = tenant();
        exceed(&world, &tenant).await?;
        let unaware = world.another_instance_with(&lively().set("budgets.enabled", false)).await?;
        let alice = world.user("alice", &tenant);
        let job_id = alice.over(&unaware).submit_job(job().project("alpha")).await?.job_id;
        let ended = || async { alice.job(&job_id).await.is_ok_and(|job| job.state() == JobState::BudgetExceeded) };
        eventually(ended, SOON).await?;
        check_sums(world.db.admin()).await
    })
}

/// However many days are exceeded, a month is not forgotten.
#[test]
fn thousands_of_exceeded_days_do_not_hide_a_month() -> Result<()> {
    run(async {
        let settings = lively().set("budgets.tenant_month_tokens", 1000).set("budgets.user_day_tokens", 100);
        let world = World::with(settings).await?;
        let (tenant, admin) = (tenant(), world.db.admin());
        let days = "INSERT INTO jobs.budget_usage (tenant_id, scope, scope_id, period_start, period_end, tokens, cost_micro_usd, \
                 entries, breached_at, sweep_at) \
             SELECT 'elsewhere', 'user', 'user-' || number, now(), now() + interval '1 hour', 101, 0, 1, now(), now() \
             FROM generate_series(1, 10100) AS number";
        sqlx::query(days).execute(admin).await?;
        let month = "INSERT INTO jobs.budget_usage (tenant_id, scope, scope_id, period_start, period_end, tokens, cost_micro_usd, \
                 entries, breached_at, sweep_at) \
             SELECT $1, 'tenant', $1, date_trunc('month', now(), 'UTC'), date_trunc('month', now(), 'UTC') + interval '1 month', \
                 1001, 0, 1, now(), now()";
        let alice = world.user("alice", &tenant);
        let job_id = alice.submit_job(job()).await?.job_id;
        sqlx::query(month).bind(tenant.as_str()).execute(admin).await?;
        let ended = || async {
            let seen = alice.job(&job_id).await?;
            ensure!(seen.exceeded_budget == "tenant.tokens", "{seen:?}");
            anyhow::Ok(())
        };
        eventually(ended, Duration::from_secs(30)).await?;
        // And new ones are refused by an instance that has to learn of it from PostgreSQL.
        world.redis.kill().await?;
        let fresh = world.another_instance().await?;
        let learns = || async { alice.over(&fresh).submit_job(job()).await.err() };
        refused(Err::<(), _>(eventually(learns, SOON).await?), Reason::Budget429Limit);
        world.redis.restart().await
    })
}
