//! Leases while PostgreSQL under Patroni loses the machine of its primary: no resource has two holders, and no token comes
//! back. Takes half a minute a failover, so it runs under `make test-system` alone, where Patroni is installed.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use holdfast_system_tests::{
    locks::rig::{LocksRig, LocksRigSpec},
    proof::Proof,
};
use holdfast_testkit::{Patroni, eventually};
use rand::{Rng as _, rngs::StdRng};
use tokio::sync::watch;

use crate::locks_trouble;

const RECOVERS_WITHIN: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn a_successor_is_the_same_lock() -> Result<()> {
    if !Proof::is_long() || !Patroni::is_installed() {
        println!("skipped: runs under make test-system, with what scripts/install-patroni installs");
        return Ok(());
    }
    let proof = Proof::begin("locks-failover").await;
    let rig = LocksRig::start(LocksRigSpec { patroni: true, ..Default::default() }).await?;
    let (done, is_done) = watch::channel(false);
    let failovers = async {
        let failovers = fail_over(&rig, proof.deadline(), proof.choices(0)).await;
        // Nobody is left to hear it where the rounds have failed.
        let _ = done.send(true);
        failovers
    };
    let (failovers, (rounds, tally)) = tokio::try_join!(failovers, locks_trouble::rounds(&rig, &proof, &is_done))?;
    locks_trouble::counts(&proof, rounds, tally);
    proof.counts(&[("primaries killed", failovers)]);
    ensure!(tally.granted > 20, "too little happened to prove anything");
    let violations = locks_trouble::check(&rig, &proof).await?;
    proof.conclude(violations);
    Ok(())
}

/// At least one, however short the time is.
async fn fail_over(rig: &LocksRig, until: Instant, mut choices: StdRng) -> Result<usize> {
    let (patroni, mut failovers) = (rig.stack.patroni(), 0);
    while failovers == 0 || Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(choices.random_range(1000..3000))).await;
        let killed = patroni.kill_primary().await?;
        eventually(|| patroni.has_moved(killed), RECOVERS_WITHIN).await?;
        rig.stack.ready().await?;
        failovers += 1;
        // Leases go on for a while under the successor.
        tokio::time::sleep(locks_trouble::ROUND).await;
        patroni.restart(killed)?;
        patroni.whole().await?;
    }
    Ok(failovers)
}
