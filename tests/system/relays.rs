//! Two relays, killed and paused at random, and transactions that commit a lower position late.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use chrono::Utc;
use futures::future::try_join_all;
use holdfast_events::{EventHeader, encode, shard_of};
use holdfast_ids::EventId;
use holdfast_proto::events::v1::JobQueued;
use holdfast_system_tests::{
    check::{streams, streams::Redelivery, tables},
    proof::Proof,
    rig::{LEASE_TTL, READY_WITHIN, Rig, RigSpec},
};
use holdfast_testkit::{Process, eventually};
use rand::{Rng as _, rngs::StdRng};
use sqlx::PgPool;

use crate::load::SETTLES_WITHIN;

const RELAYS: usize = 2;
const WRITERS: u64 = 8;
const KEYS_PER_WRITER: u64 = 6;

/// A relay that sleeps through its leases has lost them when it wakes up: it adds nothing any more, so nothing at all
/// comes twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_woken_relay_adds_nothing_stale() -> Result<()> {
    relays("relays-paused", Fault::Pause).await
}

/// A relay that dies between the publication and its record leaves entries that its successor finds: they are not added
/// again either.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_relay_loses_nothing() -> Result<()> {
    relays("relays-killed", Fault::Kill).await
}

#[derive(Debug, Clone, Copy)]
pub enum Fault {
    Pause,
    Kill,
}

async fn relays(name: &'static str, fault: Fault) -> Result<()> {
    let proof = Proof::begin(name).await;
    let rig = Rig::start(RigSpec { jobs: 0, relays: RELAYS, ..Default::default() }).await?;
    let until = proof.deadline();
    let admin = rig.stack.database.admin();
    let writers = (0..WRITERS).map(|number| tokio::spawn(write(admin.clone(), number, until, proof.choices(number))));
    let writers: Vec<_> = writers.collect();
    let faults =
        rig.stack.relays.iter().zip(100..).map(|(relay, number)| trouble(relay, fault, until, proof.choices(number)));
    let faults: usize = try_join_all(faults).await?.into_iter().sum();
    let written: Vec<Written> = try_join_all(writers).await?.into_iter().collect::<Result<_>>()?;
    let published = || async {
        let unpublished = tables::unpublished(admin, "jobs").await?;
        ensure!(unpublished == 0, "{unpublished} events are unpublished");
        anyhow::Ok(())
    };
    eventually(published, SETTLES_WITHIN).await?;

    let events: usize = written.iter().map(|written| written.events).sum();
    let late: usize = written.iter().map(|written| written.late).sum();
    let outbox = tables::outbox(admin, "jobs").await?;
    let entries = streams::read_all(&rig.stack.redis.url(), "jobs").await?;
    let mut violations = streams::complete(&entries, &outbox, std::iter::empty());
    let (disorder, again) = streams::ordered(&entries, Redelivery::None);
    violations.extend(disorder);
    proof.counts(&[
        ("events", events),
        ("committed late", late),
        ("stream entries", entries.len()),
        ("delivered again", again),
        ("faults", faults),
    ]);
    ensure!(events == outbox.len() && late > 0 && faults > 0, "too little happened to prove anything");
    proof.conclude(violations);
    Ok(())
}

/// Answers how often it did it.
pub async fn trouble(relay: &Process, fault: Fault, until: Instant, mut choices: StdRng) -> Result<usize> {
    let mut faults = 0;
    while Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(choices.random_range(100..1500))).await;
        match fault {
            Fault::Pause => {
                relay.pause()?;
                // Sometimes shorter than its leases, mostly longer: then another relay has taken its shards.
                let beyond = Duration::from_millis(choices.random_range(0..1500));
                tokio::time::sleep(LEASE_TTL / 2 + beyond).await;
                relay.resume()?;
            }
            Fault::Kill => {
                relay.kill().await?;
                relay.restart()?;
                relay.ready(READY_WITHIN).await?;
            }
        }
        faults += 1;
    }
    Ok(faults)
}

#[derive(Debug, Default)]
struct Written {
    events: usize,
    /// In transactions that drew their positions early and committed late.
    late: usize,
}

/// Writes events of some keys, each key's in order, one transaction after the other; some transactions stay open while
/// other writers draw higher positions and commit.
async fn write(admin: PgPool, number: u64, until: Instant, mut choices: StdRng) -> Result<Written> {
    let mut written = Written::default();
    let mut key_seqs = vec![0; KEYS_PER_WRITER as usize];
    while Instant::now() < until {
        let mut tx = admin.begin().await?;
        let events = choices.random_range(1..=4);
        for _ in 0..events {
            let key = choices.random_range(0..key_seqs.len());
            key_seqs[key] += 1;
            insert(&mut tx, &format!("proof:{number}:{key}"), key_seqs[key]).await?;
        }
        let late = choices.random_range(0..10) == 0;
        if late {
            tokio::time::sleep(Duration::from_millis(choices.random_range(50..400))).await;
            written.late += 1;
        }
        tx.commit().await?;
        written.events += events;
        tokio::time::sleep(Duration::from_millis(choices.random_range(0..5))).await;
    }
    Ok(written)
}

async fn insert(tx: &mut sqlx::PgConnection, ordering_key: &str, key_seq: u64) -> Result<()> {
    let event_id = EventId::new();
    let header = EventHeader {
        event_id,
        source: "holdfast.jobs",
        occurred_at: Utc::now(),
        tenant_id: "acme",
        project_id: "proof",
        job_id: None,
        actor_id: "proof",
        idempotency_key: "",
        request_id: "proof",
        traceparent: "",
        ordering_key,
        key_seq,
    };
    let envelope = encode(&header.envelope(&JobQueued::default()));
    sqlx::query(
        "INSERT INTO jobs.outbox (slot, outbox_id, shard, tenant_id, project_id, ordering_key, key_seq, event_name,
             event_payload, traceparent, created_at)
         SELECT slot, $1, $2, 'acme', 'proof', $3, $4, 'job.queued', $5, '', clock_timestamp()
         FROM jobs.outbox_ring WHERE is_current",
    )
    .bind(event_id.as_uuid())
    .bind(i16::try_from(shard_of(ordering_key))?)
    .bind(ordering_key)
    .bind(i64::try_from(key_seq)?)
    .bind(envelope)
    .execute(tx)
    .await?;
    Ok(())
}
