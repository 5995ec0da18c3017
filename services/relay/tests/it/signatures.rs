use anyhow::{Result, ensure};
use holdfast_events::{Refusal, StreamReader, VerifyingKeys};
use holdfast_redis::fred::{interfaces::StreamsInterface as _, types::Value};

use crate::harness::{Harness, check, drained};

#[tokio::test]
async fn a_consumer_refuses_what_was_changed_moved_or_made_up() -> Result<()> {
    let harness = Harness::start().await?;
    let mut relay = harness.holding_relay().await?;
    let mut written = harness.write_many(&["a"], 1).await?;
    drained(&mut relay).await?;
    let stream = harness.stream_of("a").events;
    let entries: Vec<(String, Vec<(String, Value)>)> = raw(&harness, &stream).await?;
    let [envelope, signature, key_id] = ["e", "s", "k"].map(|name| {
        let fields = entries[0].1.iter();
        fields.clone().find(|(field, _)| field == name).map(|(_, value)| value.clone()).unwrap_or(Value::Null)
    });
    let changed = Value::Bytes([envelope.as_bytes().unwrap_or_default(), b"\x4a\x01x"].concat().into());
    let client = harness.redis.client();
    for (stream, fields) in [
        (stream.clone(), vec![("e", changed), ("s", signature.clone()), ("k", key_id.clone())]),
        (
            harness.redis.keys().stream("jobs", 15).events,
            vec![("e", envelope.clone()), ("s", signature.clone()), ("k", key_id)],
        ),
        (stream.clone(), vec![("e", envelope.clone()), ("s", signature), ("k", "k9".into())]),
        (stream, vec![("e", envelope), ("k", "k1".into())]),
    ] {
        client.xadd::<(), _, _, _, _>(stream, false, None, "*", fields).await?;
    }
    let refusals: Vec<Refusal> = harness.deliveries().await?.into_iter().filter_map(|d| d.event.err()).collect();
    let expected =
        [Refusal::BadSignature, Refusal::UnknownKey("k9".into()), Refusal::MissingField("s"), Refusal::BadSignature];
    ensure!(refusals.len() == 4 && expected.iter().all(|refusal| refusals.contains(refusal)), "{refusals:?}");

    // The relay does not take them for its own, and goes on behind them.
    written.push(harness.write("a").await?);
    for _ in 0..3 {
        drained(&mut relay).await?;
    }
    let good: Vec<_> = harness.deliveries().await?.into_iter().filter_map(|delivery| delivery.event.ok()).collect();
    ensure!(good.len() == written.len());
    Ok(())
}

#[tokio::test]
async fn a_reader_resumes_where_it_stood() -> Result<()> {
    let harness = Harness::start().await?;
    let mut relay = harness.holding_relay().await?;
    harness.write_many(&["a", "b", "c"], 3).await?;
    drained(&mut relay).await?;
    let keys = harness.signer.verifying_keys();
    let mut reader = StreamReader::from_start(&harness.redis, "jobs", keys.clone());
    ensure!(reader.poll().await?.len() == 9 && reader.poll().await?.is_empty());
    let mut late = StreamReader::from_end(&harness.redis, "jobs", keys.clone()).await?;
    harness.write_many(&["a", "d"], 1).await?;
    drained(&mut relay).await?;
    let mut resumed = StreamReader::resume(&harness.redis, "jobs", keys, &reader.positions());
    for reader in [&mut reader, &mut late, &mut resumed] {
        ensure!(reader.poll().await?.len() == 2);
    }
    let mut stranger = StreamReader::from_start(&harness.redis, "jobs", VerifyingKeys::default());
    ensure!(stranger.poll().await?.iter().all(|delivery| delivery.event.is_err()));
    check(&[], &[])
}

async fn raw(harness: &Harness, stream: &str) -> Result<Vec<(String, Vec<(String, Value)>)>> {
    let entries: Vec<(String, std::collections::HashMap<String, Value>)> =
        harness.redis.client().xrange(stream, "-", "+", None).await?;
    Ok(entries.into_iter().map(|(id, fields)| (id, fields.into_iter().collect())).collect())
}
