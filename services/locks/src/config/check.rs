//! What types alone do not check. A refusal names every key that is wrong.

use std::fmt::Display;
use std::ops::RangeInclusive;

use holdfast_fault::{Fault, Violation};

use super::{Config, Leases, MirrorConfig, Tasks, Waits};

const SECOND_MS: u64 = 1000;
const HOUR_MS: u64 = 3600 * SECOND_MS;
const DAY_MS: u64 = 24 * HOUR_MS;
/// Slots of the outbox ring that hold published events while the current one is filled.
const CLOSED_SLOTS: u64 = 15;

#[derive(Default)]
struct Wrong(Vec<Violation>);

impl Wrong {
    fn unless(&mut self, holds: bool, key: &str, rule: &str) {
        if !holds {
            self.0.push(Violation::new(key, rule));
        }
    }

    fn outside<T: PartialOrd + Display>(&mut self, value: T, range: RangeInclusive<T>, key: &str) {
        let rule = format!("{} to {}", range.start(), range.end());
        self.unless(range.contains(&value), key, &rule);
    }
}

impl Config {
    pub fn validate(&self) -> Result<(), Fault> {
        let mut wrong = Wrong::default();
        let (database, batches) = (&self.database, &self.batches);
        wrong.outside(database.app_connections_max, 1..=1000, "database.app_connections_max");
        wrong.outside(database.task_connections_max, 1..=1000, "database.task_connections_max");
        wrong.outside(database.transaction_time_max_ms, 500..=30_000, "database.transaction_time_max_ms");
        wrong.outside(database.read_lag_max_ms, 100..=HOUR_MS, "database.read_lag_max_ms");
        self.leases.check(&mut wrong);
        self.waits.check(&mut wrong);
        wrong.outside(self.watch.watches_max, 1..=100_000, "watch.watches_max");
        self.mirror.check(&mut wrong);
        wrong.outside(batches.items_max, 1..=1000, "batches.items_max");
        wrong.outside(batches.board_lanes, 1..=8, "batches.board_lanes");
        wrong.outside(batches.renewal_lanes, 1..=8, "batches.renewal_lanes");
        self.tasks.check(&mut wrong);
        if wrong.0.is_empty() { Ok(()) } else { Err(Fault::invalid_many(wrong.0)) }
    }
}

impl Leases {
    fn check(&self, wrong: &mut Wrong) {
        wrong.outside(self.ttl_ms, SECOND_MS..=HOUR_MS, "leases.ttl_ms");
        wrong.outside(self.ttl_max_ms, SECOND_MS..=HOUR_MS, "leases.ttl_max_ms");
        wrong.unless(self.ttl_max_ms >= self.ttl_ms, "leases.ttl_max_ms", "at least ttl_ms");
        // A lease that is granted to somebody else while it holds would be no lease.
        wrong.unless(self.stale_after_ms >= self.ttl_ms, "leases.stale_after_ms", "at least ttl_ms");
        // It grows with the time to live that is asked for, and has to stay a number of milliseconds.
        let longest =
            u128::from(self.stale_after_ms) * u128::from(self.ttl_max_ms.max(1)) / u128::from(self.ttl_ms.max(1));
        let rule = "at most a day, where ttl_max_ms is asked for";
        wrong.unless(longest <= u128::from(DAY_MS), "leases.stale_after_ms", rule);
        wrong.outside(self.renewals_max, 0..=1_000_000, "leases.renewals_max");
    }
}

impl Waits {
    fn check(&self, wrong: &mut Wrong) {
        wrong.outside(self.waiters_max, 1..=1_000_000, "waits.waiters_max");
        wrong.outside(self.poll_ms, 10..=60_000, "waits.poll_ms");
        wrong.outside(self.instance_ttl_ms, 1000..=3000, "waits.instance_ttl_ms");
    }
}

impl MirrorConfig {
    fn check(&self, wrong: &mut Wrong) {
        wrong.outside(self.replicas, 0..=16, "mirror.replicas");
        wrong.outside(self.wait_ms, 1..=400, "mirror.wait_ms");
        wrong.outside(self.rebuild_period_ms, 10..=HOUR_MS, "mirror.rebuild_period_ms");
    }
}

