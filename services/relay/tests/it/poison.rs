use anyhow::{Result, ensure};
use holdfast_events::{Envelope, encode, shard_of};
use holdfast_ids::EventId;
use holdfast_testkit::eventually;

use crate::harness::{Harness, WITHIN, Written, check, drained, envelope, insert, turn};

/// A second key on the shard of `key`.
fn neighbour_of(key: &str) -> String {
    let same = |candidate: &String| shard_of(candidate) == shard_of(key);
    (0..).map(|n| format!("{key}-{n}")).find(same).expect("shards are finite")
}

#[tokio::test]
async fn a_poison_row_parks_its_key_and_no_other() -> Result<()> {
    let harness = Harness::start().await?;
    let mut relay = harness.holding_relay().await?;
    let neighbour = neighbour_of("poisoned");
    let mut good = vec![harness.write("poisoned").await?];
    let poison = Written { event_id: EventId::new().as_uuid(), key: "poisoned".into(), key_seq: harness.next_seq() };
    insert(harness.admin(), &poison, b"\xffnot an envelope".to_vec()).await?;
    let behind = harness.write("poisoned").await?;
    good.extend(harness.write_many(&[&neighbour], 5).await?);
    drained(&mut relay).await?;
    check(&good, &harness.events().await?)?;
    ensure!(harness.unpublished().await? == 2 && retries(&harness, &poison).await? == 1);

    // Later rows of the neighbour go out while the key is parked.
    good.push(harness.write(&neighbour).await?);
    drained(&mut relay).await?;
    check(&good, &harness.events().await?)?;

    // Once the row is mended, the key goes on by itself, in order.
    let mended = envelope(holdfast_ids::EventId::from_uuid(poison.event_id), &poison.key, poison.key_seq);
    sqlx::query("UPDATE jobs.outbox SET event_payload = $1 WHERE outbox_id = $2")
        .bind(encode(&mended))
        .bind(poison.event_id)
        .execute(harness.admin())
        .await?;
    good.extend([poison, behind]);
    let relay = tokio::sync::Mutex::new(relay);
    let look = || async {
        let mut relay = relay.lock().await;
        turn(&mut relay).await?;
        ensure!(harness.unpublished().await? == 0);
        anyhow::Ok(())
    };
    eventually(look, WITHIN).await?;
    check(&good, &harness.events().await?)
}

#[tokio::test]
async fn an_envelope_over_the_bound_or_of_another_row_is_not_published() -> Result<()> {
    let harness = Harness::start().await?;
    let mut relay = harness.holding_relay().await?;
    let large = Written { event_id: EventId::new().as_uuid(), key: "large".into(), key_seq: harness.next_seq() };
    let id = EventId::from_uuid(large.event_id);
    let filled = Envelope { actor_id: "x".repeat(300 << 10), ..envelope(id, &large.key, large.key_seq) };
    insert(harness.admin(), &large, encode(&filled)).await?;
    let other = Written { event_id: EventId::new().as_uuid(), key: "other".into(), key_seq: harness.next_seq() };
    insert(harness.admin(), &other, encode(&envelope(EventId::new(), &other.key, other.key_seq))).await?;
    let good = vec![harness.write("good").await?];
    drained(&mut relay).await?;
    check(&good, &harness.events().await?)?;
    ensure!(retries(&harness, &large).await? == 1 && retries(&harness, &other).await? == 1);
    Ok(())
}

async fn retries(harness: &Harness, row: &Written) -> Result<i16> {
    let count = sqlx::query_scalar("SELECT retry_count FROM jobs.outbox WHERE outbox_id = $1").bind(row.event_id);
    Ok(count.fetch_one(harness.admin()).await?)
}
