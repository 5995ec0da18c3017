use std::sync::Arc;

use anyhow::{Result, ensure};
use tokio_util::sync::CancellationToken;

use crate::harness::{Harness, check, drained};

#[tokio::test]
async fn events_of_a_key_come_in_order_and_once() -> Result<()> {
    let harness = Harness::start().await?;
    let written = harness.write_many(&["a", "b", "c", "d", "e"], 40).await?;
    let mut relay = harness.holding_relay().await?;
    ensure!(drained(&mut relay).await? == 0, "a second look found something");
    let seen = harness.events().await?;
    check(&written, &seen)?;
    ensure!(seen.len() == written.len(), "something came twice");
    ensure!(harness.unpublished().await? == 0);
    Ok(())
}

/// The counterexample to a cursor: a transaction draws its position first and commits last.
#[tokio::test]
async fn a_lower_position_that_commits_late_is_not_passed_over() -> Result<()> {
    let harness = Harness::start().await?;
    let mut relay = harness.holding_relay().await?;
    let mut slow = harness.admin().begin().await?;
    let mut written = vec![harness.write_in(&mut *slow, "slow", harness.next_seq()).await?];
    written.extend(harness.write_many(&["slow-neighbour", "other"], 20).await?);
    drained(&mut relay).await?;
    ensure!(harness.events().await?.len() == 40, "the committed ones go out meanwhile");
    slow.commit().await?;
    written.push(harness.write("slow").await?);
    drained(&mut relay).await?;
    check(&written, &harness.events().await?)
}

/// Two relays at work while eight writers write, each to keys of its own; then one of them leaves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_relays_share_the_work_without_reordering() -> Result<()> {
    let harness = Arc::new(Harness::start().await?);
    let stop = CancellationToken::new();
    let leaving = stop.child_token();
    let relays = [running(&harness, &leaving)?, running(&harness, &stop)?];
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let harness = harness.clone();
            tokio::spawn(async move {
                let keys: Vec<String> = (0..5).map(|key| format!("writer-{writer}-key-{key}")).collect();
                harness.write_many(&keys.iter().map(String::as_str).collect::<Vec<_>>(), 30).await
            })
        })
        .collect();
    let mut written = Vec::new();
    for (index, writer) in writers.into_iter().enumerate() {
        written.extend(writer.await??);
        if index == 4 {
            leaving.cancel();
        }
    }
    harness.all_published().await?;
    stop.cancel();
    for relay in relays {
        relay.await?;
    }
    let seen = harness.events().await?;
    check(&written, &seen)?;
    ensure!(seen.len() == written.len(), "an orderly change of hands published something twice");
    Ok(())
}

fn running(harness: &Arc<Harness>, stop: &CancellationToken) -> Result<tokio::task::JoinHandle<()>> {
    let config = holdfast_relay::config::PublishConfig { lease_ttl_ms: 1_000, ..Default::default() };
    let parts = harness.relay_with(&config)?;
    let hints = harness.redis.listen(harness.redis.keys().wake_outbox("jobs"));
    Ok(tokio::spawn(holdfast_relay::relay::run(parts, hints, config, stop.clone())))
}
