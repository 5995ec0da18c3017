//! Workers and instances that are killed and paused while they work.

use std::time::Duration;

use anyhow::{Result, ensure};
use futures::future::try_join_all;
use holdfast_system_tests::{
    proof::Proof,
    rig::{Rig, RigSpec},
};

use crate::trouble::Faults;
use crate::{load, trouble};

const WORKERS: usize = 6;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_lost_nothing_twice_nothing_stale() -> Result<()> {
    let proof = Proof::begin("workers").await;
    let rig = Rig::start(RigSpec { settings: load::settings(), ..Default::default() }).await?;
    let session_timeout = trouble::idle_in_transaction_session_timeout(&rig).await?;
    let until = proof.deadline();
    let workers = load::workers(&rig, &proof, WORKERS)?;
    let submitters = load::submitters(&rig, &proof, until, 8, Duration::from_millis(20))?;

    let of_workers =
        workers.iter().zip(0..).map(|(worker, number)| trouble::of_worker(worker, until, proof.choices(number)));
    let of_instances = trouble::of_instances(&rig.stack.jobs, session_timeout, until, proof.choices(100));
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
    let deadlocks = trouble::deadlocks(&rig).await?;
    if deadlocks > 0 {
        violations.push(format!("locks: {deadlocks} transactions waited for each other in a circle"));
    }
    drop(workers);
    proof.conclude(violations);
    Ok(())
}
