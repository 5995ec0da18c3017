//! The one reader of the event streams, for all watches of the instance: it reads while there is a watch, from the ends of
//! the streams on, and begins anew at their ends whenever it might have missed something: a stream that has begun another
//! life, or was trimmed before it was read. Watches look for that in the outbox, so it remembers nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::try_join_all;
use holdfast_events::{EntryFields, EntryId, SHARDS, decode};
use holdfast_ids::{JobId, ProjectId, TenantId};
use holdfast_redis::fred::interfaces::{ClientLike as _, HashesInterface as _, StreamsInterface as _};
use holdfast_redis::fred::types::Value;
use holdfast_redis::{Redis, RedisError, StreamKeys};
use tokio_util::sync::CancellationToken;

use super::DOMAIN;
use crate::app::watch::{Notice, Unread, Watches};

/// Shorter than any command may take.
const BLOCK: Duration = Duration::from_millis(500);
const IDLE_POLL: Duration = Duration::from_millis(25);
const ENTRIES_PER_READ: u64 = 512;
const LOOK_EVERY: Duration = Duration::from_secs(1);
const BEGIN_AGAIN_AFTER: Duration = Duration::from_millis(200);

type RawEntry = (String, HashMap<String, Bytes>);

struct Shard {
    number: u16,
    keys: StreamKeys,
    position: EntryId,
    incarnation: Option<String>,
}

