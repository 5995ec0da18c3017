//! Follows all shard streams of a domain.
//!
//! Resumes where it stood through reconnects and restarts of Redis. Where a stream began a new life (Redis lost it and
//! the relay published again) the reader starts that stream over: it may then deliver events twice, never skip one.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use bytes::Bytes;
use futures::future;
use holdfast_redis::{
    Redis, RedisError, StreamKeys,
    fred::{
        clients::Client,
        interfaces::{HashesInterface, StreamsInterface},
    },
};
use tokio::time::Instant;

use crate::{EntryFields, EntryId, Envelope, Refusal, SHARDS, VerifyingKeys};

const ENTRIES_PER_READ: u64 = 512;
const IDLE_POLL: Duration = Duration::from_millis(25);
const LIFE_CHECK_EVERY: Duration = Duration::from_secs(1);

/// One entry of one shard's stream, verified or refused.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub shard: u16,
    pub entry_id: EntryId,
    /// A refused entry is no event: report it, apply nothing.
    pub event: Result<Envelope, Refusal>,
}

type RawEntry = (String, HashMap<String, Bytes>);

/// Reads without a group: each reader sees every entry, from the positions it was given.
pub struct StreamReader {
    redis: Redis,
    keys: VerifyingKeys,
    shards: Vec<Shard>,
    lives_checked_at: Option<Instant>,
}

struct Shard {
    number: u16,
    keys: StreamKeys,
    position: EntryId,
    incarnation: Option<String>,
}

impl StreamReader {
    /// Reads every shard from its oldest entry on.
    pub fn from_start(redis: &Redis, domain: &str, keys: VerifyingKeys) -> Self {
        Self::resume(redis, domain, keys, &BTreeMap::new())
    }

    /// Reads on behind `positions`, as [`Self::positions`] told them; a shard without one is read from its start.
    pub fn resume(redis: &Redis, domain: &str, keys: VerifyingKeys, positions: &BTreeMap<u16, EntryId>) -> Self {
        let shard = |number| Shard {
            number,
            keys: redis.keys().stream(domain, number),
            position: positions.get(&number).copied().unwrap_or(EntryId::START),
            incarnation: None,
        };
        Self { redis: redis.clone(), keys, shards: (0..SHARDS).map(shard).collect(), lives_checked_at: None }
    }

    /// Reads what is published from now on.
    pub async fn from_end(redis: &Redis, domain: &str, keys: VerifyingKeys) -> Result<Self, RedisError> {
        let mut reader = Self::from_start(redis, domain, keys);
        for shard in &mut reader.shards {
            let stream = shard.keys.events.as_str();
            let newest: Vec<RawEntry> = redis.client().xrevrange(stream, "+", "-", Some(1)).await?;
            if let Some((id, _)) = newest.first() {
                shard.position = parse(id)?;
            }
        }
        Ok(reader)
    }

    /// The last entry read of each shard.
    pub fn positions(&self) -> BTreeMap<u16, EntryId> {
        self.shards.iter().map(|shard| (shard.number, shard.position)).collect()
    }

    /// What is there now, at most 512 entries of each shard; empty where there is nothing new. Does not wait.
    pub async fn poll(&mut self) -> Result<Vec<Delivery>, RedisError> {
        self.check_lives().await?;
        let client = self.redis.client().clone();
        let reads = self.shards.iter().map(|shard| read(&client, shard, &self.keys));
        let reads = future::join_all(reads).await;
        let mut deliveries = Vec::new();
        let mut failure = None;
        for (shard, read) in self.shards.iter_mut().zip(reads) {
            match read {
                Ok(entries) => {
                    shard.position = entries.last().map_or(shard.position, |entry| entry.entry_id);
                    deliveries.extend(entries);
                }
                Err(error) => failure = Some(error),
            }
        }
        let Some(error) = failure else { return Ok(deliveries) };
        self.lives_checked_at = None;
        // What other shards gave has moved their positions, so it must be delivered; the failure shows again next time.
        if deliveries.is_empty() { Err(error) } else { Ok(deliveries) }
    }

    /// Waits up to `patience` for entries; empty where none came. Redis being away meanwhile is waited out: only if it is
    /// still away at the end is that an error.
    pub async fn next(&mut self, patience: Duration) -> Result<Vec<Delivery>, RedisError> {
        let deadline = Instant::now() + patience;
        loop {
            let polled = self.poll().await;
            let expired = Instant::now() >= deadline;
            match polled {
                Ok(deliveries) if !deliveries.is_empty() || expired => return Ok(deliveries),
                Err(error) if expired || !error.is_unavailable() => return Err(error),
                Ok(_) | Err(_) => tokio::time::sleep_until(deadline.min(Instant::now() + IDLE_POLL)).await,
            }
        }
    }

    /// Starts a shard over if its stream began a new life. Asked once a second and after every failure.
    async fn check_lives(&mut self) -> Result<(), RedisError> {
        if self.lives_checked_at.is_some_and(|at| at.elapsed() < LIFE_CHECK_EVERY) {
            return Ok(());
        }
        let client = self.redis.client().clone();
        let heads = self.shards.iter().map(|shard| client.hget(shard.keys.head.as_str(), "incarnation"));
        let lives: Vec<Result<Option<String>, _>> = future::join_all(heads).await;
        for (shard, life) in self.shards.iter_mut().zip(lives) {
            let Some(life) = life? else { continue };
            if shard.incarnation.as_ref().is_some_and(|known| *known != life) {
                tracing::warn!(shard = shard.number, "the stream began a new life; it is read from its start");
                shard.position = EntryId::START;
            }
            shard.incarnation = Some(life);
        }
        self.lives_checked_at = Some(Instant::now());
        Ok(())
    }
}

async fn read(client: &Client, shard: &Shard, keys: &VerifyingKeys) -> Result<Vec<Delivery>, RedisError> {
    // One stream a call: the shards of a domain live in different cluster slots.
    let stream = shard.keys.events.as_str();
    let behind = format!("({}", shard.position);
    let entries: Vec<RawEntry> = client.xrange(stream, behind, "+", Some(ENTRIES_PER_READ)).await?;
    let deliver = |(id, fields): RawEntry| {
        let event = EntryFields::try_from(fields).and_then(|fields| keys.verify(stream, &fields));
        Ok(Delivery { shard: shard.number, entry_id: parse(&id)?, event })
    };
    entries.into_iter().map(deliver).collect()
}

fn parse(id: &str) -> Result<EntryId, RedisError> {
    id.parse().map_err(|_| RedisError::unexpected("a malformed entry id"))
}
