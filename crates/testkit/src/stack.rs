//! The platform as processes: PostgreSQL, Redis, jobs services, locks services, relays.
//!
//! The one place in the testkit that knows the names of the services' configuration keys.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, Result};
use futures::future::try_join_all;
use holdfast_caller::issuer::{AUDIENCE, ISSUER};
use holdfast_pg::Role;
use rand::{Rng as _, distr::Alphanumeric};

use crate::{
    Database, Patroni, Postgres, PostgresOptions, Process, ProcessSpec, Redis, Sentinels, Tokens, free_port,
    janitor::Directory,
};

const READY_WITHIN: Duration = Duration::from_secs(60);
/// Every worker may lease every intent in the tenants of its token.
const JOBS_CONFIG: &str = "[[workers]]\nsubject = \"*\"\nintents = [\"*\"]\n";

/// What to start; everything at its default: one jobs service, one relay, and no locks service.
#[derive(Debug, Clone)]
pub struct StackBuilder {
    postgres: PostgresOptions,
    patroni: bool,
    sentinels: bool,
    jobs: usize,
    locks: usize,
    relays: usize,
    jobs_config: String,
    jobs_env: Vec<(String, String)>,
    locks_env: Vec<(String, String)>,
    relay_env: Vec<(String, String)>,
}

impl StackBuilder {
    pub fn postgres(mut self, options: PostgresOptions) -> Self {
        self.postgres = options;
        self
    }

    /// A PostgreSQL that fails over, instead of a single one.
    pub fn patroni(mut self) -> Self {
        self.patroni = true;
        self
    }

    /// A Redis that fails over, instead of a single one.
    pub fn sentinels(mut self) -> Self {
        self.sentinels = true;
        self
    }

    /// Instances of the jobs service.
    pub fn jobs(mut self, instances: usize) -> Self {
        self.jobs = instances;
        self
    }

    /// Instances of the locks service.
    pub fn locks(mut self, instances: usize) -> Self {
        self.locks = instances;
        self
    }

    pub fn relays(mut self, instances: usize) -> Self {
        self.relays = instances;
        self
    }

    /// The jobs service's configuration file, for what is made of lists. Replaces the default, which lets every worker
    /// lease every intent.
    pub fn jobs_config(mut self, toml: &str) -> Self {
        self.jobs_config = toml.to_owned();
        self
    }

    /// `SECTION__KEY`, without the service's prefix.
    pub fn jobs_env(mut self, key: &str, value: impl ToString) -> Self {
        self.jobs_env.push((format!("HOLDFAST_JOBS__{key}"), value.to_string()));
        self
    }

    /// `SECTION__KEY`, without the service's prefix.
    pub fn locks_env(mut self, key: &str, value: impl ToString) -> Self {
        self.locks_env.push((format!("HOLDFAST_LOCKS__{key}"), value.to_string()));
        self
    }

    /// `SECTION__KEY`, without the service's prefix.
    pub fn relay_env(mut self, key: &str, value: impl ToString) -> Self {
        self.relay_env.push((format!("HOLDFAST_RELAY__{key}"), value.to_string()));
        self
    }

    /// Starts everything and waits until every process is ready.
    pub async fn start(self) -> Result<Stack> {
        let redis = if self.sentinels { Sentinels::first().await? } else { Redis::start().await? };
        let sentinels = if self.sentinels { Some(Sentinels::start(&redis).await?) } else { None };
        let (patroni, postgres, database) = if self.patroni {
            let patroni = Patroni::start().await?;
            let database = Database::create_under(&patroni).await?;
            (Some(patroni), None, database)
        } else {
            let postgres = Postgres::start(self.postgres).await?;
            let database = Database::create_on(&postgres).await?;
            (None, Some(postgres), database)
        };
        let directory = Directory::new("holdfast-stack-")?;
        let jobs_config = directory.join("jobs.toml");
        std::fs::write(&jobs_config, &self.jobs_config)?;
        let mut stack = Stack {
            jobs: Vec::new(),
            locks: Vec::new(),
            relays: Vec::new(),
            tokens: Tokens::new()?,
            event_key: rand::rng().sample_iter(Alphanumeric).take(48).map(char::from).collect(),
            jobs_config,
            _directory: directory,
            jobs_env: self.jobs_env,
            locks_env: self.locks_env,
            relay_env: self.relay_env,
            database,
            sentinels,
            redis,
            patroni,
            postgres,
        };
        for _ in 0..self.jobs {
            stack.jobs.push(stack.start_jobs()?);
        }
        for _ in 0..self.locks {
            stack.locks.push(stack.start_locks()?);
        }
        for _ in 0..self.relays {
            stack.relays.push(stack.start_relay()?);
        }
        stack.ready().await?;
        Ok(stack)
    }
}

