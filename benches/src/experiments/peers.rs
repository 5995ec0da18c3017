//! Ours and three other queues, one after the other on servers of the same settings: jobs done a second from 64 callers, one
//! job a call; pickup at half of that; and batches beside awa's.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};
use tokio::{task::JoinSet, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{PEERS, Plan, e2e, observe::observe, pickup, submit::IDLE};
use crate::{
    load::{Board, CONNECTIONS, Submitter, ensure_clean},
    measure::{percentiles::Percentiles, processes::snapshot},
    peers::{self, Load, Peer, Programs, Seen},
    stack::Stack,
};

const BATCH_JOBS: usize = 200;
const BATCH_CALLERS: usize = 8;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Measured {
    pub callers: usize,
    pub warm_up_s: f64,
    pub window_s: f64,
    /// Ours first.
    pub queues: Vec<Queue>,
    pub batch_jobs: usize,
    pub batch_callers: usize,
    /// Ours first.
    pub batches: Vec<Batches>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Queue {
    pub name: String,
    pub version: String,
    pub settings: serde_json::Value,
    pub jobs_per_s: f64,
    pub enqueue: Percentiles,
    /// At the rate's window's start and end.
    pub backlog: [u64; 2],
    /// Of the paced run.
    pub half_per_s: f64,
    pub half_done_per_s: f64,
    pub pickup: Percentiles,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Batches {
    pub name: String,
    pub jobs_per_s: f64,
    pub latency: Percentiles,
}

/// `only`: the queue of that name beside ours.
pub async fn run(plan: &Plan, only: Option<&str>) -> Result<()> {
    let chosen = |peer: &&Peer| only.is_none_or(|only| only == peer.queue);
    ensure!(peers::PEERS.iter().any(|peer| chosen(&peer)), "there is no queue of that name");
    let programs = Programs::install().await?;
    let (full, conditions, redis_version) = e2e::measure(plan, 64).await?;
    let (half, ..) = pickup::measure(plan, full.jobs_per_s / 2.0).await?;
    let mut queues = vec![ours(plan, &full, &half)];
    said(&queues[0]);
    for peer in peers::PEERS.iter().filter(chosen) {
        let full = peers::run(*peer, Load::OneAfterTheOther, plan.timing, &programs, &conditions).await?;
        let rate = full.done_per_s / 2.0;
        let half = peers::run(*peer, Load::ByTheClock(rate), plan.timing, &programs, &conditions).await?;
        let queue = theirs(*peer, full, rate, &half);
        said(&queue);
        queues.push(queue);
    }
    let mut batches = vec![our_batches(plan).await?];
    for peer in peers::BATCH_PEERS.iter().filter(chosen) {
        let load = Load::Batches { jobs: BATCH_JOBS, callers: BATCH_CALLERS };
        let seen = peers::run(*peer, load, plan.timing, &programs, &conditions).await?;
        let enqueued_by = seen.settings["enqueued_by"].as_str().context("awa's program does not say how")?;
        batches.push(Batches {
            name: format!("awa, `{enqueued_by}`"),
            jobs_per_s: seen.acknowledged_per_s * BATCH_JOBS as f64,
            latency: seen.enqueue,
        });
    }
    for batches in &batches {
        println!("{}: {:.0} jobs/s in batches of {BATCH_JOBS}", batches.name, batches.jobs_per_s);
    }
    let measured = Measured {
        callers: CONNECTIONS,
        warm_up_s: plan.timing.warm_up.as_secs_f64(),
        window_s: plan.timing.window.as_secs_f64(),
        queues,
        batch_jobs: BATCH_JOBS,
        batch_callers: BATCH_CALLERS,
        batches,
    };
    plan.results.write(PEERS, conditions, Some(redis_version), measured)
}

fn said(queue: &Queue) {
    println!(
        "{}: {:.0} jobs/s, at {:.0} pickup p50 {:.2} ms, p99 {:.2} ms",
        queue.name, queue.jobs_per_s, queue.half_done_per_s, queue.pickup.p50_ms, queue.pickup.p99_ms
    );
}

fn ours(plan: &Plan, full: &e2e::Measured, half: &pickup::Measured) -> Queue {
    Queue {
        name: "holdfast".to_owned(),
        version: concat!("holdfast ", env!("CARGO_PKG_VERSION")).to_owned(),
        settings: serde_json::json!({
            "running_per_project": full.running_per_project, "streams": plan.streams, "capacity": plan.capacity,
        }),
        jobs_per_s: full.done as f64 / full.window_s,
        enqueue: full.submit,
        backlog: [full.backlog_at_start.jobs, full.backlog_at_end.jobs],
        half_per_s: half.rate_asked,
        half_done_per_s: half.rate_done,
        pickup: half.pickup,
    }
}

fn theirs(peer: Peer, full: Seen, rate: f64, half: &Seen) -> Queue {
    Queue {
        name: format!("{}, {}", peer.queue, peer.variant),
        version: full.version,
        settings: full.settings,
        jobs_per_s: full.done_per_s,
        enqueue: full.enqueue,
        backlog: full.backlog,
        half_per_s: rate,
        half_done_per_s: half.done_per_s,
        pickup: half.pickup,
    }
}

/// Submitted, and nobody works.
async fn our_batches(plan: &Plan) -> Result<Batches> {
    let stack = Stack::start(64).await?;
    sleep(IDLE).await;
    let idle = snapshot(&stack)?;
    let board = Arc::new(Board::new(None));
    let stop = CancellationToken::new();
    let mut calls = JoinSet::new();
    for mut submitter in Submitter::connect(&stack.target, BATCH_CALLERS).await? {
        let (board, stop) = (board.clone(), stop.clone());
        calls.spawn(async move {
            while !stop.is_cancelled() {
                submitter.submit_many(&board, BATCH_JOBS).await?;
            }
            anyhow::Ok(())
        });
    }
    sleep(plan.timing.warm_up).await;
    let observed = observe(&stack, &board, &idle, plan.timing.window).await?;
    stop.cancel();
    while let Some(call) = calls.join_next().await {
        call??;
    }
    ensure_clean(&board)?;
    Ok(Batches {
        name: "holdfast, `BatchSubmitJobs`".to_owned(),
        jobs_per_s: observed.per_s(observed.counts.acknowledged),
        latency: observed.counts.submit,
    })
}
