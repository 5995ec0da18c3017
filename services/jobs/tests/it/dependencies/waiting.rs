//! What is blocked, until when, and how it goes on.

use anyhow::Result;
use chrono::{TimeDelta, Utc};
use holdfast_caller::Role;
use holdfast_caller::issuer::TokenSpec;
use pb::{Decision, JobState, OnFailure, RiskTier};

use super::{after, comes_to, done, held, on, submitted};
use crate::support::*;

#[test]
fn a_job_waits_until_all_it_depends_on_is_done() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let first = submitted(&alice, job()).await?;
        let second = submitted(&alice, job()).await?;
        let answer = alice.submit_job(after([&second, &first])).await?;
        assert_eq!(answer.state(), JobState::Blocked);
        let seen = alice.job(&answer.job_id).await?;
        let named = [&first, &second].map(|job_id| on(job_id, OnFailure::Block));
        assert_eq!((seen.state(), &seen.dependencies[..]), (JobState::Blocked, &named[..]));
        assert_eq!(seen.blocked_by, [first.as_str(), second.as_str()]);
        let listed = alice.list_jobs(pb::ListJobsRequest { states: vec![JobState::Blocked.into()], ..list() }).await?;
        assert_eq!(listed.jobs.len(), 1);
        assert_eq!(listed.jobs[0].blocked_by, seen.blocked_by);

        done(&worker, &first).await?;
        let one_is_left =
            || async { alice.job(&answer.job_id).await.is_ok_and(|seen| seen.blocked_by == [second.as_str()]) };
        eventually(one_is_left, SOON).await?;
        // What is final is not looked at again and again.
        let open = || async { rows::of_tenant(world.db.admin(), "job_dependencies", &tenant).await };
        eventually(|| async { open().await.is_ok_and(|rows| rows == 1) }, SOON).await?;
        done(&worker, &second).await?;
        let seen = comes_to(&alice, &answer.job_id, JobState::Queued).await?;
        assert_eq!((seen.blocked_by.len(), seen.dependencies.len()), (0, 2));
        done(&worker, &answer.job_id).await?;

        let history = alice.history(&answer.job_id).await?;
        let states: Vec<_> = history.iter().map(|event| (event.from_state(), event.to_state())).collect();
        use JobState::{Blocked, Done, Queued, Running, Unspecified};
        assert_eq!(states, [(Unspecified, Blocked), (Blocked, Queued), (Queued, Running), (Running, Done)]);
        assert_eq!(history[1].actor_id, "system:dependencies");
        let left = rows::of_tenant(world.db.admin(), "job_dependencies", &tenant).await?;
        assert_eq!((left, rows::of_tenant(world.db.admin(), "job_settlements", &tenant).await?), (0, 0));
        Ok(())
    })
}

#[test]
fn what_is_done_already_does_not_block() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let first = submitted(&alice, job()).await?;
        done(&worker, &first).await?;
        let answer = alice.submit_job(after([&first])).await?;
        assert_eq!(answer.state(), JobState::Queued);
        assert_eq!(alice.job(&answer.job_id).await?.dependencies, [on(&first, OnFailure::Block)]);
        done(&worker, &answer.job_id).await
    })
}

#[test]
fn people_are_asked_once_nothing_else_is_in_the_way() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let olga = world.caller(TokenSpec::user(actor("olga"), tenant.clone(), Role::Owner));
        let first = submitted(&alice, job()).await?;
        let second = submitted(&alice, after([&first]).tier(RiskTier::C)).await?;
        let decide = pb::DecideJobRequest {
            job_id: second.clone(),
            decision: Decision::Approve.into(),
            idempotency_key: fresh_key(),
            ..Default::default()
        };
        refused(olga.decide_job(decide.clone()).await, Reason::Req422InvalidState);
        assert_eq!(alice.job(&second).await?.decide_by, None);
        done(&worker, &first).await?;
        let seen = comes_to(&alice, &second, JobState::WaitingHumanDecision).await?;
        // The two hours of tier C begin now.
        assert!(at(seen.decide_by) > Utc::now() + TimeDelta::minutes(118));
        olga.decide_job(decide).await?;
        done(&worker, &second).await
    })
}

#[test]
fn the_time_to_run_after_still_counts() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let first = submitted(&alice, job()).await?;
        let second = submitted(&alice, after([&first]).not_before(Utc::now() + TimeDelta::hours(1))).await?;
        done(&worker, &first).await?;
        comes_to(&alice, &second, JobState::Queued).await?;
        assert!(worker.lease_jobs(lease(1)).await?.jobs.is_empty());
        assert_eq!(rows::of_tenant(world.db.admin(), "job_delayed", &tenant).await?, 1);
        Ok(())
    })
}

#[test]
fn a_blocked_job_can_be_cancelled_and_those_behind_it_wait_for_it() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let first = submitted(&alice, job()).await?;
        let second = submitted(&alice, after([&first])).await?;
        let third = pb::SubmitJobRequest { dependencies: vec![on(&second, OnFailure::Run)], ..job() };
        let third = submitted(&alice, third).await?;
        assert_eq!(alice.job(&third).await?.state(), JobState::Blocked);
        alice.cancel_job(cancel(&second)).await?;
        comes_to(&alice, &third, JobState::Queued).await?;
        let leased = [held(&worker, &first).await?, held(&worker, &third).await?];
        for leased in leased {
            worker.complete_job(complete(&leased, json("1"))).await?;
        }
        assert_eq!(alice.job(&second).await?.state(), JobState::Cancelled);
        assert_eq!(rows::of_tenant(world.db.admin(), "job_dependencies", &tenant).await?, 0);
        Ok(())
    })
}

#[test]
fn what_stays_blocked_ends_at_its_maximum_age() -> Result<()> {
    run(async {
        let settings = Settings::default().set("limits.max_age_ms", 1500).set("tasks.max_age_period_ms", 50);
        let world = World::with(settings).await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let first = submitted(&alice, job()).await?;
        let _running = held(&worker, &first).await?;
        for tier in [RiskTier::A, RiskTier::C] {
            let blocked = submitted(&alice, after([&first]).tier(tier)).await?;
            let seen = comes_to(&alice, &blocked, JobState::TimedOut).await?;
            assert_eq!(seen.timed_out_clock, "age", "{tier:?}");
        }
        assert_eq!(rows::of_tenant(world.db.admin(), "job_dependencies", &tenant).await?, 0);
        assert_eq!(rows::of_tenant(world.db.admin(), "job_waits", &tenant).await?, 0);
        Ok(())
    })
}

#[test]
fn blocked_jobs_count_into_the_depth_of_their_queue() -> Result<()> {
    run(async {
        let world =
            World::with(Settings::default().set("limits.project_depth_hard", 3).set("limits.project_depth_soft", 3))
                .await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let first = submitted(&alice, job()).await?;
        for _ in 0..2 {
            submitted(&alice, after([&first])).await?;
        }
        refused(alice.submit_job(after([&first])).await, Reason::Job503QueueUnavailable);
        done(&worker, &first).await?;
        submitted(&alice, job()).await?;
        Ok(())
    })
}
