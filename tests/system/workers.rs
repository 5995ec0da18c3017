//! Workers and instances that are killed and paused while they work.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures::future::try_join_all;
use holdfast_system_tests::{
    proof::Proof,
    rig::{LEASE_TTL, READY_WITHIN, Rig, RigSpec},
};
use holdfast_testkit::{JobsInstance, Process};
use rand::{Rng as _, rngs::StdRng};

use crate::load;

const WORKERS: usize = 6;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_lost_nothing_twice_nothing_stale() -> Result<()> {
    let proof = Proof::begin("workers").await;
    let rig = Rig::start(RigSpec { settings: load::settings(), ..Default::default() }).await?;
    let session_timeout = idle_in_transaction_session_timeout(&rig).await?;
    let until = proof.deadline();
    let workers = load::workers(&rig, &proof, WORKERS)?;
    let submitters = load::submitters(&rig, &proof, until, 8, Duration::from_millis(20))?;

    let of_workers = workers.iter().zip(0..).map(|(worker, number)| trouble(worker, until, proof.choices(number)));
    let of_instances = trouble_instances(&rig.stack.jobs, session_timeout, until, proof.choices(100));
    let (of_workers, of_instances) = tokio::try_join!(try_join_all(of_workers), of_instances)?;
    let acknowledged = load::acknowledged(submitters).await?;
    load::settled(&rig).await?;

    let of_workers = of_workers.into_iter().fold(Faults::default(), Faults::plus);
    proof.counts(&[
        ("workers killed", of_workers.killed),
        ("workers paused", of_workers.paused),
        ("instances killed", of_instances.killed),
        ("instances paused", of_instances.paused),
        ("of these past their sessions", of_instances.paused_past_sessions),
    ]);
    ensure!(of_workers.has_both() && of_instances.has_both(), "too little happened to prove anything");
    let mut violations = load::check(&rig, &proof, &acknowledged).await?;
    let deadlocks = deadlocks(&rig).await?;
    if deadlocks > 0 {
        violations.push(format!("locks: {deadlocks} transactions waited for each other in a circle"));
    }
    drop(workers);
    proof.conclude(violations);
    Ok(())
}

#[derive(Debug, Default)]
struct Faults {
    killed: usize,
    paused: usize,
    /// Of the paused: for so long that PostgreSQL ended the sessions that had a transaction open.
    paused_past_sessions: usize,
}

impl Faults {
    fn has_both(&self) -> bool {
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

    fn plus(self, other: Self) -> Self {
        Self {
            killed: self.killed + other.killed,
            paused: self.paused + other.paused,
            paused_past_sessions: self.paused_past_sessions + other.paused_past_sessions,
        }
    }
}

/// Kills or pauses a worker again and again.
async fn trouble(worker: &Process, until: Instant, mut choices: StdRng) -> Result<Faults> {
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
async fn trouble_instances(
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

/// How long PostgreSQL lets a session of the instances stand still inside a transaction: as their role has it.
/// PostgreSQL ends them one by one, and the service tries again: nothing is lost, but the order of locks is broken.
async fn deadlocks(rig: &Rig) -> Result<i64> {
    let count = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    Ok(sqlx::query_scalar(count).fetch_one(rig.stack.database.admin()).await?)
}

async fn idle_in_transaction_session_timeout(rig: &Rig) -> Result<Duration> {
    let setting = "SELECT extract(epoch FROM current_setting('idle_in_transaction_session_timeout')::interval)::float8";
    let seconds: f64 = sqlx::query_scalar(setting).fetch_one(rig.stack.database.app()?.pool()).await?;
    ensure!(seconds > 0.0, "nothing would end the session of an instance that stands still");
    Ok(Duration::from_secs_f64(seconds))
}
