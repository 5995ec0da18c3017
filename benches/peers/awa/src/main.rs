//! awa under the load that the bench asks for. Notes when each job was sent, acknowledged and started; the bench does the
//! counting. One argument: the run, as JSON.
#![forbid(unsafe_code)]

use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use awa::{Client, InsertOpts, InsertParams, JobArgs, JobResult, QueueConfig, QueueStorage, insert_with, migrations};
use serde::{Deserialize, Serialize};
use sqlx::{PgPool, postgres::PgPoolOptions};
use tokio::{
    task::JoinSet,
    time::{sleep, sleep_until},
};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const QUEUE: &str = "bench";
const DRAINED_WITHIN: Duration = Duration::from_secs(120);
/// From its tests of throughput and its configuration's comments: more claimers and workers than it has by default, large
/// claims, and no deadline, which is what its compact claims are for.
const MAX_WORKERS: u32 = 256;
const CLAIMERS: u16 = 2;
const CLAIM_BATCH: usize = 512;
const POLL_MS: u64 = 50;
/// "Operators can raise enqueue_shards on a contended queue to trade strict FIFO for throughput."
const ENQUEUE_SHARDS: i16 = 16;
/// queue_count + 4 and headroom for the handlers' side; the callers have a pool of their own.
const WORKER_CONNECTIONS: u32 = 16;

#[derive(Deserialize)]
struct Run {
    url: String,
    variant: String,
    callers: usize,
    /// Jobs a second by the clock; each caller's next job follows its last answer where absent.
    rate: Option<f64>,
    /// Jobs in one call, without anybody who works them off.
    batch: Option<usize>,
    seconds: f64,
    outstanding: u64,
    jobs_max: usize,
    text: String,
    times: String,
}

#[derive(Serialize, Deserialize, JobArgs)]
struct Noop {
    number: u64,
    text: String,
}

/// Microseconds since `origin`, of each job: sent, acknowledged, started. 0: not yet.
struct Notes {
    origin: Instant,
    next: AtomicU64,
    acknowledged: AtomicU64,
    started: AtomicU64,
    times: Vec<[AtomicU64; 3]>,
}

impl Notes {
    fn now(&self) -> u64 {
        self.origin.elapsed().as_micros() as u64 + 1
    }

    fn note(&self, number: u64, what: usize) {
        self.times[number as usize][what].store(self.now(), SeqCst);
    }

    fn sent(&self) -> u64 {
        let number = self.next.fetch_add(1, SeqCst);
        assert!((number as usize) < self.times.len(), "more jobs than the bench made room for");
        self.note(number, 0);
        number
    }

    fn acknowledged(&self, number: u64) {
        self.note(number, 1);
        self.acknowledged.fetch_add(1, SeqCst);
    }

    fn started(&self, number: u64) {
        self.note(number, 2);
        self.started.fetch_add(1, SeqCst);
    }

    fn outstanding(&self) -> u64 {
        self.acknowledged.load(SeqCst).saturating_sub(self.started.load(SeqCst))
    }

    fn write(&self, path: &str) -> Result<()> {
        let noted = self.times.iter().take(self.next.load(SeqCst) as usize).flatten();
        let bytes: Vec<u8> = noted.flat_map(|time| (time.load(SeqCst) as f64).to_le_bytes()).collect();
        Ok(std::fs::write(path, bytes)?)
    }
}

/// One caller's way of enqueueing.
#[derive(Clone)]
struct Caller {
    run: Arc<Run>,
    notes: Arc<Notes>,
    pool: PgPool,
    store: Arc<QueueStorage>,
}

impl Caller {
    async fn call(&self) -> Result<()> {
        let number = self.notes.sent();
        let job = || Noop { number, text: self.run.text.clone() };
        match self.run.batch {
            None if self.run.variant == "storage" => {
                self.store.enqueue_params_batch(&self.pool, &[params(&job())?]).await?;
            }
            None => {
                insert_with(&self.pool, &job(), options()).await?;
            }
            Some(jobs) => {
                let jobs: Vec<InsertParams> = (0..jobs).map(|_| params(&job())).collect::<Result<_>>()?;
                match self.run.variant.as_str() {
                    "copy" => self.store.enqueue_params_copy(&self.pool, &jobs).await?,
                    _ => self.store.enqueue_params_batch(&self.pool, &jobs).await?,
                };
            }
        }
        self.notes.acknowledged(number);
        Ok(())
    }

    async fn one_after_the_other(self, until: Instant) -> Result<()> {
        while Instant::now() < until {
            if self.run.batch.is_none() && self.notes.outstanding() >= self.run.outstanding {
                sleep(Duration::from_millis(1)).await;
                continue;
            }
            self.call().await?;
        }
        Ok(())
    }

    async fn by_the_clock(self, index: usize, rate: f64, until: Instant) -> Result<()> {
        let (begin, callers) = (Instant::now(), self.run.callers as f64);
        let mut calls = JoinSet::new();
        for turn in 0_u64.. {
            let due = begin + Duration::from_secs_f64((index as f64 + turn as f64 * callers) / rate);
            if due >= until {
                break;
            }
            sleep_until(due.into()).await;
            let caller = self.clone();
            calls.spawn(async move { caller.call().await });
            while let Some(called) = calls.try_join_next() {
                called??;
            }
        }
        while let Some(called) = calls.join_next().await {
            called??;
        }
        Ok(())
    }
}

