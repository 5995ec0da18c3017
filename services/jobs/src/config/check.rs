//! What types alone do not check. A refusal names every key that is wrong.

use std::collections::HashSet;
use std::fmt::Display;
use std::ops::RangeInclusive;

use holdfast_fault::{Fault, Violation};
use holdfast_ids::{Intent, TenantId};

use super::{
    Config, FairnessConfig, Growth, IntentConfig, LimitsConfig, PolicyConfig, ResidencyConfig, Retention, Retries,
    Tasks,
};
use crate::domain::project::WEIGHT_MAX;

const SECOND_MS: u64 = 1000;
const HOUR_MS: u64 = 3600 * SECOND_MS;
pub(super) const DAY_MS: u64 = 24 * HOUR_MS;
/// Slots of the outbox ring that hold published events while the current one is filled.
const CLOSED_SLOTS: u64 = 15;

#[derive(Default)]
pub(super) struct Wrong(Vec<Violation>);

impl Wrong {
    pub(super) fn unless(&mut self, holds: bool, key: &str, rule: &str) {
        if !holds {
            self.0.push(Violation::new(key, rule));
        }
    }

    pub(super) fn outside<T: PartialOrd + Display>(&mut self, value: T, range: RangeInclusive<T>, key: &str) {
        let rule = format!("{} to {}", range.start(), range.end());
        self.unless(range.contains(&value), key, &rule);
    }

    /// Whoever has two entries in a list means one of them, and nobody knows which.
    pub(super) fn twice(&mut self, names: impl Iterator<Item = impl Display>, list: &str) {
        let mut seen = HashSet::new();
        for name in names.map(|name| name.to_string()) {
            self.unless(!seen.contains(&name), list, &format!("one entry each: {name} has two"));
            seen.insert(name);
        }
    }
}

impl Config {
    pub fn validate(&self) -> Result<(), Fault> {
        let mut wrong = Wrong::default();
        let (database, batches, dispatch) = (&self.database, &self.batches, &self.dispatch);
        wrong.outside(database.app_connections_max, 1..=1000, "database.app_connections_max");
        wrong.outside(database.task_connections_max, 1..=1000, "database.task_connections_max");
        wrong.outside(database.transaction_time_max_ms, 500..=30_000, "database.transaction_time_max_ms");
        wrong.outside(database.read_lag_max_ms, 100..=HOUR_MS, "database.read_lag_max_ms");
        wrong.outside(self.leases.ttl_ms, SECOND_MS..=HOUR_MS, "leases.ttl_ms");
        self.limits.check(&mut wrong);
        self.fairness.check(&mut wrong);
        wrong.outside(self.approvals.human_budget_ms, SECOND_MS..=30 * DAY_MS, "approvals.human_budget_ms");
        wrong.outside(self.approvals.reminder_period_ms, SECOND_MS..=DAY_MS, "approvals.reminder_period_ms");
        self.budgets.check(&mut wrong);
        self.rates.check(&mut wrong);
        self.retries.check(&mut wrong);
        self.intents.iter().for_each(|intent| intent.check(&mut wrong));
        wrong.twice(self.intents.iter().map(|intent| &intent.name), "intents");
        let intents = self.workers.iter().flat_map(|worker| &worker.intents);
        let named = intents.into_iter().all(|intent| intent == "*" || Intent::parse(intent).is_ok());
        wrong.unless(named, "workers.intents", "intents, or \"*\"");
        wrong.outside(batches.items_max, 1..=1000, "batches.items_max");
        wrong.outside(batches.bytes_max, 1 << 20..=64 << 20, "batches.bytes_max");
        wrong.outside(batches.submission_lanes, 1..=8, "batches.submission_lanes");
        wrong.outside(batches.answer_lanes, 1..=8, "batches.answer_lanes");
        wrong.outside(dispatch.claim_jobs_max, 1..=1000, "dispatch.claim_jobs_max");
        wrong.outside(dispatch.claim_bytes_max, 1 << 20..=64 << 20, "dispatch.claim_bytes_max");
        wrong.outside(dispatch.poll_ms, 5..=60_000, "dispatch.poll_ms");
        wrong.outside(self.watch.watches_max, 1..=10_000, "watch.watches_max");
        wrong.outside(self.watch.feed_events_max, 16..=65_536, "watch.feed_events_max");
        wrong.outside(self.watch.page_events_max, 1..=512, "watch.page_events_max");
        wrong.outside(self.watch.bookmark_period_ms, 100..=HOUR_MS, "watch.bookmark_period_ms");
        wrong.outside(self.watch.stall_max_ms, SECOND_MS..=HOUR_MS, "watch.stall_max_ms");
        wrong.outside(self.watch.poll_ms, 10..=60_000, "watch.poll_ms");
        self.tasks.check(&mut wrong);
        self.residency.check(&mut wrong);
        self.growth.check(&mut wrong);
        self.retention.check(self.approvals.production, &mut wrong);
        self.policy.check(&mut wrong);
        if wrong.0.is_empty() { Ok(()) } else { Err(Fault::invalid_many(wrong.0)) }
    }
}

