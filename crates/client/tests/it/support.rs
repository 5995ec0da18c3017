//! Stacks that tests share, each test in a tenant of its own.

use std::{
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use anyhow::Result;
use holdfast_client::{
    AccessToken, CancellationToken, Client, ClientBuilder, IdempotencyKey, Job, JobError, NewJob, Worker, WorkerSpec,
    json,
};
use holdfast_testkit::{Stack, StackBuilder};
use tokio::{runtime::Runtime, sync::OnceCell};

pub const SOON: Duration = Duration::from_secs(60);
pub const PROJECT: &str = "alpha";
pub const INTENT: &str = "sdk.echo";

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime starts"));
static PATIENT: OnceCell<Stack> = OnceCell::const_new();
static BRIEF: OnceCell<Stack> = OnceCell::const_new();
static TENANTS: AtomicU32 = AtomicU32::new(0);

/// Runs a test on the runtime that the shared stacks were started on.
pub fn run(test: impl Future<Output = Result<()>>) -> Result<()> {
    RUNTIME.block_on(async { tokio::time::timeout(Duration::from_secs(120), test).await? })
}

/// Lively, and with projects that are not serial.
pub fn lively() -> StackBuilder {
    Stack::builder()
        .jobs_env("LIMITS__RUNNING_PER_PROJECT", 1_000)
        .jobs_env("RETRIES__INITIAL_MS", 50)
        .jobs_env("TASKS__LEASE_EXPIRY_PERIOD_MS", 50)
        .jobs_env("TASKS__DUE_JOBS_PERIOD_MS", 20)
        .jobs_env("DISPATCH__POLL_MS", 50)
}

/// One caller's place: a stack, and a tenant that no other test knows.
pub struct Site {
    pub stack: &'static Stack,
    pub tenant: String,
}

impl Site {
    /// Leases last for 30 s.
    pub async fn patient() -> Result<Self> {
        Ok(Self::on(PATIENT.get_or_try_init(|| lively().start()).await?))
    }

    /// Leases last for a second, and queues hold ten jobs.
    pub async fn brief() -> Result<Self> {
        let stack = || lively().jobs_env("LEASES__TTL_MS", 1_000).jobs_env("LIMITS__PROJECT_DEPTH_HARD", 10);
        let stack = || stack().jobs_env("LIMITS__PROJECT_DEPTH_SOFT", 10).start();
        Ok(Self::on(BRIEF.get_or_try_init(stack).await?))
    }

    fn on(stack: &'static Stack) -> Self {
        Self { stack, tenant: format!("t-{}", TENANTS.fetch_add(1, Ordering::Relaxed)) }
    }

    pub fn endpoint(&self) -> String {
        self.stack.jobs[0].endpoint()
    }

    /// A person who may do everything.
    pub fn owner(&self) -> Result<Client> {
        self.owner_at(&self.endpoint())
    }

    pub fn owner_at(&self, endpoint: &str) -> Result<Client> {
        let token = self.stack.tokens.owner("ada", &self.tenant)?;
        Ok(builder(endpoint, &token).build()?)
    }

    pub fn service(&self) -> Result<Client> {
        let token = self.stack.tokens.service("billing", &self.tenant)?;
        Ok(builder(&self.endpoint(), &token).build()?)
    }

    pub fn worker(&self) -> Result<Client> {
        self.worker_at(&self.endpoint())
    }

    pub fn worker_at(&self, endpoint: &str) -> Result<Client> {
        let token = self.stack.tokens.worker("w", &self.tenant)?;
        Ok(builder(endpoint, &token).build()?)
    }
}

pub fn builder(endpoint: &str, token: &str) -> ClientBuilder {
    Client::builder(endpoint).token(AccessToken::from(token))
}

/// Answers each job with its payload, until it is stopped.
pub fn echo(client: Client) -> CancellationToken {
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    tokio::spawn(async move {
        let spec = WorkerSpec { capacity: 16, ..WorkerSpec::new("echo", [INTENT]) };
        let echo = async |job: Job| Ok::<_, JobError>(json(&job.payload_json::<serde_json::Value>()?)?);
        Worker::new(client, spec).run(echo, &stopped).await.expect("the worker ends well");
    });
    stop
}

/// A job under a key of its own.
pub fn job(payload: impl serde::Serialize) -> NewJob {
    job_under(IdempotencyKey::random(), payload)
}

pub fn job_under(key: IdempotencyKey, payload: impl serde::Serialize) -> NewJob {
    NewJob::new(PROJECT, INTENT, key, json(&payload).expect("tests submit JSON"))
}
