//! Background work: how often it looks.

use std::time::Duration;

use serde::Deserialize;

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tasks {
    /// A task moves to another instance this long after its leader was last heard of; 30 s at most.
    pub leadership_ttl_ms: u64,
    pub lease_expiry_period_ms: u64,
    pub due_jobs_period_ms: u64,
    pub decision_clock_period_ms: u64,
    pub decision_reminders_period_ms: u64,
    pub max_age_period_ms: u64,
    /// How often the time that jobs wait for a worker is counted on.
    pub queue_clock_period_ms: u64,
    /// How often rows are looked for that jobs which have ended left in small tables.
    pub leftovers_period_ms: u64,
    /// How often what a crash left unsettled is looked for: jobs that have ended and for which others wait.
    pub settle_period_ms: u64,
    /// How often it is made certain that nothing of it was never noted.
    pub settle_check_period_ms: u64,
    /// How often it is made certain that everything that may not go on is stopped, and nothing else.
    pub holds_period_ms: u64,
    pub budget_sweep_period_ms: u64,
    pub budget_counters_period_ms: u64,
    pub partitions_period_ms: u64,
    pub partition_weeks_ahead: i32,
    pub outbox_ring_period_ms: u64,
    pub outbox_slot_age_ms: u64,
    /// How long published events stay readable.
    pub outbox_keep_ms: u64,
    pub outbox_pending_period_ms: u64,
    /// Tables are counted once a day; this is how soon after midnight, and after a failure.
    pub growth_period_ms: u64,
    pub growth_gauges_period_ms: u64,
    pub project_settings_period_ms: u64,
}

impl Default for Tasks {
    fn default() -> Self {
        const HOUR_MS: u64 = 3600 * 1000;
        Self {
            leadership_ttl_ms: 10_000,
            lease_expiry_period_ms: 1000,
            due_jobs_period_ms: 200,
            decision_clock_period_ms: 1000,
            decision_reminders_period_ms: 5000,
            max_age_period_ms: 60_000,
            queue_clock_period_ms: 5000,
            leftovers_period_ms: 10_000,
            settle_period_ms: 1000,
            settle_check_period_ms: 60_000,
            holds_period_ms: 2000,
            budget_sweep_period_ms: 1000,
            budget_counters_period_ms: 30_000,
            partitions_period_ms: HOUR_MS,
            partition_weeks_ahead: 4,
            outbox_ring_period_ms: 60_000,
            outbox_slot_age_ms: 6 * HOUR_MS,
            outbox_keep_ms: 72 * HOUR_MS,
            outbox_pending_period_ms: 500,
            growth_period_ms: HOUR_MS,
            growth_gauges_period_ms: 60_000,
            project_settings_period_ms: 2000,
        }
    }
}

macro_rules! durations {
    ($($field:ident => $name:ident),*) => {
        $(pub fn $name(&self) -> Duration { Duration::from_millis(self.$field) })*
    };
}

impl Tasks {
    durations! {
        leadership_ttl_ms => leadership_ttl, lease_expiry_period_ms => lease_expiry_period, due_jobs_period_ms => due_jobs_period,
        decision_clock_period_ms => decision_clock_period, decision_reminders_period_ms => decision_reminders_period,
        max_age_period_ms => max_age_period, settle_period_ms => settle_period, settle_check_period_ms => settle_check_period,
        partitions_period_ms => partitions_period, outbox_ring_period_ms => outbox_ring_period, outbox_slot_age_ms => outbox_slot_age, outbox_keep_ms => outbox_keep,
        outbox_pending_period_ms => outbox_pending_period, growth_period_ms => growth_period,
        growth_gauges_period_ms => growth_gauges_period,
        project_settings_period_ms => project_settings_period,
        holds_period_ms => holds_period,
        queue_clock_period_ms => queue_clock_period, leftovers_period_ms => leftovers_period,
        budget_sweep_period_ms => budget_sweep_period, budget_counters_period_ms => budget_counters_period
    }
}
