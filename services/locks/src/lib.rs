//! The locks service: leases on resources, first come, first served, with a fencing token for every grant.
//!
//! | module | what |
//! |---|---|
//! | `rpc` | the contracts: convert, call, convert; a holder's session |
//! | `wire` | protobuf in and out |
//! | `access` | who may call what |
//! | `app` | use cases; those who wait, and those who watch |
//! | `domain` | the board of resources, leases and queues, and what commands do to it: pure |
//! | `store` | its SQL |
//! | `tasks` | background work: expiry, signs of life, partitions |
//! | `hints` | wake-ups between instances |
//! | `mirror` | what Redis is told of grants |
//! | `metrics` | every instrument |
//! | `config` | what it is configured with |
#![forbid(unsafe_code)]

pub mod access;
pub mod app;
pub mod config;
pub mod domain;
mod error;
mod hints;
mod metrics;
mod mirror;
mod rpc;
pub mod store;
mod tasks;
pub mod wire;

use std::sync::{Arc, RwLock};
use std::time::Duration;

use anyhow::Context as _;
use holdfast_caller::Verifier;
use holdfast_ids::InstanceId;
use holdfast_pg::{AppDb, DatabaseUrl, PoolConfig, ReadDb, TaskDb, migrate};
use holdfast_redis::Redis;
use holdfast_runtime::tasks::TaskSet;
use holdfast_runtime::{Health, HttpServer, Need, Server, Shutdown};
use holdfast_telemetry::Metrics;
use tokio::sync::broadcast;

use crate::app::signs::Signs;
use crate::app::waiting::Waiters;
use crate::app::{App, Core};
use crate::config::Config;
use crate::hints::Hints;
use crate::mirror::Mirror;

const SERVICE: &str = "holdfast-locks";
const SCHEMA: &str = "locks";
/// Revocations that a session may be behind by before it looks at its lease instead.
const REVOKED_WAITING_MAX: usize = 1024;
const START_RETRY: Duration = Duration::from_millis(500);
/// Redis is waited for so long at the start, so that the first grants are mirrored where it is there.
const MIRROR_PATIENCE: Duration = Duration::from_secs(1);

/// Runs the service until shutdown has been asked for and the drain is over.
pub async fn run(config: Config, scrape: Metrics, shutdown: Shutdown) -> anyhow::Result<()> {
    config.validate().map_err(config_error)?;
    metrics::describe();
    let health = Health::new(&shutdown);
    let http = HttpServer::start(&config.http, health.clone(), scrape).await.context("http.listen")?;
    let redis = Redis::connect(&config.redis).context("redis.url")?;
    let core = Arc::new(core(&config, &redis, &shutdown)?);
    watch_dependencies(&health, &core, &redis, &shutdown);

    let verifier = Verifier::new(config.auth.verifier()?).await.context("auth.keys")?;
    let server = Server::bind(config.grpc.clone(), verifier, access::ACCESS)?;
    if wait_for_schema(&core, config.tasks.partition_weeks_ahead, &shutdown).await {
        let app = App::new(core.clone());
        let mut tasks = TaskSet::new(&shutdown);
        tasks::start(&app, &config, &mut tasks);
        // This instance has shown that it is alive, above: nobody waits through one that is not.
        let alive = tokio::spawn(tasks::stay_alive(core.clone(), shutdown.token()));
        tokio::spawn(hints::listen(redis.clone(), core.clone(), app.watches.clone(), shutdown.token()));
        core.mirror.connected(MIRROR_PATIENCE).await;
        health.mark_started();
        server.serve(rpc::routes(app.clone()), &health, &shutdown).await?;
        app.close().await;
        tasks.finish(config.grpc.drain_timeout()).await;
        alive.await.context("signs of life")?;
    }
    http.close().await;
    tracing::info!("drained");
    Ok(())
}

fn config_error(fault: holdfast_fault::Fault) -> anyhow::Error {
    let keys: Vec<String> = fault
        .violations
        .iter()
        .map(|violation| format!("{}: must be {}", violation.field, violation.description))
        .collect();
    anyhow::anyhow!("invalid configuration: {}", keys.join("; "))
}

fn core(config: &Config, redis: &Redis, shutdown: &Shutdown) -> anyhow::Result<Core> {
    let database = &config.database;
    let background = PoolConfig::new(database.task_url.clone()).with_connections_max(database.task_connections_max);
    let calls = |url: &DatabaseUrl, connections_max| PoolConfig {
        transaction_time_max_ms: database.transaction_time_max_ms,
        ..PoolConfig::new(url.clone()).with_connections_max(connections_max)
    };
    let reads_max = database.task_connections_max;
    let mut read_db = ReadDb::open(&calls(&database.app_url, reads_max), SERVICE)?;
    if let Some(url) = &database.read_url {
        read_db = read_db.with_replica(&calls(url, reads_max), database.read_lag_max(), SERVICE)?;
    }
    let mirror = Mirror::new(redis, config.mirror.replicas, config.mirror.wait()).context("mirror")?;
    Ok(Core {
        app_db: AppDb::open(&calls(&database.app_url, database.app_connections_max), SERVICE)?,
        task_db: TaskDb::open(&background, SERVICE)?,
        // Of its own, so that nothing else keeps a sign of life waiting.
        signs_db: TaskDb::open(&background.clone().with_connections_max(1), SERVICE)?,
        read_db,
        limits: config.limits(),
        encode: wire::event::encode,
        hints: Hints::new(redis),
        mirror,
        // A process that starts again is another one: who waited through the earlier one has left.
        instance_id: InstanceId::new(),
        order: RwLock::default(),
        revoked: broadcast::channel(REVOKED_WAITING_MAX).0,
        draining: shutdown.token(),
        waiters: Waiters::default(),
        signs: Signs::default(),
    })
}

/// Redis carries hints and a mirror: without it the service is slower and says so, and is not down.
fn watch_dependencies(health: &Health, core: &Arc<Core>, redis: &Redis, shutdown: &Shutdown) {
    let database = core.clone();
    health.probe("postgres", Need::Required, shutdown, move || {
        let core = database.clone();
        async move { core.app_db.ping().await }
    });
    let redis = redis.clone();
    health.probe("redis", Need::Optional, shutdown, move || {
        let redis = redis.clone();
        async move { redis.ping().await }
    });
}

/// Waits until the migrations that this version needs are applied, its partitions made, the order registry read and this instance known to be
/// alive. False where shutdown came first.
async fn wait_for_schema(core: &Core, weeks_ahead: i32, shutdown: &Shutdown) -> bool {
    loop {
        let problem = match core.app_db.bounded(migrate::is_current(core.app_db.pool(), SCHEMA)).await {
            Ok(true) => match tasks::prepare(core, weeks_ahead).await {
                Ok(()) => return true,
                Err(fault) => fault.message.clone(),
            },
            Ok(false) => "the schema lacks migrations of this version".to_owned(),
            Err(error) => error.to_string(),
        };
        tracing::warn!(problem, "not started yet");
        tokio::select! {
            () = tokio::time::sleep(START_RETRY) => {}
            () = shutdown.begun() => return false,
        }
    }
}
