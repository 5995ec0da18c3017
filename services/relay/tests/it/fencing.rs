use anyhow::{Result, ensure};
use holdfast_events::shard_of;

use crate::harness::{Harness, check, drained};

/// A relay fetched rows, was paused, and wakes up after another has published them and newer ones.
#[tokio::test]
async fn a_relay_that_wakes_up_late_adds_nothing() -> Result<()> {
    let harness = Harness::start().await?;
    let mut paused = harness.holding_relay().await?;
    let mut written = harness.write_many(&["a", "b", "c"], 5).await?;
    let fetched = paused.publisher.fetch().await?;
    ensure!(fetched.rows.len() == 15);

    expire_leases(&harness).await?;
    let mut successor = harness.holding_relay().await?;
    written.extend(harness.write_many(&["a", "b", "c"], 5).await?);
    drained(&mut successor).await?;

    let round = paused.publisher.publish(fetched).await?;
    ensure!(round.published == 0, "the woken relay published {}", round.published);
    let seen = harness.events().await?;
    check(&written, &seen)?;
    ensure!(seen.len() == written.len(), "something came twice");
    drained(&mut paused).await?;
    let believed: Vec<u16> = paused.holdings.leases().iter().map(|lease| lease.shard).collect();
    ensure!(["a", "b", "c"].iter().all(|key| !believed.contains(&shard_of(key))), "it still believes in {believed:?}");
    paused.membership.run_once().await?;
    ensure!(paused.holdings.leases().is_empty());
    Ok(())
}

/// The same with a successor that has raised the epoch but published nothing yet.
#[tokio::test]
async fn the_epoch_is_raised_before_the_successor_reads() -> Result<()> {
    let harness = Harness::start().await?;
    let mut paused = harness.holding_relay().await?;
    let written = harness.write_many(&["a"], 5).await?;
    let fetched = paused.publisher.fetch().await?;
    expire_leases(&harness).await?;
    let mut successor = harness.relay()?;
    successor.membership.run_once().await?;
    successor.publisher.prepare().await?;
    let round = paused.publisher.publish(fetched).await?;
    ensure!(round.published == 0 && harness.events().await?.is_empty());
    drained(&mut successor).await?;
    check(&written, &harness.events().await?)
}

/// A lease that was stolen while its thief never showed up in Redis: only PostgreSQL knows. Publishing on is harmless
/// until the thief claims; then it ends.
#[tokio::test]
async fn a_stolen_lease_ends_at_the_claim() -> Result<()> {
    let harness = Harness::start().await?;
    let mut relay = harness.holding_relay().await?;
    harness.steal_leases().await?;
    let written = harness.write_many(&["a", "b"], 3).await?;
    drained(&mut relay).await?;
    check(&written, &harness.events().await?)?;
    relay.membership.run_once().await?;
    ensure!(relay.holdings.leases().is_empty());
    Ok(())
}

/// Added to the stream, not marked: the holder died in between. Its successor finds the entries and adds nothing.
#[tokio::test]
async fn what_a_dead_holder_added_is_adopted_not_repeated() -> Result<()> {
    let harness = Harness::start().await?;
    let mut relay = harness.holding_relay().await?;
    let mut written = harness.write_many(&["a", "b", "c", "d"], 10).await?;
    drained(&mut relay).await?;
    // As if the last marking had never happened: the rows, and what their shards acknowledged.
    sqlx::raw_sql(
        "UPDATE jobs.outbox SET published_at = NULL, stream_ms = NULL, stream_seq = NULL;
         UPDATE jobs.outbox_shards SET stream_ms = 0, stream_seq = 0",
    )
    .execute(harness.admin())
    .await?;
    expire_leases(&harness).await?;
    let mut successor = harness.holding_relay().await?;
    written.extend(harness.write_many(&["a", "b", "c", "d"], 3).await?);
    drained(&mut successor).await?;
    let seen = harness.events().await?;
    check(&written, &seen)?;
    ensure!(seen.len() == written.len(), "something came twice");
    ensure!(harness.unpublished().await? == 0);
    Ok(())
}

/// A holder whose epoch has passed marks nothing, even if its entries are in the stream.
#[tokio::test]
async fn a_stale_epoch_marks_nothing() -> Result<()> {
    let harness = Harness::start().await?;
    let mut relay = harness.holding_relay().await?;
    harness.write_many(&["a"], 2).await?;
    sqlx::query("UPDATE jobs.outbox_shards SET epoch = epoch + 1").execute(harness.admin()).await?;
    let fetched = relay.publisher.fetch().await?;
    let round = relay.publisher.publish(fetched).await?;
    ensure!(round.published == 0 && harness.unpublished().await? == 2);
    Ok(())
}

/// PostgreSQL forgot the last change of hands (a failover that lost it), Redis did not: the holder that PostgreSQL names
/// is refused, gives up, and comes back with a later epoch.
#[tokio::test]
async fn a_redis_that_knows_a_later_epoch_is_caught_up_with() -> Result<()> {
    let harness = Harness::start().await?;
    let mut relay = harness.relay()?;
    relay.membership.run_once().await?;
    let epoch = relay.holdings.leases().iter().map(|lease| lease.epoch).max().unwrap_or_default();
    for shard in 0..16 {
        let head = harness.redis.keys().stream("jobs", shard).head;
        harness.server.command(&format!("HSET {head} epoch {}", epoch + 1)).await?;
    }
    let written = harness.write_many(&["a", "b"], 3).await?;
    drained(&mut relay).await?;
    ensure!(relay.holdings.leases().is_empty() && harness.events().await?.is_empty());
    relay.membership.run_once().await?;
    drained(&mut relay).await?;
    check(&written, &harness.events().await?)
}

async fn expire_leases(harness: &Harness) -> Result<()> {
    sqlx::raw_sql(
        "UPDATE relay.shard_leases SET expires_at = clock_timestamp();
         DELETE FROM relay.members",
    )
    .execute(harness.admin())
    .await?;
    Ok(())
}