impl LimitsConfig {
    fn check(&self, wrong: &mut Wrong) {
        wrong.outside(self.running_per_project, 1..=1_000_000, "limits.running_per_project");
        for project in &self.projects {
            wrong.outside(project.running, 1..=1_000_000, "limits.projects.running");
        }
        wrong.twice(self.projects.iter().map(|own| format!("{} of {}", own.project, own.tenant)), "limits.projects");
        for (key, soft, hard) in [
            ("limits.project_depth", self.project_depth_soft, self.project_depth_hard),
            ("limits.infra_depth", self.infra_depth_soft, self.infra_depth_hard),
            ("limits.outbox_pending", self.outbox_pending_soft, self.outbox_pending_hard),
        ] {
            wrong.outside(hard, 1..=1_000_000_000, &format!("{key}_hard"));
            wrong.unless((0..=hard).contains(&soft), &format!("{key}_soft"), "0 to the hard limit");
        }
        wrong.outside(self.max_age_ms, SECOND_MS..=366 * DAY_MS, "limits.max_age_ms");
        wrong.unless(TenantId::parse(&self.platform_tenant).is_ok(), "limits.platform_tenant", "a tenant id");
    }
}

impl FairnessConfig {
    fn check(&self, wrong: &mut Wrong) {
        wrong.outside(self.floor_percent, 0.0..=50.0, "fairness.floor_percent");
        // Two projects that have all between them must be able to.
        wrong.outside(self.cap_percent, 50.0..=100.0, "fairness.cap_percent");
        for own in &self.tenants {
            wrong.outside(own.weight, 1..=WEIGHT_MAX.unsigned_abs(), "fairness.tenants.weight");
        }
        wrong.twice(self.tenants.iter().map(|own| &own.tenant), "fairness.tenants");
    }
}

impl Retries {
    fn check(&self, wrong: &mut Wrong) {
        wrong.outside(self.initial_ms, 1..=DAY_MS, "retries.initial_ms");
        wrong.outside(self.cap_ms, 1..=DAY_MS, "retries.cap_ms");
        wrong.outside(self.window_ms, 0..=30 * DAY_MS, "retries.window_ms");
        wrong.outside(self.attempts_max, 1..=1000, "retries.attempts_max");
        wrong.outside(self.key_window_ms, 1..=366 * DAY_MS, "retries.key_window_ms");
    }
}

impl IntentConfig {
    fn check(&self, wrong: &mut Wrong) {
        let mut own = |value: Option<u64>, range, key| {
            if let Some(value) = value {
                wrong.outside(value, range, key);
            }
        };
        own(self.run_budget_ms, SECOND_MS..=7 * DAY_MS, "intents.run_budget_ms");
        own(self.human_budget_ms, SECOND_MS..=30 * DAY_MS, "intents.human_budget_ms");
        own(self.total_budget_ms, SECOND_MS..=40 * DAY_MS, "intents.total_budget_ms");
        own(self.queue_budget_ms, SECOND_MS..=7 * DAY_MS, "intents.queue_budget_ms");
        own(self.retry_initial_ms, 1..=DAY_MS, "intents.retry_initial_ms");
        own(self.retry_cap_ms, 1..=DAY_MS, "intents.retry_cap_ms");
        own(self.retry_window_ms, 0..=30 * DAY_MS, "intents.retry_window_ms");
        own(self.key_window_ms, 1..=366 * DAY_MS, "intents.key_window_ms");
        if let Some(attempts) = self.attempts_max {
            wrong.outside(attempts, 1..=1000, "intents.attempts_max");
        }
    }
}