/// One jobs service.
pub struct JobsInstance {
    pub process: Process,
    pub grpc_port: u16,
}

impl JobsInstance {
    /// For a gRPC channel.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.grpc_port)
    }
}

/// One locks service.
pub struct LocksInstance {
    pub process: Process,
    pub grpc_port: u16,
}

impl LocksInstance {
    /// For a gRPC channel.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.grpc_port)
    }
}

/// A running platform. Fields are dropped, and so ended, in their order: services before what they stand on.
pub struct Stack {
    pub jobs: Vec<JobsInstance>,
    pub locks: Vec<LocksInstance>,
    pub relays: Vec<Process>,
    pub tokens: Tokens,
    /// Signs stream entries, under [`Stack::EVENT_KEY_ID`].
    pub event_key: String,
    jobs_config: PathBuf,
    _directory: Directory,
    jobs_env: Vec<(String, String)>,
    locks_env: Vec<(String, String)>,
    relay_env: Vec<(String, String)>,
    pub database: Database,
    /// Of a stack with [`StackBuilder::sentinels`].
    pub sentinels: Option<Sentinels>,
    /// The only one, or the first to be primary.
    pub redis: Redis,
    patroni: Option<Patroni>,
    postgres: Option<Postgres>,
}

impl Stack {
    pub const EVENT_KEY_ID: &str = "test-1";
    /// In front of every Redis key and channel.
    pub const REDIS_PREFIX: &str = "hf:test";

    pub fn builder() -> StackBuilder {
        StackBuilder {
            postgres: PostgresOptions::default(),
            patroni: false,
            sentinels: false,
            jobs: 1,
            locks: 0,
            relays: 1,
            jobs_config: JOBS_CONFIG.to_owned(),
            // Tests submit as people, and not at the pace of people.
            jobs_env: vec![("HOLDFAST_JOBS__RATES__USERS_PER_MINUTE".to_owned(), "0".to_owned())],
            locks_env: Vec::new(),
            relay_env: Vec::new(),
        }
    }

    /// The server of a stack without Patroni.
    pub fn postgres(&self) -> &Postgres {
        self.postgres.as_ref().expect("a stack has one server unless it was asked for Patroni")
    }

    /// Of a stack with [`StackBuilder::patroni`].
    pub fn patroni(&self) -> &Patroni {
        self.patroni.as_ref().expect("the stack was asked for Patroni")
    }

    /// As services are told where Redis is.
    pub fn redis_url(&self) -> String {
        self.sentinels.as_ref().map_or_else(|| self.redis.url(), Sentinels::url)
    }

    /// The server that takes writes; fails while none does.
    pub async fn redis_primary(&self) -> Result<&Redis> {
        let Some(sentinels) = &self.sentinels else { return Ok(&self.redis) };
        Ok(sentinels.promoted().await?.unwrap_or(&self.redis))
    }

    /// Waits until every process that runs is ready.
    pub async fn ready(&self) -> Result<()> {
        let jobs = self.jobs.iter().map(|jobs| &jobs.process);
        let processes = jobs.chain(self.locks.iter().map(|locks| &locks.process)).chain(&self.relays);
        let running = processes.filter(|process| process.pid().is_some());
        try_join_all(running.map(|process| process.ready(READY_WITHIN))).await?;
        Ok(())
    }

