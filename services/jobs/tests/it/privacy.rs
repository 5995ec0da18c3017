//! What somebody wrote about a sensitive job, or put into it, is in no event, in no history row and in no log line.
//!
//! The contracts mark the fields (debug_redact); a scenario fills each of them with a text of its own.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use holdfast_caller::Role;
use holdfast_caller::issuer::TokenSpec;
use holdfast_events::Envelope;
use holdfast_proto::redacted::REDACTED;
use pb::{Classification, Decision};
use prost_reflect::{DynamicMessage, Value};

use crate::support::raw::pool;
use crate::support::*;

const EVENTS: &str = "holdfast.events.v1.Job";
const MARKER: &str = "Jane-Roe-1985";

fn marked(what: &str) -> String {
    format!("{MARKER}-{what}")
}

/// What a scenario has left.
struct Left {
    tenant: holdfast_ids::TenantId,
    events: Vec<Envelope>,
    details: Vec<String>,
}

/// Jobs of one classification through every transition that tells what somebody wrote; with a marker in every field of the
/// contracts that is marked.
async fn scenario(world: &World, classification: Classification) -> Result<Left> {
    let tenant = tenant();
    let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
    let olga = world.caller(TokenSpec::user(actor("olga"), tenant.clone(), Role::Owner));
    let payload = |what: &str| json(&format!("{{\"name\": \"{}\"}}", marked(what)));
    let marked_job =
        || pb::SubmitJobRequest { classification: classification.into(), ..job().payload(payload("payload")) };
    let mut job_ids = Vec::new();

    // Reports, fails, is tried again, is done.
    let job_id = alice.submit_job(marked_job().intent("quick.retry")).await?.job_id;
    let leased = worker.lease_jobs(lease_waiting(1)).await?.jobs.remove(0);
    let progress = Some(pb::Progress { percent: 50, note: marked("note") });
    let extension = pb::LeaseExtension { lease: leased.lease.clone(), progress };
    worker.extend_leases(pb::ExtendLeasesRequest { leases: vec![extension] }).await?;
    worker.fail_job(pb::FailJobRequest { message: marked("retry"), ..fail(&leased, true) }).await?;
    let leased = worker.lease_jobs(lease_waiting(1)).await?.jobs.remove(0);
    assert_eq!(leased.payload, Some(payload("payload")), "its worker is told everything");
    worker.complete_job(complete(&leased, payload("result"))).await?;
    let seen = alice.job(&job_id).await?;
    assert_eq!(seen.result, Some(payload("result")), "its callers are told everything");
    assert_eq!(seen.last_failure.context("a failure")?.message, marked("retry"));
    job_ids.push(job_id);
    // Fails for good.
    job_ids.push(alice.submit_job(marked_job()).await?.job_id);
    let leased = worker.lease_jobs(lease_waiting(1)).await?.jobs.remove(0);
    worker.fail_job(pb::FailJobRequest { message: marked("failure"), ..fail(&leased, false) }).await?;
    // Is cancelled.
    let later = chrono::Utc::now() + chrono::TimeDelta::hours(1);
    let job_id = alice.submit_job(marked_job().not_before(later)).await?.job_id;
    alice.cancel_job(pb::CancelJobRequest { reason: marked("cancelled"), ..cancel(&job_id) }).await?;
    // Waits for it.
    let on = Some(pb::dependency::On::JobId(job_id.clone()));
    let dependencies = vec![pb::Dependency { on, on_failure: pb::OnFailure::Block.into() }];
    job_ids.push(alice.submit_job(pb::SubmitJobRequest { dependencies, ..marked_job() }).await?.job_id);
    job_ids.push(job_id);
    // Is decided about, in every way.
    for decision in [Decision::Reject, Decision::RequestChanges, Decision::Defer, Decision::Approve] {
        let job_id = alice.submit_job(marked_job().tier(pb::RiskTier::C).not_before(later)).await?.job_id;
        let request = pb::DecideJobRequest {
            job_id: job_id.clone(),
            decision: decision.into(),
            reason: marked("decision"),
            idempotency_key: fresh_key(),
            ..Default::default()
        };
        olga.decide_job(request).await?;
        let approvals = olga.list_approvals(pb::ListApprovalsRequest { job_id: job_id.clone() }).await?.approvals;
        assert_eq!(approvals[0].reason, marked("decision"), "the record is whole");
        job_ids.push(job_id);
    }
    // Refused in every way that names a field: the fault must not quote it.
    let flawed = pb::SubmitJobRequest { payload: Some(json(&format!("{{\"{}\"", marked("flawed")))), ..marked_job() };
    refused(alice.submit_job(flawed).await, Reason::Req400InvalidSchema);
    let replay = marked_job();
    alice.submit_job(replay.clone().not_before(later)).await?;
    let conflict = replay.not_before(later).payload(payload("conflict"));
    refused(alice.submit_job(conflict).await, Reason::Job409IdempotencyConflict);

    let (mut events, mut details) = (Vec::new(), Vec::new());
    for job_id in &job_ids {
        events.extend(rows::events(world.db.admin(), job_id).await?);
        details.extend(alice.history(job_id).await?.into_iter().map(|entry| entry.detail));
    }
    Ok(Left { tenant, events, details })
}

