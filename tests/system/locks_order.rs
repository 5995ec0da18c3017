//! First come, first served: two hundred that wait for one resource, some of which give up, through instances that are
//! killed.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use holdfast_system_tests::{
    locks::{
        client::{Acquired, Ask, LocksClient},
        history::Recorder,
        order::{self, Served},
        rig::{LEASE_TTL, LocksRig, LocksRigSpec},
    },
    proof::Proof,
};
use rand::{Rng as _, rngs::StdRng};
use sqlx::PgPool;
use tokio::{sync::watch, task::JoinHandle};

use crate::locks_trouble;

const WAITERS: u64 = 200;
/// They come over this time.
const ARRIVAL_MS: u64 = 4_000;
const HELD_MS: std::ops::Range<u64> = 1..40;
const PATIENT: Duration = Duration::from_secs(120);
const TRIES_MAX: u32 = 100;
/// Within this an instance's own lease of 3 s has certainly not ended, when it is renewed once a second.
const AWAY_MAX: Duration = Duration::from_millis(1_500);

/// What a waiter does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Patient,
    /// Gives up by itself, without a word.
    Cancels(Duration),
    /// Waits for less than it takes.
    TimesOut(Duration),
}

#[derive(Debug)]
enum Ended {
    Served(Served),
    Cancelled,
    TimedOut,
    Stuck(String),
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_was_seen_to_wait_is_served_first() -> Result<()> {
    let proof = Proof::begin("locks-order").await;
    let rig = LocksRig::start(LocksRigSpec::default()).await?;
    let (until, mut violations) = (proof.deadline(), Vec::new());
    let (mut waves, mut totals, mut pairs, mut kills) = (0, [0; 3], 0, 0);
    while waves == 0 || Instant::now() < until {
        waves += 1;
        let wave = wave(&rig, &proof, waves).await?;
        kills += wave.kills;
        let mut served = Vec::new();
        for ended in wave.ended {
            match ended {
                Ended::Served(waiter) => served.push(waiter),
                Ended::Cancelled => totals[1] += 1,
                Ended::TimedOut => totals[2] += 1,
                Ended::Stuck(what) => violations.push(format!("stuck: {what}")),
            }
        }
        totals[0] += served.len();
        pairs += order::ordered_pairs(&served);
        violations.extend(order::inversions(&served));
    }
    proof.counts(&[
        ("waves", waves as usize),
        ("served", totals[0]),
        ("cancelled", totals[1]),
        ("timed out", totals[2]),
        ("instances killed", kills),
        ("pairs in order", pairs),
    ]);
    ensure!(
        totals.iter().all(|total| *total > 0) && kills > 0 && pairs > 1_000,
        "too little happened to prove anything"
    );
    violations.extend(locks_trouble::check(&rig, &proof).await?);
    proof.conclude(violations);
    Ok(())
}

struct Wave {
    ended: Vec<Ended>,
    kills: usize,
}

async fn wave(rig: &LocksRig, proof: &Proof, number: u64) -> Result<Wave> {
    let key = format!("wave-{number}");
    let (over, is_over) = watch::channel(false);
    let watcher = tokio::spawn(watch_queue(
        rig.stack.database.admin().clone(),
        key.clone(),
        rig.recorder.clone(),
        is_over.clone(),
    ));
    let client = rig.client()?;
    let waiters: Vec<JoinHandle<Result<Ended>>> = (0..WAITERS)
        .map(|waiter| {
            let owner = format!("waiter-{number}.{waiter}");
            let mut choices = proof.choices(1_000 * number + waiter);
            let (client, recorder, key) = (client.clone(), rig.recorder.clone(), key.clone());
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(choices.random_range(0..ARRIVAL_MS))).await;
                wait(&client, &recorder, key, owner, &mut choices).await
            })
        })
        .collect();
    let kill = kill_instances(rig, is_over, proof.choices(1_000 * number + WAITERS));
    let wait_for_all = async {
        let mut ended = Vec::new();
        for waiter in waiters {
            ended.push(waiter.await??);
        }
        // Who watches and kills has gone where this is not heard.
        let _ = over.send(true);
        anyhow::Ok(ended)
    };
    let (mut ended, kills) = tokio::try_join!(wait_for_all, kill)?;
    let seen = watcher.await??;
    for ended in &mut ended {
        if let Ended::Served(served) = ended {
            served.seen_waiting_us = seen.get(&served.owner).copied();
        }
    }
    Ok(Wave { ended, kills })
}

async fn wait(
    client: &LocksClient,
    recorder: &Recorder,
    key: String,
    owner: String,
    choices: &mut StdRng,
) -> Result<Ended> {
    let fate = match choices.random_range(0..100) {
        0..15 => Fate::Cancels(Duration::from_millis(choices.random_range(10..3_000))),
        15..30 => Fate::TimesOut(Duration::from_millis(choices.random_range(0..1_500))),
        _ => Fate::Patient,
    };
    let wait = if let Fate::TimesOut(wait) = fate { wait } else { PATIENT };
    let ask = Ask { keys: vec![key.clone()], owner: owner.clone(), ttl: LEASE_TTL, wait, tries_max: TRIES_MAX };
    let sent_us = recorder.now_us();
    let patience = if let Fate::Cancels(after) = fate { after } else { Duration::MAX };
    let Ok(acquired) = tokio::time::timeout(patience, client.acquire(&ask, choices)).await else {
        client.withdrawn(&key, sent_us, &owner);
        return Ok(Ended::Cancelled);
    };
    match acquired? {
        Acquired::Held(held) => {
            tokio::time::sleep(Duration::from_millis(choices.random_range(HELD_MS))).await;
            client.release(&held, TRIES_MAX, choices).await?;
            let stayed = held.away < AWAY_MAX;
            Ok(Ended::Served(Served { owner, sent_us, seen_waiting_us: None, fence: held.fences[0], stayed }))
        }
        Acquired::NotFree if matches!(fate, Fate::TimesOut(_)) => Ok(Ended::TimedOut),
        other => Ok(Ended::Stuck(format!("{owner} was to wait for {wait:?} and got {other:?}"))),
    }
}

/// Answers when each waiter was first seen, by the end of a look at the rows that ListLocks tells of. It tells of a hundred of them
/// for each resource, and two hundred wait.
async fn watch_queue(
    admin: PgPool,
    key: String,
    recorder: Arc<Recorder>,
    over: watch::Receiver<bool>,
) -> Result<BTreeMap<String, i64>> {
    let mut seen = BTreeMap::new();
    while !*over.borrow() {
        let waiting = "SELECT owner FROM locks.lock_leases WHERE state = 'waiting' AND at_resource_key = $1";
        let owners: Vec<String> = sqlx::query_scalar(waiting).bind(&key).fetch_all(&admin).await?;
        let now_us = recorder.now_us();
        for owner in owners {
            seen.entry(owner).or_insert(now_us);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(seen)
}

/// By turns, so that one is always there to take those in that lost the other.
async fn kill_instances(rig: &LocksRig, over: watch::Receiver<bool>, mut choices: StdRng) -> Result<usize> {
    let mut kills = 0;
    loop {
        tokio::time::sleep(Duration::from_millis(choices.random_range(1_000..2_500))).await;
        if *over.borrow() {
            return Ok(kills);
        }
        let victim = &rig.stack.locks[kills % rig.stack.locks.len()].process;
        victim.kill().await?;
        tokio::time::sleep(Duration::from_millis(choices.random_range(0..300))).await;
        victim.restart()?;
        rig.stack.ready().await?;
        kills += 1;
    }
}
