//! How soon a job is in a worker's hands, at half of the measured end-to-end rate, submitted by the clock.

use std::sync::Arc;

use anyhow::Result;
use holdfast_testkit::eventually;
use serde::{Deserialize, Serialize};
use tokio::{task::JoinSet, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{PICKUP, Plan, observe::observe, submit::IDLE};
use crate::{
    load::{Board, CONNECTIONS, Submitter, Workers, ensure_clean, open_loop},
    measure::{
        conditions::Conditions,
        percentiles::Percentiles,
        processes::{ProgramUse, snapshot},
    },
    stack::Stack,
};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Measured {
    pub rate_asked: f64,
    pub rate_submitted: f64,
    pub rate_done: f64,
    pub window_s: f64,
    pub pickup: Percentiles,
    pub submit: Percentiles,
    pub whole: Percentiles,
    pub processes: Vec<ProgramUse>,
}

pub async fn run(plan: &Plan, rate: Option<f64>) -> Result<()> {
    let rate = rate.map_or_else(|| plan.measured_rate().map(|rate| rate / 2.0), Ok)?;
    let (measured, conditions, redis_version) = measure(plan, rate).await?;
    plan.results.write(PICKUP, conditions, Some(redis_version), measured)
}

/// With the conditions and the version of Redis that it ran under.
pub async fn measure(plan: &Plan, rate: f64) -> Result<(Measured, Conditions, String)> {
    let stack = Stack::start(64).await?;
    sleep(IDLE).await;
    let idle = snapshot(&stack)?;
    let load = PacedLoad::start(plan, &stack, rate).await?;
    sleep(plan.timing.warm_up).await;
    let observed = observe(&stack, &load.board, &idle, plan.timing.window).await?;
    let conditions = Conditions::look(stack.database()).await?;
    load.finish(plan).await?;
    let measured = Measured {
        rate_asked: rate,
        rate_submitted: observed.per_s(observed.counts.acknowledged),
        rate_done: observed.per_s(observed.counts.done),
        window_s: observed.window_s,
        pickup: observed.counts.pickup,
        submit: observed.counts.submit,
        whole: observed.counts.whole,
        processes: observed.processes,
    };
    println!(
        "pickup at {:.0} jobs/s: p50 {:.2} ms, p95 {:.2} ms, p99 {:.2} ms",
        measured.rate_done, measured.pickup.p50_ms, measured.pickup.p95_ms, measured.pickup.p99_ms
    );
    Ok((measured, conditions, stack.redis_version().await?))
}

/// Submitters by the clock, with workers.
pub struct PacedLoad {
    pub board: Arc<Board>,
    workers: Workers,
    calls: JoinSet<()>,
    stop: CancellationToken,
}

impl PacedLoad {
    pub async fn start(plan: &Plan, stack: &Stack, rate: f64) -> Result<Self> {
        Self::start_on(plan, stack, rate, Board::new(None)).await
    }

    pub async fn start_on(plan: &Plan, stack: &Stack, rate: f64, board: Board) -> Result<Self> {
        let submitters = Submitter::connect(&stack.target, CONNECTIONS).await?;
        let board = Arc::new(board);
        let workers = Workers::start(&stack.target, &board, plan.streams, plan.capacity).await?;
        let stop = CancellationToken::new();
        let calls = open_loop(submitters, &board, rate, &stop);
        Ok(Self { board, workers, calls, stop })
    }

    pub async fn finish(self, plan: &Plan) -> Result<()> {
        self.stop.cancel();
        self.calls.join_all().await;
        let worked_off = eventually(|| async { self.board.outstanding() == 0 }, plan.patience()).await;
        ensure_clean(&self.board)?;
        worked_off?;
        self.workers.stop().await
    }
}
