use anyhow::{Result, ensure};
use holdfast_events::{EntryId, StreamReader, shard_of};
use holdfast_redis::fred::interfaces::{HashesInterface as _, LuaInterface as _};
use holdfast_relay::{
    Parts,
    config::PublishConfig,
    domain::{
        batch::sort,
        lease::{Head, Lease},
        source::Source,
    },
    stream::{Outcome, Streams},
};
use holdfast_testkit::eventually;
use tokio::sync::Mutex;

use crate::harness::{Harness, WITHIN, Written, check, drained, turn};

#[tokio::test]
async fn a_flushed_redis_gets_everything_again_under_the_same_ids() -> Result<()> {
    let harness = Harness::start().await?;
    let mut relay = harness.holding_relay().await?;
    let mut written = harness.write_many(&["a", "b", "c", "d", "e"], 10).await?;
    drained(&mut relay).await?;
    let acknowledged = newest_acknowledged(&harness).await?;
    harness.server.flush().await?;
    written.extend(harness.write_many(&["a", "b"], 2).await?);
    settled(&harness, &mut relay, &written).await?;
    for delivery in harness.deliveries().await? {
        ensure!(
            delivery.entry_id > acknowledged[usize::from(delivery.shard)],
            "an id went back: a reader would miss it"
        );
    }
    Ok(())
}

/// An append-only file that lacks the last second: the tail is gone, head and epoch are those of then.
#[tokio::test]
async fn a_lost_tail_is_published_again_and_the_rest_is_not() -> Result<()> {
    let harness = Harness::start().await?;
    let mut relay = harness.holding_relay().await?;
    let mut written = harness.write_many(&["a", "b"], 5).await?;
    drained(&mut relay).await?;
    let before = saved(&harness).await?;
    written.extend(harness.write_many(&["a", "b"], 5).await?);
    drained(&mut relay).await?;
    restored(&harness, before).await?;
    ensure!(harness.events().await?.len() == 10);
    written.extend(harness.write_many(&["a", "b"], 1).await?);
    settled(&harness, &mut relay, &written).await?;
    let seen = harness.events().await?;
    ensure!(seen.len() == written.len(), "what survived was repeated");
    Ok(())
}

/// The same, noticed by a successor that knows nothing of the stream.
#[tokio::test]
async fn a_successor_notices_a_lost_tail() -> Result<()> {
    let harness = Harness::start().await?;
    let mut relay = harness.holding_relay().await?;
    let mut written = harness.write_many(&["a", "b"], 5).await?;
    drained(&mut relay).await?;
    let before = saved(&harness).await?;
    written.extend(harness.write_many(&["a", "b"], 5).await?);
    drained(&mut relay).await?;
    relay.membership.leave().await?;
    restored(&harness, before).await?;
    let mut successor = harness.holding_relay().await?;
    settled(&harness, &mut successor, &written).await?;
    let seen = harness.events().await?;
    ensure!(seen.len() == written.len(), "what survived was repeated");
    Ok(())
}

/// A Redis that went back and then grew another tail, with ids beyond what was acknowledged: the last id alone looks fine.
#[tokio::test]
async fn a_stream_that_lost_its_tail_and_grew_another_is_noticed() -> Result<()> {
    let harness = Harness::start().await?;
    let mut relay = harness.holding_relay().await?;
    let mut written = harness.write_many(&["a"], 3).await?;
    drained(&mut relay).await?;
    let before = saved(&harness).await?;
    written.extend(harness.write_many(&["a"], 3).await?);
    let ghost = relay.publisher.fetch().await?.rows;
    drained(&mut relay).await?;
    written.extend(harness.write_many(&["a"], 3).await?);
    drained(&mut relay).await?;
    restored(&harness, before).await?;
    // A call from before the loss that arrives after it: it fits the restored head, and is let in.
    let lease = lease_of(&relay, "a");
    let streams = Streams::new(harness.redis.clone(), Source::Jobs, "k1", 1_000);
    let head = head_of(&harness, "a").await?;
    let limits = PublishConfig::default().round_limits().batch;
    let entries = sort(lease.shard, streams.name(lease.shard), ghost, &harness.signer, limits).batch.entries;
    ensure!(matches!(streams.publish(lease, &head, &entries).await?, Outcome::Done(_)));
    settled(&harness, &mut relay, &written).await
}

/// Entries cut off beside the head, by hand.
#[tokio::test]
async fn deleted_newest_entries_are_noticed() -> Result<()> {
    let harness = Harness::start().await?;
    let mut relay = harness.holding_relay().await?;
    let mut written = harness.write_many(&["a"], 4).await?;
    drained(&mut relay).await?;
    let newest = harness.deliveries().await?.last().map(|delivery| delivery.entry_id).unwrap_or_default();
    harness.server.command(&format!("XDEL {} {newest}", harness.stream_of("a").events)).await?;
    ensure!(harness.events().await?.len() == 3);
    written.push(harness.write("a").await?);
    settled(&harness, &mut relay, &written).await
}

