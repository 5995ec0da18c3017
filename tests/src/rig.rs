//! A stack of the services' own processes, set up so that faults show: short leases, quick retries, deep queues.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, Result};
use holdfast_caller::{Kind, issuer::TokenSpec};
use holdfast_ids::{ActorId, TenantId};
use holdfast_testkit::{PostgresOptions, Stack};
use tempfile::TempDir;

use crate::{
    client::Client,
    worker::{Mode, WorkerSpec},
};

pub const READY_WITHIN: Duration = Duration::from_secs(60);
/// Of workers on jobs, and of relays on shards: both are to be lost many times in one scenario.
pub const LEASE_TTL: Duration = Duration::from_secs(1);

/// Retries are many, so that no job fails for want of one.
const SETTINGS: &str = r#"
[limits]
running_per_project = 1
project_depth_soft = 1000000
project_depth_hard = 1000000
outbox_pending_soft = 1000000
outbox_pending_hard = 1000000
[retries]
initial_ms = 50
cap_ms = 200
attempts_max = 1000
window_ms = 86400000
[tasks]
leadership_ttl_ms = 2000
lease_expiry_period_ms = 200
[[workers]]
subject = "proof-worker"
intents = ["*"]
"#;

pub struct RigSpec {
    pub jobs: usize,
    pub relays: usize,
    pub lease_ttl: Duration,
    /// TOML of the jobs service, behind the common settings.
    pub settings: String,
    /// Only what PostgreSQL keeps through a crash of the machine needs it, and no scenario crashes the machine; on where a
    /// commit is to take as long as it does in production.
    pub fsync: bool,
    /// A Redis that fails over.
    pub sentinels: bool,
    /// A PostgreSQL that fails over; synced or not as Patroni has it.
    pub patroni: bool,
}

impl Default for RigSpec {
    fn default() -> Self {
        Self {
            jobs: 2,
            relays: 1,
            lease_ttl: LEASE_TTL,
            settings: String::new(),
            fsync: false,
            sentinels: false,
            patroni: false,
        }
    }
}

/// Fields drop in their order: the journals outlive their workers' stack.
pub struct Rig {
    pub stack: Stack,
    journals: TempDir,
}

impl Rig {
    pub async fn start(spec: RigSpec) -> Result<Self> {
        let mut builder = Stack::builder();
        if spec.sentinels {
            builder = builder.sentinels();
        }
        if spec.patroni {
            builder = builder.patroni();
        }
        let stack = builder
            .postgres(PostgresOptions { fsync: spec.fsync, ..Default::default() })
            .jobs(spec.jobs)
            .relays(spec.relays)
            .jobs_env("LEASES__TTL_MS", spec.lease_ttl.as_millis())
            .jobs_config(&format!("{SETTINGS}{}", spec.settings))
            .relay_env("PUBLISH__LEASE_TTL_MS", LEASE_TTL.as_millis())
            .relay_env("PUBLISH__STREAM_ENTRIES_MAX", 10_000_000)
            .start()
            .await?;
        Ok(Self { stack, journals: tempfile::Builder::new().prefix("holdfast-journals-").tempdir()? })
    }

    /// A service principal of one tenant, on every instance.
    pub fn submitters(&self, actor: &str, tenant: &str) -> Result<Vec<Client>> {
        self.clients(Kind::Service, actor, &[tenant])
    }

    /// A worker of these tenants, on every instance.
    pub fn workers(&self, tenants: &[&str]) -> Result<Vec<Client>> {
        self.clients(Kind::Worker, "proof-worker", tenants)
    }

    fn clients(&self, kind: Kind, actor: &str, tenants: &[&str]) -> Result<Vec<Client>> {
        let token = self.token(kind, actor, tenants)?;
        self.stack.jobs.iter().map(|instance| Client::new(&instance.endpoint(), &token)).collect()
    }

    fn token(&self, kind: Kind, actor: &str, tenants: &[&str]) -> Result<String> {
        let tenants: Vec<TenantId> = tenants.iter().map(|tenant| TenantId::parse(tenant)).collect::<Result<_, _>>()?;
        let first = tenants.first().context("a token names a tenant")?.clone();
        Ok(self.stack.tokens.issue(TokenSpec::new(kind, ActorId::parse(actor)?, first).tenants(tenants)))
    }

    pub fn journals(&self) -> PathBuf {
        self.journals.path().to_owned()
    }

    /// A worker process of every instance that keeps its journal with the rig: by turns on sessions and on unary calls.
    pub fn worker_spec(&self, number: usize, tenants: &[&str], seed: u64) -> Result<WorkerSpec> {
        Ok(WorkerSpec {
            worker_id: format!("worker-{number}"),
            mode: if number.is_multiple_of(2) { Mode::Session } else { Mode::Unary },
            endpoints: self.stack.jobs.iter().map(|instance| instance.endpoint()).collect(),
            token: self.token(Kind::Worker, "proof-worker", tenants)?,
            capacity: 8,
            hold_ms_max: 150,
            overstayed_percent: 5,
            failed_percent: 5,
            journals: self.journals(),
            seed: seed ^ number as u64,
        })
    }
}