fn options() -> InsertOpts {
    InsertOpts { queue: QUEUE.to_owned(), ..InsertOpts::default() }
}

fn params(job: &Noop) -> Result<InsertParams> {
    Ok(awa::model::insert::params_with(job, options())?)
}

fn queue_config() -> QueueConfig {
    QueueConfig {
        max_workers: MAX_WORKERS,
        poll_interval: Duration::from_millis(POLL_MS),
        deadline_duration: Duration::ZERO,
        claimers: CLAIMERS,
        claim_batch_size: CLAIM_BATCH,
        ..QueueConfig::default()
    }
}

fn settings(run: &Run) -> serde_json::Value {
    let enqueued_by = match (run.batch, run.variant.as_str()) {
        (None, "storage") => "QueueStorage::enqueue_params_batch of one job",
        (None, _) => "insert_with",
        (Some(_), "copy") => "QueueStorage::enqueue_params_copy",
        (Some(_), _) => "QueueStorage::enqueue_params_batch",
    };
    serde_json::json!({
        "enqueued_by": enqueued_by, "connections": run.callers, "enqueue_shards": ENQUEUE_SHARDS,
        "max_workers": MAX_WORKERS, "claimers": CLAIMERS, "claim_batch_size": CLAIM_BATCH, "poll_interval_ms": POLL_MS,
        "deadline_duration_ms": 0, "worker_connections": WORKER_CONNECTIONS,
    })
}

/// Two threads, as the bench's own client.
#[tokio::main(worker_threads = 2)]
async fn main() -> Result<()> {
    let run: Arc<Run> = Arc::new(serde_json::from_str(&std::env::args().nth(1).ok_or("which run?")?)?);
    let workers_pool = PgPoolOptions::new().max_connections(WORKER_CONNECTIONS).connect(&run.url).await?;
    migrations::run(&workers_pool).await?;
    sqlx::query(
        "INSERT INTO awa.queue_meta (queue, enqueue_shards) VALUES ($1, $2)
         ON CONFLICT (queue) DO UPDATE SET enqueue_shards = excluded.enqueue_shards",
    )
    .bind(QUEUE)
    .bind(ENQUEUE_SHARDS)
    .execute(&workers_pool)
    .await?;
    let pool =
        PgPoolOptions::new().max_connections(run.callers as u32).test_before_acquire(false).connect(&run.url).await?;
    let notes = Arc::new(Notes {
        origin: Instant::now(),
        next: AtomicU64::new(0),
        acknowledged: AtomicU64::new(0),
        started: AtomicU64::new(0),
        times: (0..run.jobs_max).map(|_| Default::default()).collect(),
    });
    let noting = notes.clone();
    let client = Client::builder(workers_pool.clone())
        .queue(QUEUE, queue_config())
        .register::<Noop, _, _>(move |job: Noop, _context| {
            let notes = noting.clone();
            async move {
                notes.started(job.number);
                Ok(JobResult::Completed)
            }
        })
        .build()?;
    // Also for batches: it makes the storage the active one. Their jobs lie in a queue that nobody works on otherwise.
    client.start().await?;
    let store = Arc::new(QueueStorage::from_existing_schema("awa")?);
    // A shard's first job makes what the shard needs; callers that do so at the same time fail.
    for _ in 0..2 * ENQUEUE_SHARDS {
        let number = notes.sent();
        store.enqueue_params_batch(&pool, &[params(&Noop { number, text: run.text.clone() })?]).await?;
        notes.acknowledged(number);
    }
    if run.batch.is_some() {
        while notes.outstanding() > 0 {
            sleep(Duration::from_millis(10)).await;
        }
        client.shutdown(Duration::from_secs(10)).await;
    }

    let until = Instant::now() + Duration::from_secs_f64(run.seconds);
    let mut callers = JoinSet::new();
    for index in 0..run.callers {
        let caller = Caller { run: run.clone(), notes: notes.clone(), pool: pool.clone(), store: store.clone() };
        match run.rate {
            Some(rate) => callers.spawn(caller.by_the_clock(index, rate, until)),
            None => callers.spawn(caller.one_after_the_other(until)),
        };
    }
    while let Some(ended) = callers.join_next().await {
        ended??;
    }
    if run.batch.is_none() {
        let drained_by = Instant::now() + DRAINED_WITHIN;
        while unfinished(&notes, &store, &workers_pool).await? > 0 {
            if Instant::now() > drained_by {
                return Err("acknowledged jobs were not worked off".into());
            }
            sleep(Duration::from_millis(100)).await;
        }
        client.shutdown(Duration::from_secs(10)).await;
    }
    notes.write(&run.times)?;
    println!("{}", serde_json::json!({ "version": "awa 0.6.9", "settings": settings(&run) }));
    Ok(())
}

/// By our notes, then by the database.
async fn unfinished(notes: &Notes, store: &QueueStorage, pool: &PgPool) -> Result<i64> {
    let noted = notes.outstanding() as i64;
    if noted > 0 {
        return Ok(noted);
    }
    let counts = store.queue_counts(pool, QUEUE).await?;
    Ok(counts.available + counts.running)
}