/// More was published than a stream keeps: only about as much as fits comes back.
#[tokio::test]
async fn no_more_is_published_again_than_a_stream_holds() -> Result<()> {
    let harness = Harness::start().await?;
    let config = PublishConfig { stream_entries_max: 1_000, ..Default::default() };
    let mut relay = harness.relay_with(&config)?;
    relay.membership.run_once().await?;
    harness.write_bulk(&["a".to_owned()], 2_500).await?;
    drained(&mut relay).await?;
    // Spread over time, as they would be in the long run: ten seconds are the unit of the bound.
    sqlx::query("UPDATE jobs.outbox SET stream_ms = stream_ms - (2500 - key_seq) * 100")
        .execute(harness.admin())
        .await?;
    harness.server.flush().await?;
    let newest = harness.write("a").await?;
    let relay = Mutex::new(relay);
    let look = || async {
        let mut relay = relay.lock().await;
        turn(&mut relay).await?;
        ensure!(harness.unpublished().await? == 0);
        let seen = harness.events().await?;
        ensure!(seen.len() > 1);
        Ok(seen)
    };
    let seen = eventually(look, WITHIN).await?;
    ensure!((1_000..1_300).contains(&seen.len()), "{} came back", seen.len());
    ensure!(seen.last() == Some(&newest) && seen.is_sorted_by_key(|event| event.key_seq));
    Ok(())
}

/// A crash of Redis: nothing is marked while it is away, and everything is there once it is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_away_marks_nothing_and_is_caught_up_with() -> Result<()> {
    let harness = Harness::start().await?;
    let mut relay = harness.holding_relay().await?;
    let mut reader = StreamReader::from_start(&harness.redis, "jobs", harness.signer.verifying_keys());
    let mut written = harness.write_many(&["a", "b"], 5).await?;
    drained(&mut relay).await?;
    let mut delivered = reader.poll().await?;
    harness.server.kill().await?;
    written.extend(harness.write_many(&["a", "b"], 5).await?);
    ensure!(relay.publisher.run_once().await.is_err(), "a round without Redis says so");
    ensure!(harness.unpublished().await? == 10);
    harness.server.restart().await?;
    settled(&harness, &mut relay, &written).await?;
    while delivered.len() < written.len() {
        let some = reader.next(WITHIN).await?;
        ensure!(!some.is_empty(), "the reader did not find its way back");
        delivered.extend(some);
    }
    Ok(())
}

fn lease_of(relay: &Parts, key: &str) -> Lease {
    let held = relay.holdings.leases().into_iter();
    held.into_iter().find(|lease| lease.shard == shard_of(key)).expect("the relay holds every shard")
}

async fn head_of(harness: &Harness, key: &str) -> Result<Head> {
    let head = harness.stream_of(key).head;
    let incarnation: String = harness.redis.client().hget(head.as_str(), "incarnation").await?;
    let last: String = harness.redis.client().hget(head.as_str(), "last").await?;
    Ok(Head { incarnation: incarnation.parse()?, last: last.parse()?, floor_ms: 0 })
}

type Saved = Vec<(String, String)>;

/// The streams and heads as they are now.
async fn saved(harness: &Harness) -> Result<Saved> {
    let lua = "local all = {} for _, key in ipairs(redis.call('KEYS', '*')) do \
               all[#all + 1] = key all[#all + 1] = redis.sha1hex(key) redis.call('COPY', key, 'saved:' .. redis.sha1hex(key)) end return all";
    let flat: Vec<String> = eval(harness, lua).await?;
    Ok(flat.chunks_exact(2).map(|pair| (pair[0].clone(), format!("saved:{}", pair[1]))).collect())
}

async fn restored(harness: &Harness, saved: Saved) -> Result<()> {
    for (key, copy) in saved {
        harness.server.command(&format!("RENAME {copy} {key}")).await?;
    }
    Ok(())
}

async fn eval(harness: &Harness, lua: &str) -> Result<Vec<String>> {
    Ok(harness.redis.client().eval(lua, Vec::<String>::new(), Vec::<String>::new()).await?)
}

/// Rounds, failed ones too, until everything written is in the streams.
async fn settled(harness: &Harness, relay: &mut Parts, written: &[Written]) -> Result<()> {
    let relay = Mutex::new(relay);
    let look = || async {
        let mut relay = relay.lock().await;
        turn(&mut relay).await?;
        check(written, &harness.events().await?)
    };
    eventually(look, WITHIN).await
}

async fn newest_acknowledged(harness: &Harness) -> Result<Vec<EntryId>> {
    let rows: Vec<(i64, i64)> = sqlx::query_as("SELECT stream_ms, stream_seq FROM jobs.outbox_shards ORDER BY shard")
        .fetch_all(harness.admin())
        .await?;
    Ok(rows.into_iter().map(|(ms, seq)| EntryId { ms: ms as u64, seq: seq as u64 }).collect())
}