    /// Starts one more jobs service without waiting for it; it is the caller's.
    pub fn start_jobs(&self) -> Result<JobsInstance> {
        let grpc_port = free_port()?;
        let spec = service("jobs", &self.jobs_env)?
            .argument("--config")
            .argument(self.jobs_config.as_os_str())
            .env("HOLDFAST_JOBS__GRPC__LISTEN", format!("127.0.0.1:{grpc_port}"))
            .env("HOLDFAST_JOBS__DATABASE__APP_URL", self.database.url(Role::JobsApp).expose())
            .env("HOLDFAST_JOBS__DATABASE__TASK_URL", self.database.url(Role::JobsTask).expose())
            .env("HOLDFAST_JOBS__REDIS__URL", self.redis_url())
            .env("HOLDFAST_JOBS__REDIS__PREFIX", Self::REDIS_PREFIX)
            .env("HOLDFAST_JOBS__AUTH__ISSUER", ISSUER)
            .env("HOLDFAST_JOBS__AUTH__AUDIENCE", AUDIENCE)
            .env("HOLDFAST_JOBS__AUTH__KEYS_FILE", self.tokens.key_set().display());
        Ok(JobsInstance { process: Process::start(spec).context("the jobs service")?, grpc_port })
    }

    /// Starts one more locks service without waiting for it; it is the caller's.
    pub fn start_locks(&self) -> Result<LocksInstance> {
        let grpc_port = free_port()?;
        let spec = service("locks", &self.locks_env)?
            .env("HOLDFAST_LOCKS__GRPC__LISTEN", format!("127.0.0.1:{grpc_port}"))
            .env("HOLDFAST_LOCKS__DATABASE__APP_URL", self.database.url(Role::LocksApp).expose())
            .env("HOLDFAST_LOCKS__DATABASE__TASK_URL", self.database.url(Role::LocksTask).expose())
            .env("HOLDFAST_LOCKS__REDIS__URL", self.redis_url())
            .env("HOLDFAST_LOCKS__REDIS__PREFIX", Self::REDIS_PREFIX)
            .env("HOLDFAST_LOCKS__AUTH__ISSUER", ISSUER)
            .env("HOLDFAST_LOCKS__AUTH__AUDIENCE", AUDIENCE)
            .env("HOLDFAST_LOCKS__AUTH__KEYS_FILE", self.tokens.key_set().display());
        Ok(LocksInstance { process: Process::start(spec).context("the locks service")?, grpc_port })
    }

    /// Starts one more relay without waiting for it; it is the caller's.
    pub fn start_relay(&self) -> Result<Process> {
        let spec = service("relay", &self.relay_env)?
            .env("HOLDFAST_RELAY__DATABASE__URL", self.database.url(Role::Relay).expose())
            .env("HOLDFAST_RELAY__REDIS__URL", self.redis_url())
            .env("HOLDFAST_RELAY__REDIS__PREFIX", Self::REDIS_PREFIX)
            .env("HOLDFAST_RELAY__SIGNING__KEY", &self.event_key)
            .env("HOLDFAST_RELAY__SIGNING__KEY_ID", Self::EVENT_KEY_ID);
        Process::start(spec).context("the relay")
    }
}

/// What every service is told. `own` comes first, so that it cannot bend what holds the stack together.
fn service(name: &str, own: &[(String, String)]) -> Result<ProcessSpec> {
    let program = format!("holdfast-{name}");
    let http_port = free_port()?;
    let prefix = format!("HOLDFAST_{}", name.to_uppercase());
    let mut spec = ProcessSpec::new(&program, &program).http_port(http_port);
    for (key, value) in own {
        spec = spec.env(key, value);
    }
    Ok(spec.env(format!("{prefix}__HTTP__LISTEN"), format!("127.0.0.1:{http_port}")))
}
