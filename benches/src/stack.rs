//! The system under test: PostgreSQL, Redis, one jobs process and one relay process, from the profile this runs in.
//!
//! Everything that costs time in production is on: fsync, synchronous commits, row-level security, token checks, metrics.
//! Raised are the depth and outbox limits alone, so that no experiment measures a refusal.

mod locks;

pub use locks::LockStack;

use std::{path::Path, time::Duration};

use anyhow::{Context as _, Result};
use holdfast_caller::{
    Role,
    issuer::{AUDIENCE, DevIssuer, ISSUER, TokenSpec},
};
use holdfast_ids::{ActorId, TenantId};
use holdfast_pg::Role as Login;
use holdfast_redis::Keys;
use holdfast_testkit::{Database, Postgres, PostgresOptions, Process, ProcessSpec, Redis, free_port, http_get};
use serde::Serialize;
use sqlx::PgPool;
use tempfile::TempDir;
use tonic::metadata::{Ascii, MetadataValue};

use crate::population::{ACTOR, TENANTS, WORKER_SUBJECT, tenant};

const PREFIX: &str = "hf:bench";
const PLATFORM_TENANT: &str = "platform";
const SHARED_BUFFERS_MB: u32 = 2048;
pub const DEPTH_LIMIT: i64 = 100_000_000;
pub const OUTBOX_LIMIT: i64 = 5_000_000;
const READY_WITHIN: Duration = Duration::from_secs(60);
const TOKEN_LIFETIME: Duration = Duration::from_secs(3600);
const SHARDS: u16 = 16;
const STATEMENT_STATISTICS: [&str; 2] =
    ["shared_preload_libraries=pg_stat_statements", "pg_stat_statements.track_planning=on"];

/// Where to call and as whom.
#[derive(Clone)]
pub struct Target {
    pub url: String,
    /// One token a tenant, of a person.
    pub callers: Vec<MetadataValue<Ascii>>,
    /// The same of a service, which may read keys too.
    pub services: Vec<MetadataValue<Ascii>>,
    pub worker: MetadataValue<Ascii>,
}

pub struct Stack {
    pub target: Target,
    pub jobs: Process,
    relay: Option<Process>,
    database: Database,
    redis: Redis,
    directory: TempDir,
    // Last: what is above has sessions there.
    _postgres: Postgres,
}

impl Stack {
    /// With a relay.
    pub async fn start(running_per_project: u32) -> Result<Self> {
        let mut stack = Self::start_without_relay(running_per_project).await?;
        stack.start_relay().await?;
        Ok(stack)
    }

    /// With statistics of every statement, which cost some time themselves.
    pub async fn start_profiled(running_per_project: u32) -> Result<Self> {
        let mut stack = Self::start_on(start_postgres(&STATEMENT_STATISTICS).await?, running_per_project).await?;
        sqlx::query("CREATE EXTENSION pg_stat_statements").execute(stack.admin()).await?;
        stack.start_relay().await?;
        Ok(stack)
    }

    pub async fn start_without_relay(running_per_project: u32) -> Result<Self> {
        Self::start_on(start_postgres(&[]).await?, running_per_project).await
    }

    async fn start_on(postgres: Postgres, running_per_project: u32) -> Result<Self> {
        let database = Database::create_on(&postgres).await?;
        let redis = Redis::start().await?;
        let directory = tempfile::Builder::new().prefix("holdfast-bench-").tempdir()?;
        let issuer = DevIssuer::generate()?;
        let key_set = issuer.save(directory.path())?;
        let port = free_port()?;
        let http_port = free_port()?;
        let config = directory.path().join("jobs.toml");
        std::fs::write(&config, toml::to_string(&WorkerGrants::all_tenants())?)?;
        let variable = |key: &str| format!("HOLDFAST_JOBS__{key}");
        let spec = ProcessSpec::new("holdfast-jobs", "holdfast-jobs")
            .http_port(http_port)
            .env("HOLDFAST_JOBS_CONFIG", config.display())
            .env(variable("GRPC__LISTEN"), format!("127.0.0.1:{port}"))
            .env(variable("HTTP__LISTEN"), format!("127.0.0.1:{http_port}"))
            .env(variable("DATABASE__APP_URL"), database.url(Login::JobsApp).expose())
            .env(variable("DATABASE__TASK_URL"), database.url(Login::JobsTask).expose())
            .env(variable("REDIS__URL"), redis.url())
            .env(variable("REDIS__PREFIX"), PREFIX)
            .env(variable("AUTH__ISSUER"), ISSUER)
            .env(variable("AUTH__AUDIENCE"), AUDIENCE)
            .env(variable("AUTH__KEYS_FILE"), key_set.display())
            .env(variable("RATES__USERS_PER_MINUTE"), 0)
            .env(variable("LIMITS__RUNNING_PER_PROJECT"), running_per_project)
            .env(variable("LIMITS__PROJECT_DEPTH_SOFT"), DEPTH_LIMIT)
            .env(variable("LIMITS__PROJECT_DEPTH_HARD"), DEPTH_LIMIT)
            .env(variable("LIMITS__OUTBOX_PENDING_SOFT"), OUTBOX_LIMIT)
            .env(variable("LIMITS__OUTBOX_PENDING_HARD"), OUTBOX_LIMIT);
        let jobs = Process::start_ready(spec, READY_WITHIN).await?;
        let target = target(&issuer, port)?;
        Ok(Self { target, jobs, relay: None, database, redis, directory, _postgres: postgres })
    }

