//! Requests for several resources at once, in random sets and orders: nobody waits in a circle, and nobody for ever.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use holdfast_system_tests::{
    locks::{
        client::{Acquired, Ask, LocksClient},
        rig::{LEASE_TTL, LocksRig, LocksRigSpec},
    },
    proof::Proof,
};
use rand::{Rng as _, rngs::StdRng, seq::SliceRandom as _};
use sqlx::PgPool;
use tokio::task::JoinHandle;

use crate::locks_trouble;

const CLIENTS: u64 = 50;
const RESOURCES: usize = 10;
const KEYS_MAX: usize = 4;
const HELD_MS: std::ops::Range<u64> = 0..8;
/// Many times what the longest queue takes: who waits for longer is starved, or stands in a circle.
const PATIENT: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
struct Outcome {
    granted: usize,
    slowest: Duration,
    starved: Vec<String>,
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_in_a_circle_or_for_ever() -> Result<()> {
    let proof = Proof::begin("locks-many").await;
    let rig = LocksRig::start(LocksRigSpec::default()).await?;
    let (until, client) = (proof.deadline(), rig.client()?);
    let clients: Vec<JoinHandle<Result<Outcome>>> = (0..CLIENTS)
        .map(|number| tokio::spawn(take_sets(client.clone(), number, until, proof.choices(number))))
        .collect();
    let mut outcomes = Vec::new();
    for client in clients {
        outcomes.push(client.await??);
    }
    let least = outcomes.iter().map(|outcome| outcome.granted).min().unwrap_or(0);
    let slowest = outcomes.iter().map(|outcome| outcome.slowest).max().unwrap_or_default();
    let deadlocks = deadlocks(rig.stack.database.admin()).await?;
    let mut violations: Vec<String> = outcomes.iter().flat_map(|outcome| outcome.starved.clone()).collect();
    proof.counts(&[
        ("sets granted", outcomes.iter().map(|outcome| outcome.granted).sum()),
        ("to each client at least", least),
        ("ms waited at most", slowest.as_millis() as usize),
        ("deadlocks", usize::try_from(deadlocks)?),
        ("starved", violations.len()),
    ]);
    ensure!(least > 0 || !violations.is_empty(), "too little happened to prove anything");
    if deadlocks > 0 {
        violations.push(format!("locks: {deadlocks} transactions waited for each other in a circle"));
    }
    violations.extend(locks_trouble::check(&rig, &proof).await?);
    proof.conclude(violations);
    Ok(())
}

async fn take_sets(client: LocksClient, number: u64, until: Instant, mut choices: StdRng) -> Result<Outcome> {
    let mut keys: Vec<String> = (0..RESOURCES).map(|resource| format!("shared-{resource}")).collect();
    let mut outcome = Outcome::default();
    for turn in 0.. {
        if Instant::now() >= until {
            break;
        }
        keys.shuffle(&mut choices);
        let ask = Ask {
            keys: keys[..choices.random_range(1..=KEYS_MAX)].to_vec(),
            owner: format!("client-{number}.{turn}"),
            ttl: LEASE_TTL,
            wait: PATIENT,
            tries_max: 1,
        };
        let began = Instant::now();
        match client.acquire(&ask, &mut choices).await? {
            Acquired::Held(held) => {
                outcome.granted += 1;
                outcome.slowest = outcome.slowest.max(began.elapsed());
                tokio::time::sleep(Duration::from_millis(choices.random_range(HELD_MS))).await;
                client.release(&held, 3, &mut choices).await?;
            }
            other => outcome.starved.push(format!("starved: {ask:?} came to {other:?} after {:?}", began.elapsed())),
        }
    }
    Ok(outcome)
}

async fn deadlocks(admin: &PgPool) -> Result<i64> {
    let count = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    Ok(sqlx::query_scalar(count).fetch_one(admin).await?)
}
