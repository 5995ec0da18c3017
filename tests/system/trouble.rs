//! Processes that are killed and paused while they work, and what PostgreSQL says of it.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use holdfast_system_tests::rig::{LEASE_TTL, READY_WITHIN, Rig};
use holdfast_testkit::{JobsInstance, Process};
use rand::{Rng as _, rngs::StdRng};

#[derive(Debug, Default)]
pub struct Faults {
    pub killed: usize,
    pub paused: usize,
    /// Of the paused: for so long that PostgreSQL ended the sessions that had a transaction open.
    pub paused_past_sessions: usize,
}

impl Faults {
    pub fn has_both(&self) -> bool {
        self.killed > 0 && self.paused > 0
    }

    /// At random, but the kind that has not happened yet comes second: the shortest run has both.
    fn next_is_kill(&self, choices: &mut StdRng) -> bool {
        match (self.killed, self.paused) {
            (0, 1..) => true,
            (1.., 0) => false,
            _ => choices.random(),
        }
    }

    pub fn plus(self, other: Self) -> Self {
        Self {
            killed: self.killed + other.killed,
            paused: self.paused + other.paused,
            paused_past_sessions: self.paused_past_sessions + other.paused_past_sessions,
        }
    }
}

/// Kills or pauses a worker again and again.
pub async fn of_worker(worker: &Process, until: Instant, mut choices: StdRng) -> Result<Faults> {
    let mut faults = Faults::default();
    while Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(choices.random_range(200..1500))).await;
        if faults.next_is_kill(&mut choices) {
            worker.kill().await?;
            worker.restart()?;
            faults.killed += 1;
        } else {
            // Beyond the end of its leases, so that it wakes up stale.
            pause(worker, LEASE_TTL, &mut choices).await?;
            faults.paused += 1;
        }
    }
    Ok(faults)
}

/// One instance at a time: killed without warning and started again, or paused. It wakes up with calls half-way, and after
/// a long sleep with its leadership gone and its transactions undone under it. Goes on past the end where there was no time
/// for both.
pub async fn of_instances(
    instances: &[JobsInstance],
    session_timeout: Duration,
    until: Instant,
    mut choices: StdRng,
) -> Result<Faults> {
    let mut faults = Faults::default();
    while Instant::now() < until || !faults.has_both() {
        tokio::time::sleep(Duration::from_millis(choices.random_range(500..2000))).await;
        let victim = &instances[choices.random_range(0..instances.len())].process;
        if faults.next_is_kill(&mut choices) {
            victim.kill().await?;
            tokio::time::sleep(Duration::from_millis(choices.random_range(0..300))).await;
            victim.restart()?;
            faults.killed += 1;
        } else {
            let past_sessions = choices.random_ratio(1, 3);
            pause(victim, if past_sessions { session_timeout } else { LEASE_TTL }, &mut choices).await?;
            faults.paused += 1;
            faults.paused_past_sessions += usize::from(past_sessions);
        }
        victim.ready(READY_WITHIN).await?;
    }
    Ok(faults)
}

/// SIGSTOP, and SIGCONT some time after `beyond` has passed.
async fn pause(process: &Process, beyond: Duration, choices: &mut StdRng) -> Result<()> {
    process.pause()?;
    tokio::time::sleep(beyond + Duration::from_millis(choices.random_range(100..1000))).await;
    process.resume()
}

/// PostgreSQL ends them one by one, and the service tries again: nothing is lost, but the order of locks is broken.
pub async fn deadlocks(rig: &Rig) -> Result<i64> {
    let count = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    Ok(sqlx::query_scalar(count).fetch_one(rig.stack.database.admin()).await?)
}

/// How long PostgreSQL lets a session of the instances stand still inside a transaction: as their role has it.
pub async fn idle_in_transaction_session_timeout(rig: &Rig) -> Result<Duration> {
    let setting = "SELECT extract(epoch FROM current_setting('idle_in_transaction_session_timeout')::interval)::float8";
    let seconds: f64 = sqlx::query_scalar(setting).fetch_one(rig.stack.database.app()?.pool()).await?;
    ensure!(seconds > 0.0, "nothing would end the session of an instance that stands still");
    Ok(Duration::from_secs_f64(seconds))
}
