//! The clock of decisions, the maximum age, and reminders.

use anyhow::Result;
use pb::{Decision, JobState};

use super::{dangerous, decide, owner};
use crate::support::*;

async fn settled(alice: &Api, job_id: &str) -> Result<pb::Job> {
    eventually(|| async { alice.job(job_id).await.ok().filter(|job| job.finished_at.is_some()) }, SOON).await
}

/// As if this much more time had passed since the job was submitted.
async fn age(world: &World, job_id: &str, hours: i32) -> Result<()> {
    let waits = "UPDATE jobs.job_waits SET since = since - make_interval(hours => $2), \
                 due_at = due_at - make_interval(hours => $2), ends_at = ends_at - make_interval(hours => $2) \
                 WHERE job_id = $1::uuid";
    sqlx::query(waits).bind(job_id).bind(hours).execute(world.db.admin()).await?;
    Ok(())
}

#[test]
fn a_decision_that_nobody_takes_times_the_job_out() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let (alice, owner) = (world.user("alice", &tenant), owner(world, &tenant));
        let waiting = alice.submit_job(dangerous().intent("short.decision")).await?.job_id;
        let deferred = alice.submit_job(dangerous().intent("short.decision")).await?.job_id;
        owner.decide_job(decide(&deferred, Decision::Defer)).await?;
        for job_id in [&waiting, &deferred] {
            let seen = settled(&alice, job_id).await?;
            assert_eq!((seen.state(), seen.timed_out_clock.as_str()), (JobState::TimedOut, "human"));
            assert!(at(seen.finished_at) - at(seen.created_at) >= chrono::TimeDelta::seconds(1));
            let last = alice.history(job_id).await?.pop().expect("a history");
            assert_eq!(last.actor_id, "system:decision_clock");
            refused(owner.decide_job(decide(job_id, Decision::Approve)).await, Reason::Job409AlreadyTerminal);
        }
        assert_eq!(rows::of_tenant(world.db.admin(), "job_waits", &tenant).await?, 0);
        Ok(())
    })
}

#[test]
fn a_decision_after_the_time_for_it_comes_too_late_whoever_notices() -> Result<()> {
    run(async {
        let settings = Settings::default().set("tasks.decision_clock_period_ms", 3_600_000);
        let world = World::with(settings).await?;
        let tenant = tenant();
        let (alice, owner) = (world.user("alice", &tenant), owner(&world, &tenant));
        let job_id = alice.submit_job(dangerous()).await?.job_id;
        age(&world, &job_id, 3).await?;
        refused(owner.decide_job(decide(&job_id, Decision::Approve)).await, Reason::Job409AlreadyTerminal);
        let seen = alice.job(&job_id).await?;
        assert_eq!((seen.state(), seen.timed_out_clock.as_str()), (JobState::TimedOut, "human"));
        Ok(())
    })
}

#[test]
fn waiting_and_deferred_time_are_one_clock_and_it_stands_still_once_approved() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let (alice, owner) = (world.user("alice", &tenant), owner(world, &tenant));
        let job_id = alice.submit_job(dangerous()).await?.job_id;
        age(world, &job_id, 1).await?;
        owner.decide_job(decide(&job_id, Decision::Defer)).await?;
        let first = owner.decide_job(decide(&job_id, Decision::Approve)).await?.approval.expect("the record");
        // Taken back: an hour is left of the two.
        let back =
            pb::DecideJobRequest { corrects: first.approval_id.clone(), ..decide(&job_id, Decision::RequestChanges) };
        let history = alice.history(&job_id).await?.len();
        owner.decide_job(back).await?;
        let statement = "SELECT spent_ms FROM jobs.job_waits WHERE job_id = $1::uuid";
        let spent_ms: i64 = sqlx::query_scalar(statement).bind(&job_id).fetch_one(world.db.admin()).await?;
        assert!((3_600_000..3_660_000).contains(&spent_ms), "{spent_ms}");
        let payload = "SELECT event_payload FROM jobs.outbox WHERE ordering_key = $1 AND key_seq = $2";
        let reopened: Vec<u8> =
            sqlx::query_scalar(payload).bind(&job_id).bind(history as i64 + 1).fetch_one(world.db.admin()).await?;
        let reopened: holdfast_proto::events::v1::JobWaitingHumanDecision =
            holdfast_events::unpack(&holdfast_events::decode(&reopened)?)?;
        let left = at(reopened.decide_by) - chrono::Utc::now();
        assert!(left > chrono::TimeDelta::minutes(58) && left <= chrono::TimeDelta::hours(1), "{left}");
        let seen = alice.job(&job_id).await?;
        assert_eq!(seen.state(), JobState::ChangesRequested);
        assert!(at(seen.decide_by) - chrono::Utc::now() > chrono::TimeDelta::days(6), "only the maximum age runs");
        Ok(())
    })
}