impl Tasks {
    fn check(&self, wrong: &mut Wrong) {
        wrong.outside(self.leadership_ttl_ms, 500..=30_000, "tasks.leadership_ttl_ms");
        for (key, period) in [
            ("tasks.expiry_period_ms", self.expiry_period_ms),
            ("tasks.abandoned_period_ms", self.abandoned_period_ms),
            ("tasks.registry_period_ms", self.registry_period_ms),
            ("tasks.partitions_period_ms", self.partitions_period_ms),
            ("tasks.outbox_ring_period_ms", self.outbox_ring_period_ms),
            ("tasks.outbox_pending_period_ms", self.outbox_pending_period_ms),
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

    /// The configuration with some keys changed.
    fn with(changes: &[(&str, &str)]) -> Config {
        let mut table: toml::Table = LEAST.parse().expect("TOML");
        for (key, value) in changes {
            let (section, name) = key.split_once('.').expect("section.key");
            let value: toml::Table = format!("value = {value}").parse().expect("TOML");
            let section = table.entry(section).or_insert_with(|| toml::Table::new().into());
            section.as_table_mut().expect("a section").insert(name.to_owned(), value["value"].clone());
        }
        table.try_into().unwrap_or_else(|error| panic!("{changes:?}: {error}"))
    }

    fn refused(config: &Config) -> Vec<String> {
        let violations = config.validate().err().map(|fault| fault.violations).unwrap_or_default();
        violations.into_iter().map(|violation| violation.field).collect()
    }

    #[test]
    fn the_defaults_and_every_profile_are_right() {
        assert_eq!(refused(&with(&[])), [""; 0]);
        for (ttl_ms, stale_after_ms, renewals_max) in [("20000", "30000", "120"), ("15000", "20000", "180")] {
            let profile = [
                ("leases.ttl_ms", ttl_ms),
                ("leases.stale_after_ms", stale_after_ms),
                ("leases.renewals_max", renewals_max),
                ("mirror.require", "true"),
            ];
            assert_eq!(refused(&with(&profile)), [""; 0]);
        }
    }

    #[test]
    fn a_value_that_cannot_be_right_is_refused_by_its_key() {
        for (key, value) in [
            ("database.app_connections_max", "0"),
            ("database.task_connections_max", "0"),
            ("database.transaction_time_max_ms", "499"),
            ("database.read_lag_max_ms", "99"),
            ("leases.ttl_ms", "999"),
            ("leases.ttl_max_ms", "29999"),
            ("leases.ttl_max_ms", "3600001"),
            ("leases.stale_after_ms", "29999"),
            ("leases.stale_after_ms", "9000000000000000000"),
            ("leases.renewals_max", "-1"),
            ("waits.waiters_max", "0"),
            ("waits.poll_ms", "9"),
            ("waits.instance_ttl_ms", "999"),
            ("waits.instance_ttl_ms", "3001"),
            ("watch.watches_max", "0"),
            ("mirror.replicas", "17"),
            ("mirror.wait_ms", "0"),
            ("mirror.wait_ms", "401"),
            ("mirror.rebuild_period_ms", "0"),
            ("batches.items_max", "0"),
            ("batches.board_lanes", "0"),
            ("batches.renewal_lanes", "9"),
            ("tasks.leadership_ttl_ms", "30001"),
            ("tasks.expiry_period_ms", "0"),
            ("tasks.abandoned_period_ms", "0"),
            ("tasks.registry_period_ms", "0"),
            ("tasks.partitions_period_ms", "0"),
            ("tasks.partition_weeks_ahead", "54"),
            ("tasks.outbox_ring_period_ms", "0"),
            ("tasks.outbox_slot_age_ms", "0"),
            ("tasks.outbox_keep_ms", "9000000000000000000"),
            ("tasks.outbox_pending_period_ms", "0"),
        ] {
            let refused = refused(&with(&[(key, value)]));
            assert!(refused.contains(&key.to_owned()), "{key} = {value}: {refused:?}");
        }
    }
}
