//! The clock of the queue, by the running service: what it counts, what it tells, and what it ends.

mod standing;
mod telling;
mod timing_out;

use anyhow::Result;
use chrono::{DateTime, Utc};
use holdfast_events::Envelope;
use holdfast_ids::TenantId;
use pb::JobState;

use crate::support::*;

const SHORT: &str = "short.queue";
const IMPATIENT: &str = "impatient";
const BUDGET_MS: i64 = 1000;

/// One that looks all the time, with intents whose jobs may wait for a second.
fn lively() -> Settings {
    let intents = r#"
        [[intents]]
        name = "short.queue"
        queue_budget_ms = 1000

        [[intents]]
        name = "impatient"
        queue_budget_ms = 1000
        on_queue_timeout = "time_out"
    "#;
    Settings::default()
        .set("tasks.queue_clock_period_ms", 20)
        .set("tasks.leftovers_period_ms", 20)
        .set("leases.ttl_ms", 600_000)
        .with(intents)
}

async fn submitted(api: &Api, request: pb::SubmitJobRequest) -> Result<String> {
    Ok(api.submit_job(request).await?.job_id)
}

/// What is counted of a job; None where it never was.
async fn clock(world: &World, job_id: &str) -> Result<Option<i64>> {
    let statement = "SELECT waited_ms FROM jobs.job_queue_clock WHERE job_id = $1::uuid";
    Ok(sqlx::query_scalar(statement).bind(job_id).fetch_optional(world.db.admin()).await?)
}

/// Waits until at least so much is counted of a job.
async fn counted(world: &World, job_id: &str, waited_ms: i64) -> Result<i64> {
    let look = || async {
        let counted = clock(world, job_id).await?;
        anyhow::ensure!(counted >= Some(waited_ms), "{counted:?} of {waited_ms} ms");
        anyhow::Ok(counted.unwrap_or_default())
    };
    eventually(look, SOON).await
}

/// As if jobs had waited for this long.
async fn set_clocks(world: &World, tenant: &TenantId, waited_ms: i64) -> Result<()> {
    let statement = "UPDATE jobs.job_queue_clock SET waited_ms = $2 WHERE tenant_id = $1";
    sqlx::query(statement).bind(tenant.as_str()).bind(waited_ms).execute(world.db.admin()).await?;
    Ok(())
}

/// Waits until what was found by looks that began before this call is done with: by looks at a job that waits.
async fn looked_again(world: &World, witness: &str) -> Result<()> {
    let statement = "SELECT seen_at FROM jobs.job_queue_clock WHERE job_id = $1::uuid";
    let mut since: DateTime<Utc> = sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(world.db.admin()).await?;
    // The one that began after it, and one more: what the first found is done by then.
    for _ in 0..2 {
        let later = || async {
            let seen: Option<DateTime<Utc>> =
                sqlx::query_scalar(statement).bind(witness).fetch_optional(world.db.admin()).await.ok().flatten();
            seen.filter(|seen| *seen > since)
        };
        since = eventually(later, SOON).await?;
    }
    Ok(())
}

/// What was said of a job that is overdue.
async fn told(world: &World, job_id: &str) -> Result<Vec<Envelope>> {
    rows::events(world.db.admin(), &format!("queue_overdue:{job_id}")).await
}

async fn is_told(world: &World, job_id: &str) -> Result<Envelope> {
    eventually(|| async { told(world, job_id).await.ok()?.pop() }, SOON).await
}

async fn is_timed_out(api: &Api, job_id: &str) -> Result<pb::Job> {
    let look = || async { api.job(job_id).await.ok().filter(|job| job.state() == JobState::TimedOut) };
    eventually(look, SOON).await
}