/// Why reading begins anew.
#[derive(Debug, thiserror::Error)]
enum Interrupted {
    #[error(transparent)]
    Redis(#[from] RedisError),
    #[error("what an entry says cannot be looked up: {0}")]
    Database(#[from] Unread),
    #[error("the stream of shard {0} is not the one that was read")]
    OtherStream(u16),
    #[error("the stream of shard {0} was trimmed before it was read")]
    Trimmed(u16),
}

/// Runs until shutdown. `redis` has a connection of its own for this: reading blocks it.
pub async fn follow(redis: Redis, watches: Arc<Watches>, shutdown: CancellationToken) {
    loop {
        tokio::select! {
            () = watches.hub.watched() => {}
            () = shutdown.cancelled() => return,
        }
        let read = tokio::select! {
            read = read(&redis, &watches) => read,
            () = shutdown.cancelled() => return,
        };
        watches.hub.set_away();
        if let Err(error) = read {
            tracing::warn!(%error, "the event streams are not read; watches look at the outbox");
            tokio::time::sleep(BEGIN_AGAIN_AFTER).await;
        }
    }
}

async fn read(redis: &Redis, watches: &Watches) -> Result<(), Interrupted> {
    let mut shards = at_their_ends(redis).await?;
    watches.hub.set_live();
    let mut looked_at = Instant::now();
    while watches.hub.is_watched() {
        let notices = next(redis, &mut shards).await?;
        if !notices.is_empty() {
            watches.hear(notices).await?;
        }
        if looked_at.elapsed() >= LOOK_EVERY {
            still_there(redis, &mut shards).await?;
            looked_at = Instant::now();
        }
    }
    Ok(())
}

async fn at_their_ends(redis: &Redis) -> Result<Vec<Shard>, RedisError> {
    let shards = (0..SHARDS).map(async |number| {
        let keys = redis.keys().stream(DOMAIN, number);
        let incarnation = incarnation(redis, &keys).await?;
        let position = end(redis, &keys).await?;
        Ok(Shard { number, keys, position, incarnation })
    });
    try_join_all(shards).await
}

/// A stream that was lost, whole or its newest entries, is no longer the one that is read, although nothing fails.
async fn still_there(redis: &Redis, shards: &mut [Shard]) -> Result<(), Interrupted> {
    let looks = shards.iter_mut().map(async |shard| {
        let known = incarnation(redis, &shard.keys).await?;
        if shard.incarnation.is_none() {
            // Its first life has just begun.
            shard.incarnation.clone_from(&known);
        }
        if shard.incarnation != known || end(redis, &shard.keys).await? < shard.position {
            return Err(Interrupted::OtherStream(shard.number));
        }
        Ok(())
    });
    try_join_all(looks).await.map(drop)
}

async fn incarnation(redis: &Redis, keys: &StreamKeys) -> Result<Option<String>, RedisError> {
    Ok(redis.client().hget(keys.head.as_str(), "incarnation").await?)
}

async fn end(redis: &Redis, keys: &StreamKeys) -> Result<EntryId, RedisError> {
    let newest: Vec<RawEntry> = redis.client().xrevrange(keys.events.as_str(), "+", "-", Some(1)).await?;
    newest.first().map_or(Ok(EntryId::START), |(id, _)| parse(id))
}

/// Waits a little for entries, and moves the positions behind those that came.
async fn next(redis: &Redis, shards: &mut [Shard]) -> Result<Vec<Notice>, Interrupted> {
    let client = redis.client();
    // The streams of a cluster live on several servers, none of which can wait for all.
    let is_clustered = client.is_clustered();
    let at_once = if is_clustered { 1 } else { usize::from(SHARDS) };
    let block = (!is_clustered).then_some(BLOCK.as_millis() as u64);
    let (mut notices, mut is_idle) = (Vec::new(), true);
    for shards in shards.chunks_mut(at_once) {
        let keys: Vec<String> = shards.iter().map(|shard| shard.keys.events.clone()).collect();
        let ids: Vec<String> = shards.iter().map(|shard| shard.position.to_string()).collect();
        let answer: Value = client.xread(Some(ENTRIES_PER_READ), block, keys, ids).await.map_err(RedisError::from)?;
        if answer.is_null() {
            continue;
        }
        is_idle = false;
        let mut read: HashMap<String, Vec<RawEntry>> = answer.into_xread_response().map_err(RedisError::from)?;
        let looks = shards.iter().filter(|shard| read.contains_key(&shard.keys.events));
        try_join_all(looks.map(|shard| nothing_trimmed(redis, shard))).await?;
        for shard in shards {
            for (id, fields) in read.remove(&shard.keys.events).unwrap_or_default() {
                shard.position = parse(&id)?;
                notices.extend(notice(shard, fields));
            }
        }
    }
    if is_clustered && is_idle {
        tokio::time::sleep(IDLE_POLL).await;
    }
    Ok(notices)
}

/// Looked at behind a read, which passes over entries that were trimmed since the one before it. A stream is trimmed from its
/// oldest entry on: where it still begins at the position, or before, nothing behind the position has gone. Nor where
/// nothing ever went, which is how a stream begins.
async fn nothing_trimmed(redis: &Redis, shard: &Shard) -> Result<(), Interrupted> {
    let about: HashMap<String, Value> =
        redis.client().xinfo_stream(shard.keys.events.as_str(), false, None).await.map_err(RedisError::from)?;
    let number = |name: &str| about.get(name).and_then(Value::as_u64);
    let oldest = about.get("first-entry").and_then(|entry| entry.clone().into_array().first()?.as_string());
    let begins_before = oldest.map(|id| parse(&id)).transpose()?.is_some_and(|oldest| oldest <= shard.position);
    let is_whole = number("entries-added").is_some_and(|added| number("length") == Some(added));
    if begins_before || is_whole { Ok(()) } else { Err(Interrupted::Trimmed(shard.number)) }
}

/// None where the entry is of no job's transition. Its signature is not looked at, since nothing that it says is believed.
fn notice(shard: &Shard, fields: HashMap<String, Bytes>) -> Option<Notice> {
    let event = decode(&EntryFields::try_from(fields).ok()?.envelope).ok()?;
    Some(Notice {
        shard: shard.number,
        entry: shard.position,
        tenant_id: TenantId::parse(&event.tenant_id).ok()?,
        project_id: ProjectId::parse(&event.project_id).ok()?,
        job_id: JobId::parse(&event.ordering_key).ok()?,
        seq: event.key_seq.try_into().ok()?,
    })
}

fn parse(id: &str) -> Result<EntryId, RedisError> {
    id.parse().map_err(|_| RedisError::unexpected("a malformed entry id"))
}
