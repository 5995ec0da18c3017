//! Watches: what they bring, what they survive, how they end.

mod ends;
mod faults;
mod follows;
mod resumes;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};
use futures::future::try_join_all;
use holdfast_ids::TenantId;
use holdfast_testkit::{Stack, StackBuilder};
use tonic::transport::Endpoint;

use crate::support::*;

/// Services, a relay, and watches that do not wait long for anything.
fn stack() -> StackBuilder {
    Stack::builder()
        .jobs_env("LIMITS__RUNNING_PER_PROJECT", 1000)
        .jobs_env("DISPATCH__POLL_MS", 20)
        .jobs_env("WATCH__POLL_MS", 50)
        .jobs_env("WATCH__BOOKMARK_PERIOD_MS", 200)
}

fn api(stack: &Stack, instance: usize, spec: holdfast_caller::issuer::TokenSpec) -> Result<Api> {
    let channel = Endpoint::from_shared(stack.jobs[instance].endpoint())?.connect_lazy();
    Ok(Api::new(channel, stack.tokens.issue(spec)))
}

/// Jobs that wait for nobody: one transition each.
async fn submit(alice: &Api, count: usize) -> Result<()> {
    let later = chrono::Utc::now() + chrono::TimeDelta::hours(1);
    alice.batch_submit_jobs(batch((0..count).map(|_| job().not_before(later)))).await?;
    Ok(())
}

/// Jobs that are done: three transitions each.
async fn do_jobs(alice: &Api, worker: &Api, count: usize) -> Result<()> {
    alice.batch_submit_jobs(batch((0..count).map(|_| job()))).await?;
    let mut done = 0;
    while done < count {
        for leased in worker.lease_jobs(lease_waiting(100)).await?.jobs {
            worker.complete_job(complete(&leased, json("1"))).await?;
            done += 1;
        }
    }
    Ok(())
}

/// Every transition of the tenant's project, as the history has it.
async fn history(stack: &Stack, tenant: &TenantId) -> Result<BTreeSet<(String, i64)>> {
    let sql = "SELECT job_id::text, seq FROM jobs.job_events WHERE tenant_id = $1 AND project_id = $2";
    let rows: Vec<(String, i64)> =
        sqlx::query_as(sql).bind(tenant.as_str()).bind(PROJECT).fetch_all(stack.database.admin()).await?;
    Ok(BTreeSet::from_iter(rows))
}

/// All of it came, and the first time in the order of each job's numbers.
fn check(seen: &[(String, i64)], history: &BTreeSet<(String, i64)>) -> Result<()> {
    let mut latest = BTreeMap::new();
    let mut ids = BTreeSet::new();
    for (job_id, seq) in seen {
        if ids.insert((job_id.clone(), *seq)) {
            let before = latest.insert(job_id, *seq);
            ensure!(before.unwrap_or(0) < *seq, "{seq} of {job_id} came behind {before:?}");
        }
    }
    let lost: Vec<_> = history.difference(&ids).collect();
    let invented: Vec<_> = ids.difference(history).collect();
    ensure!(lost.is_empty() && invented.is_empty(), "lost {lost:?}, invented {invented:?}");
    Ok(())
}

/// As [`check`], and nothing came twice.
fn check_once(watch: &Watch, history: &BTreeSet<(String, i64)>) -> Result<()> {
    check(&watch.seen(), history)?;
    ensure!(watch.events.len() == history.len(), "{} events for {}", watch.events.len(), history.len());
    Ok(())
}

async fn published(stack: &Stack) -> Result<()> {
    let sql = "SELECT count(*) FROM jobs.outbox WHERE published_at IS NULL";
    let look = || async {
        let waiting: i64 = sqlx::query_scalar(sql).fetch_one(stack.database.admin()).await?;
        ensure!(waiting == 0, "{waiting} events wait");
        anyhow::Ok(())
    };
    eventually(look, SOON).await
}

/// Leaves the newest entry of each shard, which there has to be.
async fn trim(stack: &Stack) -> Result<()> {
    for shard in 0..16 {
        let command = format!("XTRIM {{{}:jobs:{shard}}}:events MAXLEN 1", Stack::REDIS_PREFIX);
        let trimmed = stack.redis.command(&command).await?;
        ensure!(trimmed.starts_with(':') && trimmed != ":0", "shard {shard}: {trimmed}");
    }
    Ok(())
}

/// Resumes where another watch of the project stood.
fn resumed(token: &str) -> pb::WatchJobsRequest {
    pb::WatchJobsRequest { resume_token: token.to_owned(), ..watch_project(PROJECT) }
}

/// A number among an instance's metrics; 0 where it is not there yet.
async fn metric(stack: &Stack, instance: usize, name: &str) -> Result<f64> {
    let port = stack.jobs[instance].process.http_port().expect("every instance has one");
    let page = holdfast_testkit::http_get(port, "/metrics").await?.body;
    let lines = page.lines().filter(|line| line.starts_with(name));
    Ok(lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
}
