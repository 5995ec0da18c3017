//! Workers and instances that are killed and paused while they work.

use std::time::{Duration, Instant};

use anyhow::Result;
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
    let until = proof.deadline();
    let workers = load::workers(&rig, &proof, WORKERS)?;
    let submitters = load::submitters(&rig, &proof, until, 8, Duration::from_millis(20))?;

    let worker_faults = workers.iter().zip(0..).map(|(worker, number)| trouble(worker, until, proof.choices(number)));
    let (worker_faults, kills) =
        tokio::try_join!(try_join_all(worker_faults), kill_instances(&rig.stack.jobs, until, proof.choices(100)))?;
    let acknowledged = load::acknowledged(submitters).await?;
    load::settled(&rig).await?;

    let (killed, paused) = worker_faults.into_iter().fold((0, 0), |sum, faults| (sum.0 + faults.0, sum.1 + faults.1));
    proof.counts(&[("workers killed", killed), ("workers paused", paused), ("instances killed", kills)]);
    let violations = load::check(&rig, &proof, &acknowledged).await?;
    drop(workers);
    proof.conclude(violations);
    Ok(())
}

/// Kills or pauses a worker again and again; answers how often it did either.
async fn trouble(worker: &Process, until: Instant, mut choices: StdRng) -> Result<(usize, usize)> {
    let (mut killed, mut paused) = (0, 0);
    while Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(choices.random_range(200..1500))).await;
        if choices.random() {
            worker.kill().await?;
            worker.restart()?;
            killed += 1;
        } else {
            worker.pause()?;
            // Beyond the end of its leases, so that it wakes up stale.
            tokio::time::sleep(LEASE_TTL + Duration::from_millis(choices.random_range(100..1000))).await;
            worker.resume()?;
            paused += 1;
        }
    }
    Ok((killed, paused))
}

/// One instance at a time, killed without warning and started again.
async fn kill_instances(instances: &[JobsInstance], until: Instant, mut choices: StdRng) -> Result<usize> {
    let mut kills = 0;
    while Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(choices.random_range(500..2000))).await;
        let victim = &instances[choices.random_range(0..instances.len())].process;
        victim.kill().await?;
        tokio::time::sleep(Duration::from_millis(choices.random_range(0..300))).await;
        victim.restart()?;
        victim.ready(READY_WITHIN).await?;
        kills += 1;
    }
    Ok(kills)
}
