//! Where policy is, and what its absence comes to.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use holdfast_events::{SigningKeyError, VerifyingKeys};
use holdfast_fault::Fault;
use serde::Deserialize;

use crate::app::guard::{Guard, Patience};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PolicyMode {
    /// There is no policy service, and no kill switch.
    Standalone,
    Connected,
}

/// Where policy is, and what its absence comes to.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PolicyConfig {
    pub mode: PolicyMode,
    /// Where its calls are taken; for mode connected.
    pub endpoint: Option<String>,
    /// A file with the token for them, read for each call.
    pub credentials: Option<PathBuf>,
    /// With which the entries of the operations streams are signed; for mode connected.
    pub event_key: Option<String>,
    pub event_key_id: Option<String>,
    /// Good beside it, while keys are changed.
    pub other_event_key: Option<String>,
    pub other_event_key_id: Option<String>,
    pub refresh_ms: u64,
    /// Without a snapshot for so long policy is away: tiers B and C are held.
    pub away_after_ms: u64,
    /// Tier A too.
    pub cache_ms: u64,
    /// Nothing new is taken.
    pub refuse_after_ms: u64,
}

impl Default for PolicyConfig {
    fn default() -> Self {
        Self {
            mode: PolicyMode::Standalone,
            endpoint: None,
            credentials: None,
            event_key: None,
            event_key_id: None,
            other_event_key: None,
            other_event_key_id: None,
            refresh_ms: 10_000,
            away_after_ms: 30_000,
            cache_ms: 60_000,
            refuse_after_ms: 300_000,
        }
    }
}

impl fmt::Debug for PolicyConfig {
    /// Without its keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mode, endpoint, .. } = self;
        f.debug_struct("PolicyConfig").field("mode", mode).field("endpoint", endpoint).finish_non_exhaustive()
    }
}

/// What it takes to follow policy.
#[derive(Debug)]
pub struct PolicyConnection {
    pub endpoint: String,
    pub credentials: Option<PathBuf>,
    pub keys: VerifyingKeys,
    pub refresh: Duration,
}

impl PolicyConfig {
    /// None where there is no policy service.
    pub fn connection(&self) -> Result<Option<PolicyConnection>, Fault> {
        if self.mode == PolicyMode::Standalone {
            return Ok(None);
        }
        let is_url = |url: &&String| url.starts_with("http://") || url.starts_with("https://");
        let endpoint = self.endpoint.as_ref().filter(is_url);
        let endpoint = endpoint.ok_or_else(|| Fault::invalid("policy.endpoint", "an http:// or https:// URL"))?;
        let mut keys = VerifyingKeys::default();
        let required =
            (self.event_key.as_deref().unwrap_or_default(), self.event_key_id.as_deref().unwrap_or_default());
        let other = self.other_event_key.as_deref().zip(self.other_event_key_id.as_deref());
        for (name, (key, key_id)) in
            [("event_key", required)].into_iter().chain(other.map(|key| ("other_event_key", key)))
        {
            keys = keys.with(key_id, key.as_bytes()).map_err(|error| match error {
                SigningKeyError::TooShort => Fault::invalid(format!("policy.{name}"), "32 bytes or more"),
                SigningKeyError::KeyId => {
                    Fault::invalid(format!("policy.{name}_id"), "1 to 64 of letters, digits, '.', '_', '-'")
                }
            })?;
        }
        let (endpoint, credentials) = (endpoint.clone(), self.credentials.clone());
        Ok(Some(PolicyConnection { endpoint, credentials, keys, refresh: Duration::from_millis(self.refresh_ms) }))
    }

    pub fn guard(&self) -> Guard {
        let patience = Patience {
            away_after: Duration::from_millis(self.away_after_ms),
            cache: Duration::from_millis(self.cache_ms),
            refuse_after: Duration::from_millis(self.refuse_after_ms),
        };
        Guard::new((self.mode == PolicyMode::Connected).then_some(patience))
    }
}
