//! PostgreSQL under Patroni loses the machine of its primary under load: what was acknowledged is on the standby, which
//! takes over. Takes half a minute a failover, so it runs under `make test-system` alone, where Patroni is installed.

use std::time::{Duration, Instant};

use anyhow::Result;
use holdfast_system_tests::{
    check::streams::Redelivery,
    client::submission,
    proof::Proof,
    rig::{Rig, RigSpec},
    submit::{Acknowledged, answered},
};
use holdfast_testkit::{Patroni, eventually};
use rand::{Rng as _, rngs::StdRng};

use crate::load;

const WORKERS: usize = 2;
/// From the kill until a job that is submitted after it is acknowledged.
const RECOVERS_WITHIN: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_the_machine() -> Result<()> {
    if !Proof::is_long() || !Patroni::is_installed() {
        println!("skipped: runs under make test-system, with what scripts/install-patroni installs");
        return Ok(());
    }
    let proof = Proof::begin("postgres-failover").await;
    let rig = Rig::start(RigSpec { settings: load::settings(), patroni: true, ..Default::default() }).await?;
    // Past the end of the faults: some COMMIT is under way at each kill, and some submitter waits for the successor.
    let until = proof.deadline() + RECOVERS_WITHIN;
    let workers = load::workers(&rig, &proof, WORKERS)?;
    let submitters = load::submitters(&rig, &proof, until, 16, Duration::from_millis(10))?;
    let failovers = fail_over(&rig, proof.deadline(), proof.choices(0)).await?;
    let acknowledged = load::acknowledged(submitters).await?;
    let acknowledged = Acknowledged::merge([acknowledged, failovers.acknowledged]);
    load::settled(&rig).await?;
    drop(workers);

    let slowest = failovers.took.iter().max().copied().unwrap_or_default();
    proof.counts(&[
        ("primaries killed", failovers.took.len()),
        ("ms to recover, at most", slowest.as_millis() as usize),
    ]);
    let mut violations = load::check(&rig, &proof, &acknowledged).await?;
    violations.extend(load::check_streams(&rig, &proof, Redelivery::AtMost(usize::MAX)).await?);
    if slowest > RECOVERS_WITHIN {
        violations.push(format!("slow: calls were answered again {slowest:?} after the primary was killed"));
    }
    proof.conclude(violations);
    Ok(())
}

#[derive(Default)]
struct Failovers {
    took: Vec<Duration>,
    acknowledged: Acknowledged,
}

/// At least one, however short the time is.
async fn fail_over(rig: &Rig, until: Instant, mut choices: StdRng) -> Result<Failovers> {
    let (patroni, mut failovers) = (rig.stack.patroni(), Failovers::default());
    while failovers.took.is_empty() || Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(choices.random_range(1000..3000))).await;
        let killed = patroni.kill_primary().await?;
        let began = Instant::now();
        let key = format!("after-failover-{}", failovers.took.len());
        let tenant = load::TENANTS[0];
        let request = submission(tenant, "project-5", &key, "{}");
        let job_id = answered(&rig.submitters("proof", tenant)?, &request, &mut choices).await?.response.job_id;
        failovers.took.push(began.elapsed());
        failovers.acknowledged.jobs.insert((tenant.to_owned(), key), job_id);
        eventually(|| patroni.has_moved(killed), RECOVERS_WITHIN).await?;
        patroni.restart(killed)?;
        patroni.whole().await?;
    }
    Ok(failovers)
}
