//! A worker that is made to be killed: leases, holds for a random time, answers, and writes down all of it.
//!
//! It is not a good worker. Some leases it neither renews nor forgets, and it answers them after their expiry, as a
//! process does that was paused: those answers must be refused, and are given several times, so that they also meet the
//! next worker's lease. An answer that was not heard is given again, through another instance.

mod session;
mod unary;

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, Result};
use holdfast_fault::{Reason, Received};
use holdfast_proto::jobs::v1::{CompleteJobRequest, FailJobRequest, Payload};
use holdfast_testkit::ProcessSpec;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use serde::{Deserialize, Serialize};

use crate::{
    client::Client,
    journal::{Journal, LeaseKey, Verdict},
};

/// Between two tries of a call that found its instance gone.
const RETRY_AFTER: Duration = Duration::from_millis(50);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// The bidirectional session.
    Session,
    /// Its unary twin.
    Unary,
}

/// How often an answer is given whose lease is over, and how far apart.
const STALE_ANSWERS: u32 = 10;
const STALE_AGAIN_AFTER: Duration = Duration::from_millis(60);

/// What a worker process is told, as its one argument in JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WorkerSpec {
    pub worker_id: String,
    pub mode: Mode,
    pub endpoints: Vec<String>,
    pub token: String,
    pub capacity: i32,
    pub hold_ms_max: u64,
    /// Of a hundred leases, how many are held beyond their expiry without a heartbeat and answered then.
    pub overstayed_percent: u32,
    /// Of a hundred answers, how many are retryable failures.
    pub failed_percent: u32,
    pub journals: PathBuf,
    pub seed: u64,
}

impl WorkerSpec {
    pub fn process(&self) -> Result<ProcessSpec> {
        Ok(ProcessSpec::new("proof-worker", "holdfast-system-tests").argument(serde_json::to_string(self)?))
    }
}

/// Runs until the process is killed.
pub async fn run(spec: WorkerSpec) -> Result<()> {
    let clients = spec.endpoints.iter().map(|endpoint| Client::new(endpoint, &spec.token));
    let clients: Vec<Client> = clients.collect::<Result<_>>()?;
    let journal = Journal::open(&spec.journals, &spec.worker_id).context("the journal")?;
    // Each life makes choices of its own.
    let choices = StdRng::seed_from_u64(spec.seed ^ u64::from(std::process::id()));
    match spec.mode {
        Mode::Session => session::run(spec, clients, journal, choices).await,
        Mode::Unary => unary::run(spec, clients, journal, choices).await,
    }
}

/// What is to become of one lease.
#[derive(Debug, Clone, Copy)]
struct Plan {
    hold: Duration,
    /// Not renewed, and answered whatever is heard of it.
    overstays: bool,
    verdict: Verdict,
}

impl Plan {
    fn choose(spec: &WorkerSpec, lease_ttl: Duration, choices: &mut StdRng) -> Self {
        let overstays = choices.random_range(0..100) < spec.overstayed_percent;
        let hold = Duration::from_millis(choices.random_range(0..=spec.hold_ms_max));
        let fails = choices.random_range(0..100) < spec.failed_percent;
        Self {
            hold: if overstays { lease_ttl + hold } else { hold },
            overstays,
            verdict: if fails { Verdict::FailRetryable } else { Verdict::Complete },
        }
    }
}

/// The result names the lease: whose answer was taken can be read from the job.
fn completion(lease: &LeaseKey) -> CompleteJobRequest {
    let data = result_of(&lease.lease_id).into_bytes().into();
    CompleteJobRequest {
        lease: Some(lease.into()),
        result: Some(Payload { data, content_type: "application/json".to_owned() }),
    }
}

/// The result of a job that was completed under `lease_id`.
pub fn result_of(lease_id: &str) -> String {
    format!(r#"{{"lease":"{lease_id}"}}"#)
}

/// Whether an answer that was refused is given again: its lease is over, and meanwhile the job may run under another.
fn is_given_again(refused: &Received, stale: &mut u32) -> bool {
    *stale += u32::from(refused.reason == Some(Reason::Job409StaleFence));
    refused.reason == Some(Reason::Job409StaleFence) && *stale < STALE_ANSWERS
}

fn failure(lease: &LeaseKey) -> FailJobRequest {
    FailJobRequest {
        lease: Some(lease.into()),
        retryable: true,
        code: "proof".to_owned(),
        message: "by choice".to_owned(),
    }
}

fn duration(wire: Option<prost_types::Duration>) -> Result<Duration> {
    Ok(wire.context("the lease has no ttl")?.try_into()?)
}
