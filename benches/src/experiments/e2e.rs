//! Jobs submitted and done: 64 connections submit one job a call, a few Work streams complete each job at once.
//!
//! Only a job counts whose submission began and whose completion was acknowledged inside the window. Submitters wait
//! while as many jobs are outstanding as given, so the backlog cannot grow; it is reported at both ends of the window.

use std::sync::Arc;

use anyhow::Result;
use holdfast_testkit::eventually;
use serde::{Deserialize, Serialize};
use tokio::{task::JoinSet, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{
    Plan, e2e_name,
    observe::{Backlog, Observed, observe},
    submit::IDLE,
};
use crate::{
    load::{Board, CONNECTIONS, Submitter, Workers, closed_loop, ensure_clean},
    measure::{
        conditions::{Conditions, WriteRates},
        percentiles::Percentiles,
        processes::{ProgramUse, Snapshot, snapshot},
    },
    stack::Stack,
};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Measured {
    pub running_per_project: u32,
    pub connections: usize,
    pub streams: usize,
    pub capacity: usize,
    pub outstanding_max: usize,
    pub warm_up_s: f64,
    pub window_s: f64,
    pub jobs_per_s: f64,
    pub done: u64,
    pub backlog_at_start: Backlog,
    pub backlog_at_end: Backlog,
    pub submit: Percentiles,
    pub pickup: Percentiles,
    pub whole: Percentiles,
    pub processes: Vec<ProgramUse>,
    pub writes: WriteRates,
}

pub async fn run(plan: &Plan, running_per_project: u32) -> Result<()> {
    let (measured, conditions, redis_version) = measure(plan, running_per_project).await?;
    plan.results.write(&e2e_name(running_per_project), conditions, Some(redis_version), measured)
}

/// With the conditions and the version of Redis that it ran under.
pub async fn measure(plan: &Plan, running_per_project: u32) -> Result<(Measured, Conditions, String)> {
    let running = Running::start(plan, running_per_project).await?;
    sleep(plan.timing.warm_up).await;
    let observed = observe(&running.stack, &running.board, &running.idle, plan.timing.window).await?;
    let conditions = Conditions::look(running.stack.database()).await?;
    let redis_version = running.stack.redis_version().await?;
    running.finish(plan).await?;
    let measured = measured(plan, running_per_project, observed);
    println!("end to end, {running_per_project} running per project: {:.0} jobs/s", measured.jobs_per_s);
    Ok((measured, conditions, redis_version))
}

fn measured(plan: &Plan, running_per_project: u32, observed: Observed) -> Measured {
    Measured {
        running_per_project,
        connections: CONNECTIONS,
        streams: plan.streams,
        capacity: plan.capacity,
        outstanding_max: plan.outstanding,
        warm_up_s: plan.timing.warm_up.as_secs_f64(),
        window_s: observed.window_s,
        jobs_per_s: observed.per_s(observed.counts.done_inside),
        done: observed.counts.done,
        backlog_at_start: observed.at_start,
        backlog_at_end: observed.at_end,
        submit: observed.counts.submit,
        pickup: observed.counts.pickup,
        whole: observed.counts.whole,
        processes: observed.processes,
        writes: observed.writes,
    }
}

/// A stack under full load.
pub struct Running {
    pub stack: Stack,
    pub idle: Snapshot,
    pub board: Arc<Board>,
    workers: Workers,
    calls: JoinSet<()>,
    stop: CancellationToken,
}

impl Running {
    pub async fn start(plan: &Plan, running_per_project: u32) -> Result<Self> {
        Self::start_on(Stack::start(running_per_project).await?, plan).await
    }

    pub async fn start_on(stack: Stack, plan: &Plan) -> Result<Self> {
        sleep(IDLE).await;
        let idle = snapshot(&stack)?;
        let submitters = Submitter::connect(&stack.target, CONNECTIONS).await?;
        let board = Arc::new(Board::new(Some(plan.outstanding)));
        let workers = Workers::start(&stack.target, &board, plan.streams, plan.capacity).await?;
        let stop = CancellationToken::new();
        let calls = closed_loop(submitters, &board, &stop);
        Ok(Self { stack, idle, board, workers, calls, stop })
    }

    /// Ends the load, sees that every acknowledged job was done, and that nothing failed.
    pub async fn finish(self, plan: &Plan) -> Result<()> {
        self.stop.cancel();
        self.calls.join_all().await;
        let worked_off = eventually(|| async { self.board.outstanding() == 0 }, plan.patience()).await;
        ensure_clean(&self.board)?;
        worked_off?;
        self.workers.stop().await
    }
}
