//! The locks service under test: PostgreSQL, Redis, one locks process and one relay process, on the terms of the jobs stack.
//! Nothing is raised or lowered, but for the replicas that WAIT asks for.

use anyhow::{Context as _, Result};
use holdfast_caller::issuer::{AUDIENCE, DevIssuer, ISSUER};
use holdfast_pg::Role as Login;
use holdfast_testkit::{Database, Postgres, Process, ProcessSpec, Redis, free_port, http_get};
use sqlx::PgPool;
use tempfile::TempDir;

use super::{PREFIX, READY_WITHIN, STATEMENT_STATISTICS, Target, relay, start_postgres, target};

pub struct LockStack {
    pub target: Target,
    locks: Process,
    relay: Process,
    database: Database,
    _replicas: Vec<Redis>,
    _redis: Redis,
    _directory: TempDir,
    // Last: what is above has sessions there.
    _postgres: Postgres,
}

impl LockStack {
    /// With as many replicas of Redis, all of which have a grant before it is answered.
    pub async fn start(replicas: usize) -> Result<Self> {
        Self::start_on(start_postgres(&[]).await?, replicas).await
    }

    /// With statistics of every statement, which cost some time themselves.
    pub async fn start_profiled() -> Result<Self> {
        let stack = Self::start_on(start_postgres(&STATEMENT_STATISTICS).await?, 0).await?;
        sqlx::query("CREATE EXTENSION pg_stat_statements").execute(stack.admin()).await?;
        Ok(stack)
    }

    async fn start_on(postgres: Postgres, replicas: usize) -> Result<Self> {
        let database = Database::create_on(&postgres).await?;
        let redis = Redis::start().await?;
        let mut followers = Vec::new();
        for _ in 0..replicas {
            followers.push(Redis::start_replica_of(&redis).await?);
        }
        let directory = tempfile::Builder::new().prefix("holdfast-bench-").tempdir()?;
        let issuer = DevIssuer::generate()?;
        let key_set = issuer.save(directory.path())?;
        let port = free_port()?;
        let http_port = free_port()?;
        let variable = |key: &str| format!("HOLDFAST_LOCKS__{key}");
        let spec = ProcessSpec::new("holdfast-locks", "holdfast-locks")
            .http_port(http_port)
            .env(variable("GRPC__LISTEN"), format!("127.0.0.1:{port}"))
            .env(variable("HTTP__LISTEN"), format!("127.0.0.1:{http_port}"))
            .env(variable("DATABASE__APP_URL"), database.url(Login::LocksApp).expose())
            .env(variable("DATABASE__TASK_URL"), database.url(Login::LocksTask).expose())
            .env(variable("REDIS__URL"), redis.url())
            .env(variable("REDIS__PREFIX"), PREFIX)
            .env(variable("MIRROR__REPLICAS"), replicas)
            .env(variable("AUTH__ISSUER"), ISSUER)
            .env(variable("AUTH__AUDIENCE"), AUDIENCE)
            .env(variable("AUTH__KEYS_FILE"), key_set.display());
        let locks = Process::start_ready(spec, READY_WITHIN).await?;
        let relay = relay(directory.path(), &database, &redis).await?;
        Ok(Self {
            target: target(&issuer, port)?,
            locks,
            relay,
            database,
            _replicas: followers,
            _redis: redis,
            _directory: directory,
            _postgres: postgres,
        })
    }

    /// As the superuser, whom row-level security does not bind.
    pub fn admin(&self) -> &PgPool {
        self.database.admin()
    }

    pub fn database(&self) -> &Database {
        &self.database
    }

    /// The numbers of the locks process and the relay's.
    pub fn pids(&self) -> (Option<u32>, Option<u32>) {
        (self.locks.pid(), self.relay.pid())
    }

    /// What the locks process says of itself.
    pub async fn metrics(&self) -> Result<String> {
        let port = self.locks.http_port().context("the locks process has no HTTP port")?;
        Ok(http_get(port, "/metrics").await?.body)
    }
}
