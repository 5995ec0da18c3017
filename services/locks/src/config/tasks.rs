//! Background work: how often it looks.

use std::time::Duration;

use serde::Deserialize;

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tasks {
    /// A task moves to another instance this long after its leader was last heard of; 30 s at most.
    pub leadership_ttl_ms: u64,
    /// How often leases are looked for that are stale.
    pub expiry_period_ms: u64,
    /// How often waits are looked for whose instance is gone.
    pub abandoned_period_ms: u64,
    /// How often the order registry is read.
    pub registry_period_ms: u64,
    pub partitions_period_ms: u64,
    pub partition_weeks_ahead: i32,
    pub outbox_ring_period_ms: u64,
    pub outbox_slot_age_ms: u64,
    /// How long published events stay readable.
    pub outbox_keep_ms: u64,
    pub outbox_pending_period_ms: u64,
}

impl Default for Tasks {
    fn default() -> Self {
        const HOUR_MS: u64 = 3600 * 1000;
        Self {
            leadership_ttl_ms: 10_000,
            expiry_period_ms: 500,
            abandoned_period_ms: 500,
            registry_period_ms: 5000,
            partitions_period_ms: HOUR_MS,
            partition_weeks_ahead: 4,
            outbox_ring_period_ms: 60_000,
            outbox_slot_age_ms: 6 * HOUR_MS,
            outbox_keep_ms: 72 * HOUR_MS,
            outbox_pending_period_ms: 1000,
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
        leadership_ttl_ms => leadership_ttl, expiry_period_ms => expiry_period, abandoned_period_ms => abandoned_period,
        registry_period_ms => registry_period, partitions_period_ms => partitions_period, outbox_ring_period_ms => outbox_ring_period,
        outbox_slot_age_ms => outbox_slot_age, outbox_keep_ms => outbox_keep, outbox_pending_period_ms => outbox_pending_period
    }
}
