//! SubmitJob, one job a call, from 64 connections that each wait for their answer. Nothing consumes the jobs; the relay
//! publishes their events.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{
    Plan, SUBMIT,
    observe::{Backlog, observe},
};
use crate::{
    load::{Board, CONNECTIONS, Submitter, closed_loop, ensure_clean},
    measure::{
        conditions::{Conditions, WriteRates},
        percentiles::Percentiles,
        processes::{ProgramUse, snapshot},
    },
    stack::Stack,
};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Measured {
    pub connections: usize,
    pub window_s: f64,
    pub calls_per_s: f64,
    pub latency: Percentiles,
    pub events_waiting: [Backlog; 2],
    pub processes: Vec<ProgramUse>,
    pub writes: WriteRates,
}

pub async fn run(plan: &Plan) -> Result<()> {
    let stack = Stack::start(64).await?;
    sleep(IDLE).await;
    let idle = snapshot(&stack)?;
    let submitters = Submitter::connect(&stack.target, CONNECTIONS).await?;
    let board = Arc::new(Board::new(None));
    let stop = CancellationToken::new();
    let calls = closed_loop(submitters, &board, &stop);
    sleep(plan.timing.warm_up).await;
    let observed = observe(&stack, &board, &idle, plan.timing.window).await?;
    let conditions = Conditions::look(stack.database()).await?;
    stop.cancel();
    calls.join_all().await;
    ensure_clean(&board)?;
    let measured = Measured {
        connections: CONNECTIONS,
        window_s: observed.window_s,
        calls_per_s: observed.per_s(observed.counts.acknowledged),
        latency: observed.counts.submit,
        events_waiting: [observed.at_start, observed.at_end],
        processes: observed.processes,
        writes: observed.writes,
    };
    println!(
        "SubmitJob: {:.0} calls/s, p50 {:.2} ms, p95 {:.2} ms, p99 {:.2} ms",
        measured.calls_per_s, measured.latency.p50_ms, measured.latency.p95_ms, measured.latency.p99_ms
    );
    plan.results.write(SUBMIT, conditions, Some(stack.redis_version().await?), measured)
}

/// How long a fresh stack is left alone before its memory is read.
pub const IDLE: Duration = Duration::from_secs(3);
