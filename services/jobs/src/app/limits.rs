//! What configuration allows: per intent, per project, per worker, per batch.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use holdfast_ids::{Intent, TenantId};
use holdfast_pg::coalescer;

use super::budgets::BudgetLimits;
use super::throttle::RateLimits;
use crate::domain::fair::Bounds;
use crate::domain::growth::Marks;
use crate::domain::job::Tier;
use crate::domain::labels::Holding;
use crate::domain::project::{IntentPolicy, QueueTimeout, WEIGHT_DEFAULT};
use crate::domain::retry::RetryPolicy;
use crate::store::claim::RunningLimits;
use crate::store::growth::Kept;

#[derive(Debug, Clone)]
pub struct Limits {
    pub intents: Intents,
    pub running: RunningLimits,
    pub fairness: Fairness,
    pub depth: DepthLimits,
    /// Intents that are taken on up to the hard limits, whatever else is refused before.
    pub safety_critical: HashSet<Intent>,
    /// New submissions are refused while this many events wait for a relay.
    pub outbox_hard: i64,
    pub outbox_soft: i64,
    pub lease_ttl: Duration,
    /// What nobody has run by then ends.
    pub max_age: Duration,
    pub approvals: ApprovalLimits,
    pub budgets: BudgetLimits,
    pub rates: RateLimits,
    pub workers: Vec<WorkerGrant>,
    pub platform_tenant: TenantId,
    pub batches: Batches,
    pub dispatch: DispatchLimits,
    pub watch: WatchLimits,
    pub holding: Holding,
    pub growth: GrowthLimits,
}

#[derive(Debug, Clone, Copy)]
pub struct WatchLimits {
    /// Of one instance.
    pub watches_max: usize,
    /// Events that wait for one watch; with more it looks for them in the database.
    pub feed_events_max: usize,
    /// Published events of one shard that one look brings.
    pub page_events_max: i64,
    /// How often a watch in which nothing happens is given a new resume token.
    pub bookmark_every: Duration,
    /// A caller that takes nothing for as long is no longer waited for.
    pub stall_max: Duration,
    /// How often the database is looked at while the streams cannot be read.
    pub poll: Duration,
    /// How old a resume token may be: as long as published events stay readable.
    pub keep: chrono::TimeDelta,
}

#[derive(Debug, Clone)]
pub struct GrowthLimits {
    pub marks: Marks,
    pub kept: Vec<Kept>,
    /// Sums of usage, from the end of their period on.
    pub budget_usage_kept: Duration,
}

/// How tenants and projects share what workers have room for.
#[derive(Debug, Clone)]
pub struct Fairness {
    pub bounds: Bounds,
    /// Those that have one of their own.
    pub tenants: HashMap<TenantId, u32>,
}

impl Fairness {
    pub fn tenant_weight(&self, tenant_id: &str) -> u32 {
        self.tenants.get(tenant_id).copied().unwrap_or(WEIGHT_DEFAULT.unsigned_abs())
    }
}

#[derive(Debug, Clone, Copy)]
pub struct ApprovalLimits {
    /// In production infra-approvers decide about every job of tier C, elsewhere about those of the infra queue.
    pub production: bool,
    /// While a job waits for a decision.
    pub reminder_every: Duration,
}

#[derive(Debug, Clone, Copy)]
pub struct DepthLimits {
    pub project_soft: i64,
    pub project_hard: i64,
    pub infra_soft: i64,
    pub infra_hard: i64,
}

#[derive(Debug, Clone, Copy)]
pub struct Batches {
    pub submissions: coalescer::Limits,
    pub reads: coalescer::Limits,
    pub answers: coalescer::Limits,
    pub extensions: coalescer::Limits,
    pub usage: coalescer::Limits,
}

#[derive(Debug, Clone, Copy)]
pub struct DispatchLimits {
    pub poll: Duration,
    pub claim_jobs_max: usize,
    /// Payload bytes of one claim.
    pub claim_bytes_max: usize,
}

