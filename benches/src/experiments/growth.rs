//! Look-ups by id and by key while the tables grow, without any other load: the service's own statements over one connection
//! of its own login, its calls, and what it says of its statements on /metrics.
//!
//! Each look-up is of another one of a sample that is spread over all of the tables; the sample is gone through once to see
//! it cold, and again. What is read the second time is in PostgreSQL's memory: the difference between sizes is then that of
//! the indexes' depth and of the planner's and the executor's way to the right partition, not that of the disk.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use hdrhistogram::Histogram;
use holdfast_pg::Role;
use holdfast_proto::jobs::v1::{
    GetJobRequest, GetKeyRequest, KeyScope, Payload, Queue, RiskTier, SubmitJobRequest,
    idempotency_service_client::IdempotencyServiceClient, job_service_client::JobServiceClient,
};
use serde::{Deserialize, Serialize};
use sqlx::{Connection as _, PgConnection, PgPool};
use tokio::time::sleep;
use tonic::{Request, transport::Channel, transport::Endpoint};
use uuid::Uuid;

use super::{GROWTH, Plan};
use crate::{
    measure::{
        conditions::Conditions,
        percentiles::{Percentiles, histogram},
        scrape::{QueryTimes, query_times},
        upkeep::Upkeep,
    },
    population::{ACTOR, INTENT, project, tenant},
    stack::{Stack, Target},
};

