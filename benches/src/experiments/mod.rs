//! The experiments, one module each: what it does, what it measures.

pub mod e2e;
pub mod fill;
pub mod floor;
pub mod get_job;
pub mod growth;
pub mod locks;
pub mod observe;
pub mod peers;
pub mod pickup;
pub mod profile;
pub mod relay;
pub mod soak;
pub mod submit;

use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::{load::Timing, results::Results};

/// Names of result files.
pub const SUBMIT: &str = "submit";
pub const PICKUP: &str = "pickup";
pub const GET_JOB: &str = "get";
pub const RELAY: &str = "relay";
pub const FLOOR: &str = "floor";
pub const PROFILE: &str = "profile";
pub const PEERS: &str = "peers";
pub const SOAK: &str = "soak";
pub const GROWTH: &str = "growth";
pub const LOCKS: &str = "locks";

pub fn e2e_name(running_per_project: u32) -> String {
    format!("e2e-{running_per_project}")
}

/// What all experiments are told.
#[derive(Debug, Clone)]
pub struct Plan {
    pub timing: Timing,
    pub results: Results,
    pub streams: usize,
    pub capacity: usize,
    pub outstanding: usize,
}

impl Plan {
    pub fn quick(&self) -> bool {
        self.results.quick
    }

    /// How long a load may take to be worked off.
    pub fn patience(&self) -> Duration {
        Duration::from_secs(60)
    }

    /// The end-to-end rate measured at a running limit of 64.
    pub fn measured_rate(&self) -> Result<f64> {
        let record = self.results.read::<e2e::Measured>(&e2e_name(64))?;
        let record = record.context("no end-to-end rate is known yet: run `e2e` first, or pass --rate")?;
        Ok(record.measured.jobs_per_s)
    }
}
