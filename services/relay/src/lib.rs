//! The relay: copies committed events from the outboxes onto the shard streams in Redis.
//!
//! Owns schema `relay` (who publishes which shard) and, of the schema of each source, the outbox's marks of publication.
//! Promises every committed event at least once, each key's events in order, and nothing stale behind something newer,
//! whoever crashes, sleeps or loses data meanwhile; `README.md` has the argument. Fails by waiting: while PostgreSQL or
//! Redis is away nothing is published or marked, and all of it is done afterwards. Sources fail apart: each has its own
//! leases, loops and connections to PostgreSQL.
//!
//! | module | what |
//! |---|---|
//! | `membership` | the leases of the shards: taken, renewed, evened out, given up |
//! | `synchronise` | agreeing with a stream before publishing to it |
//! | `publisher` | one round: fetch, add, mark |
//! | `relay` | round after round, paced by hints and polls |
//! | `store` | its SQL |
//! | `stream` | its scripts: the one module that speaks to Redis |
//! | `domain` | sources, batches, parked keys, bounds: no I/O |
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
use holdfast_pg::TaskDb;
use holdfast_redis::Redis;
use holdfast_runtime::{Health, HttpServer, Need, Shutdown};
use holdfast_telemetry::{BuildInfo, Metrics};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub use crate::error::RelayError;
use crate::{
    config::{Config, PublishConfig},
    domain::source::Source,
    membership::{Holdings, Membership},
    publisher::Publisher,
    store::Store,
    stream::Streams,
    synchronise::Synchroniser,
};

/// What publishes one source, wired to each other and not yet running.
pub struct Parts {
    pub store: Store,
    pub holdings: Arc<Holdings>,
    pub membership: Membership,
    pub publisher: Publisher,
}

pub const BUILD: BuildInfo = BuildInfo::new("holdfast-relay", env!("CARGO_PKG_VERSION"));

const LOOK_FOR_SCHEMA_EVERY: Duration = Duration::from_millis(500);

/// Runs the process until it is told to stop: SIGTERM ends the rounds that are on, gives up the shards, and ends.
pub async fn run(config: Config, metrics: Metrics, shutdown: Shutdown) -> anyhow::Result<()> {
    config.validate()?;
    let signer = config.signing.signer()?;
    metrics::describe();
    let db = TaskDb::open(&config.database, BUILD.service)?;
    let redis = Redis::connect(&config.redis)?;
    let health = health(&shutdown, &db, &redis);
    let http = HttpServer::start(&config.http, health.clone(), metrics).await.context("http.listen")?;
    let holder = new_holder();
    let mut sources = JoinSet::new();
    for &source in &config.publish.sources {
        // A pool of its own: statements that wait for the tables of one source take no connection from another.
        let db = TaskDb::open(&config.database, BUILD.service)?;
        let parts = parts(source, &holder, db, &redis, signer.clone(), &config.publish);
        watch_schema(&health, &parts.store, &shutdown);
        sources.spawn(publish(parts, redis.clone(), config.publish.clone(), shutdown.token()));
    }
    // A source whose schema is missing keeps the relay from being ready, and not from publishing the others.
    health.mark_started();
    while let Some(ended) = sources.join_next().await {
        ended.context("a source")?;
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

fn watch_schema(health: &Health, store: &Store, shutdown: &Shutdown) {
    let store = store.clone();
    health.probe(store.source().dependency(), Need::Required, shutdown, move || {
        let store = store.clone();
        async move { look_for_schema(&store).await }
    });
}

/// Publishes one source from when its schema is there until told to stop.
async fn publish(parts: Parts, redis: Redis, config: PublishConfig, stop: CancellationToken) {
    let store = parts.store.clone();
    if stop.run_until_cancelled(schema_is_there(&store)).await.is_some() {
        let hints = redis.listen(redis.keys().wake_outbox(store.source().name()));
        relay::run(parts, hints, config, stop).await;
    }
    store.db().close().await;
}

/// Migrations are applied by somebody else, perhaps a little later than we start.
async fn schema_is_there(store: &Store) {
    let mut said = String::new();
    while let Err(problem) = look_for_schema(store).await {
        if problem != said {
            tracing::warn!(source = store.source().name(), problem, "waiting for the schema");
            said = problem;
        }
        tokio::time::sleep(LOOK_FOR_SCHEMA_EVERY).await;
    }
}

/// What is missing, in words, down to its cause.
async fn look_for_schema(store: &Store) -> Result<(), String> {
    store.schema_is_there().await.map_err(|missing| format!("{:#}", anyhow::Error::new(missing)))
}

/// A process that starts again is another holder: what the earlier one held has to expire or be taken with a new epoch.
pub fn new_holder() -> String {
    Uuid::now_v7().to_string()
}

/// Wires what publishes one source. `db` logs in as `holdfast_relay`; `holder` is the process's, for all its sources.
pub fn parts(source: Source, holder: &str, db: TaskDb, redis: &Redis, signer: Signer, config: &PublishConfig) -> Parts {
    let store = Store::new(db, source);
    let holdings = Arc::new(Holdings::default());
    let membership = Membership::new(store.clone(), holder.to_owned(), config.lease_ttl(), holdings.clone());
    let streams = Streams::new(redis.clone(), source, signer.key_id(), config.stream_entries_max);
    let synchroniser = Synchroniser {
        store: store.clone(),
        holder: holder.to_owned(),
        keys: signer.verifying_keys(),
        entries_max: config.stream_entries_max,
    };
    let publisher =
        Publisher::new(store.clone(), streams, signer, synchroniser, holdings.clone(), config.round_limits());
    Parts { store, holdings, membership, publisher }
}
