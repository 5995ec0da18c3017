//! PostgreSQL killed and started again under load: what was acknowledged is there, and a call whose COMMIT was not heard
//! finds on repetition what it did.

use std::time::{Duration, Instant};

use anyhow::Result;
use holdfast_system_tests::{
    check::streams::Redelivery,
    proof::Proof,
    rig::{Rig, RigSpec},
};
use rand::{Rng as _, rngs::StdRng};

use crate::load;

const WORKERS: usize = 2;
/// Many, so that some COMMIT is always under way.
const SUBMITTERS: u64 = 32;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_is_there() -> Result<()> {
    let proof = Proof::begin("postgres-restart").await;
    let rig = Rig::start(RigSpec { settings: load::settings(), fsync: true, ..Default::default() }).await?;
    let until = proof.deadline();
    let workers = load::workers(&rig, &proof, WORKERS)?;
    let submitters = load::submitters(&rig, &proof, until, SUBMITTERS, Duration::from_millis(2))?;
    let restarts = crash(&rig, until, proof.choices(0)).await?;
    let acknowledged = load::acknowledged(submitters).await?;
    load::settled(&rig).await?;
    drop(workers);

    proof.counts(&[("PostgreSQL killed", restarts)]);
    let mut violations = load::check(&rig, &proof, &acknowledged).await?;
    // Nothing crashed but PostgreSQL: the relay finds its own entries again and adds none of them twice.
    violations.extend(load::check_streams(&rig, &proof, Redelivery::None).await?);
    proof.conclude(violations);
    Ok(())
}

async fn crash(rig: &Rig, until: Instant, mut choices: StdRng) -> Result<usize> {
    let mut restarts = 0;
    while Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(choices.random_range(500..2500))).await;
        rig.stack.postgres().kill().await?;
        tokio::time::sleep(Duration::from_millis(choices.random_range(0..300))).await;
        rig.stack.postgres().restart().await?;
        restarts += 1;
    }
    Ok(restarts)
}