    pub async fn start_relay(&mut self) -> Result<()> {
        self.relay = Some(relay(self.directory.path(), &self.database, &self.redis).await?);
        Ok(())
    }

    /// As the superuser, whom row-level security does not bind.
    pub fn admin(&self) -> &PgPool {
        self.database.admin()
    }

    pub fn database(&self) -> &Database {
        &self.database
    }

    /// What the jobs process says of itself.
    pub async fn metrics(&self) -> Result<String> {
        let port = self.jobs.http_port().context("the jobs process has no HTTP port")?;
        Ok(http_get(port, "/metrics").await?.body)
    }

    /// The number of the jobs process, and the relay's where there is one.
    pub fn pids(&self) -> (Option<u32>, Option<u32>) {
        (self.jobs.pid(), self.relay.as_ref().and_then(Process::pid))
    }

    pub async fn redis_version(&self) -> Result<String> {
        redis_version()
    }

    /// Entries of all shards' streams together.
    pub async fn stream_entries(&self) -> Result<u64> {
        let keys = Keys::new(PREFIX)?;
        let mut entries = 0;
        for shard in 0..SHARDS {
            let answer = self.redis.command(&format!("XLEN {}", keys.stream("jobs", shard).events)).await?;
            let length = answer.strip_prefix(':').with_context(|| format!("XLEN answered {answer}"))?;
            entries += length.parse::<u64>()?;
        }
        Ok(entries)
    }
}

async fn relay(directory: &Path, database: &Database, redis: &Redis) -> Result<Process> {
    let key = directory.join("event-key");
    std::fs::write(&key, "a key of thirty-two bytes or more")?;
    let http_port = free_port()?;
    let variable = |key: &str| format!("HOLDFAST_RELAY__{key}");
    let spec = ProcessSpec::new("holdfast-relay", "holdfast-relay")
        .http_port(http_port)
        .env(variable("HTTP__LISTEN"), format!("127.0.0.1:{http_port}"))
        .env(variable("DATABASE__URL"), database.url(Login::Relay).expose())
        .env(variable("REDIS__URL"), redis.url())
        .env(variable("REDIS__PREFIX"), PREFIX)
        .env(variable("SIGNING__KEY_FILE"), key.display())
        .env(variable("SIGNING__KEY_ID"), "bench-1");
    Process::start_ready(spec, READY_WITHIN).await
}

/// Of the server that is started here.
pub fn redis_version() -> Result<String> {
    let info = std::process::Command::new("redis-server").arg("--version").output()?;
    let text = String::from_utf8_lossy(&info.stdout).into_owned();
    let version = text.split_whitespace().find_map(|word| word.strip_prefix("v="));
    Ok(version.context("redis-server names no version")?.to_owned())
}

/// A server of the same settings, with nothing in it.
pub async fn bare_server() -> Result<Postgres> {
    start_postgres(&[]).await
}

/// A server without services, for the bare limit.
pub async fn bare_database() -> Result<(Postgres, Database)> {
    let postgres = bare_server().await?;
    let database = Database::create_on(&postgres).await?;
    Ok((postgres, database))
}

async fn start_postgres(settings: &'static [&'static str]) -> Result<Postgres> {
    Postgres::start(PostgresOptions { fsync: true, shared_buffers_mb: SHARED_BUFFERS_MB, settings }).await
}

fn target(issuer: &DevIssuer, port: u16) -> Result<Target> {
    let bearer = |spec: TokenSpec| -> Result<MetadataValue<Ascii>> {
        Ok(format!("Bearer {}", issuer.issue(spec.lifetime(TOKEN_LIFETIME))).parse()?)
    };
    let actor = ActorId::parse(ACTOR)?;
    let tenants = (0..TENANTS).map(|index| TenantId::parse(&tenant(index))).collect::<Result<Vec<_>, _>>()?;
    let user = |tenant: &TenantId| bearer(TokenSpec::user(actor.clone(), tenant.clone(), Role::ProjectMaintainer));
    let service = |tenant: &TenantId| bearer(TokenSpec::service(actor.clone(), tenant.clone()));
    let callers = tenants.iter().map(user).collect::<Result<_>>()?;
    let services = tenants.iter().map(service).collect::<Result<_>>()?;
    let worker = bearer(TokenSpec::worker(ActorId::parse(WORKER_SUBJECT)?, TenantId::parse(PLATFORM_TENANT)?))?;
    Ok(Target { url: format!("http://127.0.0.1:{port}"), callers, services, worker })
}

/// The part of the jobs service's configuration that is a list.
#[derive(Serialize)]
struct WorkerGrants {
    workers: [WorkerGrant; 1],
}

#[derive(Serialize)]
struct WorkerGrant {
    subject: &'static str,
    tenants: Vec<String>,
    intents: [&'static str; 1],
}

impl WorkerGrants {
    fn all_tenants() -> Self {
        let tenants = (0..TENANTS).map(tenant).collect();
        Self { workers: [WorkerGrant { subject: WORKER_SUBJECT, tenants, intents: ["*"] }] }
    }
}
