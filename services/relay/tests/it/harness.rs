//! One database, one Redis, and as many relays as a test wants, driven step by step.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use chrono::Utc;
use holdfast_events::{Delivery, EventHeader, Signer, StreamReader, encode, shard_of};
use holdfast_ids::{EventId, JobId};
use holdfast_proto::events::v1::JobQueued;
use holdfast_redis::{Redis, RedisConfig, RedisError, StreamKeys};
use holdfast_relay::{Parts, RelayError, config::PublishConfig, domain::source::Source, new_holder, publisher::Round};
use holdfast_testkit::{Database, Postgres, eventually};
use sqlx::{AssertSqlSafe, PgExecutor, PgPool};
use uuid::Uuid;

pub const WITHIN: Duration = Duration::from_secs(60);

pub const SIGNING_KEY: &str = "0123456789abcdef0123456789abcdef";
pub const PREFIX: &str = "hf:test";

pub struct Harness {
    pub database: Database,
    pub server: holdfast_testkit::Redis,
    pub redis: Redis,
    pub signer: Signer,
    sequence: AtomicI64,
}

/// An event as a test wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    pub event_id: Uuid,
    pub key: String,
    pub key_seq: i64,
}

impl Harness {
    pub async fn start() -> Result<Self> {
        Self::start_on(Postgres::shared().await?).await
    }

    pub async fn start_on(postgres: &Postgres) -> Result<Self> {
        let database = Database::create_on(postgres).await?;
        let server = holdfast_testkit::Redis::start().await?;
        let redis = Redis::connect(&RedisConfig { connections: 4, ..RedisConfig::new(server.url(), PREFIX) })?;
        redis.wait_until_connected(WITHIN).await?;
        let signer = Signer::new("k1", SIGNING_KEY.as_bytes())?;
        Ok(Self { database, server, redis, signer, sequence: AtomicI64::new(0) })
    }

    pub fn admin(&self) -> &PgPool {
        self.database.admin()
    }

    pub fn relay(&self) -> Result<Parts> {
        self.relay_with(&PublishConfig::default())
    }

    pub fn relay_with(&self, config: &PublishConfig) -> Result<Parts> {
        self.relay_of(Source::Jobs, &new_holder(), config)
    }

    /// What publishes one source in the relay `holder`.
    pub fn relay_of(&self, source: Source, holder: &str, config: &PublishConfig) -> Result<Parts> {
        let db = self.database.relay()?;
        Ok(holdfast_relay::parts(source, holder, db, &self.redis, self.signer.clone(), config))
    }

    /// A relay that holds every shard and has nothing to do yet.
    pub async fn holding_relay(&self) -> Result<Parts> {
        let mut relay = self.relay()?;
        relay.membership.run_once().await?;
        drained(&mut relay).await?;
        Ok(relay)
    }

    /// Commits one event of `key`.
    pub async fn write(&self, key: &str) -> Result<Written> {
        self.write_in(self.admin(), key, self.next_seq()).await
    }

    pub async fn write_many(&self, keys: &[&str], each: usize) -> Result<Vec<Written>> {
        let mut written = Vec::new();
        for _ in 0..each {
            for key in keys {
                written.push(self.write(key).await?);
            }
        }
        Ok(written)
    }

    /// Commits `count` events at once, to each key in turn.
    pub async fn write_bulk(&self, keys: &[String], count: usize) -> Result<()> {
        let (mut ids, mut shards, mut of_keys, mut seqs, mut payloads) = (vec![], vec![], vec![], vec![], vec![]);
        for key in keys.iter().cycle().take(count) {
            let (id, seq) = (EventId::new(), self.next_seq());
            payloads.push(encode(&envelope(id, key, seq)));
            ids.push(id.as_uuid());
            shards.push(shard_of(key) as i16);
            of_keys.push(key.clone());
            seqs.push(seq);
        }
        sqlx::query(
            "INSERT INTO jobs.outbox (slot, outbox_id, shard, tenant_id, project_id, ordering_key, key_seq, event_name, \
             event_payload, traceparent, created_at) \
             SELECT 0, id, shard, 'acme', 'site', key, seq, 'job.queued', payload, '', clock_timestamp() \
             FROM unnest($1::uuid[], $2::smallint[], $3::text[], $4::bigint[], $5::bytea[]) AS e (id, shard, key, seq, payload)",
        )
        .bind(ids)
        .bind(shards)
        .bind(of_keys)
        .bind(seqs)
        .bind(payloads)
        .execute(self.admin())
        .await?;
        Ok(())
    }