#[test]
fn what_nobody_ever_runs_ends_at_the_maximum_age() -> Result<()> {
    run(async {
        let settings = Settings::default().set("limits.max_age_ms", 1500).set("tasks.max_age_period_ms", 50);
        let world = World::with(settings).await?;
        let tenant = tenant();
        let (alice, owner) = (world.user("alice", &tenant), owner(&world, &tenant));
        let queued = alice.submit_job(job()).await?.job_id;
        let retrying = alice.submit_job(job().intent("slow.retry").priority(9)).await?.job_id;
        let worker = world.worker("worker-1", &tenant);
        let leased = worker.lease_jobs(lease_waiting(1)).await?.jobs.remove(0);
        worker.fail_job(fail(&leased, true)).await?;
        let sent_back = alice.submit_job(dangerous()).await?.job_id;
        owner.decide_job(decide(&sent_back, Decision::RequestChanges)).await?;
        let undecided = alice.submit_job(dangerous()).await?.job_id;
        // Its age counts from when it could first have run.
        let later = alice.submit_job(job().not_before(chrono::Utc::now() + chrono::TimeDelta::hours(1))).await?.job_id;
        for job_id in [&queued, &retrying, &sent_back, &undecided] {
            let seen = settled(&alice, job_id).await?;
            assert_eq!((seen.state(), seen.timed_out_clock.as_str()), (JobState::TimedOut, "age"), "{seen:?}");
        }
        assert_eq!(alice.job(&later).await?.state(), JobState::Queued);
        let left = "SELECT count(*) FROM jobs.job_queue WHERE tenant_id = $1";
        let left: i64 = sqlx::query_scalar(left).bind(tenant.as_str()).fetch_one(world.db.admin()).await?;
        assert_eq!(left, 0);
        Ok(())
    })
}

#[test]
fn people_are_reminded_while_a_job_waits_and_not_while_it_is_deferred() -> Result<()> {
    run(async {
        let settings =
            Settings::default().set("approvals.reminder_period_ms", 1000).set("tasks.decision_reminders_period_ms", 50);
        let world = World::with(settings).await?;
        let tenant = tenant();
        let (alice, owner) = (world.user("alice", &tenant), owner(&world, &tenant));
        let job_id = alice.submit_job(dangerous()).await?.job_id;
        let reminders = async |job_id: &str| -> Result<Vec<(i64, Vec<u8>)>> {
            let statement = "SELECT key_seq, event_payload FROM jobs.outbox WHERE ordering_key = $1 ORDER BY position";
            let key = format!("reminder:{job_id}");
            Ok(sqlx::query_as(statement).bind(key).fetch_all(world.db.admin()).await?)
        };
        let two = eventually(|| async { reminders(&job_id).await.ok().filter(|reminders| reminders.len() >= 2) }, SOON)
            .await?;
        owner.decide_job(decide(&job_id, Decision::Defer)).await?;
        let before = reminders(&job_id).await?.len();
        // Another job's reminders tell the time.
        let other = alice.submit_job(dangerous()).await?.job_id;
        eventually(|| async { reminders(&other).await.ok().filter(|reminders| reminders.len() >= 2) }, SOON).await?;
        assert_eq!(reminders(&job_id).await?.len(), before, "deferred");
        let envelope = holdfast_events::decode(&two[1].1)?;
        assert_eq!((envelope.event_name.as_str(), envelope.key_seq, two[1].0), ("hitl.reminder.sent", 2, 2));
        assert_eq!(envelope.job_id, job_id);
        let said: holdfast_proto::events::v1::HitlReminderSent = holdfast_events::unpack(&envelope)?;
        assert!(said.decide_by.is_some() && said.waiting_since.is_some());
        Ok(())
    })
}