impl Tasks {
    fn check(&self, wrong: &mut Wrong) {
        wrong.outside(self.leadership_ttl_ms, 500..=30_000, "tasks.leadership_ttl_ms");
        for (key, period) in [
            ("tasks.lease_expiry_period_ms", self.lease_expiry_period_ms),
            ("tasks.due_jobs_period_ms", self.due_jobs_period_ms),
            ("tasks.decision_clock_period_ms", self.decision_clock_period_ms),
            ("tasks.decision_reminders_period_ms", self.decision_reminders_period_ms),
            ("tasks.max_age_period_ms", self.max_age_period_ms),
            ("tasks.queue_clock_period_ms", self.queue_clock_period_ms),
            ("tasks.leftovers_period_ms", self.leftovers_period_ms),
            ("tasks.settle_period_ms", self.settle_period_ms),
            ("tasks.settle_check_period_ms", self.settle_check_period_ms),
            ("tasks.budget_sweep_period_ms", self.budget_sweep_period_ms),
            ("tasks.budget_counters_period_ms", self.budget_counters_period_ms),
            ("tasks.holds_period_ms", self.holds_period_ms),
            ("tasks.partitions_period_ms", self.partitions_period_ms),
            ("tasks.outbox_ring_period_ms", self.outbox_ring_period_ms),
            ("tasks.outbox_pending_period_ms", self.outbox_pending_period_ms),
            ("tasks.growth_period_ms", self.growth_period_ms),
            ("tasks.growth_gauges_period_ms", self.growth_gauges_period_ms),
            ("tasks.project_settings_period_ms", self.project_settings_period_ms),
        ] {
            wrong.outside(period, 10..=DAY_MS, key);
        }
        wrong.outside(self.partition_weeks_ahead, 1..=53, "tasks.partition_weeks_ahead");
        wrong.outside(self.outbox_slot_age_ms, 1..=7 * DAY_MS, "tasks.outbox_slot_age_ms");
        // A slot is emptied once it has been closed for as long as events are kept; by then the ring must not have come round.
        let ring_ms = self.outbox_slot_age_ms.saturating_mul(CLOSED_SLOTS);
        wrong.unless(self.outbox_keep_ms <= ring_ms, "tasks.outbox_keep_ms", "at most 15 times outbox_slot_age_ms");
    }
}

impl Growth {
    fn check(&self, wrong: &mut Wrong) {
        wrong.outside(self.activation_rows, 1..=1_000_000_000_000, "growth.activation_rows");
        let is_lower = (0..self.activation_rows).contains(&self.preparation_rows);
        wrong.unless(is_lower, "growth.preparation_rows", "0 to less than activation_rows");
    }
}

impl Retention {
    fn check(&self, is_production: bool, wrong: &mut Wrong) {
        for (key, days, days_min) in [
            ("retention.jobs_days", self.jobs_days, 180),
            ("retention.job_events_days", self.job_events_days, 180),
            ("retention.approvals_days", self.approvals_days, 365),
            ("retention.model_usage_days", self.model_usage_days, 180),
            ("retention.idempotency_ledger_days", self.idempotency_ledger_days, 367),
            ("retention.budget_usage_days", self.budget_usage_days, 32),
        ] {
            wrong.outside(days, if is_production { days_min } else { 1 }..=36_500, key);
        }
        wrong.unless(
            self.jobs_days >= self.job_events_days,
            "retention.jobs_days",
            "at least job_events_days: no history outlasts its job",
        );
    }
}

impl ResidencyConfig {
    fn check(&self, wrong: &mut Wrong) {
        wrong.twice(self.tenants.iter().map(|declared| &declared.tenant), "residency.tenants");
        match self.holding() {
            Ok(holding) => wrong.unless(
                holding.classification_default <= holding.classification_max,
                "residency.classification_default",
                "at most classification_max",
            ),
            Err(fault) => wrong.0.extend(fault.violations),
        }
    }
}

