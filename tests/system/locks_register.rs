//! The published experiment on locks of etcd, repeated: five holders add to a register under a lock of 2 s leases, and
//! every 5 s the one that holds it is stopped for longer than its lease. What the register shows less than was added is lost.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use holdfast_proto::locks::v1::Lock;
use holdfast_system_tests::{
    locks::{
        register::{self, HolderSpec, Tally},
        rig::{LocksRig, LocksRigSpec},
    },
    proof::Proof,
};
use holdfast_testkit::Process;
use rand::{Rng as _, rngs::StdRng};

const HOLDERS: usize = 5;
const LEASE_TTL: Duration = Duration::from_secs(2);
const STALE_AFTER: Duration = Duration::from_millis(2_500);
const EVERY: Duration = Duration::from_secs(5);
/// Until the stopped holder's lease is stale and others have added.
const STOPPED_FOR: Duration = Duration::from_secs(4);
const ENDS_WITHIN: Duration = Duration::from_secs(60);
/// Each a lost update or more, unless the holder was caught outside of its reading and writing.
const STOPS_MIN: u32 = 4;
const TRIES: u32 = 3;

#[tokio::test(flavor = "multi_thread")]
async fn tokens_save_what_leases_alone_lose() -> Result<()> {
    let proof = Proof::begin("locks-register").await;
    let spec = LocksRigSpec { lease_ttl: LEASE_TTL, stale_after: STALE_AFTER, ..Default::default() };
    let rig = LocksRig::start(spec).await?;
    register::create(rig.stack.database.admin()).await?;
    let ignored = until_it_bites(&rig, &proof, false, |outcome| outcome.lost > 0).await?;
    let fenced = until_it_bites(&rig, &proof, true, |outcome| outcome.tally.refused > 0 || outcome.lost != 0).await?;
    for (name, outcome) in [("tokens ignored", &ignored), ("tokens compared", &fenced)] {
        let refused = usize::try_from(outcome.tally.refused)?;
        let (added, lost) = (usize::try_from(outcome.tally.added)?, usize::try_from(outcome.lost.max(0))?);
        proof.counts(&[
            (name, added),
            ("refused", refused),
            ("holders stopped", outcome.stops),
            ("updates lost", lost),
        ]);
    }
    ensure!(ignored.lost > 0, "nothing was lost without tokens: the experiment shows nothing");
    ensure!(fenced.tally.refused > 0, "no token was ever refused: the experiment shows nothing");
    let mut violations = Vec::new();
    if fenced.lost != 0 {
        violations.push(format!("lost: the register lacks {} of {} additions", fenced.lost, fenced.tally.added));
    }
    proof.conclude(violations);
    Ok(())
}

/// Every holder may happen to be caught outside of its reading and writing: then it is done again, a few times.
async fn until_it_bites(rig: &LocksRig, proof: &Proof, fenced: bool, bites: fn(&Outcome) -> bool) -> Result<Outcome> {
    let mut tries = 1;
    loop {
        let outcome = experiment(rig, proof, &format!("fenced-{fenced}-{tries}"), fenced).await?;
        if bites(&outcome) || tries == TRIES {
            return Ok(outcome);
        }
        tries += 1;
    }
}

struct Outcome {
    tally: Tally,
    stops: usize,
    lost: i64,
}

async fn experiment(rig: &LocksRig, proof: &Proof, register: &str, fenced: bool) -> Result<Outcome> {
    let admin = rig.stack.database.admin();
    register::add(admin, register).await?;
    let lasts = proof.duration().max(EVERY.saturating_mul(STOPS_MIN + 1));
    let holders = (0..HOLDERS).map(|number| {
        let spec = HolderSpec {
            number,
            endpoints: rig.stack.locks.iter().map(|instance| instance.endpoint()).collect(),
            token: rig.token()?,
            database_url: rig.stack.database.admin_url().expose().to_owned(),
            register: register.to_owned(),
            fenced,
            lease_ttl_ms: LEASE_TTL.as_millis() as u64,
            seconds: lasts.as_secs(),
            seed: proof.seed(),
        };
        Process::start(spec.process()?)
    });
    let holders: Vec<Process> = holders.collect::<Result<_>>()?;
    let stops = stop_again_and_again(rig, &holders, register, Instant::now() + lasts, proof.choices(7)).await?;
    let mut tally = Tally::default();
    for holder in &holders {
        let status = holder.wait(ENDS_WITHIN).await?;
        ensure!(status.success(), "a holder ended with {status}: {}", holder.log());
        let its = register::tally(holder)?;
        tally = Tally { added: tally.added + its.added, refused: tally.refused + its.refused };
    }
    let lost = tally.added - register::value(admin, register).await?;
    Ok(Outcome { tally, stops, lost })
}

/// Whoever holds the lock is stopped, at a random moment of its work.
async fn stop_again_and_again(
    rig: &LocksRig,
    holders: &[Process],
    register: &str,
    until: Instant,
    mut choices: StdRng,
) -> Result<usize> {
    let (client, mut stops) = (rig.client()?, 0);
    while Instant::now() + EVERY < until {
        let began = Instant::now();
        tokio::time::sleep(Duration::from_millis(choices.random_range(0..300))).await;
        // Between two holders there is nobody to be stopped: another look.
        let Some(number) = holder_number(client.look(register, &mut choices).await?) else { continue };
        let holder = holders.get(number).context("a holder of this register")?;
        holder.pause()?;
        // It may have let go before it was stopped.
        if holder_number(client.look(register, &mut choices).await?) != Some(number) {
            holder.resume()?;
            continue;
        }
        tokio::time::sleep(STOPPED_FOR).await;
        holder.resume()?;
        stops += 1;
        tokio::time::sleep(EVERY.saturating_sub(began.elapsed())).await;
    }
    Ok(stops)
}

fn holder_number(lock: Option<Lock>) -> Option<usize> {
    let owner = lock?.holder?.owner;
    let number = owner.strip_prefix("holder-")?.split('.').next()?;
    number.parse().ok()
}