async fn waits(world: &World, tenant: &holdfast_ids::TenantId) -> Result<Vec<String>> {
    let statement = "SELECT job_id::text FROM jobs.job_waits WHERE tenant_id = $1 ORDER BY job_id";
    Ok(sqlx::query_scalar(statement).bind(tenant.as_str()).fetch_all(world.db.admin()).await?)
}

/// However a job of tier C ends, nothing is left of the time that people had for it.
#[test]
fn the_time_of_people_goes_with_the_job_whatever_ends_it() -> Result<()> {
    run(async {
        let world = World::with(Settings::default()).await?;
        let tenant = tenant();
        let (alice, owner) = (world.user("alice", &tenant), owner(&world, &tenant));
        let worker = world.worker("worker-1", &tenant);
        let approved = async || -> Result<String> {
            let job_id = alice.submit_job(dangerous()).await?.job_id;
            owner.decide_job(decide(&job_id, Decision::Approve)).await?;
            Ok(job_id)
        };
        let done = approved().await?;
        let leased = worker.lease_jobs(lease_waiting(1)).await?.jobs.remove(0);
        worker.complete_job(complete(&leased, json("1"))).await?;
        let failed = approved().await?;
        let leased = worker.lease_jobs(lease_waiting(1)).await?.jobs.remove(0);
        worker.fail_job(fail(&leased, false)).await?;
        let overrun = approved().await?;
        worker.lease_jobs(lease_waiting(1)).await?;
        rows::use_up_run_budget(world.db.admin(), &overrun).await?;
        let cancelled = approved().await?;
        alice.cancel_job(cancel(&cancelled)).await?;
        let sent_back = alice.submit_job(dangerous()).await?.job_id;
        owner.decide_job(decide(&sent_back, Decision::RequestChanges)).await?;
        alice.cancel_job(cancel(&sent_back)).await?;
        let rejected = alice.submit_job(dangerous()).await?.job_id;
        owner.decide_job(decide(&rejected, Decision::Reject)).await?;
        let undecided = alice.submit_job(dangerous().intent("short.decision")).await?.job_id;
        let on = Some(pb::dependency::On::JobId(alice.submit_job(dangerous()).await?.job_id));
        let dependencies = vec![pb::Dependency { on: on.clone(), on_failure: pb::OnFailure::Cancel.into() }];
        let dependent = alice.submit_job(pb::SubmitJobRequest { dependencies, ..dangerous() }).await?.job_id;
        let Some(pb::dependency::On::JobId(first)) = on else { unreachable!("made above") };
        owner.decide_job(decide(&first, Decision::Reject)).await?;
        for (job_id, state) in [
            (done, JobState::Done),
            (failed, JobState::Failed),
            (overrun, JobState::TimedOut),
            (cancelled, JobState::Cancelled),
            (sent_back, JobState::Cancelled),
            (rejected, JobState::Rejected),
            (undecided, JobState::TimedOut),
            (first, JobState::Rejected),
            (dependent, JobState::Cancelled),
        ] {
            assert_eq!(settled(&alice, &job_id).await?.state(), state);
        }
        assert_eq!(waits(&world, &tenant).await?, [""; 0]);
        Ok(())
    })
}