pub const SIZES: [i64; 3] = [10_000, 1_000_000, 10_000_000];
pub const SIZES_QUICK: [i64; 2] = [10_000, 50_000];
const SAMPLE: i64 = 5_000;
const SAMPLE_QUICK: i64 = 500;
const CHUNK: i64 = 100_000;
/// The statements as the service has them.
const JOB_GET: &str = include_str!("../../../services/jobs/src/store/queries/job_get.sql");
const KEY_HEAD: &str = include_str!("../../../services/jobs/src/store/queries/key_heads_in_window.sql");
/// The service folds what it measured into its histograms every few seconds.
const SETTLED_AFTER: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Measured {
    pub sample: i64,
    pub sizes: Vec<Size>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Size {
    pub finished_jobs: i64,
    pub partitions: i64,
    pub tables_mib: f64,
    pub indexes_mib: f64,
    pub fill_s: f64,
    pub lookups: Vec<LookUp>,
    /// As /metrics has them, of the calls among `lookups`.
    pub metrics: Vec<QueryTimes>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LookUp {
    pub what: String,
    /// True where it is the statement alone, over a connection of the service's login.
    pub statement: bool,
    pub cold: Percentiles,
    pub warm: Percentiles,
}

/// One job of the sample.
struct Known {
    number: i64,
    job_id: Uuid,
}

impl Known {
    fn tenant(&self) -> usize {
        (self.number % 10) as usize
    }

    fn tenant_id(&self) -> String {
        tenant(self.tenant())
    }

    fn project_id(&self) -> String {
        project((self.number / 10 % 10) as usize)
    }

    fn key(&self) -> String {
        format!("growth-{}", self.number)
    }
}

impl Measured {
    /// The worst p95 of a statement at the largest size to that at the smallest.
    pub fn slower_at_most(&self) -> Option<f64> {
        let (few, many) = (self.sizes.first()?, self.sizes.last()?);
        let statements = few.lookups.iter().zip(&many.lookups).filter(|(few, _)| few.statement);
        let ratios = statements.map(|(few, many)| many.warm.p95_ms / few.warm.p95_ms);
        ratios.reduce(f64::max)
    }
}

pub async fn run(plan: &Plan, sizes: &[i64]) -> Result<()> {
    let sampled = if plan.quick() { SAMPLE_QUICK } else { SAMPLE };
    ensure!(sizes.is_sorted() && sizes.first().is_some_and(|size| *size >= sampled), "sizes grow, from {sampled} on");
    // No relay: nothing has events.
    let stack = Stack::start_without_relay(64).await?;
    sqlx::raw_sql(include_str!("../../sql/partitions.sql")).execute(stack.admin()).await?;
    let mut caller = Caller::connect(&stack.target).await?;
    let hash = caller.hash_of_a_submission(stack.admin()).await?;
    let mut seen = Vec::new();
    let mut filled = 0;
    for finished_jobs in sizes.iter().copied() {
        let began = Instant::now();
        fill(stack.admin(), filled, finished_jobs, &hash).await?;
        filled = finished_jobs;
        let fill_s = began.elapsed().as_secs_f64();
        let sample = sample(stack.admin(), sampled, finished_jobs).await?;
        let size = at_size(&stack, &mut caller, &sample, finished_jobs, fill_s).await?;
        for lookup in &size.lookups {
            println!(
                "{finished_jobs} jobs, {}: p50 {:.3} ms, p95 {:.3} ms, p99 {:.3} ms",
                lookup.what, lookup.warm.p50_ms, lookup.warm.p95_ms, lookup.warm.p99_ms
            );
        }
        seen.push(size);
    }
    let conditions = Conditions::look(stack.database()).await?;
    plan.results.write(
        GROWTH,
        conditions,
        Some(stack.redis_version().await?),
        Measured { sample: sampled, sizes: seen },
    )
}

async fn fill(admin: &PgPool, from: i64, to: i64, hash: &[u8]) -> Result<()> {
    let mut first = from;
    while first < to {
        let beyond = to.min(first + CHUNK);
        let chunk =
            sqlx::query(include_str!("../../sql/growth.sql")).bind(first).bind(beyond - 1).bind(from).bind(to - 1);
        chunk.bind(hash).execute(admin).await?;
        first = beyond;
    }
    // As autovacuum would within the minute; and what was written is not to be flushed during the run.
    for upkeep in [
        "VACUUM ANALYZE jobs.jobs",
        "VACUUM ANALYZE jobs.idempotency_heads",
        "VACUUM ANALYZE jobs.idempotency_ledger",
        "CHECKPOINT",
    ] {
        sqlx::query(upkeep).execute(admin).await?;
    }
    Ok(())
}

async fn at_size(
    stack: &Stack,
    caller: &mut Caller,
    sample: &[Known],
    finished_jobs: i64,
    fill_s: f64,
) -> Result<Size> {
    let mut session = PgConnection::connect(stack.database().url(Role::JobsApp).expose()).await?;
    let tenants: Vec<String> = (0..10).map(tenant).collect();
    let scope = sqlx::query("SELECT set_config('holdfast.tenants', $1, false)").bind(tenants.join(","));
    scope.execute(&mut session).await?;
    let before = query_times(&stack.metrics().await?);
    let mut lookups = Vec::new();
    let (cold, warm) = (by_id(&mut session, sample).await?, by_id(&mut session, sample).await?);
    lookups.push(LookUp::of("by job_id (`job_get.sql`)", true, &cold, &warm));
    let (cold, warm) = (by_key(&mut session, sample).await?, by_key(&mut session, sample).await?);
    lookups.push(LookUp::of("by idempotency key (`key_heads_in_window.sql`)", true, &cold, &warm));
    let (cold, warm) = (caller.get_jobs(sample).await?, caller.get_jobs(sample).await?);
    lookups.push(LookUp::of("GetJob", false, &cold, &warm));
    let (cold, warm) = (caller.get_keys(sample).await?, caller.get_keys(sample).await?);
    lookups.push(LookUp::of("GetKey", false, &cold, &warm));
    let (cold, warm) = (caller.replays(sample).await?, caller.replays(sample).await?);
    lookups.push(LookUp::of("SubmitJob, replayed", false, &cold, &warm));
    session.close().await?;
    sleep(SETTLED_AFTER).await;
    let after = query_times(&stack.metrics().await?);
    let upkeep = Upkeep::look(stack.admin()).await?;
    let partitions: i64 =
        sqlx::query_scalar("SELECT count(*) FROM pg_inherits WHERE inhparent = 'jobs.jobs'::regclass")
            .fetch_one(stack.admin())
            .await?;
    Ok(Size {
        finished_jobs,
        partitions,
        tables_mib: upkeep.tables.iter().map(|table| table.heap_mib).sum(),
        indexes_mib: upkeep.tables.iter().map(|table| table.index_mib).sum(),
        fill_s,
        lookups,
        metrics: after.iter().map(|times| times.since(&before)).collect(),
    })
}

/// Every so manieth job: as many of each week as the tables have, in an order of no meaning.
async fn sample(admin: &PgPool, sampled: i64, finished_jobs: i64) -> Result<Vec<Known>> {
    let keys: Vec<String> = (0..sampled).map(|index| format!("growth-{}", index * finished_jobs / sampled)).collect();
    let rows: Vec<(String, Uuid)> = sqlx::query_as(
        "SELECT idempotency_key, job_id FROM jobs.idempotency_heads WHERE idempotency_key = ANY ($1) ORDER BY md5(idempotency_key)",
    )
    .bind(&keys)
    .fetch_all(admin)
    .await?;
    ensure!(rows.len() == keys.len(), "{} of {} jobs of the sample are there", rows.len(), keys.len());
    let known =
        |(key, job_id): (String, Uuid)| Some(Known { number: key.strip_prefix("growth-")?.parse().ok()?, job_id });
    rows.into_iter().map(known).collect::<Option<_>>().context("a key of the fill is not one")
}

async fn by_id(session: &mut PgConnection, sample: &[Known]) -> Result<Histogram<u64>> {
    let mut times = histogram();
    for known in sample {
        let (ids, tenants) = (vec![known.job_id], vec![known.tenant_id()]);
        let began = Instant::now();
        let found = sqlx::query(JOB_GET).bind(&ids).bind(&tenants).fetch_all(&mut *session).await?;
        times.saturating_record(began.elapsed().as_micros() as u64);
        ensure!(found.len() == 1, "job {} is not found", known.job_id);
    }
    Ok(times)
}

async fn by_key(session: &mut PgConnection, sample: &[Known]) -> Result<Histogram<u64>> {
    let mut times = histogram();
    for known in sample {
        let scope = [known.tenant_id(), known.project_id(), INTENT.to_owned(), ACTOR.to_owned(), known.key()]
            .map(|text| vec![text]);
        let began = Instant::now();
        let mut query = sqlx::query(KEY_HEAD);
        for column in &scope {
            query = query.bind(column);
        }
        let found = query.fetch_all(&mut *session).await?;
        times.saturating_record(began.elapsed().as_micros() as u64);
        ensure!(found.len() == 1, "key {} is not found", known.key());
    }
    Ok(times)
}

/// One connection to the service, one call after the other.
struct Caller {
    target: Target,
    jobs: JobServiceClient<Channel>,
    keys: IdempotencyServiceClient<Channel>,
}

impl Caller {
    async fn connect(target: &Target) -> Result<Self> {
        let channel = Endpoint::from_shared(target.url.clone())?.tcp_nodelay(true).connect().await?;
        let (jobs, keys) = (JobServiceClient::new(channel.clone()), IdempotencyServiceClient::new(channel));
        Ok(Self { target: target.clone(), jobs, keys })
    }

    /// Of what the fill's jobs were submitted as; it is the service that computes it.
    async fn hash_of_a_submission(&mut self, admin: &PgPool) -> Result<Vec<u8>> {
        let known = Known { number: 0, job_id: Uuid::nil() };
        let request = SubmitJobRequest { idempotency_key: "the-first".to_owned(), ..submission(&known) };
        let request = self.request(&known, request);
        self.jobs.submit_job(request).await?;
        let hash = sqlx::query_scalar("SELECT payload_hash FROM jobs.idempotency_heads").fetch_one(admin);
        Ok(hash.await?)
    }

    async fn get_jobs(&mut self, sample: &[Known]) -> Result<Histogram<u64>> {
        let mut times = histogram();
        for known in sample {
            let request = self.request(known, GetJobRequest { job_id: known.job_id.to_string() });
            let began = Instant::now();
            self.jobs.get_job(request).await?;
            times.saturating_record(began.elapsed().as_micros() as u64);
        }
        Ok(times)
    }

    async fn get_keys(&mut self, sample: &[Known]) -> Result<Histogram<u64>> {
        let mut times = histogram();
        for known in sample {
            let scope = KeyScope {
                tenant_id: known.tenant_id(),
                project_id: known.project_id(),
                intent: INTENT.to_owned(),
                idempotency_key: known.key(),
            };
            let request = self.request(known, GetKeyRequest { scope: Some(scope) });
            let began = Instant::now();
            self.keys.get_key(request).await?;
            times.saturating_record(began.elapsed().as_micros() as u64);
        }
        Ok(times)
    }

    async fn replays(&mut self, sample: &[Known]) -> Result<Histogram<u64>> {
        let mut times = histogram();
        for known in sample {
            let request = self.request(known, submission(known));
            let began = Instant::now();
            let answer = self.jobs.submit_job(request).await?.into_inner();
            times.saturating_record(began.elapsed().as_micros() as u64);
            ensure!(answer.replayed && answer.job_id == known.job_id.to_string(), "{} is no replay", known.key());
        }
        Ok(times)
    }

    fn request<T>(&self, known: &Known, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", self.target.services[known.tenant()].clone());
        request
    }
}

fn submission(known: &Known) -> SubmitJobRequest {
    SubmitJobRequest {
        tenant_id: known.tenant_id(),
        project_id: known.project_id(),
        intent: INTENT.to_owned(),
        queue: Queue::Project.into(),
        tier: RiskTier::A.into(),
        idempotency_key: known.key(),
        payload: Some(Payload { data: "{}".into(), content_type: String::new() }),
        ..SubmitJobRequest::default()
    }
}

impl LookUp {
    fn of(what: &str, statement: bool, cold: &Histogram<u64>, warm: &Histogram<u64>) -> Self {
        Self { what: what.to_owned(), statement, cold: cold.into(), warm: warm.into() }
    }
}