/// The marked fields of events and what they hold: a text, or the bytes in hexadecimal digits.
fn marked_fields(events: &[Envelope]) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let mut found = BTreeMap::<String, BTreeSet<String>>::new();
    for event in events {
        let data = event.data.as_ref().context("an event without data")?;
        let name = data.type_url.rsplit('/').next().unwrap_or_default();
        let message = pool().get_message_by_name(name).with_context(|| format!("{name} is no message"))?;
        collect(&DynamicMessage::decode(message, data.value.as_slice())?, &mut found);
    }
    Ok(found)
}

fn collect(message: &DynamicMessage, found: &mut BTreeMap<String, BTreeSet<String>>) {
    for (field, value) in message.fields() {
        if let Value::Message(inner) = value {
            collect(inner, found);
        }
        if REDACTED.contains(&field.full_name()) {
            let text = match value {
                Value::String(text) => text.clone(),
                Value::Bytes(bytes) => hex(bytes),
                other => panic!("{}: how is {other:?} redacted?", field.full_name()),
            };
            found.entry(field.full_name().to_owned()).or_default().insert(text);
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The scenario reaches every marked field of every event: without that, the next test would prove little.
#[test]
fn of_other_jobs_every_marked_field_is_told() -> Result<()> {
    run(async {
        let left = scenario(World::shared().await?, Classification::Internal).await?;
        let found = marked_fields(&left.events)?;
        let of_events: Vec<&str> = REDACTED.iter().copied().filter(|name| name.starts_with(EVENTS)).collect();
        assert_eq!(found.keys().collect::<Vec<_>>(), of_events, "the scenario does not reach every marked field");
        for (field, values) in &found {
            assert!(values.iter().all(|value| value != "[redacted]"), "{field}: {values:?}");
            let is_told = |value: &String| value.contains(MARKER) || value.len() == 64;
            assert!(values.iter().any(is_told), "{field}: {values:?}");
        }
        assert!(left.details.iter().filter(|detail| detail.contains(MARKER)).count() >= 6, "{:?}", left.details);
        Ok(())
    })
}

#[test]
fn of_sensitive_jobs_no_event_and_no_history_tells_what_somebody_wrote() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let left = scenario(world, Classification::Sensitive).await?;
        for (field, values) in marked_fields(&left.events)? {
            assert_eq!(values, BTreeSet::from(["[redacted]".to_owned()]), "{field}");
        }
        let is_told = |text: &[u8]| text.windows(MARKER.len()).any(|window| window == MARKER.as_bytes());
        // As bytes too: a field that nobody has marked tells nothing either.
        for event in &left.events {
            assert!(!is_told(&prost::Message::encode_to_vec(event)), "{}", event.event_name);
        }
        for table in ["job_events", "outbox"] {
            let statement = format!("SELECT entry::text FROM jobs.{table} AS entry WHERE tenant_id = $1");
            let entries: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(statement))
                .bind(left.tenant.as_str())
                .fetch_all(world.db.admin())
                .await?;
            assert!(
                !entries.is_empty() && entries.iter().all(|entry| !is_told(entry.as_bytes())),
                "{table}: {entries:?}"
            );
        }
        assert!(left.details.iter().any(|detail| detail == "disk_full: [redacted]"), "{:?}", left.details);
        assert!(left.details.iter().any(|detail| detail == "reject: [redacted]"), "{:?}", left.details);
        Ok(())
    })
}

/// Hashes of what somebody wrote, of the tenant's jobs, as whoever guesses would make them: how many are in the history.
async fn guessed(world: &World, tenant: &holdfast_ids::TenantId) -> Result<i64> {
    let reason = blake3::hash(marked("cancelled").as_bytes());
    let statement = "SELECT count(*) FROM jobs.job_events AS event JOIN jobs.jobs AS job USING (job_id) \
         WHERE event.tenant_id = $1 AND (event.command_hash = $2 OR event.command_hash = job.idempotency_payload_hash)";
    let guessed = sqlx::query_scalar(statement).bind(tenant.as_str()).bind(reason.as_bytes().as_slice());
    Ok(guessed.fetch_one(world.db.admin()).await?)
}

