//! Leases under every fault: what clients are told of each resource is what one lock would have told them.

use anyhow::{Result, ensure};
use holdfast_system_tests::{
    locks::rig::{LocksRig, LocksRigSpec},
    proof::Proof,
};

use crate::locks_trouble::{self, Fault};

#[tokio::test(flavor = "multi_thread")]
async fn two_instances_are_one_lock() -> Result<()> {
    let proof = Proof::begin("locks-linear").await;
    let rig = LocksRig::start(LocksRigSpec { fsync: true, relays: 1, ..Default::default() }).await?;
    let (until, choices) = (proof.deadline(), proof.choices(0));
    let (done, is_done) = tokio::sync::watch::channel(false);
    let faults = async {
        let inflicted = locks_trouble::inflict(&rig, until, choices).await;
        // Nobody is left to hear it where the rounds have failed.
        let _ = done.send(true);
        inflicted
    };
    let rounds = locks_trouble::rounds(&rig, &proof, &is_done);
    let (inflicted, (rounds, tally)) = tokio::try_join!(faults, rounds)?;

    locks_trouble::counts(&proof, rounds, tally);
    let counted = Fault::ALL.map(|kind| inflicted.iter().filter(|fault| **fault == kind).count());
    let names = ["instances killed", "paused", "PostgreSQL killed", "restarted", "Redis killed", "flushed"];
    proof.counts(&names.into_iter().zip(counted).collect::<Vec<_>>());
    ensure!(tally.granted > 20 && tally.overstayed > 0 && tally.over > 0, "too little happened to prove anything");
    let mut violations = locks_trouble::check(&rig, &proof).await?;
    violations.extend(locks_trouble::check_streams(&rig, &proof).await?);
    proof.conclude(violations);
    Ok(())
}