    /// Grows over all keys: ascending within each, which is what the relay looks at.
    pub fn next_seq(&self) -> i64 {
        self.sequence.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub async fn write_in(&self, db: impl PgExecutor<'_>, key: &str, key_seq: i64) -> Result<Written> {
        let (written, payload) = event(key, key_seq);
        insert(db, &written, payload).await?;
        Ok(written)
    }

    /// Commits one event of `key` to another outbox than that of jobs, too.
    pub async fn write_to(&self, source: Source, key: &str) -> Result<Written> {
        let (written, payload) = event(key, self.next_seq());
        insert_into(self.admin(), source, &written, payload).await?;
        Ok(written)
    }

    /// Everything in the streams, from their beginnings.
    pub async fn deliveries(&self) -> Result<Vec<Delivery>> {
        self.deliveries_of(Source::Jobs).await
    }

    async fn deliveries_of(&self, source: Source) -> Result<Vec<Delivery>> {
        let mut reader = StreamReader::from_start(&self.redis, source.name(), self.signer.verifying_keys());
        let mut all = Vec::new();
        loop {
            let some = reader.poll().await?;
            if some.is_empty() {
                return Ok(all);
            }
            all.extend(some);
        }
    }

    /// The verified events in the streams, in stream order within each key.
    pub async fn events(&self) -> Result<Vec<Written>> {
        self.events_of(Source::Jobs).await
    }

    pub async fn events_of(&self, source: Source) -> Result<Vec<Written>> {
        let deliveries = self.deliveries_of(source).await?;
        deliveries
            .into_iter()
            .map(|delivery| {
                let event = delivery.event.context("an entry was refused")?;
                ensure!(delivery.shard == shard_of(&event.ordering_key), "on the wrong shard");
                Ok(Written {
                    event_id: Uuid::parse_str(&event.event_id)?,
                    key: event.ordering_key,
                    key_seq: event.key_seq as i64,
                })
            })
            .collect()
    }

    pub fn stream_of(&self, key: &str) -> StreamKeys {
        self.redis.keys().stream("jobs", shard_of(key))
    }

    pub async fn unpublished(&self) -> Result<i64> {
        let count = sqlx::query_scalar("SELECT count(*) FROM jobs.outbox WHERE published_at IS NULL");
        Ok(count.fetch_one(self.admin()).await?)
    }

    /// Waits for relays that run by themselves.
    pub async fn all_published(&self) -> Result<()> {
        let look = || async {
            let waiting = self.unpublished().await?;
            ensure!(waiting == 0, "{waiting} wait");
            anyhow::Ok(())
        };
        eventually(look, WITHIN).await
    }

    /// As another relay would, without waiting for the expiry.
    pub async fn steal_leases(&self) -> Result<()> {
        sqlx::query("UPDATE relay.shard_leases SET holder = 'thief', epoch = epoch + 1").execute(self.admin()).await?;
        Ok(())
    }
}

pub fn envelope(event_id: EventId, key: &str, key_seq: i64) -> holdfast_events::Envelope {
    let header = EventHeader {
        event_id,
        source: "holdfast.jobs",
        occurred_at: Utc::now(),
        tenant_id: "acme",
        project_id: "site",
        job_id: Some(JobId::new()),
        actor_id: "alice",
        idempotency_key: "a-key",
        request_id: "a-request",
        traceparent: "",
        ordering_key: key,
        key_seq: key_seq as u64,
    };
    header.envelope(&JobQueued { intent: "repo.digest".into(), queue: "project".into(), ..Default::default() })
}

fn event(key: &str, key_seq: i64) -> (Written, Vec<u8>) {
    let event_id = EventId::new();
    let written = Written { event_id: event_id.as_uuid(), key: key.to_owned(), key_seq };
    (written, encode(&envelope(event_id, key, key_seq)))
}

pub async fn insert(db: impl PgExecutor<'_>, written: &Written, payload: Vec<u8>) -> Result<()> {
    insert_into(db, Source::Jobs, written, payload).await
}

async fn insert_into(db: impl PgExecutor<'_>, source: Source, written: &Written, payload: Vec<u8>) -> Result<()> {
    sqlx::query(AssertSqlSafe(format!(
        "INSERT INTO {source}.outbox (slot, outbox_id, shard, tenant_id, project_id, ordering_key, key_seq, event_name, \
         event_payload, traceparent, created_at) \
         SELECT slot, $1, $2, 'acme', 'site', $3, $4, 'job.queued', $5, '', clock_timestamp() \
         FROM {source}.outbox_ring WHERE is_current",
    )))
    .bind(written.event_id)
    .bind(shard_of(&written.key) as i16)
    .bind(&written.key)
    .bind(written.key_seq)
    .bind(payload)
    .execute(db)
    .await?;
    Ok(())
}

/// A renewal and a round, as a running relay does them: for tests that await something.
pub async fn turn(relay: &mut Parts) -> Result<()> {
    relay.membership.run_once().await?;
    relay.publisher.run_once().await?;
    Ok(())
}

/// Rounds until one finds nothing to do. A Redis that is late, on a busy machine, is asked again, as the running relay does.
pub async fn drained(relay: &mut Parts) -> Result<usize> {
    let mut published = 0;
    loop {
        match relay.publisher.run_once().await {
            Ok(Round { published: 0, more: false }) => return Ok(published),
            Ok(round) => published += round.published,
            Err(RelayError::Redis(RedisError::Unavailable(error))) => println!("once more: {error}"),
            Err(error) => return Err(error.into()),
        }
    }
}

/// That every written event is there, that each key is in order, and that nothing older follows something newer, but for
/// repetitions of what was there before.
pub fn check(written: &[Written], seen: &[Written]) -> Result<()> {
    let mut newest: BTreeMap<&str, i64> = BTreeMap::new();
    let mut known = std::collections::HashSet::new();
    for event in seen {
        if known.insert(event.event_id) {
            let newest = newest.entry(&event.key).or_default();
            ensure!(event.key_seq > *newest, "{} {} came after {newest}", event.key, event.key_seq);
            *newest = event.key_seq;
        }
    }
    for event in written {
        ensure!(known.contains(&event.event_id), "{} {} is missing", event.key, event.key_seq);
    }
    ensure!(known.len() == written.len(), "{} events in the streams, {} written", known.len(), written.len());
    Ok(())
}
