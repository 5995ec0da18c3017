//! The same load for many minutes, by the clock, below what the machine can do: what a minute looks like at the end, beside
//! the first one; dead rows, sizes, vacuums and memory on the way.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use super::{Plan, SOAK, observe::observe, pickup::PacedLoad, submit::IDLE};
use crate::{
    load::Board,
    measure::{
        conditions::Conditions,
        percentiles::Percentiles,
        processes::{ProgramUse, snapshot},
        upkeep::{Upkeep, autovacuum_settings},
    },
    stack::Stack,
};

/// Of the measured end-to-end rate.
const SHARE_OF_RATE: f64 = 0.75;
const SETTLED_AFTER: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Measured {
    pub rate_asked: f64,
    pub minute_s: f64,
    pub minutes: Vec<Minute>,
    /// Before the first minute and after the last.
    pub before: Upkeep,
    pub after: Upkeep,
    /// By name, and what single tables have of their own.
    pub autovacuum: Vec<(String, String)>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Minute {
    pub done_per_s: f64,
    pub submit: Percentiles,
    pub pickup: Percentiles,
    /// From the submission's call to the acknowledged completion.
    pub whole: Percentiles,
    /// At its end.
    pub jobs_waiting: u64,
    pub events_waiting: i64,
    pub dead_rows: i64,
    pub autovacuums: i64,
    pub database_mib: f64,
    pub wal_mib_per_s: f64,
    pub processes: Vec<ProgramUse>,
}

impl Measured {
    /// The jobs a second of the last minute to those of the first.
    pub fn last_to_first(&self) -> Option<f64> {
        let (first, last) = (self.minutes.first()?, self.minutes.last()?);
        Some(last.done_per_s / first.done_per_s)
    }
}

pub async fn run(plan: &Plan, minutes: u32, rate: Option<f64>) -> Result<()> {
    let rate = rate.map_or_else(|| plan.measured_rate().map(|rate| rate * SHARE_OF_RATE), Ok)?;
    // A minute, but where a quick run makes it shorter.
    let minute = plan.timing.window;
    let length = plan.timing.warm_up + (minute + SETTLED_AFTER) * minutes;
    let stack = Stack::start(64).await?;
    sleep(IDLE).await;
    let idle = snapshot(&stack)?;
    let board = Board::for_jobs((rate * length.as_secs_f64() * 1.1) as usize, None);
    let load = PacedLoad::start_on(plan, &stack, rate, board).await?;
    sleep(plan.timing.warm_up).await;
    let before = Upkeep::look(stack.admin()).await?;
    let mut seen = Vec::new();
    for number in 1..=minutes {
        let observed = observe(&stack, &load.board, &idle, minute).await?;
        let upkeep = Upkeep::look(stack.admin()).await?;
        let minute = Minute {
            done_per_s: observed.per_s(observed.counts.done),
            submit: observed.counts.submit,
            pickup: observed.counts.pickup,
            whole: observed.counts.whole,
            jobs_waiting: observed.at_end.jobs,
            events_waiting: observed.at_end.events,
            dead_rows: upkeep.tables.iter().map(|table| table.dead_rows).sum(),
            autovacuums: upkeep.tables.iter().map(|table| table.autovacuums).sum(),
            database_mib: upkeep.tables.iter().map(|table| table.heap_mib + table.index_mib).sum(),
            wal_mib_per_s: observed.writes.wal_mib_per_s,
            processes: observed.processes,
        };
        println!(
            "minute {number}: {:.0} jobs/s, submitted to done p99 {:.1} ms, pickup p99 {:.2} ms, {} dead rows, {:.0} MiB",
            minute.done_per_s, minute.whole.p99_ms, minute.pickup.p99_ms, minute.dead_rows, minute.database_mib
        );
        seen.push(minute);
    }
    let after = Upkeep::look(stack.admin()).await?;
    let autovacuum = autovacuum_settings(stack.admin()).await?;
    let conditions = Conditions::look(stack.database()).await?;
    ensure!(load.board.failures().is_empty(), "calls failed during the run: {:?}", load.board.failures());
    load.finish(plan).await?;
    let measured =
        Measured { rate_asked: rate, minute_s: minute.as_secs_f64(), minutes: seen, before, after, autovacuum };
    plan.results.write(SOAK, conditions, Some(stack.redis_version().await?), measured)
}
