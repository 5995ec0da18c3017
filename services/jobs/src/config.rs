//! What the service is configured with. Read from a TOML file and HOLDFAST_JOBS__SECTION__KEY, checked at start: a value
//! that cannot be right is refused by its name.

mod budgets;
mod check;
mod data;
mod policy;
mod tasks;

use std::collections::HashMap;
use std::time::Duration;

use holdfast_fault::Fault;
use holdfast_ids::{Intent, ProjectId, TenantId};
use holdfast_pg::{DatabaseUrl, coalescer};
use holdfast_redis::RedisConfig;
use serde::Deserialize;

pub use self::budgets::{Budgets, Rates};
pub use self::policy::{PolicyConfig, PolicyMode};
pub use self::tasks::Tasks;
use crate::app::limits::{
    ApprovalLimits, Batches, DepthLimits, DispatchLimits, Fairness, GrowthLimits, IntentTerms, Intents, Limits,
    WatchLimits, WorkerGrant,
};
use crate::domain::fair::Bounds;
use crate::domain::project::QueueTimeout;
use crate::domain::retry::RetryPolicy;
use crate::store::claim::RunningLimits;
pub use data::{Growth, ResidencyConfig, Retention, TenantResidency};

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    #[serde(default)]
    pub grpc: holdfast_runtime::GrpcConfig,
    #[serde(default)]
    pub http: holdfast_runtime::HttpConfig,
    pub database: Database,
    pub redis: RedisConfig,
    pub auth: holdfast_runtime::AuthConfig,
    #[serde(default)]
    pub telemetry: holdfast_telemetry::TelemetryConfig,
    #[serde(default)]
    pub leases: Leases,
    #[serde(default)]
    pub limits: LimitsConfig,
    #[serde(default)]
    pub fairness: FairnessConfig,
    #[serde(default)]
    pub approvals: Approvals,
    #[serde(default)]
    pub budgets: Budgets,
    #[serde(default)]
    pub rates: Rates,
    #[serde(default)]
    pub retries: Retries,
    /// Terms of single intents; what one leaves out is as for all.
    #[serde(default)]
    pub intents: Vec<IntentConfig>,
    /// Who may lease what. A worker that none of these covers may lease nothing.
    #[serde(default)]
    pub workers: Vec<WorkerConfig>,
    #[serde(default)]
    pub batches: BatchesConfig,
    #[serde(default)]
    pub dispatch: DispatchConfig,
    #[serde(default)]
    pub watch: Watch,
    #[serde(default)]
    pub tasks: Tasks,
    #[serde(default)]
    pub residency: ResidencyConfig,
    #[serde(default)]
    pub growth: Growth,
    #[serde(default)]
    pub retention: Retention,
    #[serde(default)]
    pub policy: PolicyConfig,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// As holdfast_jobs_app.
    pub app_url: DatabaseUrl,
    /// As holdfast_jobs_task.
    pub task_url: DatabaseUrl,
    /// As holdfast_jobs_app, on one replica, for lists, histories and reports; the primary where absent.
    pub read_url: Option<DatabaseUrl>,
    /// A replica that lags by more is not read.
    #[serde(default = "read_lag_max_ms")]
    pub read_lag_max_ms: u64,
    #[serde(default = "app_connections_max")]
    pub app_connections_max: u32,
    #[serde(default = "task_connections_max")]
    pub task_connections_max: u32,
    /// How long a transaction of a call, or of a batch of calls, may take. Background work has longer, see PoolConfig.
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

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Leases {
    /// How long a lease holds without a heartbeat; workers heartbeat at a third of it.
    pub ttl_ms: u64,
}

impl Default for Leases {
    fn default() -> Self {
        Self { ttl_ms: 30_000 }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// Jobs of a project that run at once; 1 makes projects serial.
    pub running_per_project: i32,
    pub projects: Vec<ProjectLimit>,
    pub project_depth_soft: i64,
    pub project_depth_hard: i64,
    pub infra_depth_soft: i64,
    pub infra_depth_hard: i64,
    /// Events that wait for a relay: an alert from here on.
    pub outbox_pending_soft: i64,
    /// Events that wait for a relay: no new submissions from here on.
    pub outbox_pending_hard: i64,
    /// A job that nobody has run by then ends; counted from when it could first have run.
    pub max_age_ms: u64,
    /// Whose workers are granted tenants by configuration.
    pub platform_tenant: String,
    /// Intents that are taken on up to the hard limits, whatever else is refused before.
    pub safety_critical_intents: Vec<Intent>,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            running_per_project: 1,
            projects: Vec::new(),
            project_depth_soft: 2000,
            project_depth_hard: 5000,
            infra_depth_soft: 800,
            infra_depth_hard: 2000,
            outbox_pending_soft: 10_000,
            outbox_pending_hard: 50_000,
            max_age_ms: 7 * 24 * 3600 * 1000,
            platform_tenant: "platform".to_owned(),
            safety_critical_intents: Vec::new(),
        }
    }
}

