//! The jobs service: durable jobs, their idempotency ledger, and leases for those who do them.
//!
//! | module | what |
//! |---|---|
//! | `rpc` | the contracts: convert, call, convert; a worker's session |
//! | `wire` | protobuf in and out |
//! | `access` | who may call what |
//! | `app` | use cases; the dispatcher |
//! | `domain` | jobs, transitions, retries, hashes: pure |
//! | `store` | its SQL |
//! | `tasks` | background work under leadership |
//! | `counters` | counts of budgets and rates in Redis |
//! | `policy` | what it knows of policy and kill switches, from calls and events |
//! | `hints` | wake-ups, inside and between instances; the reader of the event streams |
//! | `metrics` | every instrument |
//! | `config` | what it is configured with |
#![forbid(unsafe_code)]

pub mod access;
pub mod app;
pub mod config;
mod counters;
pub mod domain;
mod error;
mod hints;
mod metrics;
mod policy;
mod rpc;
pub mod store;
mod tasks;
pub mod wire;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use holdfast_caller::Verifier;
use holdfast_pg::{AppDb, DatabaseUrl, PoolConfig, ReadDb, TaskDb, migrate};
use holdfast_redis::{Redis, RedisConfig};
use holdfast_runtime::tasks::TaskSet;
use holdfast_runtime::{Health, HttpServer, Need, Server, Shutdown};
use holdfast_telemetry::Metrics;
use tokio::sync::{Notify, broadcast};

use crate::app::budgets::Board;
use crate::app::in_force::InForce;
use crate::app::throttle::OwnRates;
use crate::app::{App, Core, OutboxGauge};
use crate::config::Config;
use crate::counters::Counters;
use crate::hints::Hints;

const SERVICE: &str = "holdfast-jobs";
const SCHEMA: &str = "jobs";
/// Revocations that a session may be behind by before it looks at all its leases instead.
const REVOKED_WAITING_MAX: usize = 1024;
const START_RETRY: Duration = Duration::from_millis(500);

/// Runs the service until shutdown has been asked for and the drain is over.
pub async fn run(config: Config, scrape: Metrics, shutdown: Shutdown) -> anyhow::Result<()> {
    config.validate().map_err(config_error)?;
    metrics::describe();
    let health = Health::new(&shutdown);
    let http = HttpServer::start(&config.http, health.clone(), scrape).await.context("http.listen")?;
    let redis = Redis::connect(&config.redis).context("redis.url")?;
    let core = Arc::new(core(&config, &redis)?);
    watch_dependencies(&health, &core, &redis, &shutdown);

    let verifier = Verifier::new(config.auth.verifier()?).await.context("auth.keys")?;
    let server = Server::bind(config.grpc.clone(), verifier, access::ACCESS)?;
    policy::start(&config.policy, &core, &redis, &health, &shutdown).await.context("policy")?;
    if wait_for_schema(&core, config.tasks.partition_weeks_ahead, &shutdown).await {
        let app = App::new(core.clone());
        let mut tasks = TaskSet::new(&shutdown);
        tasks::start(&core, &config.tasks, &uuid::Uuid::now_v7().to_string(), &mut tasks);
        let (wakes, budgets) = (core.hints.wakes(), core.budgets.wake());
        tokio::spawn(hints::listen(redis.clone(), wakes, core.revoked.clone(), budgets, shutdown.token()));
        tokio::spawn(core.clone().watch_budgets(shutdown.token()));
        tokio::spawn(tasks::follow_settings(core.clone(), config.tasks.project_settings_period(), shutdown.token()));
        tokio::spawn(app.dispatcher.clone().run(shutdown.token()));
        tokio::spawn(app::settle::run(core.clone(), shutdown.token()));
        // Reading the streams blocks its connection.
        let streams = Redis::connect(&RedisConfig { connections: 1, ..config.redis.clone() }).context("redis.url")?;
        tokio::spawn(hints::follow(streams, app.watches.clone(), shutdown.token()));
        tokio::spawn(app::holds::run(core.clone(), shutdown.token()));
        health.mark_started();
        let drain_timeout = config.grpc.drain_timeout();
        server.serve(rpc::routes(app.clone(), shutdown.token(), drain_timeout), &health, &shutdown).await?;
        app.close().await;
        tasks.finish(drain_timeout).await;
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

fn core(config: &Config, redis: &Redis) -> anyhow::Result<Core> {
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
    Ok(Core {
        app_db: AppDb::open(&calls(&database.app_url, database.app_connections_max), SERVICE)?,
        task_db: TaskDb::open(&background, SERVICE)?,
        read_db,
        limits: config.limits().map_err(config_error)?,
        encode: wire::event::encode,
        encode_reminder: wire::event::encode_reminder,
        encode_overdue: wire::event::encode_overdue,
        encode_mark_passed: wire::event::encode_mark_passed,
        encode_change: wire::event::encode_change,
        hints: Hints::new(redis),
        counters: Counters::new(redis),
        budgets: Board::default(),
        rates: OwnRates::default(),
        outbox: OutboxGauge::default(),
        in_force: InForce::default(),
        guard: config.policy.guard(),
        revoked: broadcast::channel(REVOKED_WAITING_MAX).0,
        settle: Notify::new(),
    })
}

/// Redis carries hints: without it the service is slower, not down.
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

/// Waits until the migrations that this version needs are applied, its partitions made and projects' settings read. False where shutdown came
/// first.
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