/// The terms of one intent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IntentTerms {
    /// None: by tier.
    pub run_budget: Option<Duration>,
    /// How long people have to decide about a job of tier C.
    pub human_budget: Duration,
    /// None: what the others come to.
    pub total_budget: Option<Duration>,
    /// None: by tier.
    pub queue_budget: Option<Duration>,
    pub on_queue_timeout: QueueTimeout,
    pub attempts_max: i32,
    pub retry: RetryPolicy,
    pub key_window: Duration,
}

impl IntentTerms {
    /// Tier A 20 minutes, B 45, C 60, where the intent does not say.
    pub fn run_budget(&self, tier: Tier) -> Duration {
        const MINUTE_S: u64 = 60;
        self.run_budget.unwrap_or(Duration::from_secs(match tier {
            Tier::A => 20 * MINUTE_S,
            Tier::B => 45 * MINUTE_S,
            Tier::C => 60 * MINUTE_S,
        }))
    }

    /// The time that accepting, queueing, running and deciding may take together, where the intent does not say: tier A
    /// 21 min 5 s, B 47 min 5 s, C 3 h 3 min 5 s. An intent whose retries may go on for longer than usual has that time too.
    pub fn total_budget(&self, tier: Tier) -> Duration {
        const ACCEPT: Duration = Duration::from_secs(5);
        const USUAL_RETRIES: Duration = Duration::from_secs(600);
        let human = if tier == Tier::C { self.human_budget } else { Duration::ZERO };
        let retries = self.retry.window.saturating_sub(USUAL_RETRIES);
        // By tier even where the intent has a queue budget of its own: time in the queue is not on this clock.
        let usual = ACCEPT + usual_queue_budget(tier);
        self.total_budget.unwrap_or(usual + self.run_budget(tier) + human + retries)
    }

    /// How long a job may wait for a worker: tier A 60 s, B 120 s, C 180 s, where the intent does not say.
    pub fn queue_budget(&self, tier: Tier) -> Duration {
        self.queue_budget.unwrap_or(usual_queue_budget(tier))
    }

    /// These terms as far as a project's policy says nothing else.
    #[must_use]
    pub fn under(mut self, policy: &IntentPolicy) -> Self {
        let ms = |own: Option<i64>, default| own.map_or(default, |ms| Duration::from_millis(ms.unsigned_abs()));
        self.run_budget = policy.run_budget_ms.map(|ms| Duration::from_millis(ms.unsigned_abs())).or(self.run_budget);
        self.human_budget = ms(policy.human_budget_ms, self.human_budget);
        self.attempts_max = policy.max_attempts.unwrap_or(self.attempts_max);
        self.retry.initial = ms(policy.retry_initial_ms, self.retry.initial);
        self.retry.cap = ms(policy.retry_cap_ms, self.retry.cap);
        self.retry.window = ms(policy.retry_window_ms, self.retry.window);
        self.key_window = ms(policy.key_window_ms, self.key_window);
        self.queue_budget =
            policy.queue_budget_ms.map(|ms| Duration::from_millis(ms.unsigned_abs())).or(self.queue_budget);
        self.on_queue_timeout = policy.on_queue_timeout.unwrap_or(self.on_queue_timeout);
        self
    }
}

fn usual_queue_budget(tier: Tier) -> Duration {
    Duration::from_secs(match tier {
        Tier::A => 60,
        Tier::B => 120,
        Tier::C => 180,
    })
}

#[derive(Debug, Clone)]
pub struct Intents {
    pub default: IntentTerms,
    pub own: HashMap<Intent, IntentTerms>,
}

impl Intents {
    pub fn terms(&self, intent: &Intent) -> &IntentTerms {
        self.own.get(intent).unwrap_or(&self.default)
    }
}

/// What workers with a subject may lease.
#[derive(Debug, Clone)]
pub struct WorkerGrant {
    /// A subject, or a prefix that ends in '*'.
    pub subject: String,
    /// For workers of the platform tenant; others have the tenants of their token.
    pub tenants: Vec<TenantId>,
    /// Empty: all.
    pub intents: Vec<Intent>,
}

impl WorkerGrant {
    pub fn covers(&self, subject: &str) -> bool {
        match self.subject.strip_suffix('*') {
            Some(prefix) => subject.starts_with(prefix),
            None => subject == self.subject,
        }
    }
}
