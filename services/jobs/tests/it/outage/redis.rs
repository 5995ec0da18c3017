//! Redis goes away and comes back with nothing in it.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context as _, Result, ensure};
use holdfast_events::{Signer, StreamReader, VerifyingKeys};
use holdfast_redis::{Redis, RedisConfig};
use holdfast_testkit::{Stack, http_get};
use sqlx::PgPool;
use tonic::transport::Endpoint;

use crate::support::*;

const PENDING_HARD: usize = 20;

/// Events wait in the outbox until it is full; then submissions wait too, and only they.
#[test]
fn without_redis_work_goes_on_until_the_outbox_is_full() -> Result<()> {
    run(async {
        let stack = Stack::builder()
            .jobs_env("LIMITS__RUNNING_PER_PROJECT", 1000)
            .jobs_env("LIMITS__OUTBOX_PENDING_SOFT", 10)
            .jobs_env("LIMITS__OUTBOX_PENDING_HARD", PENDING_HARD)
            .jobs_env("TASKS__OUTBOX_PENDING_PERIOD_MS", 20)
            .start()
            .await?;
        let (tenant, admin) = (tenant(), stack.database.admin());
        let channel = Endpoint::from_shared(stack.jobs[0].endpoint())?.connect_lazy();
        let alice = Api::new(channel.clone(), stack.tokens.issue(user("alice", &tenant)));
        let worker = Api::new(channel, stack.tokens.issue(worker("worker-1", &tenant)));
        // A stream that holds something has something to lose.
        alice.submit_job(job()).await?;
        eventually(|| drained(admin), SOON).await?;
        let processes = [stack.jobs[0].process.pid(), stack.relays[0].pid()];
        stack.redis.kill().await?;

        let (accepted, refusal) = submit_until_refused(&alice).await?;
        assert!(accepted >= PENDING_HARD, "refused after {accepted} submissions");
        let refusal = refused(Err::<(), _>(refusal), Reason::Infra503DependencyDown);
        assert_eq!(refusal.metadata.get("component").map(String::as_str), Some("outbox"));
        assert_eq!(pending(admin).await?, accepted);

        // Its hints are gone, and its polls find the jobs.
        let leased = worker.lease_jobs(lease_waiting(5)).await?.jobs;
        for job in &leased {
            worker.complete_job(complete(job, json("7"))).await?;
        }
        ensure!(!leased.is_empty(), "nothing was leased");
        assert_eq!(pending(admin).await?, accepted + 2 * leased.len(), "a lease and a completion each");
        let port = stack.jobs[0].process.http_port().context("every instance has one")?;
        assert_eq!(http_get(port, "/readyz").await?.status, 200, "slower without Redis, not down");
        refused(alice.submit_job(job()).await, Reason::Infra503DependencyDown);

        fs::remove_dir_all(stack.redis.directory().join("appendonlydir"))?;
        stack.redis.restart().await?;
        eventually(|| alice.submit_job(job()), SOON).await?;
        eventually(|| drained(admin), SOON).await?;
        assert_eq!([stack.jobs[0].process.pid(), stack.relays[0].pid()], processes, "somebody was started again");
        every_event_arrives(&stack).await
    })
}

async fn submit_until_refused(alice: &Api) -> Result<(usize, tonic::Status)> {
    // The count of what waits is behind by its period: more than this is accepted by no clock.
    const ACCEPTED_MAX: usize = 100 * PENDING_HARD;
    for accepted in 0..ACCEPTED_MAX {
        if let Err(status) = alice.submit_job(job()).await {
            return Ok((accepted, status));
        }
    }
    anyhow::bail!("{ACCEPTED_MAX} submissions were accepted")
}

async fn pending(admin: &PgPool) -> Result<usize> {
    let sql = "SELECT count(*) FROM jobs.outbox WHERE published_at IS NULL";
    Ok(usize::try_from(sqlx::query_scalar::<_, i64>(sql).fetch_one(admin).await?)?)
}

async fn drained(admin: &PgPool) -> Result<()> {
    let pending = pending(admin).await?;
    ensure!(pending == 0, "{pending} events wait");
    Ok(())
}

/// A consumer that starts from nothing reads all that ever happened, those events included that Redis had and lost.
async fn every_event_arrives(stack: &Stack) -> Result<()> {
    let sql = "SELECT outbox_id::text FROM jobs.outbox";
    let expected: Vec<String> = sqlx::query_scalar(sql).fetch_all(stack.database.admin()).await?;
    let mut expected = BTreeSet::from_iter(expected);
    let redis = Redis::connect(&RedisConfig::new(stack.redis.url(), Stack::REDIS_PREFIX))?;
    let keys: VerifyingKeys = Signer::new(Stack::EVENT_KEY_ID, stack.event_key.as_bytes())?.verifying_keys();
    let mut reader = StreamReader::from_start(&redis, "jobs", keys);
    while !expected.is_empty() {
        let deliveries = reader.next(SOON).await?;
        ensure!(!deliveries.is_empty(), "these did not arrive: {expected:?}");
        for delivery in deliveries {
            let event = delivery.event.map_err(|refusal| anyhow::anyhow!("{refusal:?}"))?;
            expected.remove(&event.event_id);
        }
    }
    Ok(())
}
