//! The relay by itself and beside its load.
//!
//! Drained: jobs are submitted while no relay runs, then one is started; the rate counts from the first stream entry to
//! the last row marked as published, and the streams must hold as many entries as the outbox has rows.
//!
//! Commit to stream: jobs are submitted and done at a quarter of that rate in events. The time is from the row's
//! created_at, which the database's clock gives inside the transaction, before its commit, to the milliseconds of the
//! stream entry's id, which Redis gives; both clocks are this machine's. It therefore contains the commit.

use std::{sync::Arc, time::Duration};

use anyhow::{Result, ensure};
use chrono::{DateTime, Utc};
use holdfast_testkit::eventually;
use serde::{Deserialize, Serialize};
use tokio::{task::JoinSet, time::sleep};

use super::{Plan, RELAY, observe::observe, pickup::PacedLoad, submit::IDLE};
use crate::{
    load::{Board, Submitter, ensure_clean},
    measure::{
        conditions::Conditions,
        percentiles::Percentiles,
        processes::{ProgramUse, snapshot},
    },
    stack::Stack,
};

/// Events of a job that is submitted and done: queued, running, done.
const EVENTS_PER_JOB: f64 = 3.0;
/// Of the measured end-to-end rate: what a paced load may ask for and still measure the relay, not a queue.
const SHARE_OF_RATE_MAX: f64 = 0.75;
const BATCH_JOBS: usize = 200;
const BATCH_CONNECTIONS: usize = 10;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Measured {
    pub drain: Drain,
    pub commit_to_stream: CommitToStream,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Drain {
    pub events: i64,
    pub event_bytes_mean: f64,
    pub seconds: f64,
    pub events_per_s: f64,
    /// The same events, from the start of the relay's process on.
    pub seconds_from_process_start: f64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CommitToStream {
    pub jobs_per_s: f64,
    /// True where a quarter of the drain rate was more than the service can be loaded with.
    pub capped: bool,
    pub events_per_s: f64,
    pub latency: Percentiles,
    pub processes: Vec<ProgramUse>,
}

pub async fn run(plan: &Plan, backlog: usize) -> Result<()> {
    let drain = drained(backlog).await?;
    println!("relay: {} events drained at {:.0} events/s", drain.events, drain.events_per_s);
    let asked = drain.events_per_s / 4.0 / EVENTS_PER_JOB;
    let most = plan.measured_rate()? * SHARE_OF_RATE_MAX;
    let stack = Stack::start(64).await?;
    let commit_to_stream = beside_load(plan, &stack, asked.min(most), asked > most).await?;
    println!(
        "relay: commit to stream at {:.0} events/s: p50 {:.0} ms, p99 {:.0} ms",
        commit_to_stream.events_per_s, commit_to_stream.latency.p50_ms, commit_to_stream.latency.p99_ms
    );
    let conditions = Conditions::look(stack.database()).await?;
    plan.results.write(RELAY, conditions, Some(stack.redis_version().await?), Measured { drain, commit_to_stream })
}

async fn drained(backlog: usize) -> Result<Drain> {
    let mut stack = Stack::start_without_relay(64).await?;
    submit_backlog(&stack, backlog).await?;
    sqlx::query("CHECKPOINT").execute(stack.admin()).await?;
    let process_started = Utc::now();
    stack.start_relay().await?;
    let nothing_waits = || async {
        sqlx::query_scalar::<_, bool>("SELECT NOT EXISTS (SELECT FROM jobs.outbox WHERE published_at IS NULL)")
            .fetch_one(stack.admin())
            .await
            .is_ok_and(|empty| empty)
    };
    eventually(nothing_waits, Duration::from_secs(600)).await?;
    let (events, first, last, event_bytes_mean): (i64, DateTime<Utc>, DateTime<Utc>, f64) = sqlx::query_as(
        "SELECT count(*), to_timestamp(min(stream_ms) / 1000.0), max(published_at), avg(octet_length(event_payload))::float8
         FROM jobs.outbox",
    )
    .fetch_one(stack.admin())
    .await?;
    let entries = stack.stream_entries().await?;
    ensure!(entries == events as u64, "the outbox has {events} events, the streams have {entries} entries");
    let seconds = (last - first).as_seconds_f64();
    Ok(Drain {
        events,
        event_bytes_mean,
        seconds,
        events_per_s: events as f64 / seconds,
        seconds_from_process_start: (last - process_started).as_seconds_f64(),
    })
}

async fn submit_backlog(stack: &Stack, jobs: usize) -> Result<()> {
    let board = Arc::new(Board::new(None));
    let mut calls = JoinSet::new();
    let each = jobs.div_ceil(BATCH_JOBS * BATCH_CONNECTIONS);
    for mut submitter in Submitter::connect(&stack.target, BATCH_CONNECTIONS).await? {
        let board = board.clone();
        calls.spawn(async move {
            for _ in 0..each {
                submitter.submit_many(&board, BATCH_JOBS).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(call) = calls.join_next().await {
        call??;
    }
    ensure_clean(&board)
}

async fn beside_load(plan: &Plan, stack: &Stack, rate: f64, capped: bool) -> Result<CommitToStream> {
    sleep(IDLE).await;
    let idle = snapshot(stack)?;
    let load = PacedLoad::start(plan, stack, rate).await?;
    sleep(plan.timing.warm_up).await;
    let opened = Utc::now();
    let observed = observe(stack, &load.board, &idle, plan.timing.window).await?;
    let closed = opened + plan.timing.window;
    load.finish(plan).await?;
    // The events of the last moment too.
    let nothing_waits = || async {
        sqlx::query_scalar::<_, i64>("SELECT count(*) FROM jobs.outbox WHERE published_at IS NULL")
            .fetch_one(stack.admin())
            .await
            .is_ok_and(|waiting| waiting == 0)
    };
    eventually(nothing_waits, plan.patience()).await?;
    let latency = commit_to_stream(stack, opened, closed).await?;
    Ok(CommitToStream {
        jobs_per_s: observed.per_s(observed.counts.done),
        capped,
        events_per_s: latency.count as f64 / observed.window_s,
        latency,
        processes: observed.processes,
    })
}

async fn commit_to_stream(stack: &Stack, opened: DateTime<Utc>, closed: DateTime<Utc>) -> Result<Percentiles> {
    let (count, quantiles): (i64, Vec<f64>) = sqlx::query_as(
        "SELECT count(*), percentile_disc(ARRAY[0.5, 0.95, 0.99, 1.0]) WITHIN GROUP (ORDER BY late_ms)
         FROM (
             -- Both rounded down to a millisecond, as the entry's id is.
             SELECT greatest(stream_ms - floor(extract(epoch FROM created_at) * 1000), 0)::float8 AS late_ms
             FROM jobs.outbox WHERE created_at >= $1 AND created_at < $2
         ) AS event",
    )
    .bind(opened)
    .bind(closed)
    .fetch_one(stack.admin())
    .await?;
    let [p50_ms, p95_ms, p99_ms, max_ms] = quantiles[..] else { anyhow::bail!("no event was written in the window") };
    Ok(Percentiles { count: count.try_into()?, p50_ms, p95_ms, p99_ms, max_ms })
}
