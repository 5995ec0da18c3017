//! Locks services, PostgreSQL and Redis that are killed and paused, one at a time, while clients hold and wait.

use std::time::{Duration, Instant};

use anyhow::Result;
use holdfast_system_tests::{
    check::{
        streams::{self, Redelivery},
        tables,
    },
    locks::{
        history::{Call, Told},
        holders::{Holder, Tally, look_on},
        journal, linear,
        rig::{LEASE_TTL, LocksRig},
    },
    proof::Proof,
};
use holdfast_testkit::eventually;
use rand::{Rng as _, rngs::StdRng, seq::SliceRandom as _};
use tokio::{sync::watch, task::JoinHandle};

/// Of each round: other resources, and other random choices. A history stays short.
pub const ROUND: Duration = Duration::from_secs(6);
const HOLDERS: u64 = 24;
const OBSERVERS: u64 = 3;
const RESOURCES: usize = 6;
/// An instance's own lease is 3 s: peers and waiters have given up on one that stands still for longer.
const PAUSED_FOR: std::ops::Range<u64> = 3_200..4_500;
/// Leases run out, and instances that were away are back.
const SETTLES_WITHIN: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    InstanceKilled,
    InstancePaused,
    PostgresKilled,
    PostgresStopped,
    RedisKilled,
    RedisFlushed,
}

impl Fault {
    pub const ALL: [Self; 6] = [
        Self::InstanceKilled,
        Self::InstancePaused,
        Self::PostgresKilled,
        Self::PostgresStopped,
        Self::RedisKilled,
        Self::RedisFlushed,
    ];

    async fn inflict(self, rig: &LocksRig, choices: &mut StdRng) -> Result<()> {
        let stack = &rig.stack;
        let victim = &stack.locks[choices.random_range(0..stack.locks.len())].process;
        let a_moment = Duration::from_millis(choices.random_range(0..400));
        match self {
            Self::InstanceKilled => {
                victim.kill().await?;
                tokio::time::sleep(a_moment).await;
                victim.restart()?;
            }
            Self::InstancePaused => {
                victim.pause()?;
                tokio::time::sleep(Duration::from_millis(choices.random_range(PAUSED_FOR))).await;
                victim.resume()?;
            }
            Self::PostgresKilled => {
                stack.postgres().kill().await?;
                tokio::time::sleep(a_moment).await;
                stack.postgres().restart().await?;
            }
            Self::PostgresStopped => {
                stack.postgres().stop().await?;
                tokio::time::sleep(a_moment).await;
                stack.postgres().restart().await?;
            }
            Self::RedisKilled => {
                stack.redis.kill().await?;
                tokio::time::sleep(a_moment).await;
                stack.redis.restart().await?;
            }
            Self::RedisFlushed => stack.redis.flush().await?,
        }
        stack.ready().await
    }
}

/// Inflicts every kind in a random order, and again, until the time is over and each was there.
pub async fn inflict(rig: &LocksRig, until: Instant, mut choices: StdRng) -> Result<Vec<Fault>> {
    let mut inflicted = Vec::new();
    let mut faults = Fault::ALL;
    while inflicted.is_empty() || Instant::now() < until {
        faults.shuffle(&mut choices);
        for fault in faults {
            tokio::time::sleep(Duration::from_millis(choices.random_range(200..1_200))).await;
            fault.inflict(rig, &mut choices).await?;
            inflicted.push(fault);
        }
    }
    Ok(inflicted)
}

/// Holders and observers, round by round, until they are told that it is over.
pub async fn rounds(rig: &LocksRig, proof: &Proof, over: &watch::Receiver<bool>) -> Result<(usize, Tally)> {
    let (mut rounds, mut tally) = (0, Tally::default());
    while !*over.borrow() {
        rounds += 1;
        tally = tally.plus(round(rig, proof, rounds).await?);
    }
    Ok((rounds, tally))
}