/// The history cannot be erased: nothing in it may tell what was written to whoever can guess it. Repetitions are known all
/// the same.
#[test]
fn of_sensitive_jobs_no_hash_in_the_history_can_be_guessed() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        assert!(guessed(world, &scenario(world, Classification::Internal).await?.tenant).await? >= 2);
        assert_eq!(guessed(world, &scenario(world, Classification::Sensitive).await?.tenant).await?, 0);

        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let sensitive = || pb::SubmitJobRequest { classification: Classification::Sensitive.into(), ..job() };
        let job_id = alice.submit_job(sensitive()).await?.job_id;
        let leased = worker.lease_jobs(lease_waiting(1)).await?.jobs.remove(0);
        worker.complete_job(complete(&leased, json("7"))).await?;
        assert!(worker.complete_job(complete(&leased, json("7"))).await?.replayed);
        refused(worker.complete_job(complete(&leased, json("8"))).await, Reason::Job409AlreadyTerminal);
        // Once the job's contents are erased, its hashes say nothing to anybody.
        let erase = "UPDATE jobs.jobs SET hash_key = decode(repeat('00', 32), 'hex') WHERE job_id = $1::uuid";
        sqlx::query(erase).bind(&job_id).execute(world.db.admin()).await?;
        refused(worker.complete_job(complete(&leased, json("7"))).await, Reason::Job409AlreadyTerminal);
        // Without a key no hash is kept at all.
        let job_id = alice.submit_job(sensitive()).await?.job_id;
        let erase = "UPDATE jobs.jobs SET hash_key = NULL WHERE job_id = $1::uuid";
        sqlx::query(erase).bind(&job_id).execute(world.db.admin()).await?;
        alice.cancel_job(cancel(&job_id)).await?;
        refused(alice.cancel_job(cancel(&job_id)).await, Reason::Job409AlreadyTerminal);
        let kept = "SELECT count(command_hash) FROM jobs.job_events WHERE job_id = $1::uuid";
        assert_eq!(sqlx::query_scalar::<_, i64>(kept).bind(&job_id).fetch_one(world.db.admin()).await?, 0);
        Ok(())
    })
}

/// What the system says of a sensitive job tells nothing that is in it, and is told.
#[test]
fn of_sensitive_jobs_what_the_system_says_is_told() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let sensitive = || pb::SubmitJobRequest { classification: Classification::Sensitive.into(), ..job() };
        let first = alice.submit_job(sensitive().intent("quick.retry")).await?.job_id;
        let on = Some(pb::dependency::On::JobId(first.clone()));
        let dependencies = vec![pb::Dependency { on, on_failure: pb::OnFailure::Cancel.into() }];
        let second = alice.submit_job(pb::SubmitJobRequest { dependencies, ..sensitive() }).await?.job_id;
        worker.lease_jobs(lease_waiting(1)).await?.jobs.remove(0);
        rows::expire_lease(world.db.admin(), &first).await?;
        let lost = || async {
            let history = alice.history(&first).await?;
            let last = history.last().context("a history")?;
            anyhow::ensure!(last.detail.starts_with("lease_lost: worker "), "{last:?}");
            anyhow::Ok(())
        };
        eventually(lost, SOON).await?;
        alice.cancel_job(pb::CancelJobRequest { reason: marked("cancelled"), ..cancel(&first) }).await?;
        let cancelled = || async {
            let history = alice.history(&second).await?;
            let last = history.last().context("a history")?;
            anyhow::ensure!(last.detail == format!("job {first}, on which it depends, was not done"), "{last:?}");
            anyhow::Ok(())
        };
        eventually(cancelled, SOON).await?;
        let told: Vec<String> =
            [rows::events(world.db.admin(), &first).await?, rows::events(world.db.admin(), &second).await?]
                .into_iter()
                .flatten()
                .flat_map(|event| marked_fields(&[event]))
                .flat_map(|fields| fields.into_values().flatten())
                .collect();
        assert!(told.iter().any(|text| text.starts_with("worker ")), "{told:?}");
        assert!(told.iter().any(|text| text.ends_with("was not done")), "{told:?}");
        assert!(told.iter().all(|text| !text.contains(MARKER)), "{told:?}");
        Ok(())
    })
}

/// Whatever the job is, and at the most talkative that our own modules can be set to.
#[test]
fn no_log_line_tells_what_a_job_carries() -> Result<()> {
    run(async {
        let settings =
            Settings::default().set("telemetry.level", "debug,holdfast=trace,holdfast_jobs=trace,h2=info,hyper=info");
        let world = World::with(settings).await?;
        for classification in [Classification::Internal, Classification::Sensitive] {
            scenario(&world, classification).await?;
        }
        let log = world.first.process.log();
        assert!(log.contains("\"DEBUG\"") || log.contains("DEBUG"), "the log is too quiet to prove anything: {log}");
        let told: Vec<&str> = log.lines().filter(|line| line.contains(MARKER)).collect();
        assert!(told.is_empty(), "{told:#?}");
        Ok(())
    })
}
