use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use holdfast_relay::Parts;

use crate::harness::Harness;

fn held(relay: &Parts) -> BTreeSet<u16> {
    relay.holdings.leases().into_iter().map(|lease| lease.shard).collect()
}

#[tokio::test]
async fn shares_even_out_and_a_leaver_s_are_taken_over() -> Result<()> {
    let harness = Harness::start().await?;
    let (first, second) = (harness.relay()?, harness.relay()?);
    first.membership.run_once().await?;
    ensure!(held(&first).len() == 16, "alone it holds all");
    let epoch = first.holdings.leases()[15].epoch;

    second.membership.run_once().await?;
    ensure!(held(&second).is_empty(), "nothing is free yet");
    first.membership.run_once().await?;
    ensure!(held(&first).len() == 8, "it gives up what it has beyond its share");
    second.membership.run_once().await?;
    ensure!(held(&second).len() == 8 && held(&first).is_disjoint(&held(&second)));
    ensure!(second.holdings.leases().iter().all(|lease| lease.epoch > epoch), "epochs grow with a change of hands");

    first.membership.leave().await?;
    ensure!(held(&first).is_empty());
    second.membership.run_once().await?;
    ensure!(held(&second).len() == 16, "what was given up is taken at once");
    Ok(())
}

#[tokio::test]
async fn an_expired_lease_is_not_renewed_but_taken_anew() -> Result<()> {
    let harness = Harness::start().await?;
    let relay = harness.relay()?;
    relay.membership.run_once().await?;
    let before = relay.holdings.leases();
    sqlx::query("UPDATE relay.shard_leases SET expires_at = clock_timestamp()").execute(harness.admin()).await?;
    relay.membership.run_once().await?;
    let after = relay.holdings.leases();
    ensure!(after.len() == 16);
    ensure!(before.iter().zip(&after).all(|(before, after)| after.epoch > before.epoch));
    Ok(())
}

#[tokio::test]
async fn relays_that_start_together_hold_disjoint_shards() -> Result<()> {
    let harness = Harness::start().await?;
    let relays = [harness.relay()?, harness.relay()?, harness.relay()?];
    for _ in 0..3 {
        let [a, b, c] = &relays;
        tokio::try_join!(a.membership.run_once(), b.membership.run_once(), c.membership.run_once())?;
    }
    let all: Vec<u16> = relays.iter().flat_map(held).collect();
    ensure!(all.len() == 16 && all.iter().collect::<BTreeSet<_>>().len() == 16, "{all:?}");
    ensure!(relays.iter().all(|relay| held(relay).len() <= 6));
    Ok(())
}

#[tokio::test]
async fn a_relay_that_is_second_at_every_shard_it_saw_takes_others_at_once() -> Result<()> {
    let harness = Harness::start().await?;
    let (first, second) = (harness.relay()?, harness.relay()?);
    first.membership.run_once().await?;
    second.membership.run_once().await?;
    sqlx::query("UPDATE relay.shard_leases SET expires_at = clock_timestamp()").execute(harness.admin()).await?;

    let mut third = harness.admin().begin().await?;
    let taking = "UPDATE relay.shard_leases SET holder = 'third', expires_at = clock_timestamp() + interval '1 min'
        WHERE shard < 8";
    sqlx::query(taking).execute(&mut *third).await?;
    let its_commit = async {
        harness.database.is_waited_for(&mut third, 1).await?;
        anyhow::Ok(third.commit().await?)
    };
    let (renewed, committed) = tokio::join!(second.membership.run_once(), its_commit);
    committed?;
    renewed?;
    ensure!(held(&second) == (8..16).collect(), "{:?}", held(&second));
    Ok(())
}
