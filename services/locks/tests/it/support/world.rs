//! A database, a Redis, a token issuer and the instances of the service that run on them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use holdfast_caller::Role;
use holdfast_caller::issuer::{AUDIENCE, DevIssuer, ISSUER, TokenSpec};
use holdfast_ids::{ActorId, TenantId};
use holdfast_pg::Role as Login;
use holdfast_testkit::{Database, Postgres, Process, ProcessSpec, Redis, free_port, http_get};
use tokio::sync::OnceCell;
use tonic::transport::{Channel, Endpoint};
use uuid::Uuid;

use super::Api;

const START_WITHIN: Duration = Duration::from_secs(60);
static SHARED: OnceCell<World> = OnceCell::const_new();

/// A tenant that no other test knows.
pub fn tenant() -> TenantId {
    TenantId::parse(&format!("t-{}", Uuid::new_v4().simple())).expect("hex is in the alphabet")
}

/// What an instance is configured with, beside where things are.
#[derive(Debug, Clone)]
pub struct Settings {
    values: BTreeMap<String, String>,
}

/// Lively background work, and leases as in development.
impl Default for Settings {
    fn default() -> Self {
        let settings = Self { values: BTreeMap::new() };
        settings
            .set("tasks.expiry_period_ms", 50)
            .set("tasks.abandoned_period_ms", 50)
            .set("tasks.registry_period_ms", 50)
            .set("tasks.outbox_pending_period_ms", 50)
    }
}

impl Settings {
    /// One value, by its path in the configuration.
    pub fn set(mut self, path: &str, value: impl ToString) -> Self {
        self.values.insert(path.to_owned(), value.to_string());
        self
    }
}

pub struct World {
    pub db: Database,
    pub redis: Redis,
    pub issuer: DevIssuer,
    /// The instance that callers speak to where they do not say.
    pub first: Instance,
    settings: Settings,
    directory: PathBuf,
}

impl World {
    /// The stack that most tests share.
    pub async fn shared() -> Result<&'static Self> {
        SHARED.get_or_try_init(|| Self::with(Settings::default())).await
    }

    pub async fn with(settings: Settings) -> Result<Self> {
        Self::over(Database::create().await?, settings).await
    }

    pub async fn over(db: Database, settings: Settings) -> Result<Self> {
        // The server's directory goes when the test process ends, however it ends.
        let directory = Postgres::shared().await?.directory().join(format!("world-{}", Uuid::new_v4().simple()));
        let issuer = DevIssuer::generate()?;
        issuer.save(&directory)?;
        let redis = Redis::start().await?;
        let first = Instance::start(&db, &redis, &directory, &settings).await?;
        Ok(Self { db, redis, issuer, first, settings, directory })
    }

    /// One more process on the same database.
    pub async fn another_instance(&self) -> Result<Instance> {
        Instance::start(&self.db, &self.redis, &self.directory, &self.settings).await
    }

    pub async fn another_instance_with(&self, settings: &Settings) -> Result<Instance> {
        Instance::start(&self.db, &self.redis, &self.directory, settings).await
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    pub fn caller(&self, spec: TokenSpec) -> Api {
        self.first.api(self.issuer.issue(spec))
    }

    /// A person who may work, in one tenant.
    pub fn user(&self, name: &str, tenant: &TenantId) -> Api {
        self.caller(user(name, tenant))
    }

    /// A person who may do everything, in one tenant.
    pub fn owner(&self, name: &str, tenant: &TenantId) -> Api {
        self.caller(TokenSpec::user(actor(name), tenant.clone(), Role::Owner))
    }

    pub fn service(&self, name: &str, tenant: &TenantId) -> Api {
        self.caller(TokenSpec::service(actor(name), tenant.clone()))
    }
}

pub fn actor(name: &str) -> ActorId {
    ActorId::parse(name).expect("tests name actors well")
}

pub fn user(name: &str, tenant: &TenantId) -> TokenSpec {
    TokenSpec::user(actor(name), tenant.clone(), Role::ProjectMaintainer)
}

/// One process of the service.
pub struct Instance {
    pub process: Process,
    channel: Channel,
}

impl Instance {
    async fn start(db: &Database, redis: &Redis, directory: &std::path::Path, settings: &Settings) -> Result<Self> {
        let (grpc, http) = (free_port()?, free_port()?);
        let mut spec = ProcessSpec::new("holdfast-locks", "holdfast-locks")
            .http_port(http)
            .env("HOLDFAST_LOCKS__GRPC__LISTEN", format!("127.0.0.1:{grpc}"))
            .env("HOLDFAST_LOCKS__HTTP__LISTEN", format!("127.0.0.1:{http}"))
            .env("HOLDFAST_LOCKS__DATABASE__APP_URL", db.url(Login::LocksApp).expose())
            .env("HOLDFAST_LOCKS__DATABASE__TASK_URL", db.url(Login::LocksTask).expose())
            .env("HOLDFAST_LOCKS__REDIS__URL", redis.url())
            .env("HOLDFAST_LOCKS__REDIS__PREFIX", "hf:test")
            .env("HOLDFAST_LOCKS__AUTH__ISSUER", ISSUER)
            .env("HOLDFAST_LOCKS__AUTH__AUDIENCE", AUDIENCE)
            .env("HOLDFAST_LOCKS__AUTH__KEYS_FILE", DevIssuer::key_set_path(directory).display());
        for (path, value) in &settings.values {
            spec = spec.env(format!("HOLDFAST_LOCKS__{}", path.to_uppercase().replace('.', "__")), value);
        }
        let process = Process::start_ready(spec, START_WITHIN).await?;
        let channel = Endpoint::from_shared(format!("http://127.0.0.1:{grpc}"))?.connect_lazy();
        Ok(Self { process, channel })
    }

    /// Calls with this token.
    pub fn api(&self, token: String) -> Api {
        Api::new(self.channel.clone(), token)
    }

    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }
}

impl Instance {
    /// A gauge or counter without labels, as /metrics has it; 0 where it has none.
    pub async fn measure(&self, name: &str) -> Result<f64> {
        let port = self.process.http_port().context("a service has one")?;
        let page = http_get(port, "/metrics").await?.body;
        let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok(line.map_or(Ok(0.0), str::parse)?)
    }
}
