//! Where an intent asks for it, a job that nobody takes in time is ended.

use anyhow::{Context as _, Result};
use pb::{JobState, QueueTimeoutReaction};

use super::*;

#[test]
fn a_job_is_timed_out_where_its_intent_asks_for_it() -> Result<()> {
    run(async {
        let world = World::with(lively()).await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let job_id = submitted(&alice, job().intent(IMPATIENT)).await?;
        let seen = is_timed_out(&alice, &job_id).await?;
        assert_eq!((seen.timed_out_clock.as_str(), seen.seq, seen.queue_clock), ("queue", 2, None));
        assert!(at(seen.finished_at) - at(seen.created_at) >= chrono::TimeDelta::seconds(1));
        let last = alice.history(&job_id).await?.pop().context("a history")?;
        assert_eq!((last.from_state(), last.actor_id.as_str()), (JobState::Queued, "system:queue_clock"));
        assert_eq!(last.detail, "queue budget of 1000 ms used up");
        let event = rows::events(world.db.admin(), &job_id).await?.pop().context("an event")?;
        let said: holdfast_proto::events::v1::JobTimedOut = holdfast_events::unpack(&event)?;
        assert_eq!((event.event_name.as_str(), said.clock.as_str()), ("job.timed_out", "queue"));
        assert_eq!(told(&world, &job_id).await?, [], "its end says it");
        assert!(worker.lease_jobs(lease(1)).await?.jobs.is_empty());
        for table in ["job_queue", "job_delayed"] {
            assert_eq!(rows::of_tenant(world.db.admin(), table, &tenant).await?, 0, "{table}");
        }
        let cleared = || async {
            rows::of_tenant(world.db.admin(), "job_queue_clock", &tenant).await.is_ok_and(|rows| rows == 0)
        };
        eventually(cleared, SOON).await?;
        Ok(())
    })
}

/// What a project says goes before configuration, also for jobs that wait already and were told of.
#[test]
fn a_project_sets_the_budget_and_what_comes_of_it() -> Result<()> {
    run(async {
        let world = World::with(lively()).await?;
        let tenant = tenant();
        let (alice, olga) = (world.user("alice", &tenant), world.owner("olga", &tenant));
        let waiting = submitted(&alice, job()).await?;
        let elsewhere = submitted(&alice, job().project("beta")).await?;
        let patient = submitted(&alice, job().intent(IMPATIENT)).await?;
        let terms = |intent: &str, seconds, reaction: QueueTimeoutReaction| pb::IntentPolicy {
            intent: intent.to_owned(),
            queue_budget: Some(prost_types::Duration { seconds, nanos: 0 }),
            on_queue_timeout: reaction.into(),
            ..Default::default()
        };
        let hour = terms(IMPATIENT, 3600, QueueTimeoutReaction::Unspecified);
        let told_first = terms(INTENT, 1, QueueTimeoutReaction::Event);
        let settings = |first| pb::ProjectSettings { intents: vec![hour.clone(), first], ..Default::default() };
        olga.update_project(update(PROJECT, 0, settings(told_first))).await?;
        is_told(&world, &waiting).await?;
        assert_eq!(alice.job(&waiting).await?.state(), JobState::Queued);
        let ended = terms(INTENT, 1, QueueTimeoutReaction::TimeOut);
        olga.update_project(update(PROJECT, 1, settings(ended))).await?;
        assert_eq!(is_timed_out(&alice, &waiting).await?.timed_out_clock, "queue");
        counted(&world, &patient, 2 * BUDGET_MS).await?;
        looked_again(&world, &patient).await?;
        for job_id in [&elsewhere, &patient] {
            assert_eq!(alice.job(job_id).await?.state(), JobState::Queued, "{job_id}");
            assert_eq!(told(&world, job_id).await?, []);
        }
        Ok(())
    })
}

/// A job that is tried again is ended by its queue like any other, and by its back-off never.
#[test]
fn a_retried_job_that_nobody_takes_is_timed_out() -> Result<()> {
    run(async {
        let retried = r#"
            [[intents]]
            name = "impatient.retry"
            queue_budget_ms = 1000
            on_queue_timeout = "time_out"
            retry_initial_ms = 1
            retry_cap_ms = 1

            [[intents]]
            name = "impatient.slow.retry"
            queue_budget_ms = 1000
            on_queue_timeout = "time_out"
            retry_initial_ms = 3600000
            retry_cap_ms = 3600000
            retry_window_ms = 36000000
        "#;
        let world = World::with(lively().with(retried)).await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let mut jobs = Vec::new();
        for intent in ["impatient.slow.retry", "impatient.retry"] {
            jobs.push(submitted(&alice, job().intent(intent)).await?);
            let leased = worker.lease_jobs(lease_waiting(1)).await?.jobs.remove(0);
            worker.fail_job(fail(&leased, true)).await?;
        }
        let seen = is_timed_out(&alice, &jobs[1]).await?;
        assert_eq!((seen.timed_out_clock.as_str(), seen.attempt), ("queue", 1));
        let last = alice.history(&jobs[1]).await?.pop().context("a history")?;
        assert_eq!(last.from_state(), JobState::Retrying);
        assert_eq!(alice.job(&jobs[0]).await?.state(), JobState::Retrying);
        assert!(clock(&world, &jobs[0]).await? < Some(BUDGET_MS), "a back-off is not on this clock");
        Ok(())
    })
}