/// One round of holders and observers on resources of its own.
pub async fn round(rig: &LocksRig, proof: &Proof, number: usize) -> Result<Tally> {
    let until = Instant::now() + ROUND;
    let keys: Vec<String> = (0..RESOURCES).map(|resource| format!("round-{number}.{resource}")).collect();
    let client = rig.client()?;
    let seed = 1_000 * number as u64;
    let holders: Vec<JoinHandle<Result<Tally>>> = (0..HOLDERS)
        .map(|holder| {
            let name = format!("holder-{number}.{holder}");
            let holder_of = Holder { name, client: client.clone(), keys: keys.clone(), ttl: LEASE_TTL };
            tokio::spawn(holder_of.run(until, proof.choices(seed + holder)))
        })
        .collect();
    let observers: Vec<JoinHandle<Result<usize>>> = (0..OBSERVERS)
        .map(|observer| {
            tokio::spawn(look_on(client.clone(), keys.clone(), until, proof.choices(seed + 500 + observer)))
        })
        .collect();
    let mut tally = Tally::default();
    for holder in holders {
        tally = tally.plus(holder.await??);
    }
    for observer in observers {
        observer.await??;
    }
    Ok(tally)
}

/// Everything that the checkers have to say once all leases are over.
pub async fn check(rig: &LocksRig, proof: &Proof) -> Result<Vec<String>> {
    rig.stack.ready().await?;
    let admin = rig.stack.database.admin();
    let nothing_left = || async {
        let left = journal::left(admin).await?;
        anyhow::ensure!(left.is_empty(), "{} are left, the first: {:?}", left.len(), left[0]);
        anyhow::Ok(())
    };
    let settled = eventually(nothing_left, SETTLES_WITHIN).await;
    let mut violations: Vec<String> = settled.err().map(|error| format!("stuck: {error:#}")).into_iter().collect();
    let histories = rig.recorder.histories();
    for (resource, calls) in &histories {
        violations.extend(linear::check(resource, calls));
        violations.extend(linear::implausible(resource, calls));
    }
    let entries = journal::read(admin).await?;
    violations.extend(journal::check(&entries, &histories));
    let hand_overs = journal::hand_overs_us(&entries);
    let at = |percent: usize| {
        hand_overs.get(hand_overs.len() * percent / 100).map_or(0, |us| usize::try_from(us / 1_000).unwrap_or(0))
    };
    let count = |is: fn(&Call) -> bool| histories.values().flatten().filter(|call| is(call)).count();
    proof.counts(&[
        ("resources", histories.len()),
        ("calls", histories.values().map(Vec::len).sum()),
        ("grants told", count(|call| matches!(call.told, Told::Granted(_)))),
        ("looks", count(|call| matches!(call.told, Told::Seen { .. }))),
        ("entries", entries.len()),
        ("ms from a release to the next grant, median", at(50)),
        ("of a hundred the slowest", at(99)),
        ("expired", entries.iter().filter(|entry| entry.what == "expired").count()),
    ]);
    Ok(violations)
}

/// Every entry of the journal is an event on its stream, in order: at the latest once the relay has looked at streams that
/// were lost.
pub async fn check_streams(rig: &LocksRig, proof: &Proof) -> Result<Vec<String>> {
    let admin = rig.stack.database.admin();
    let redis = rig.stack.redis_primary().await?.url();
    let entries = journal::read(admin).await?;
    let outbox = tables::outbox(admin, "locks").await?;
    let look = || async {
        let unpublished = tables::unpublished(admin, "locks").await?;
        anyhow::ensure!(unpublished == 0, "{unpublished} events are unpublished");
        let told = streams::read_all(&redis, "locks").await?;
        let mut violations = streams::complete(&told, &outbox, entries.iter().map(|entry| entry.event_id.as_str()));
        let (disorder, again) = streams::ordered(&told, Redelivery::AtMost(usize::MAX));
        violations.extend(disorder);
        anyhow::ensure!(violations.is_empty(), "{} violations, the first: {}", violations.len(), violations[0]);
        anyhow::Ok((told.len(), again))
    };
    Ok(match eventually(look, SETTLES_WITHIN).await {
        Ok((told, again)) => {
            proof.counts(&[("events", outbox.len()), ("stream entries", told), ("delivered again", again)]);
            Vec::new()
        }
        Err(error) => vec![format!("events: {error:#}")],
    })
}

/// What it says of itself: enough of everything.
pub fn counts(proof: &Proof, rounds: usize, tally: Tally) {
    proof.counts(&[
        ("rounds", rounds),
        ("granted", tally.granted),
        ("of these by stream", tally.by_stream),
        ("not free", tally.not_free),
        ("renewed", tally.renewed),
        ("overstayed", tally.overstayed),
        ("over", tally.over),
        ("unheard", tally.unheard),
    ]);
}
