//! Other queues, run beside ours: programs of their own under benches/peers, each of which puts its queue under the load
//! that it is told, in one process and on one clock, and notes when each job was sent, acknowledged and started.
//!
//! What counts is decided here, for all of them alike and in their favour: a job is done when its handler starts, since
//! they write down completions later and in batches. Before a program ends it has seen by its tables that nothing is left.

mod install;
pub mod locks;
mod times;

pub use install::{LockPrograms, Programs};

use std::{path::Path, process::Stdio, time::Duration};

use anyhow::{Context as _, Result, ensure};
use holdfast_testkit::Postgres;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sqlx::{Connection as _, Executor as _, PgConnection};
use tokio::{process::Command, time::timeout};

use crate::{
    load::{CONNECTIONS, Timing},
    measure::{conditions, conditions::Conditions, percentiles::Percentiles},
    population::PAYLOAD_BYTES,
    stack::bare_server,
};
use times::Times;

/// Jobs acknowledged but not started at which callers wait: more than any of them needs to be at its fastest.
const OUTSTANDING: u64 = 20_000;
const JOBS_MAX: usize = 2_000_000;
/// The rest of the payload: a number of up to seven digits, and what JSON needs.
const TEXT_BYTES: usize = PAYLOAD_BYTES - r#"{"number":1234567,"text":""}"#.len();
/// For the start, and for working off what waits at the end.
const BESIDE_THE_LOAD: Duration = Duration::from_secs(240);

/// A queue and one way to set it up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Its program's file, or package.
    pub queue: &'static str,
    pub variant: &'static str,
}

/// What is quickest by their documentation; where one way has the rate and another the latency, both.
pub const PEERS: [Peer; 5] = [
    Peer { queue: "graphile-worker", variant: "batched" },
    Peer { queue: "pg-boss", variant: "polling" },
    Peer { queue: "pg-boss", variant: "notify" },
    Peer { queue: "awa", variant: "insert" },
    Peer { queue: "awa", variant: "storage" },
];
/// awa's two producers of batches.
pub const BATCH_PEERS: [Peer; 2] = [Peer { queue: "awa", variant: "batch" }, Peer { queue: "awa", variant: "copy" }];

/// How callers call.
#[derive(Debug, Clone, Copy)]
pub enum Load {
    /// The next job after the last one's answer.
    OneAfterTheOther,
    /// So many a second.
    ByTheClock(f64),
    /// So many jobs a call, from so many callers, and nobody works.
    Batches { jobs: usize, callers: usize },
}

/// What a program is told.
#[derive(Serialize)]
struct Run<'a> {
    queue: &'a str,
    variant: &'a str,
    url: &'a str,
    callers: usize,
    rate: Option<f64>,
    batch: Option<usize>,
    seconds: f64,
    outstanding: u64,
    jobs_max: usize,
    text: String,
    times: &'a Path,
}

/// What a program says at its end.
#[derive(Deserialize)]
struct Said {
    version: String,
    settings: serde_json::Value,
}

/// One run of a peer, on a server of its own.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Seen {
    pub version: String,
    /// As its program gave them to it.
    pub settings: serde_json::Value,
    /// Calls answered in the window, a second.
    pub acknowledged_per_s: f64,
    pub done_per_s: f64,
    pub enqueue: Percentiles,
    pub pickup: Percentiles,
    /// Acknowledged but not started at the window's start and end.
    pub backlog: [u64; 2],
}

/// Fails where its server is not set as ours is.
pub async fn run(peer: Peer, load: Load, timing: Timing, programs: &Programs, ours: &Conditions) -> Result<Seen> {
    let postgres = bare_server().await?;
    let url = database(&postgres, ours).await?;
    let directory = tempfile::tempdir()?;
    let times = directory.path().join("times");
    let (callers, rate, batch) = match load {
        Load::OneAfterTheOther => (CONNECTIONS, None, None),
        Load::ByTheClock(rate) => (CONNECTIONS, Some(rate), None),
        Load::Batches { jobs, callers } => (callers, None, Some(jobs)),
    };
    let length = timing.warm_up + timing.window;
    let run = Run {
        queue: peer.queue,
        variant: peer.variant,
        url: &url,
        callers,
        rate,
        batch,
        // The window closes before the callers do.
        seconds: length.as_secs_f64() + 1.0,
        outstanding: OUTSTANDING,
        jobs_max: JOBS_MAX,
        text: "x".repeat(TEXT_BYTES),
        times: &times,
    };
    let said = called(programs.command(peer.queue), &run, length + BESIDE_THE_LOAD).await;
    let said: Said = said.with_context(|| format!("{} ({})", peer.queue, peer.variant))?;
    let times = Times::read(&times)?;
    ensure!(batch.is_some() || times.unfinished() == 0, "{} left jobs undone", peer.queue);
    Ok(times.seen(timing, said))
}

async fn database(postgres: &Postgres, ours: &Conditions) -> Result<String> {
    let mut admin = PgConnection::connect(postgres.admin_url("postgres")?.expose()).await?;
    admin.execute("CREATE DATABASE peer").await?;
    admin.close().await?;
    let url = postgres.admin_url("peer")?.expose().to_owned();
    let mut session = PgConnection::connect(&url).await?;
    let settings = conditions::settings(&mut session).await?;
    session.close().await?;
    ensure!(settings == ours.settings, "the peer's PostgreSQL is set otherwise than ours: {settings:?}");
    Ok(url)
}

async fn called<S: DeserializeOwned>(mut command: Command, run: &impl Serialize, within: Duration) -> Result<S> {
    let ends = command
        .arg(serde_json::to_string(run)?)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .spawn()?
        .wait_with_output();
    let output = timeout(within, ends).await.context("it does not end")??;
    ensure!(output.status.success(), "it failed: {}", output.status);
    let text = String::from_utf8(output.stdout)?;
    serde_json::from_str(text.lines().last().unwrap_or_default()).with_context(|| format!("it said: {text}"))
}
