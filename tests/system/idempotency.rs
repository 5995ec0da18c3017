//! 64 clients, two instances, the same keys with equal and with other payloads, across the ends of their windows.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use futures::future::try_join_all;
use holdfast_fault::{Reason, Received};
use holdfast_proto::jobs::v1::SubmitJobResponse;
use holdfast_system_tests::{
    check::{
        tables,
        windows::{self, Call, Outcome},
    },
    client::{Client, INTENT, submission},
    proof::Proof,
    rig::{Rig, RigSpec},
};
use rand::{Rng as _, rngs::StdRng};
use tonic::Status;

const CLIENTS: u64 = 64;
const TENANTS: [&str; 2] = ["acme", "globex"];
const KEYS: u32 = 12;
const PAYLOADS: u8 = 3;
const WINDOW_MS: i64 = 700;

#[tokio::test(flavor = "multi_thread")]
async fn one_job_a_key_and_generation() -> Result<()> {
    let proof = Proof::begin("idempotency").await;
    let settings = format!("[[intents]]\nname = \"{INTENT}\"\nkey_window_ms = {WINDOW_MS}\n");
    let rig = Rig::start(RigSpec { relays: 0, settings, ..Default::default() }).await?;

    let until = proof.deadline();
    // The same actor everywhere: the actor is part of a key's scope.
    let clients: Vec<Vec<Client>> =
        TENANTS.iter().map(|tenant| rig.submitters("proof", tenant)).collect::<Result<_>>()?;
    let loads = (0..CLIENTS).map(|number| {
        let of_tenant = (number % 2) as usize;
        tokio::spawn(load(TENANTS[of_tenant], clients[of_tenant].clone(), until, proof.choices(number)))
    });
    let calls: Vec<Call> = try_join_all(loads).await?.into_iter().flatten().collect();

    let (mut violations, windows) = windows::check(&calls, WINDOW_MS * 1000);
    let jobs = tables::jobs(rig.stack.database.admin()).await?;
    let told = windows::jobs_told(&calls);
    for ((tenant, key, generation), job_id) in &told {
        let stored = jobs.get(job_id).is_some_and(|job| job.tenant_id == *tenant && job.idempotency_key == *key);
        if !stored {
            violations.push(format!("{tenant}/{key} generation {generation} is job {job_id}, which is not there"));
        }
    }
    if jobs.len() != told.len() {
        violations.push(format!("{} jobs are stored, of {} that clients were told", jobs.len(), told.len()));
    }
    let count = |wanted: fn(&Outcome) -> bool| calls.iter().filter(|call| wanted(&call.outcome)).count();
    let (conflicts, replays) = (
        count(|outcome| matches!(outcome, Outcome::Conflict)),
        count(|outcome| matches!(outcome, Outcome::Taken { replayed: true, .. })),
    );
    proof.counts(&[
        ("calls", calls.len()),
        ("windows", windows),
        ("jobs", jobs.len()),
        ("replays", replays),
        ("conflicts", conflicts),
    ]);
    let keys = TENANTS.len() * KEYS as usize;
    assert!(windows >= 2 * keys && replays > 0 && conflicts > 0, "too little happened to prove anything");
    proof.conclude(violations);
    Ok(())
}

async fn load(tenant: &str, clients: Vec<Client>, until: Instant, mut choices: StdRng) -> Vec<Call> {
    let mut calls = Vec::new();
    while Instant::now() < until {
        let key = format!("key-{}", choices.random_range(0..KEYS));
        let payload = choices.random_range(0..PAYLOADS);
        let request = submission(tenant, "ledger", &key, &format!(r#"{{"payload":{payload}}}"#));
        let mut client = clients[choices.random_range(0..clients.len())].jobs.clone();
        let sent_us = now_us();
        let answer = client.submit_job(request).await;
        let answered_us = now_us();
        let outcome = outcome(answer.map(tonic::Response::into_inner));
        calls.push(Call { tenant: tenant.to_owned(), key, payload, sent_us, answered_us, outcome });
    }
    calls
}

fn outcome(answer: Result<SubmitJobResponse, Status>) -> Outcome {
    match answer {
        Ok(taken) => Outcome::Taken {
            job_id: taken.job_id,
            generation: taken.generation,
            replayed: taken.replayed,
            window_end_us: taken.window_end.map_or(0, |end| end.seconds * 1_000_000 + i64::from(end.nanos) / 1000),
        },
        Err(status) => match Received::from_status(&status).reason {
            Some(Reason::Job409IdempotencyConflict) => Outcome::Conflict,
            _ => Outcome::Other(format!("{status:?}")),
        },
    }
}

fn now_us() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since_epoch.as_micros().try_into().unwrap_or(i64::MAX)
}
