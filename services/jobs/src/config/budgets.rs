//! Budgets and rates.

use std::time::Duration;

use holdfast_ids::TenantId;
use serde::Deserialize;

use super::check::{DAY_MS, Wrong};
use crate::app::budgets::{BudgetLimits, ProjectBudgets};
use crate::app::throttle::RateLimits;
use crate::domain::budget::Allowance;

/// Far beyond any budget, and sums of it stay within what is counted with.
const AMOUNT_MAX: i64 = 1_000_000_000_000_000;
const RATE_MAX: i64 = 1_000_000;

/// Limits in tokens and in millionths of a US dollar; 0 is no limit.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Budgets {
    /// Off: usage is recorded, and no job is ended or refused for it.
    pub enabled: bool,
    pub job_tokens: i64,
    pub job_cost_micro_usd: i64,
    pub user_day_tokens: i64,
    pub user_day_cost_micro_usd: i64,
    pub project_day_tokens: i64,
    pub project_day_cost_micro_usd: i64,
    pub tenant_month_tokens: i64,
    pub tenant_month_cost_micro_usd: i64,
    /// Of single tenants; what one leaves out is as for all.
    pub tenants: Vec<TenantBudgets>,
    /// How often each instance looks which budgets are exceeded.
    pub refresh_period_ms: u64,
    /// Without having been able to look for that long it refuses new jobs.
    pub freshness_max_ms: u64,
}

impl Default for Budgets {
    fn default() -> Self {
        const USD: i64 = 1_000_000;
        Self {
            enabled: true,
            job_tokens: 500_000,
            job_cost_micro_usd: 10 * USD,
            user_day_tokens: 2_000_000,
            user_day_cost_micro_usd: 30 * USD,
            project_day_tokens: 12_000_000,
            project_day_cost_micro_usd: 150 * USD,
            tenant_month_tokens: 0,
            tenant_month_cost_micro_usd: 5000 * USD,
            tenants: Vec::new(),
            refresh_period_ms: 1000,
            freshness_max_ms: 30_000,
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TenantBudgets {
    pub tenant: TenantId,
    pub job_tokens: Option<i64>,
    pub job_cost_micro_usd: Option<i64>,
    pub user_day_tokens: Option<i64>,
    pub user_day_cost_micro_usd: Option<i64>,
    pub project_day_tokens: Option<i64>,
    pub project_day_cost_micro_usd: Option<i64>,
    pub tenant_month_tokens: Option<i64>,
    pub tenant_month_cost_micro_usd: Option<i64>,
}

fn allowance(tokens: i64, cost_micro_usd: i64) -> Allowance {
    let limit = |amount: i64| (amount > 0).then_some(amount);
    Allowance { tokens: limit(tokens), cost_micro_usd: limit(cost_micro_usd) }
}

impl Budgets {
    pub(super) fn limits(&self) -> BudgetLimits {
        BudgetLimits {
            enabled: self.enabled,
            default: self.of_tenant(None),
            tenants: self.tenants.iter().map(|own| (own.tenant.clone(), self.of_tenant(Some(own)))).collect(),
            refresh: Duration::from_millis(self.refresh_period_ms),
            freshness_max: Duration::from_millis(self.freshness_max_ms),
        }
    }

    fn of_tenant(&self, own: Option<&TenantBudgets>) -> ProjectBudgets {
        let or = |amount: fn(&TenantBudgets) -> Option<i64>, all: i64| own.and_then(amount).unwrap_or(all);
        ProjectBudgets {
            job: allowance(
                or(|own| own.job_tokens, self.job_tokens),
                or(|own| own.job_cost_micro_usd, self.job_cost_micro_usd),
            ),
            user: allowance(
                or(|own| own.user_day_tokens, self.user_day_tokens),
                or(|own| own.user_day_cost_micro_usd, self.user_day_cost_micro_usd),
            ),
            project: allowance(
                or(|own| own.project_day_tokens, self.project_day_tokens),
                or(|own| own.project_day_cost_micro_usd, self.project_day_cost_micro_usd),
            ),
            tenant: allowance(
                or(|own| own.tenant_month_tokens, self.tenant_month_tokens),
                or(|own| own.tenant_month_cost_micro_usd, self.tenant_month_cost_micro_usd),
            ),
        }
    }

    pub(super) fn check(&self, wrong: &mut Wrong) {
        for (key, amount) in [
            ("budgets.job_tokens", self.job_tokens),
            ("budgets.job_cost_micro_usd", self.job_cost_micro_usd),
            ("budgets.user_day_tokens", self.user_day_tokens),
            ("budgets.user_day_cost_micro_usd", self.user_day_cost_micro_usd),
            ("budgets.project_day_tokens", self.project_day_tokens),
            ("budgets.project_day_cost_micro_usd", self.project_day_cost_micro_usd),
            ("budgets.tenant_month_tokens", self.tenant_month_tokens),
            ("budgets.tenant_month_cost_micro_usd", self.tenant_month_cost_micro_usd),
        ] {
            wrong.outside(amount, 0..=AMOUNT_MAX, key);
        }
        let amounts = self.tenants.iter().flat_map(|own| {
            [
                own.job_tokens,
                own.job_cost_micro_usd,
                own.user_day_tokens,
                own.user_day_cost_micro_usd,
                own.project_day_tokens,
                own.project_day_cost_micro_usd,
                own.tenant_month_tokens,
                own.tenant_month_cost_micro_usd,
            ]
        });
        let within = amounts.flatten().all(|amount| (0..=AMOUNT_MAX).contains(&amount));
        wrong.unless(within, "budgets.tenants", &format!("amounts of 0 to {AMOUNT_MAX}"));
        wrong.twice(self.tenants.iter().map(|own| &own.tenant), "budgets.tenants");
        wrong.outside(self.refresh_period_ms, 10..=DAY_MS, "budgets.refresh_period_ms");
        // A look that has to wait for a Redis that does not answer, and one that is lost, make nothing of it.
        let least_ms = self.refresh_period_ms.saturating_mul(2).saturating_add(2000);
        wrong.outside(self.freshness_max_ms, least_ms..=DAY_MS.max(least_ms), "budgets.freshness_max_ms");
    }
}

/// Submissions that a caller may make in a minute, by its class; 0 is no limit.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rates {
    pub users_per_minute: i64,
    pub agents_per_minute: i64,
    pub services_per_minute: i64,
}

impl Default for Rates {
    fn default() -> Self {
        Self { users_per_minute: 20, agents_per_minute: 0, services_per_minute: 0 }
    }
}

impl Rates {
    pub(super) fn limits(&self) -> RateLimits {
        let limit = |per_minute: i64| (per_minute > 0).then_some(per_minute);
        RateLimits {
            users: limit(self.users_per_minute),
            agents: limit(self.agents_per_minute),
            services: limit(self.services_per_minute),
        }
    }

    pub(super) fn check(&self, wrong: &mut Wrong) {
        wrong.outside(self.users_per_minute, 0..=RATE_MAX, "rates.users_per_minute");
        wrong.outside(self.agents_per_minute, 0..=RATE_MAX, "rates.agents_per_minute");
        wrong.outside(self.services_per_minute, 0..=RATE_MAX, "rates.services_per_minute");
    }
}
