//! The relay: copies committed events from the outboxes onto the shard streams in Redis.
//!
//! Owns schema `relay` (who publishes which shard) and, of schema `jobs`, the outbox's marks of publication. Promises
//! every committed event at least once, each key's events in order, and nothing stale behind something newer, whoever
//! crashes, sleeps or loses data meanwhile; `README.md` has the argument. Fails by waiting: while PostgreSQL or Redis is
//! away nothing is published or marked, and all of it is done afterwards.
//!
//! | module | what |
//! |---|---|
//! | `membership` | the leases of the shards: taken, renewed, evened out, given up |
//! | `synchronise` | agreeing with a stream before publishing to it |
//! | `publisher` | one round: fetch, add, mark |
//! | `relay` | round after round, paced by hints and polls |
//! | `store` | its SQL |
//! | `stream` | its scripts: the one module that speaks to Redis |
//! | `domain` | batches, parked keys, bounds: no I/O |
#![forbid(unsafe_code)]

pub mod backlog;
pub mod config;
pub mod domain;
mod error;
pub mod membership;
pub mod metrics;
pub mod publisher;
pub mod relay;
pub mod store;
pub mod stream;
pub mod synchronise;

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use holdfast_events::Signer;
use holdfast_pg::{DbError, TaskDb};
use holdfast_redis::Redis;
use holdfast_runtime::{Health, HttpServer, Need, Shutdown};
use holdfast_telemetry::{BuildInfo, Metrics};
use uuid::Uuid;

pub use crate::error::RelayError;
use crate::{
    config::{Config, PublishConfig},
    membership::{Holdings, Membership},
    publisher::Publisher,
    store::{SOURCE, Store},
    stream::Streams,
    synchronise::Synchroniser,
};

/// One relay's parts, wired to each other and not yet running.
pub struct Parts {
    pub store: Store,
    pub holdings: Arc<Holdings>,
    pub membership: Membership,
    pub publisher: Publisher,
}

pub const BUILD: BuildInfo = BuildInfo::new("holdfast-relay", env!("CARGO_PKG_VERSION"));

const LOOK_FOR_SCHEMA_EVERY: Duration = Duration::from_millis(500);

/// Runs the process until it is told to stop: SIGTERM ends the round that is on, gives up the shards, and ends.
pub async fn run(config: Config, metrics: Metrics, shutdown: Shutdown) -> anyhow::Result<()> {
    config.validate()?;
    let signer = config.signing.signer()?;
    metrics::describe();
    let db = TaskDb::open(&config.database, BUILD.service)?;
    let redis = Redis::connect(&config.redis)?;
    let health = health(&shutdown, &db, &redis);
    let http = HttpServer::start(&config.http, health.clone(), metrics).await.context("http.listen")?;
    let parts = parts(db.clone(), &redis, signer, &config.publish);
    if shutdown.token().run_until_cancelled(schema_is_there(&parts.store)).await.is_some() {
        health.mark_started();
        let hints = redis.listen(redis.keys().wake_outbox(SOURCE));
        relay::run(parts, hints, config.publish, shutdown.token()).await;
    }
    db.close().await;
    http.close().await;
    Ok(())
}

/// Without PostgreSQL there is nothing to read. Without Redis events wait, which is what the outbox is for.
fn health(shutdown: &Shutdown, db: &TaskDb, redis: &Redis) -> Health {
    let health = Health::new(shutdown);
    let (db, redis) = (db.clone(), redis.clone());
    health.probe("postgres", Need::Required, shutdown, move || {
        let db = db.clone();
        async move { db.ping().await }
    });
    health.probe("redis", Need::Optional, shutdown, move || {
        let redis = redis.clone();
        async move { redis.ping().await }
    });
    health
}

/// Migrations are applied by somebody else, perhaps a little later than we start.
async fn schema_is_there(store: &Store) {
    while let Err(error) = look_for_schema(store).await {
        tracing::warn!(%error, "waiting for the schema");
        tokio::time::sleep(LOOK_FOR_SCHEMA_EVERY).await;
    }
}

async fn look_for_schema(store: &Store) -> Result<(), DbError> {
    store.members_forget_dead().await?;
    store.outbox_backlog(1).await.map(|_| ())
}

/// Wires one relay. `db` logs in as `holdfast_relay`.
pub fn parts(db: TaskDb, redis: &Redis, signer: Signer, config: &PublishConfig) -> Parts {
    // A process that starts again is another holder: what the earlier one held has to expire or be taken with a new epoch.
    let holder = Uuid::now_v7().to_string();
    let store = Store::new(db);
    let holdings = Arc::new(Holdings::default());
    let membership = Membership::new(store.clone(), holder.clone(), config.lease_ttl(), holdings.clone());
    let streams = Streams::new(redis.clone(), SOURCE, signer.key_id(), config.stream_entries_max);
    let keys = signer.verifying_keys();
    let synchroniser = Synchroniser { store: store.clone(), holder, keys, entries_max: config.stream_entries_max };
    let publisher =
        Publisher::new(store.clone(), streams, signer, synchroniser, holdings.clone(), config.round_limits());
    Parts { store, holdings, membership, publisher }
}
