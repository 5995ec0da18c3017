//! The relay's configuration: file, then `HOLDFAST_RELAY__SECTION__KEY`; a secret may be given as `<key>_file`.

use std::{
    collections::BTreeSet,
    fmt,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use holdfast_events::{Signer, SigningKeyError};
use holdfast_pg::PoolConfig;
use holdfast_redis::RedisConfig;
use holdfast_runtime::HttpConfig;
use holdfast_telemetry::TelemetryConfig;
use serde::Deserialize;

use crate::{
    domain::{batch::BatchLimits, source::Source},
    publisher::RoundLimits,
    relay::Pace,
};

/// The largest message that a service accepts, and some for the envelope around it.
const ENTRY_BYTES_LIMIT: usize = 1 << 20;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The login `holdfast_relay`, on the database of the outboxes and of schema relay. Each source has a pool of its own.
    pub database: PoolConfig,
    pub redis: RedisConfig,
    pub signing: SigningConfig,
    #[serde(default = "http")]
    pub http: HttpConfig,
    #[serde(default)]
    pub publish: PublishConfig,
    #[serde(default)]
    pub telemetry: TelemetryConfig,
}

/// Beside the jobs service's on one machine.
fn http() -> HttpConfig {
    HttpConfig { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 7181)) }
}

/// What the relay does, beside where its dependencies are.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PublishConfig {
    /// The outboxes to publish. Each of them is to be published by one relay at least.
    pub sources: Vec<Source>,
    /// A shard's lease without a renewal. A dead relay's shards are taken over after this long.
    pub lease_ttl_ms: u64,
    /// How often the outbox is looked at without a hint.
    pub poll_ms: u64,
    /// While rows trickle, rounds begin at least this far apart, so that many rows share one commit.
    pub gather_ms: u64,
    /// Rows of one shard in one round.
    pub rows_per_shard: usize,
    /// A larger envelope is not published; its key is parked.
    pub entry_bytes_max: usize,
    /// Of one shard's entries in one round: Redis serves nobody else meanwhile.
    pub batch_bytes_max: usize,
    /// Entries kept in a shard's stream, about; with 16 shards and 500 bytes an entry the default is some 500 MB when
    /// full. At 1,000 events a second it holds them for 17 minutes, at 4 a second for 72 hours.
    pub stream_entries_max: u64,
    /// `outbox_pending_count` is counted up to this.
    pub pending_count_max: u32,
}

impl Default for PublishConfig {
    fn default() -> Self {
        Self {
            sources: Source::DEFAULT.to_vec(),
            lease_ttl_ms: 5_000,
            poll_ms: 50,
            gather_ms: 20,
            rows_per_shard: 256,
            entry_bytes_max: 32 << 10,
            batch_bytes_max: 1 << 20,
            stream_entries_max: 65_536,
            pending_count_max: 100_000,
        }
    }
}

/// The key that signs stream entries.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SigningConfig {
    /// Its bytes, as they stand here; at least 32 of them.
    pub key: String,
    /// Written into every entry, so that consumers know which key to verify with.
    pub key_id: String,
}

impl fmt::Debug for SigningConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningConfig").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

impl SigningConfig {
    pub fn signer(&self) -> Result<Signer, ConfigError> {
        Signer::new(&self.key_id, self.key.as_bytes()).map_err(|error| match error {
            SigningKeyError::TooShort => ConfigError::invalid("signing.key", error),
            SigningKeyError::KeyId => ConfigError::invalid("signing.key_id", error),
        })
    }
}

/// A value that the relay does not start with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct ConfigError {
    pub field: &'static str,
    pub message: String,
}

impl ConfigError {
    fn invalid(field: &'static str, message: impl fmt::Display) -> Self {
        Self { field, message: message.to_string() }
    }
}

impl Config {
    pub fn validate(&self) -> Result<(), ConfigError> {
        let connections_max = self.database.connections_max;
        if !(1..=1000).contains(&connections_max) {
            let message = format!("{connections_max} is not within 1 and 1000");
            return Err(ConfigError::invalid("database.connections_max", message));
        }
        self.publish.validate()
    }
}

impl PublishConfig {
    pub fn validate(&self) -> Result<(), ConfigError> {
        let within = |field, value: u64, least: u64, most: u64| {
            if (least..=most).contains(&value) {
                return Ok(());
            }
            Err(ConfigError::invalid(field, format!("{value} is not within {least} and {most}")))
        };
        let sources: BTreeSet<Source> = self.sources.iter().copied().collect();
        if sources.is_empty() || sources.len() < self.sources.len() {
            return Err(ConfigError::invalid("publish.sources", "must name at least one source, and none twice"));
        }
        within("publish.lease_ttl_ms", self.lease_ttl_ms, 1_000, 60_000)?;
        within("publish.poll_ms", self.poll_ms, 1, 10_000)?;
        within("publish.gather_ms", self.gather_ms, 0, 1_000)?;
        within("publish.rows_per_shard", self.rows_per_shard as u64, 1, 4_096)?;
        within("publish.entry_bytes_max", self.entry_bytes_max as u64, 1_024, ENTRY_BYTES_LIMIT as u64)?;
        within("publish.batch_bytes_max", self.batch_bytes_max as u64, self.entry_bytes_max as u64, 16 << 20)?;
        within("publish.stream_entries_max", self.stream_entries_max, 1_000, 100_000_000)?;
        within("publish.pending_count_max", u64::from(self.pending_count_max), 1, 10_000_000)
    }

    pub fn lease_ttl(&self) -> Duration {
        Duration::from_millis(self.lease_ttl_ms)
    }

    /// Three renewals in a lease's life, the last with time to spare.
    pub fn renew_every(&self) -> Duration {
        self.lease_ttl() * 3 / 10
    }

    pub fn pace(&self) -> Pace {
        Pace { poll: Duration::from_millis(self.poll_ms), gather: Duration::from_millis(self.gather_ms) }
    }

    pub fn round_limits(&self) -> RoundLimits {
        let batch = BatchLimits { entry_bytes_max: self.entry_bytes_max, batch_bytes_max: self.batch_bytes_max };
        RoundLimits { rows_per_shard: self.rows_per_shard, batch }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_out_of_bounds_is_refused_by_its_name() {
        PublishConfig::default().validate().unwrap();
        let refused = |config: PublishConfig| config.validate().unwrap_err().field;
        assert_eq!(refused(PublishConfig { lease_ttl_ms: 10, ..Default::default() }), "publish.lease_ttl_ms");
        assert_eq!(refused(PublishConfig { rows_per_shard: 0, ..Default::default() }), "publish.rows_per_shard");
        assert_eq!(refused(PublishConfig { sources: vec![], ..Default::default() }), "publish.sources");
        let twice = PublishConfig { sources: vec![Source::Locks, Source::Jobs, Source::Locks], ..Default::default() };
        assert_eq!(refused(twice), "publish.sources");
        let smaller_than_an_entry = PublishConfig { batch_bytes_max: 1_024, ..Default::default() };
        assert_eq!(refused(smaller_than_an_entry), "publish.batch_bytes_max");
    }

    #[test]
    fn a_weak_signing_key_is_refused_and_none_is_printed() {
        let weak = SigningConfig { key: "short".into(), key_id: "k1".into() };
        assert_eq!(weak.signer().unwrap_err().field, "signing.key");
        assert!(!format!("{weak:?}").contains("short"));
    }
}
