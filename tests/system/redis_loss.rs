//! Redis killed, and flushed, under load: what it had acknowledged may be gone, and has to come again.

use std::time::{Duration, Instant};

use anyhow::Result;
use holdfast_system_tests::{
    check::streams::Redelivery,
    proof::Proof,
    rig::{Rig, RigSpec},
};
use holdfast_testkit::eventually;
use rand::{Rng as _, rngs::StdRng};

use crate::load;

const WORKERS: usize = 2;

#[tokio::test(flavor = "multi_thread")]
async fn every_event_comes_again() -> Result<()> {
    let proof = Proof::begin("redis-loss").await;
    let rig = Rig::start(RigSpec { settings: load::settings(), ..Default::default() }).await?;
    let until = proof.deadline();
    let workers = load::workers(&rig, &proof, WORKERS)?;
    let submitters = load::submitters(&rig, &proof, until, 8, Duration::from_millis(20))?;
    let (killed, flushed) = lose(&rig, until, proof.choices(0)).await?;
    let acknowledged = load::acknowledged(submitters).await?;
    load::settled(&rig).await?;
    drop(workers);

    proof.counts(&[("Redis killed", killed), ("Redis flushed", flushed)]);
    // The relay notices a loss when it looks at the stream again, which may be after the last row was marked.
    let look = || async {
        let violations = load::check_streams(&rig, &proof, Redelivery::AtMost(usize::MAX)).await?;
        anyhow::ensure!(violations.is_empty(), "{} violations, the first: {}", violations.len(), violations[0]);
        anyhow::Ok(())
    };
    let streams = eventually(look, load::SETTLES_WITHIN).await;
    let mut violations = load::check(&rig, &proof, &acknowledged).await?;
    violations.extend(streams.err().map(|error| format!("{error:#}")));
    proof.conclude(violations);
    Ok(())
}

async fn lose(rig: &Rig, until: Instant, mut choices: StdRng) -> Result<(usize, usize)> {
    let (mut killed, mut flushed) = (0, 0);
    while Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(choices.random_range(300..1500))).await;
        // Alternating, so that even the shortest run has both.
        if killed <= flushed {
            rig.stack.redis.kill().await?;
            tokio::time::sleep(Duration::from_millis(choices.random_range(0..500))).await;
            rig.stack.redis.restart().await?;
            killed += 1;
        } else {
            rig.stack.redis.flush().await?;
            flushed += 1;
        }
    }
    Ok((killed, flushed))
}
