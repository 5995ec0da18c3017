//! The shard streams of a source in Redis: the one module that speaks to it.
//!
//! Every change goes through a script that compares the epoch first, so that it is decided by Redis, at one moment,
//! whether a caller is still the holder.

use std::collections::HashMap;

use bytes::Bytes;
use holdfast_events::{EntryFields, EntryId, SHARDS};
use holdfast_redis::{
    Redis, RedisError, Script, StreamKeys,
    fred::{interfaces::StreamsInterface, types::Value},
};
use uuid::Uuid;

use crate::domain::{
    batch::Entry,
    lease::{Head, Lease},
    source::Source,
};

/// Cheap enough to make once; not cloned.
pub struct Streams {
    redis: Redis,
    keys: Vec<StreamKeys>,
    key_id: String,
    entries_max: u64,
    claim: Script,
    settle: Script,
    publish: Script,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// No earlier epoch adds entries from here on. Without an incarnation the stream is new, or was lost whole.
    Raised { incarnation: Option<Uuid>, newest: EntryId },
    /// A later epoch is at work.
    Fenced,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<T> {
    Done(T),
    /// A later epoch is at work: this relay is no longer the holder.
    Fenced,
    /// Redis does not know our epoch (any more): the lease has to be looked at again.
    Absent,
    /// The stream does not end where we left it.
    Lost,
}

impl Streams {
    pub fn new(redis: Redis, source: Source, key_id: &str, entries_max: u64) -> Self {
        let keys = (0..SHARDS).map(|shard| redis.keys().stream(source.name(), shard)).collect();
        Self {
            redis,
            keys,
            key_id: key_id.to_owned(),
            entries_max,
            claim: Script::new(include_str!("scripts/claim.lua")),
            settle: Script::new(include_str!("scripts/settle.lua")),
            publish: Script::new(include_str!("scripts/publish.lua")),
        }
    }

    /// The stream's key, which its entries' signatures cover.
    pub fn name(&self, shard: u16) -> &str {
        &self.keys[usize::from(shard)].events
    }

    /// Raises the epoch of the shard's stream to the lease's.
    pub async fn claim(&self, lease: Lease) -> Result<Claim, RedisError> {
        let answer: Vec<String> = self.claim.run(&self.redis, self.pair(lease), vec![lease.epoch.into()]).await?;
        match answer.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["OK", incarnation, newest] => {
                Ok(Claim::Raised { incarnation: Uuid::parse_str(incarnation).ok(), newest: entry_id(newest)? })
            }
            ["FENCED"] => Ok(Claim::Fenced),
            _ => Err(unknown_answer()),
        }
    }

    /// Writes down from where the holder goes on, if the stream still ends there.
    pub async fn settle(&self, lease: Lease, head: &Head) -> Result<Outcome<()>, RedisError> {
        let args = vec![lease.epoch.into(), head.incarnation.to_string().into(), head.last.to_string().into()];
        let answer: String = self.settle.run(&self.redis, self.pair(lease), args).await?;
        outcome(&answer, || Ok(()))
    }

    /// Adds the entries behind the head, all or none, and answers their ids.
    pub async fn publish(
        &self,
        lease: Lease,
        head: &Head,
        entries: &[Entry],
    ) -> Result<Outcome<Vec<EntryId>>, RedisError> {
        let mut args: Vec<Value> = Vec::with_capacity(6 + 2 * entries.len());
        args.push(lease.epoch.into());
        args.push(head.incarnation.to_string().into());
        args.push(head.last.to_string().into());
        args.push((self.entries_max as i64).into());
        args.push((head.floor_ms as i64).into());
        args.push(self.key_id.as_str().into());
        for entry in entries {
            args.push(Value::Bytes(entry.envelope.clone()));
            args.push(Value::Bytes(Bytes::copy_from_slice(&entry.signature)));
        }
        let answer: Vec<String> = self.publish.run(&self.redis, self.pair(lease), args).await?;
        let [status, ids @ ..] = answer.as_slice() else { return Err(unknown_answer()) };
        outcome(status, || {
            let ids = ids.iter().map(|id| entry_id(id)).collect::<Result<Vec<_>, _>>()?;
            if ids.len() == entries.len() { Ok(ids) } else { Err(unknown_answer()) }
        })
    }

    /// Up to `count` entries below `before`, the newest first; from the end where that is `None`.
    pub async fn newest(
        &self,
        shard: u16,
        before: Option<EntryId>,
        count: u64,
    ) -> Result<Vec<(EntryId, Option<EntryFields>)>, RedisError> {
        let end = before.map_or_else(|| "+".to_owned(), |id| format!("({id}"));
        let page: Vec<(String, HashMap<String, Bytes>)> =
            self.redis.client().xrevrange(self.name(shard), end, "-", Some(count)).await?;
        page.into_iter().map(|(id, fields)| Ok((entry_id(&id)?, EntryFields::try_from(fields).ok()))).collect()
    }

    fn pair(&self, lease: Lease) -> Vec<String> {
        let keys = &self.keys[usize::from(lease.shard)];
        vec![keys.events.clone(), keys.head.clone()]
    }
}

fn outcome<T>(status: &str, done: impl FnOnce() -> Result<T, RedisError>) -> Result<Outcome<T>, RedisError> {
    match status {
        "OK" => done().map(Outcome::Done),
        "FENCED" => Ok(Outcome::Fenced),
        "ABSENT" => Ok(Outcome::Absent),
        "LOST" => Ok(Outcome::Lost),
        _ => Err(unknown_answer()),
    }
}

fn entry_id(text: &str) -> Result<EntryId, RedisError> {
    text.parse().map_err(|_| RedisError::unexpected("a malformed entry id"))
}

fn unknown_answer() -> RedisError {
    RedisError::unexpected("a script's answer that this version does not know")
}
