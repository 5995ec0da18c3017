//! Locks: taken and given back without anybody in the way, handed over where others wait, and kept by heartbeats; ours with
//! an empty journal and a long one, with its mirror in Redis and with WAIT on a replica, beside etcd and a lock in Redis.
//!
//! A round does everything once, each system alone on the machine and on fresh data; what is published are medians of the
//! rounds. All clients note the same times, and one piece of code counts them.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use holdfast_pg::Role;
use holdfast_testkit::{Redis, eventually};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use tokio::time::{sleep, sleep_until};

use super::{LOCKS, Plan, submit::IDLE};
use crate::{
    load::{
        Timing,
        lockers::{Holders, TTL, take},
        pairs::{Crowd, PairTimes},
    },
    measure::{
        conditions::{Conditions, Written},
        percentiles::Percentiles,
        processes::{Program, ProgramUse, Snapshot, snapshot_of, usage},
        scrape::{QueryTimes, histograms},
        statements::{Statement, statements},
    },
    peers::{
        LockPrograms,
        locks::{self as others, Etcd},
    },
    stack::{LockStack, redis_version},
};

pub const APART: [Crowd; 3] = [Crowd::apart(1), Crowd::apart(32), Crowd::apart(128)];
/// One holds each lock and three wait for it.
pub const CONTENDED: Crowd = Crowd::sharing(32, 8);
/// One holds it and 64 wait.
pub const HOT: Crowd = Crowd::sharing(65, 1);
const HEARTBEAT_CONNECTIONS: usize = 64;
const CHUNK: i64 = 50_000;

/// How much of it is done.
#[derive(Debug, Clone, Copy)]
pub struct Extent {
    pub rounds: usize,
    pub journal_rows: i64,
    /// Locks that heartbeats keep.
    pub held: usize,
}