/// How tenants and projects share what workers have room for.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FairnessConfig {
    /// What a project with ready jobs is given at least, in hundredths of all, or its equal share where that is less.
    pub floor_percent: f64,
    /// What it is given at most while others have ready jobs.
    pub cap_percent: f64,
    /// Weights of tenants; 100 for all others.
    pub tenants: Vec<TenantWeight>,
}

impl Default for FairnessConfig {
    fn default() -> Self {
        Self { floor_percent: 5.0, cap_percent: 60.0, tenants: Vec::new() }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TenantWeight {
    pub tenant: TenantId,
    pub weight: u32,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProjectLimit {
    pub tenant: TenantId,
    pub project: ProjectId,
    pub running: i32,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Approvals {
    /// In production infra-approvers decide about every job of tier C, elsewhere about those of the infra queue.
    pub production: bool,
    /// How long people have for a decision; per intent, see there.
    pub human_budget_ms: u64,
    /// How often they are reminded of one that waits.
    pub reminder_period_ms: u64,
}

impl Default for Approvals {
    fn default() -> Self {
        Self { production: false, human_budget_ms: 2 * 3600 * 1000, reminder_period_ms: 15 * 60 * 1000 }
    }
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retries {
    pub initial_ms: u64,
    pub cap_ms: u64,
    /// From the first failure on.
    pub window_ms: u64,
    pub attempts_max: i32,
    /// How long an idempotency key stands for its job.
    pub key_window_ms: u64,
}

impl Default for Retries {
    fn default() -> Self {
        Self { initial_ms: 1000, cap_ms: 60_000, window_ms: 600_000, attempts_max: 5, key_window_ms: 24 * 3600 * 1000 }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IntentConfig {
    pub name: Intent,
    pub run_budget_ms: Option<u64>,
    pub human_budget_ms: Option<u64>,
    pub total_budget_ms: Option<u64>,
    pub queue_budget_ms: Option<u64>,
    pub on_queue_timeout: Option<QueueTimeout>,
    pub attempts_max: Option<i32>,
    pub retry_initial_ms: Option<u64>,
    pub retry_cap_ms: Option<u64>,
    pub retry_window_ms: Option<u64>,
    pub key_window_ms: Option<u64>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerConfig {
    /// A token's subject, or a prefix that ends in '*'.
    pub subject: String,
    /// What workers of the platform tenant may lease from.
    #[serde(default)]
    pub tenants: Vec<TenantId>,
    /// Names, or "*" for all.
    pub intents: Vec<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BatchesConfig {
    pub items_max: usize,
    pub bytes_max: usize,
    /// Batches of submissions in flight.
    pub submission_lanes: usize,
    pub answer_lanes: usize,
}

impl Default for BatchesConfig {
    fn default() -> Self {
        Self { items_max: 256, bytes_max: 8 * 1024 * 1024, submission_lanes: 1, answer_lanes: 1 }
    }
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DispatchConfig {
    /// How often to look for jobs when nothing hints at any.
    pub poll_ms: u64,
    pub claim_jobs_max: usize,
    pub claim_bytes_max: usize,
}

impl Default for DispatchConfig {
    fn default() -> Self {
        Self { poll_ms: 200, claim_jobs_max: 256, claim_bytes_max: 16 * 1024 * 1024 }
    }
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Watch {
    pub watches_max: usize,
    pub feed_events_max: usize,
    pub page_events_max: i64,
    pub bookmark_period_ms: u64,
    pub stall_max_ms: u64,
    /// While Redis is away.
    pub poll_ms: u64,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            watches_max: 256,
            feed_events_max: 1024,
            page_events_max: 64,
            bookmark_period_ms: 15_000,
            stall_max_ms: 60_000,
            poll_ms: 2000,
        }
    }
}

impl Config {
    pub fn limits(&self) -> Result<Limits, Fault> {
        let bad_tenant = |error: holdfast_ids::IdError| Fault::invalid("limits.platform_tenant", error.to_string());
        Ok(Limits {
            intents: self.intents(),
            running: RunningLimits {
                default: self.limits.running_per_project,
                tenant_ids: self.limits.projects.iter().map(|project| project.tenant.to_string()).collect(),
                project_ids: self.limits.projects.iter().map(|project| project.project.to_string()).collect(),
                running_max: self.limits.projects.iter().map(|project| project.running).collect(),
            },
            fairness: Fairness {
                bounds: Bounds { floor: self.fairness.floor_percent / 100.0, cap: self.fairness.cap_percent / 100.0 },
                tenants: self.fairness.tenants.iter().map(|own| (own.tenant.clone(), own.weight)).collect(),
            },
            safety_critical: self.limits.safety_critical_intents.iter().cloned().collect(),
            depth: DepthLimits {
                project_soft: self.limits.project_depth_soft,
                project_hard: self.limits.project_depth_hard,
                infra_soft: self.limits.infra_depth_soft,
                infra_hard: self.limits.infra_depth_hard,
            },
            outbox_hard: self.limits.outbox_pending_hard,
            outbox_soft: self.limits.outbox_pending_soft,
            lease_ttl: Duration::from_millis(self.leases.ttl_ms),
            max_age: Duration::from_millis(self.limits.max_age_ms),
            approvals: ApprovalLimits {
                production: self.approvals.production,
                reminder_every: Duration::from_millis(self.approvals.reminder_period_ms),
            },
            budgets: self.budgets.limits(),
            rates: self.rates.limits(),
            workers: self.workers.iter().map(WorkerConfig::grant).collect(),
            platform_tenant: TenantId::parse(&self.limits.platform_tenant).map_err(bad_tenant)?,
            batches: self.batches.limits(),
            dispatch: DispatchLimits {
                poll: Duration::from_millis(self.dispatch.poll_ms),
                claim_jobs_max: self.dispatch.claim_jobs_max,
                claim_bytes_max: self.dispatch.claim_bytes_max,
            },
            watch: WatchLimits {
                watches_max: self.watch.watches_max,
                feed_events_max: self.watch.feed_events_max,
                page_events_max: self.watch.page_events_max,
                bookmark_every: Duration::from_millis(self.watch.bookmark_period_ms),
                stall_max: Duration::from_millis(self.watch.stall_max_ms),
                poll: Duration::from_millis(self.watch.poll_ms),
                keep: chrono::TimeDelta::milliseconds(self.tasks.outbox_keep_ms.cast_signed()),
            },
            holding: self.residency.holding()?,
            growth: GrowthLimits {
                marks: self.growth.marks(),
                kept: self.retention.kept(Duration::from_millis(self.limits.max_age_ms)),
                budget_usage_kept: self.retention.budget_usage_kept(),
            },
        })
    }

    fn intents(&self) -> Intents {
        let all = &self.retries;
        let default = IntentTerms {
            run_budget: None,
            human_budget: Duration::from_millis(self.approvals.human_budget_ms),
            total_budget: None,
            queue_budget: None,
            on_queue_timeout: QueueTimeout::Event,
            attempts_max: all.attempts_max,
            retry: RetryPolicy {
                initial: Duration::from_millis(all.initial_ms),
                cap: Duration::from_millis(all.cap_ms),
                window: Duration::from_millis(all.window_ms),
            },
            key_window: Duration::from_millis(all.key_window_ms),
        };
        let own: HashMap<Intent, IntentTerms> =
            self.intents.iter().map(|intent| (intent.name.clone(), intent.terms(&default))).collect();
        Intents { default, own }
    }
}

impl IntentConfig {
    fn terms(&self, default: &IntentTerms) -> IntentTerms {
        let or = |own: Option<u64>, default: Duration| own.map_or(default, Duration::from_millis);
        IntentTerms {
            run_budget: self.run_budget_ms.map(Duration::from_millis),
            human_budget: or(self.human_budget_ms, default.human_budget),
            total_budget: self.total_budget_ms.map(Duration::from_millis),
            queue_budget: self.queue_budget_ms.map(Duration::from_millis),
            on_queue_timeout: self.on_queue_timeout.unwrap_or(default.on_queue_timeout),
            attempts_max: self.attempts_max.unwrap_or(default.attempts_max),
            retry: RetryPolicy {
                initial: or(self.retry_initial_ms, default.retry.initial),
                cap: or(self.retry_cap_ms, default.retry.cap),
                window: or(self.retry_window_ms, default.retry.window),
            },
            key_window: or(self.key_window_ms, default.key_window),
        }
    }
}

impl WorkerConfig {
    fn grant(&self) -> WorkerGrant {
        let any = self.intents.iter().any(|intent| intent == "*");
        let intents = if any {
            Vec::new()
        } else {
            self.intents.iter().filter_map(|intent| Intent::parse(intent).ok()).collect()
        };
        WorkerGrant { subject: self.subject.clone(), tenants: self.tenants.clone(), intents }
    }
}

impl BatchesConfig {
    fn limits(&self) -> Batches {
        let of = |lanes| coalescer::Limits { items_max: self.items_max, bytes_max: self.bytes_max, lanes };
        // Reads are bounded by what they may bring back: a payload and a result each.
        let reads = coalescer::Limits { items_max: 32, bytes_max: usize::MAX, lanes: 4 };
        Batches {
            submissions: of(self.submission_lanes),
            reads,
            answers: of(self.answer_lanes),
            extensions: of(1),
            usage: of(1),
        }
    }
}