impl PolicyConfig {
    fn check(&self, wrong: &mut Wrong) {
        wrong.outside(self.refresh_ms, 50..=60_000, "policy.refresh_ms");
        // Each is a step further, and the first must leave time for a refresh.
        wrong.outside(self.away_after_ms, self.refresh_ms..=HOUR_MS, "policy.away_after_ms");
        wrong.outside(self.cache_ms, self.away_after_ms..=HOUR_MS, "policy.cache_ms");
        wrong.outside(self.refuse_after_ms, self.cache_ms..=DAY_MS, "policy.refuse_after_ms");
        if let Err(fault) = self.connection() {
            wrong.0.extend(fault.violations);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str = r#"
        [database]
        app_url = "postgres://app@localhost/holdfast"
        task_url = "postgres://task@localhost/holdfast"
        [redis]
        url = "redis://localhost"
        [auth]
        issuer = "https://issuer.example"
        audience = "holdfast"
        keys_file = "/keys.json"
    "#;

    /// The configuration with one key changed.
    fn with(key: &str, value: &str) -> Config {
        let mut table: toml::Table = LEAST.parse().expect("TOML");
        let (section, name) = key.split_once('.').expect("section.key");
        let value: toml::Table = format!("value = {value}").parse().expect("TOML");
        let value = value["value"].clone();
        match section {
            "intents" => {
                let mut intent = toml::Table::from_iter([("name".to_owned(), "a.b".into())]);
                intent.insert(name.to_owned(), value);
                table.insert(section.to_owned(), vec![intent].into());
            }
            "workers" => {
                let mut worker = toml::Table::from_iter([("subject".to_owned(), "worker-1".into())]);
                worker.insert(name.to_owned(), value);
                table.insert(section.to_owned(), vec![worker].into());
            }
            _ => {
                let section = table.entry(section).or_insert_with(|| toml::Table::new().into());
                section.as_table_mut().expect("a section").insert(name.to_owned(), value);
            }
        }
        table.try_into().unwrap_or_else(|error| panic!("{key}: {error}"))
    }

    fn refused(config: &Config) -> Vec<String> {
        let violations = config.validate().err().map(|fault| fault.violations).unwrap_or_default();
        violations.into_iter().map(|violation| violation.field).collect()
    }

    #[test]
    fn the_defaults_are_right() {
        assert_eq!(refused(&with("leases.ttl_ms", "30000")), Vec::<String>::new());
    }

    #[test]
    fn what_it_takes_to_follow_policy_is_asked_for_by_its_key() {
        let mut config = with("policy.mode", "\"connected\"");
        assert_eq!(refused(&config), ["policy.endpoint"]);
        config.policy.endpoint = Some("http://policy:7300".to_owned());
        assert_eq!(refused(&config), ["policy.event_key_id"]);
        config.policy.event_key_id = Some("key-1".to_owned());
        assert_eq!(refused(&config), ["policy.event_key"]);
        config.policy.event_key = Some("k".repeat(32));
        assert_eq!(refused(&config), [""; 0]);
        (config.policy.other_event_key, config.policy.other_event_key_id) =
            (Some("short".to_owned()), Some("key-2".to_owned()));
        assert_eq!(refused(&config), ["policy.other_event_key"]);
    }

    #[test]
    fn a_value_that_cannot_be_right_is_refused_by_its_key() {
        for (key, value) in [
            ("database.app_connections_max", "0"),
            ("database.task_connections_max", "0"),
            ("database.transaction_time_max_ms", "499"),
            ("database.read_lag_max_ms", "99"),
            ("leases.ttl_ms", "999"),
            ("limits.running_per_project", "0"),
            ("limits.project_depth_hard", "0"),
            ("limits.project_depth_soft", "5001"),
            ("limits.infra_depth_soft", "-1"),
            ("limits.outbox_pending_soft", "50001"),
            ("limits.platform_tenant", "\"not a tenant\""),
            ("limits.max_age_ms", "0"),
            ("fairness.floor_percent", "51"),
            ("fairness.cap_percent", "49"),
            ("approvals.human_budget_ms", "0"),
            ("approvals.reminder_period_ms", "0"),
            ("budgets.job_tokens", "-1"),
            ("budgets.tenant_month_cost_micro_usd", "-1"),
            ("budgets.tenants", "[{ tenant = \"acme\", user_day_tokens = -1 }]"),
            ("budgets.refresh_period_ms", "0"),
            ("budgets.freshness_max_ms", "1000"),
            ("rates.users_per_minute", "-1"),
            ("rates.agents_per_minute", "1000001"),
            ("rates.services_per_minute", "-1"),
            ("retries.initial_ms", "0"),
            ("retries.cap_ms", "0"),
            ("retries.window_ms", "9000000000000000000"),
            ("retries.attempts_max", "0"),
            ("retries.key_window_ms", "9000000000000000000"),
            ("intents.run_budget_ms", "999"),
            ("intents.human_budget_ms", "0"),
            ("intents.total_budget_ms", "999"),
            ("intents.queue_budget_ms", "999"),
            ("intents.attempts_max", "0"),
            ("intents.retry_initial_ms", "0"),
            ("intents.retry_cap_ms", "9000000000000000000"),
            ("intents.retry_window_ms", "9000000000000000000"),
            ("intents.key_window_ms", "0"),
            ("workers.intents", "[\"no intent\"]"),
            ("batches.items_max", "0"),
            ("batches.bytes_max", "0"),
            ("batches.submission_lanes", "0"),
            ("batches.answer_lanes", "9"),
            ("dispatch.claim_jobs_max", "0"),
            ("dispatch.claim_bytes_max", "0"),
            ("dispatch.poll_ms", "0"),
            ("watch.watches_max", "0"),
            ("watch.feed_events_max", "15"),
            ("watch.page_events_max", "0"),
            ("watch.bookmark_period_ms", "99"),
            ("watch.stall_max_ms", "999"),
            ("watch.poll_ms", "9"),
            ("tasks.leadership_ttl_ms", "30001"),
            ("tasks.lease_expiry_period_ms", "0"),
            ("tasks.due_jobs_period_ms", "0"),
            ("tasks.decision_clock_period_ms", "0"),
            ("tasks.decision_reminders_period_ms", "0"),
            ("tasks.max_age_period_ms", "0"),
            ("tasks.queue_clock_period_ms", "0"),
            ("tasks.leftovers_period_ms", "0"),
            ("tasks.settle_period_ms", "0"),
            ("tasks.settle_check_period_ms", "0"),
            ("tasks.holds_period_ms", "0"),
            ("policy.refresh_ms", "49"),
            ("policy.away_after_ms", "9999"),
            ("policy.cache_ms", "29999"),
            ("policy.refuse_after_ms", "59999"),
            ("tasks.partitions_period_ms", "0"),
            ("tasks.budget_sweep_period_ms", "0"),
            ("tasks.budget_counters_period_ms", "0"),
            ("tasks.outbox_ring_period_ms", "0"),
            ("tasks.outbox_pending_period_ms", "0"),
            ("tasks.project_settings_period_ms", "0"),
            ("tasks.partition_weeks_ahead", "54"),
            ("tasks.outbox_slot_age_ms", "0"),
            ("tasks.outbox_keep_ms", "9000000000000000000"),
            ("tasks.growth_period_ms", "0"),
            ("tasks.growth_gauges_period_ms", "0"),
            ("growth.preparation_rows", "90000000"),
            ("growth.activation_rows", "0"),
            ("retention.jobs_days", "179"),
            ("retention.job_events_days", "0"),
            ("retention.approvals_days", "0"),
            ("retention.model_usage_days", "0"),
            ("retention.idempotency_ledger_days", "0"),
            ("retention.budget_usage_days", "0"),
            ("residency.region", "\"Mars\""),
            ("residency.may_hold", "[\"EU\", \"eu\"]"),
            ("residency.classification_default", "\"secret\""),
            ("residency.classification_max", "\"\""),
        ] {
            let refused = refused(&with(key, value));
            assert!(refused.contains(&key.to_owned()), "{key} = {value}: {refused:?}");
        }
        let tenants = with("residency.tenants", r#"[{ tenant = "acme", residency = "Mars" }]"#);
        assert_eq!(refused(&tenants), ["residency.tenants.residency"]);
        for (list, own) in [
            ("limits.projects", "{ tenant = \"acme\", project = \"alpha\", running = 2 }"),
            ("fairness.tenants", "{ tenant = \"acme\", weight = 2 }"),
            ("budgets.tenants", "{ tenant = \"acme\" }"),
            ("residency.tenants", "{ tenant = \"acme\", residency = \"EU\" }"),
        ] {
            let other = own.replace("acme", "other");
            assert_eq!(refused(&with(list, &format!("[{own}, {other}]"))), [""; 0]);
            let fault = with(list, &format!("[{own}, {other}, {own}]")).validate().expect_err(list);
            let [twice] = fault.violations.as_slice() else { panic!("{list}: {fault:?}") };
            assert!(twice.field == list && twice.description.contains("acme"), "{twice:?}");
        }
        let mut intents = with("intents.attempts_max", "3");
        intents.intents.push(intents.intents[0].clone());
        assert_eq!(refused(&intents), ["intents"]);
        let mut production = with("retention.job_events_days", "179");
        assert_eq!(refused(&production), [""; 0]);
        production.approvals.production = true;
        assert_eq!(refused(&production), ["retention.job_events_days"]);
        // More than it may hold goes without saying.
        let tight = with("residency.classification_max", "\"public\"");
        assert_eq!(refused(&tight), ["residency.classification_default"]);
    }
}
