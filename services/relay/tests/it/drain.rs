//! How fast a backlog drains: a floor that a debug build on a busy machine passes, and a figure to read.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use holdfast_relay::config::PublishConfig;
use tokio_util::sync::CancellationToken;

use crate::harness::Harness;

const EVENTS: usize = 20_000;
const PER_SECOND_MIN: f64 = 200.0;
const SLOWEST: Duration = Duration::from_secs(100);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backlog_drains() -> Result<()> {
    let harness = Harness::start().await?;
    let keys: Vec<String> = (0..2_000).map(|key| format!("job:{key}")).collect();
    harness.write_bulk(&keys, EVENTS).await?;
    let mut relay = harness.relay()?;
    let begun = Instant::now();
    let mut published = 0;
    while published < EVENTS && begun.elapsed() < SLOWEST {
        // On a slow machine it takes longer than a lease lasts.
        relay.membership.run_once().await?;
        published += relay.publisher.run_once().await?.published;
    }
    let per_second = published as f64 / begun.elapsed().as_secs_f64();
    println!("{published} events drained at {per_second:.0}/s");
    ensure!(published == EVENTS && harness.unpublished().await? == 0);
    ensure!(per_second > PER_SECOND_MIN, "{per_second:.0}/s");
    Ok(())
}

/// Events that trickle: from the commit to the stream, both by the machine's one clock. The bound is for a debug build on
/// a busy machine; the figure is to be read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trickle_reaches_the_stream_soon() -> Result<()> {
    let harness = Harness::start().await?;
    let stop = CancellationToken::new();
    let config = PublishConfig::default();
    let hints = harness.redis.listen(harness.redis.keys().wake_outbox("jobs"));
    let relay = tokio::spawn(holdfast_relay::relay::run(harness.relay()?, hints, config, stop.clone()));
    harness.write("warm-up").await?;
    harness.all_published().await?;
    let keys: Vec<String> = (0..20).map(|key| format!("job:{key}")).collect();
    let mut pace = tokio::time::interval(Duration::from_millis(20));
    for _ in 0..100 {
        pace.tick().await;
        harness.write_bulk(&keys, 20).await?;
    }
    harness.all_published().await?;
    stop.cancel();
    relay.await?;
    let mut took_ms: Vec<i64> = sqlx::query_scalar(
        "SELECT stream_ms - (extract(epoch FROM created_at) * 1000)::bigint FROM jobs.outbox WHERE ordering_key <> 'warm-up'",
    )
    .fetch_all(harness.admin())
    .await?;
    took_ms.sort_unstable();
    let (p50, p99) = (took_ms[took_ms.len() / 2], took_ms[took_ms.len() * 99 / 100]);
    println!("commit to stream: p50 {p50} ms, p99 {p99} ms");
    ensure!(p99 < 10_000, "p99 {p99} ms");
    Ok(())
}
