//! One scenario's terms: how long, by which random choices, and what it came to.
//!
//! `HOLDFAST_PROOF_SECONDS` sets how long the faults go on (8 by default), `HOLDFAST_PROOF_SEED` repeats the choices of an
//! earlier run. Choices repeat; the timing of several processes does not.

use std::{
    fmt::Display,
    io::Write as _,
    time::{Duration, Instant},
};

use rand::{SeedableRng as _, rngs::StdRng};
use tokio::sync::{Mutex, MutexGuard};

pub const SECONDS_DEFAULT: u64 = 8;

/// Scenarios take turns: each measures how processes fare against each other, not against another scenario.
static TURN: Mutex<()> = Mutex::const_new(());

pub struct Proof {
    name: &'static str,
    seed: u64,
    seconds: u64,
    _turn: MutexGuard<'static, ()>,
}

impl Proof {
    pub async fn begin(name: &'static str) -> Self {
        let turn = TURN.lock().await;
        let seed = from_env("HOLDFAST_PROOF_SEED").unwrap_or_else(rand::random);
        let seconds = from_env("HOLDFAST_PROOF_SECONDS").unwrap_or(SECONDS_DEFAULT);
        let proof = Self { name, seed, seconds, _turn: turn };
        proof.say(format_args!("{seconds} s of faults, HOLDFAST_PROOF_SEED={seed}"));
        proof
    }

    /// Whether somebody asked for a proof of some length, as `make test-system` does.
    pub fn is_long() -> bool {
        from_env("HOLDFAST_PROOF_SECONDS").is_some()
    }

    pub fn duration(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    pub fn deadline(&self) -> Instant {
        Instant::now() + self.duration()
    }

    /// The random choices of one actor of the scenario; each actor has its own, so that their order does not matter.
    pub fn choices(&self, actor: u64) -> StdRng {
        StdRng::seed_from_u64(self.seed ^ actor.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    pub fn seed(&self) -> u64 {
        self.seed
    }

    pub fn counts(&self, counts: &[(&str, usize)]) {
        let text: Vec<String> = counts.iter().map(|(what, count)| format!("{what} {count}")).collect();
        self.say(text.join(", "));
    }

    /// Not by println, which a passing test would swallow: the counts say that the test did something.
    fn say(&self, what: impl Display) {
        // Nowhere to print is no reason to fail.
        let _ = writeln!(std::io::stdout(), "proof {}: {what}", self.name);
    }

    /// Fails with everything that the checkers found.
    pub fn conclude(self, violations: Vec<String>) {
        const SHOWN_MAX: usize = 20;
        let shown = violations.iter().take(SHOWN_MAX).map(|violation| format!("  {violation}\n")).collect::<String>();
        assert!(
            violations.is_empty(),
            "{}: {} violations (HOLDFAST_PROOF_SEED={}):\n{shown}",
            self.name,
            violations.len(),
            self.seed
        );
    }
}

fn from_env(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name} is not a number: {value:?}")))
}
