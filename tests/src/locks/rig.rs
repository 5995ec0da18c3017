//! Locks services alone, with leases so short that they run out many times in one scenario.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use holdfast_testkit::{PostgresOptions, Stack};

use super::{client::LocksClient, history::Recorder};

pub const TENANT: &str = "acme";
/// The contract's shortest.
pub const LEASE_TTL: Duration = Duration::from_secs(1);
pub const STALE_AFTER: Duration = Duration::from_millis(1_500);

pub struct LocksRigSpec {
    pub lease_ttl: Duration,
    pub stale_after: Duration,
    /// As in [`crate::rig::RigSpec`].
    pub fsync: bool,
    /// A PostgreSQL that fails over.
    pub patroni: bool,
    pub relays: usize,
}

impl Default for LocksRigSpec {
    fn default() -> Self {
        Self { lease_ttl: LEASE_TTL, stale_after: STALE_AFTER, fsync: false, patroni: false, relays: 0 }
    }
}

pub struct LocksRig {
    pub stack: Stack,
    pub recorder: Arc<Recorder>,
}

impl LocksRig {
    /// Two instances.
    pub async fn start(spec: LocksRigSpec) -> Result<Self> {
        let mut builder = Stack::builder();
        if spec.patroni {
            builder = builder.patroni();
        }
        let stack = builder
            .postgres(PostgresOptions { fsync: spec.fsync, ..Default::default() })
            .jobs(0)
            .relays(spec.relays)
            .locks(2)
            .locks_env("LEASES__TTL_MS", spec.lease_ttl.as_millis())
            .locks_env("LEASES__STALE_AFTER_MS", spec.stale_after.as_millis())
            .start()
            .await?;
        Ok(Self { stack, recorder: Arc::default() })
    }

    pub fn token(&self) -> Result<String> {
        self.stack.tokens.service("proof", TENANT)
    }

    /// On every instance.
    pub fn client(&self) -> Result<LocksClient> {
        let endpoints = self.stack.locks.iter().map(|instance| instance.endpoint());
        LocksClient::new(endpoints, &self.token()?, self.recorder.clone())
    }
}
