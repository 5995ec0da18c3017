//! What the service is configured with. Read from a TOML file and HOLDFAST_LOCKS__SECTION__KEY, checked at start: a value
//! that cannot be right is refused by its name.

mod check;
mod tasks;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use holdfast_pg::DatabaseUrl;
use holdfast_pg::coalescer::Limits as Batching;
use holdfast_redis::RedisConfig;
use holdfast_runtime::{AuthConfig, GrpcConfig, HttpConfig};
use holdfast_telemetry::TelemetryConfig;
use serde::Deserialize;

pub use self::tasks::Tasks;
use crate::app::Limits;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    #[serde(default = "grpc")]
    pub grpc: GrpcConfig,
    #[serde(default = "http")]
    pub http: HttpConfig,
    pub database: Database,
    pub redis: RedisConfig,
    pub auth: AuthConfig,
    #[serde(default)]
    pub telemetry: TelemetryConfig,
    #[serde(default)]
    pub leases: Leases,
    #[serde(default)]
    pub waits: Waits,
    #[serde(default)]
    pub watch: Watch,
    #[serde(default)]
    pub mirror: MirrorConfig,
    #[serde(default)]
    pub batches: BatchesConfig,
    #[serde(default)]
    pub tasks: Tasks,
}

/// Beside the other services on one machine.
fn grpc() -> GrpcConfig {
    GrpcConfig { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 7101)), ..GrpcConfig::default() }
}

fn http() -> HttpConfig {
    HttpConfig { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 7182)) }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// As holdfast_locks_app.
    pub app_url: DatabaseUrl,
    /// As holdfast_locks_task.
    pub task_url: DatabaseUrl,
    /// As holdfast_locks_app, on one replica, for lists; the primary where absent.
    pub read_url: Option<DatabaseUrl>,
    /// A replica that lags by more is not read.
    #[serde(default = "read_lag_max_ms")]
    pub read_lag_max_ms: u64,
    #[serde(default = "app_connections_max")]
    pub app_connections_max: u32,
    #[serde(default = "task_connections_max")]
    pub task_connections_max: u32,
    /// How long a transaction of a batch of calls may take. Background work has longer, see PoolConfig.
    #[serde(default = "transaction_time_max_ms")]
    pub transaction_time_max_ms: u64,
}

impl Database {
    pub fn read_lag_max(&self) -> Duration {
        Duration::from_millis(self.read_lag_max_ms)
    }
}

fn read_lag_max_ms() -> u64 {
    1000
}

/// With those of background work and of lists, the 20 of an instance.
fn app_connections_max() -> u32 {
    12
}

fn task_connections_max() -> u32 {
    4
}

fn transaction_time_max_ms() -> u64 {
    10_000
}

/// What leases are granted under. The defaults are a developer's; docs/configuration.md has the others.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Leases {
    /// How long a lease holds without a heartbeat, where its request does not say; holders heartbeat at a third of it.
    pub ttl_ms: u64,
    /// The longest that a request may ask for.
    pub ttl_max_ms: u64,
    /// From the latest heartbeat on nobody else is granted for so long.
    pub stale_after_ms: u64,
    pub renewals_max: i32,
}

impl Default for Leases {
    fn default() -> Self {
        Self { ttl_ms: 30_000, ttl_max_ms: 300_000, stale_after_ms: 45_000, renewals_max: 80 }
    }
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Waits {
    /// The most calls that wait through an instance at once.
    pub waiters_max: usize,
    /// How often an instance looks for all its waiters at once whether one of them can go on, when nothing hints at it.
    pub poll_ms: u64,
    /// How long after an instance's last sign of life its waiters have left.
    pub instance_ttl_ms: u64,
}

impl Default for Waits {
    fn default() -> Self {
        Self { waiters_max: 10_000, poll_ms: 250, instance_ttl_ms: 3000 }
    }
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Watch {
    pub watches_max: usize,
}

impl Default for Watch {
    fn default() -> Self {
        Self { watches_max: 1000 }
    }
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MirrorConfig {
    /// How many replicas of Redis are to have a grant before it is answered.
    pub replicas: u32,
    /// How long they are waited for.
    pub wait_ms: u64,
    /// A grant that is not mirrored is released again, where its request does not say otherwise.
    pub require: bool,
    /// How often it is looked whether Redis has lost the mirror.
    pub rebuild_period_ms: u64,
}

impl Default for MirrorConfig {
    fn default() -> Self {
        Self { replicas: 0, wait_ms: 100, require: false, rebuild_period_ms: 1000 }
    }
}

impl MirrorConfig {
    pub fn wait(&self) -> Duration {
        Duration::from_millis(self.wait_ms)
    }

    pub fn rebuild_period(&self) -> Duration {
        Duration::from_millis(self.rebuild_period_ms)
    }
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BatchesConfig {
    pub items_max: usize,
    /// Batches of grants, releases and waits in flight.
    pub board_lanes: usize,
    /// Batches of heartbeats in flight.
    pub renewal_lanes: usize,
}

impl Default for BatchesConfig {
    fn default() -> Self {
        Self { items_max: 256, board_lanes: 1, renewal_lanes: 2 }
    }
}

impl Config {
    pub fn limits(&self) -> Limits {
        // Commands are small; their number bounds a batch.
        let batching = |lanes| Batching { items_max: self.batches.items_max, bytes_max: usize::MAX, lanes };
        Limits {
            ttl: Duration::from_millis(self.leases.ttl_ms),
            ttl_max: Duration::from_millis(self.leases.ttl_max_ms),
            stale_after: Duration::from_millis(self.leases.stale_after_ms),
            renewals_max: self.leases.renewals_max,
            require_mirror: self.mirror.require,
            poll: Duration::from_millis(self.waits.poll_ms),
            instance_ttl: Duration::from_millis(self.waits.instance_ttl_ms),
            waiters_max: self.waits.waiters_max,
            watches_max: self.watch.watches_max,
            boards: batching(self.batches.board_lanes),
            renewals: batching(self.batches.renewal_lanes),
        }
    }
}