impl Extent {
    pub const FULL: Self = Self { rounds: 3, journal_rows: 1_000_000, held: 10_000 };
    pub const QUICK: Self = Self { rounds: 1, journal_rows: 20_000, held: 1_000 };
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum System {
    Holdfast,
    /// With a long journal.
    HoldfastAged,
    /// With a replica of Redis that has confirmed each grant before it is answered.
    HoldfastWait,
    /// Another lease for each lock.
    EtcdFresh,
    /// One lease a client.
    EtcdKept,
    /// One Redis, nothing durable, nothing fenced.
    Rslock,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Measured {
    pub rounds: usize,
    pub warm_up_s: f64,
    pub window_s: f64,
    pub ttl_s: u64,
    pub journal_rows: i64,
    pub held: usize,
    pub heartbeat_connections: usize,
    pub settings: Vec<Setting>,
    pub cells: Vec<Cell>,
    pub heartbeats: Vec<Heartbeats>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Setting {
    pub system: System,
    pub version: String,
    pub settings: serde_json::Value,
}

/// One crowd at one system in one round.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Cell {
    pub round: usize,
    pub system: System,
    pub crowd: Crowd,
    pub times: PairTimes,
    /// Of the log that makes it durable, where there is one.
    pub wal_syncs_per_s: Option<f64>,
    pub ours: Option<Inside>,
}

/// What only ours can tell.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Inside {
    /// Transactions of a batch, by kind, and statements, as /metrics has them of the window.
    pub transactions: Vec<QueryTimes>,
    pub statements: Vec<QueryTimes>,
    /// Grants answered as DEGRADED.
    pub not_mirrored: u64,
    /// For a relay, when the window closed.
    pub events_waiting: i64,
    pub processes: Vec<ProgramUse>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Heartbeats {
    pub round: usize,
    pub system: System,
    /// By the clock, where given; else one after the other.
    pub rate_asked: Option<f64>,
    pub heartbeats_per_s: f64,
    pub latency: Percentiles,
    pub transactions: Vec<QueryTimes>,
    pub statements: Vec<QueryTimes>,
}

pub async fn run(plan: &Plan, extent: Extent) -> Result<()> {
    ensure!(extent.rounds > 0 && extent.journal_rows > 0, "a round and a row at least");
    let programs = LockPrograms::install().await?;
    let mut run = Run::new(plan.timing, extent);
    let mut conditions = None;
    for round in 1..=extent.rounds {
        run.round = round;
        println!("round {round} of {}", extent.rounds);
        let stack = LockStack::start(0).await?;
        run.ours(&stack, System::Holdfast).await?;
        fill(stack.admin(), extent.journal_rows).await?;
        run.ours(&stack, System::HoldfastAged).await?;
        conditions = Some(Conditions::look_at(stack.database(), Role::LocksApp, "locks").await?);
        drop(stack);
        let stack = LockStack::start(1).await?;
        run.ours(&stack, System::HoldfastWait).await?;
        drop(stack);
        for system in [System::EtcdFresh, System::EtcdKept] {
            run.etcd(system, &programs).await?;
        }
        run.rslock(&programs).await?;
    }
    let measured = Measured {
        rounds: extent.rounds,
        warm_up_s: plan.timing.warm_up.as_secs_f64(),
        window_s: plan.timing.window.as_secs_f64(),
        ttl_s: TTL.as_secs(),
        journal_rows: extent.journal_rows,
        held: extent.held,
        heartbeat_connections: HEARTBEAT_CONNECTIONS,
        settings: run.settings,
        cells: run.cells,
        heartbeats: run.heartbeats,
    };
    plan.results.write(LOCKS, conditions.context("there was no round")?, Some(redis_version()?), measured)
}

/// Where the time of ours goes, printed.
pub async fn inside(plan: &Plan) -> Result<()> {
    let mut run = Run::new(plan.timing, Extent::QUICK);
    let stack = LockStack::start_profiled().await?;
    let idle = processes(&stack)?;
    for crowd in APART.into_iter().chain([CONTENDED, HOT]) {
        let statements = async {
            sleep(plan.timing.warm_up).await;
            statements(stack.admin(), plan.timing.window).await
        };
        let (cell, statements) = tokio::try_join!(run.our_cell(&stack, System::Holdfast, crowd, &idle), statements)?;
        let seen = cell.ours.clone().context("ours says what it did")?;
        let calls = cell.times.pairs_per_s * plan.timing.window.as_secs_f64() * 2.0;
        run.push(cell);
        for times in seen.transactions.iter().chain(&seen.statements) {
            let QueryTimes { query, count, sum_ms, .. } = times;
            println!(
                "    {query:<14} {count:>6}, {:.2} ms each, {:.0} us a call",
                sum_ms / *count as f64,
                sum_ms * 1000.0 / calls
            );
        }
        for Statement { role, text, calls, planned_ms, executed_ms, .. } in
            statements.into_iter().filter(|seen| seen.calls > 0)
        {
            let us = (planned_ms + executed_ms) * 1000.0 / calls as f64;
            println!("    {us:>6.0} us each of {calls:>6}, {role}: {text}");
        }
        for ProgramUse { program, cores, .. } in &seen.processes {
            let us = cores * plan.timing.window.as_secs_f64() * 1e6 / calls;
            println!("    {program:?}: {cores:.2} cores, {us:.0} us a call");
        }
    }
    Ok(())
}

/// The rows of a journal that has been written for a while, and the heads of its resources.
async fn fill(admin: &PgPool, journal_rows: i64) -> Result<()> {
    let leases = (journal_rows + 1) / 2;
    let mut first = 0;
    while first < leases {
        let beyond = leases.min(first + CHUNK);
        sqlx::query(include_str!("../../sql/fill_locks.sql")).bind(first).bind(beyond - 1).execute(admin).await?;
        first = beyond;
    }
    // As autovacuum would within the minute; and what was written is not to be flushed during the run.
    for upkeep in ["VACUUM ANALYZE locks.locks", "VACUUM ANALYZE locks.lock_heads", "CHECKPOINT"] {
        sqlx::query(upkeep).execute(admin).await?;
    }
    Ok(())
}

struct Run {
    timing: Timing,
    extent: Extent,
    round: usize,
    settings: Vec<Setting>,
    cells: Vec<Cell>,
    heartbeats: Vec<Heartbeats>,
}

impl Run {
    fn new(timing: Timing, extent: Extent) -> Self {
        Self { timing, extent, round: 0, settings: Vec::new(), cells: Vec::new(), heartbeats: Vec::new() }
    }

    async fn ours(&mut self, stack: &LockStack, system: System) -> Result<()> {
        self.set(system, concat!("holdfast ", env!("CARGO_PKG_VERSION")).to_owned(), || {
            serde_json::json!({
                "acquire": "AcquireLock", "release": "ReleaseLock", "ttl_s": TTL.as_secs(), "idempotency_key": true,
                "mirror.replicas": usize::from(system == System::HoldfastWait),
            })
        });
        sleep(IDLE).await;
        let idle = processes(stack)?;
        for crowd in APART.into_iter().chain([CONTENDED, HOT]) {
            let cell = self.our_cell(stack, system, crowd, &idle).await?;
            self.push(cell);
        }
        let mut holders = Holders::hold(&stack.target, HEARTBEAT_CONNECTIONS, self.extent.held).await?;
        published(stack.admin()).await?;
        // Every lock once in a third of the time to live, as the service asks of its holders.
        let by_the_clock = self.extent.held as f64 / (TTL.as_secs_f64() / 3.0);
        for rate in [Some(by_the_clock), None] {
            let window = Window::of(stack, self.timing, Instant::now(), &idle);
            let (beaten, seen) = tokio::try_join!(holders.beat(rate, self.timing), window)?;
            println!(
                "{system:?}, {} held: {:.0} heartbeats/s, p99 {:.2} ms",
                self.extent.held, beaten.heartbeats_per_s, beaten.latency.p99_ms
            );
            self.heartbeats.push(Heartbeats {
                round: self.round,
                system,
                rate_asked: rate,
                heartbeats_per_s: beaten.heartbeats_per_s,
                latency: beaten.latency,
                transactions: seen.transactions,
                statements: seen.statements,
            });
        }
        holders.release().await?;
        published(stack.admin()).await
    }

    async fn our_cell(&self, stack: &LockStack, system: System, crowd: Crowd, idle: &Snapshot) -> Result<Cell> {
        let taking = take(&stack.target, crowd, self.timing).await?;
        let window = Window::of(stack, self.timing, taking.origin, idle);
        let (taken, seen) = tokio::try_join!(taking.end(), window)?;
        // The next one does not begin beside what this one left to a relay.
        published(stack.admin()).await?;
        Ok(Cell {
            round: self.round,
            system,
            crowd,
            times: taken.pairs.seen(self.timing),
            wal_syncs_per_s: Some(seen.wal_syncs_per_s),
            ours: Some(Inside {
                transactions: seen.transactions,
                statements: seen.statements,
                not_mirrored: taken.not_mirrored,
                events_waiting: seen.events_waiting,
                processes: seen.processes,
            }),
        })
    }

    async fn etcd(&mut self, system: System, programs: &LockPrograms) -> Result<()> {
        let etcd = Etcd::start(programs).await?;
        let version = etcd.version().await?;
        for crowd in APART.into_iter().chain([CONTENDED, HOT]) {
            let (syncs, began) = (etcd.wal_syncs().await?, Instant::now());
            let seen = others::run(system, &etcd.url(), crowd, self.timing, programs).await?;
            let wal_syncs_per_s = (etcd.wal_syncs().await? - syncs) / began.elapsed().as_secs_f64();
            self.set(system, version.clone(), || seen.settings);
            self.push(Cell {
                round: self.round,
                system,
                crowd,
                times: seen.times,
                wal_syncs_per_s: Some(wal_syncs_per_s),
                ours: None,
            });
        }
        Ok(())
    }

    /// Without waiters: it has no queue of them, only another attempt a while later.
    async fn rslock(&mut self, programs: &LockPrograms) -> Result<()> {
        let redis = Redis::start().await?;
        for crowd in APART {
            let seen = others::run(System::Rslock, &redis.url(), crowd, self.timing, programs).await?;
            self.set(System::Rslock, format!("rslock 0.10.0, Redis {}", redis_version()?), || seen.settings);
            let (round, system) = (self.round, System::Rslock);
            self.push(Cell { round, system, crowd, times: seen.times, wal_syncs_per_s: None, ours: None });
        }
        Ok(())
    }

    fn set(&mut self, system: System, version: String, settings: impl FnOnce() -> serde_json::Value) {
        if self.settings.iter().all(|setting| setting.system != system) {
            self.settings.push(Setting { system, version, settings: settings() });
        }
    }

    fn push(&mut self, cell: Cell) {
        let Cell { system, crowd, times, .. } = &cell;
        print!("{system:?}, {} clients, ", crowd.clients);
        match crowd.shared_keys {
            None => print!("apart: "),
            Some(keys) => print!("{keys} shared, handed over p99 {:.2} ms: ", times.hand_over.p99_ms),
        }
        println!("{:.0} pairs/s, p50 {:.2} ms, p99 {:.2} ms", times.pairs_per_s, times.pair.p50_ms, times.pair.p99_ms);
        self.cells.push(cell);
    }
}

/// What the stack did in a window.
struct Window {
    transactions: Vec<QueryTimes>,
    statements: Vec<QueryTimes>,
    wal_syncs_per_s: f64,
    events_waiting: i64,
    processes: Vec<ProgramUse>,
}

impl Window {
    async fn of(stack: &LockStack, timing: Timing, origin: Instant, idle: &Snapshot) -> Result<Self> {
        let opens = origin + timing.warm_up;
        sleep_until(opens.into()).await;
        let (before, written) = (stack.metrics().await?, Written::look(stack.admin()).await?);
        let opened = processes(stack)?;
        sleep_until((opens + timing.window).into()).await;
        let closed = processes(stack)?;
        let (after, writes) = (stack.metrics().await?, Written::look(stack.admin()).await?);
        let window_s = timing.window.as_secs_f64();
        Ok(Self {
            transactions: since(&before, &after, "locks_batch_ms", "kind"),
            statements: since(&before, &after, "locks_query_ms", "query"),
            wal_syncs_per_s: written.until(writes, window_s).wal_syncs_per_s,
            events_waiting: events_waiting(stack.admin()).await?,
            processes: usage(idle, &opened, &closed, window_s)?,
        })
    }
}

fn processes(stack: &LockStack) -> Result<Snapshot> {
    let (locks, relay) = stack.pids();
    snapshot_of([(Program::Locks, locks), (Program::Relay, relay)])
}

/// What was counted between two looks.
fn since(before: &str, after: &str, metric: &str, by: &str) -> Vec<QueryTimes> {
    let before = histograms(before, metric, by);
    let all = histograms(after, metric, by);
    all.iter().map(|times| times.since(&before)).filter(|times| times.count > 0).collect()
}

async fn events_waiting(admin: &PgPool) -> Result<i64> {
    let events = sqlx::query_scalar("SELECT count(*) FROM locks.outbox WHERE published_at IS NULL");
    Ok(events.fetch_one(admin).await?)
}

/// Waits until the relay has nothing left to do.
async fn published(admin: &PgPool) -> Result<()> {
    let nothing_waits = || async { events_waiting(admin).await.is_ok_and(|events| events == 0) };
    eventually(nothing_waits, Duration::from_secs(120)).await
}
