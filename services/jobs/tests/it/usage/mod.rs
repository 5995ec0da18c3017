//! UsageService: what jobs use, and the budgets that it counts against.

mod admitting;
mod counters;
mod entering;
mod exceeding;
mod racing;
mod recording;
mod sweeping;

use anyhow::{Context as _, Result};
use holdfast_ids::TenantId;
use pb::BudgetScope;
use pb::record_usage_result::{Outcome, Recorded};
use sqlx::PgPool;

use crate::support::*;

/// Budgets that are quick to exceed, and background work that is quick to notice.
fn lively() -> Settings {
    Settings::default()
        .set("tasks.budget_sweep_period_ms", 50)
        .set("tasks.budget_counters_period_ms", 100)
        .set("budgets.refresh_period_ms", 50)
}

async fn outcomes(api: &Api, usages: impl IntoIterator<Item = pb::Usage>) -> Result<Vec<Outcome>> {
    let results = api.record_usage(reports(usages)).await?.results;
    results.into_iter().map(|result| result.outcome.context("a result without an outcome")).collect()
}

async fn outcome(api: &Api, usage: pb::Usage) -> Result<Outcome> {
    outcomes(api, [usage]).await?.pop().context("an answer without a result")
}

async fn recorded(api: &Api, usage: pb::Usage) -> Result<Recorded> {
    match outcome(api, usage).await? {
        Outcome::Recorded(recorded) => Ok(recorded),
        Outcome::Error(status) => anyhow::bail!("not recorded: {status:?}"),
    }
}

fn not_recorded(outcome: Outcome, reason: Reason) -> holdfast_fault::Received {
    match outcome {
        Outcome::Error(status) => refused_item(&status, reason),
        Outcome::Recorded(recorded) => panic!("this must be refused with {reason:?}: {recorded:?}"),
    }
}

/// Under the lease of a job.
fn held(job: &pb::LeasedJob, tokens: i64, cost_micro_usd: i64) -> pb::Usage {
    pb::Usage { job_id: String::new(), lease: job.lease.clone(), ..usage("", tokens, cost_micro_usd) }
}

/// Tokens and money used of one of the budgets.
fn used(budgets: &[pb::Budget], scope: BudgetScope) -> (i64, i64) {
    let budget = budgets.iter().find(|budget| budget.scope() == scope).expect("every answer has all four");
    (budget.tokens.map_or(0, |amount| amount.used), budget.cost_micro_usd.map_or(0, |amount| amount.used))
}

/// A job that runs, of a project.
async fn running(world: &World, tenant: &TenantId, project: &str) -> Result<pb::LeasedJob> {
    let job_id = world.user("alice", tenant).submit_job(job().project(project)).await?.job_id;
    let leased = world.worker("worker-1", tenant).lease_jobs(lease_waiting(1)).await?.jobs.remove(0);
    anyhow::ensure!(id_of(&leased) == job_id, "another job was leased");
    Ok(leased)
}

/// What no moment may contradict: the sums are those of the rows, and a job that a budget ended was ended once.
async fn check_sums(pool: &PgPool) -> Result<()> {
    for (what, statement) in [
        (
            "a job's sum is not that of its usage",
            "SELECT count(*) FROM jobs.job_usage AS counted FULL JOIN ( \
                 SELECT job_id, sum(input_tokens + output_tokens) AS tokens, sum(cost_micro_usd) AS cost, count(*) AS entries \
                 FROM jobs.model_usage GROUP BY job_id) AS used USING (job_id) \
             WHERE (counted.tokens, counted.cost_micro_usd, counted.entries) \
                 IS DISTINCT FROM (used.tokens::int8, used.cost::int8, used.entries)",
        ),
        (
            "a budget's sum is not that of its usage",
            "SELECT count(*) FROM jobs.budget_usage AS counted FULL JOIN ( \
                 SELECT tenant_id, scope, scope_id, period_start, sum(input_tokens + output_tokens) AS tokens, \
                     sum(cost_micro_usd) AS cost, count(*) AS entries \
                 FROM jobs.model_usage AS usage, LATERAL (VALUES \
                     ('user', user_id, date_trunc('day', recorded_at AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'), \
                     ('project', project_id, date_trunc('day', recorded_at AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'), \
                     ('tenant', tenant_id, date_trunc('month', recorded_at AT TIME ZONE 'UTC') AT TIME ZONE 'UTC') \
                 ) AS scope (scope, scope_id, period_start) GROUP BY tenant_id, scope, scope_id, period_start \
             ) AS used USING (tenant_id, scope, scope_id, period_start) \
             WHERE (counted.tokens, counted.cost_micro_usd, counted.entries) \
                 IS DISTINCT FROM (used.tokens::int8, used.cost::int8, used.entries)",
        ),
        (
            "a job was ended by a budget more or less than once, or without its event",
            "SELECT count(*) FROM jobs.jobs AS job \
             WHERE (SELECT count(*) FROM jobs.job_events AS event \
                    WHERE event.job_id = job.job_id AND event.to_state = 'budget_exceeded') \
                 <> (job.state = 'budget_exceeded')::int4 \
             OR (SELECT count(*) FROM jobs.outbox AS event \
                 WHERE event.ordering_key = job.job_id::text AND event.event_name = 'job.budget_exceeded') \
                 <> (job.state = 'budget_exceeded')::int4",
        ),
        (
            "a job that has ended stands in dispatch",
            "SELECT count(*) FROM jobs.jobs AS job WHERE job.finished_at IS NOT NULL AND ( \
                 EXISTS (SELECT FROM jobs.job_leases AS lease WHERE lease.job_id = job.job_id) \
                 OR EXISTS (SELECT FROM jobs.job_queue AS queue WHERE queue.job_id = job.job_id) \
                 OR EXISTS (SELECT FROM jobs.job_delayed AS delayed WHERE delayed.job_id = job.job_id))",
        ),
        (
            "a project's count of running jobs is wrong",
            "SELECT count(*) FROM jobs.project_slots AS slots WHERE slots.running <> ( \
                 SELECT count(*) FROM jobs.jobs AS job WHERE job.tenant_id = slots.tenant_id \
                     AND job.project_id = slots.project_id AND job.state = 'running')",
        ),
    ] {
        let wrong: i64 = sqlx::query_scalar(statement).fetch_one(pool).await?;
        anyhow::ensure!(wrong == 0, "{what}: {wrong} times");
    }
    Ok(())
}
