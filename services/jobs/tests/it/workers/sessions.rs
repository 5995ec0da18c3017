//! The Work stream: jobs are pushed, answered and taken back on one session.

use std::collections::BTreeSet;

use anyhow::Result;
use pb::JobState;
use pb::work_request::{Drain, Message as In};
use pb::work_response::Message as Out;
use pb::work_response::answered::Outcome;

use crate::support::*;

#[test]
fn jobs_are_pushed_up_to_the_capacity_and_after_each_answer_one_more() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        alice.batch_submit_jobs(batch((0..5).map(|_| job()))).await?;
        let mut session = worker.session(hello(2)).await?;
        assert!(session.welcome.lease_ttl.is_some() && session.welcome.heartbeat_interval.is_some());
        let mut held = vec![session.leased().await?, session.leased().await?];
        let mut seen: BTreeSet<String> = held.iter().map(id_of).collect();
        // A third would be on the way before the answer to this heartbeat.
        let leases = held.iter().map(|job| pb::LeaseExtension { lease: job.lease.clone(), progress: None }).collect();
        session.heartbeat(leases).await;
        assert!(matches!(session.next().await?, Out::Extended(extended) if extended.results.len() == 2));
        assert_eq!(rows::of_tenant(world.db.admin(), "job_leases", &tenant).await?, 2);

        while let Some(job) = held.pop() {
            session.complete(&job).await;
            let answered = session.answered().await?;
            assert_eq!(answered.lease, job.lease);
            assert!(matches!(answered.outcome, Some(Outcome::Completed(done)) if done.state() == JobState::Done));
            if seen.len() < 5 {
                let next = session.leased().await?;
                assert!(seen.insert(id_of(&next)), "leased twice");
                held.push(next);
            }
        }
        assert_eq!(seen.len(), 5);
        let done = pb::ListJobsRequest { states: vec![JobState::Done.into()], ..list() };
        assert_eq!(alice.list_jobs(done).await?.jobs.len(), 5);
        Ok(())
    })
}

#[test]
fn a_session_reports_progress_failures_and_refusals() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let job_id = alice.submit_job(job().intent("slow.retry")).await?.job_id;
        let mut session = worker.session(hello(1)).await?;
        let leased = session.leased().await?;
        let progress = pb::Progress { percent: 50, note: "half".to_owned() };
        session
            .heartbeat(vec![pb::LeaseExtension { lease: leased.lease.clone(), progress: Some(progress.clone()) }])
            .await;
        assert!(matches!(session.next().await?, Out::Extended(_)));
        assert_eq!(alice.job(&job_id).await?.progress, Some(progress));

        session.say(In::Fail(fail(&leased, true))).await;
        match session.answered().await?.outcome {
            Some(Outcome::Failed(failed)) => assert_eq!(failed.state(), JobState::Retrying),
            other => panic!("not a failure's answer: {other:?}"),
        }
        session.complete(&leased).await;
        match session.answered().await?.outcome {
            Some(Outcome::Error(status)) => refused_item(&status, Reason::Job409StaleFence),
            other => panic!("a second answer counted: {other:?}"),
        };
        assert_eq!(alice.job(&job_id).await?.state(), JobState::Retrying);
        Ok(())
    })
}

#[test]
fn a_drain_gives_jobs_back_at_no_cost_of_an_attempt() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        alice.batch_submit_jobs(batch([job(), job()])).await?;
        let mut session = worker.session(hello(2)).await?;
        let (kept, released) = (session.leased().await?, session.leased().await?);
        session.say(In::Drain(Drain { release: released.lease.clone().into_iter().collect() })).await;
        let answered = session.answered().await?;
        assert_eq!(
            (answered.lease, answered.outcome),
            (released.lease.clone(), Some(Outcome::Released(pb::work_response::Released {})))
        );
        let seen = alice.job(&id_of(&released)).await?;
        assert_eq!((seen.state(), seen.attempt), (JobState::Queued, 0));

        // No further jobs, but what is held can still be completed; then the session ends.
        alice.submit_job(job().priority(9)).await?;
        session.complete(&kept).await;
        assert!(matches!(session.next().await?, Out::Answered(answered) if answered.lease == kept.lease));
        assert_eq!(session.end().await.code(), tonic::Code::Ok, "what the worker asked for is no failure");

        let jobs: Vec<_> = worker.lease_jobs(lease_waiting(10)).await?.jobs;
        assert!(jobs.iter().all(|job| job.attempt == 1), "the released job's next attempt is its first");
        Ok(())
    })
}

#[test]
fn a_cancellation_is_pushed_to_the_worker_also_from_another_instance() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let other = world.another_instance().await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let mut session = worker.session(hello(1)).await?;
        for canceller in [alice.clone(), alice.over(&other)] {
            let job_id = alice.submit_job(job()).await?.job_id;
            let leased = session.leased().await?;
            assert_eq!(id_of(&leased), job_id);
            canceller.cancel_job(cancel(&job_id)).await?;
            match session.next().await? {
                Out::Revoked(revoked) => {
                    assert_eq!(revoked.lease, leased.lease);
                    refused_item(&revoked.cause.expect("a cause"), Reason::Job409AlreadyTerminal);
                }
                unexpected => panic!("not a revocation: {unexpected:?}"),
            }
        }
        // The room of the revoked jobs is free again.
        let job_id = alice.submit_job(job()).await?.job_id;
        assert_eq!(id_of(&session.leased().await?), job_id);
        Ok(())
    })
}

#[test]
fn a_broken_session_leaves_its_leases_and_the_next_takes_them_up() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let other = world.another_instance().await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        alice.batch_submit_jobs(batch([job(), job()])).await?;
        let mut broken = worker.session(hello(2)).await?;
        let (first, second) = (broken.leased().await?, broken.leased().await?);
        drop(broken);
        alice.cancel_job(cancel(&id_of(&second))).await?;
        let third = alice.submit_job(job()).await?.job_id;

        let held: Vec<_> = [&first, &second].into_iter().filter_map(|job| job.lease.clone()).collect();
        let again = pb::work_request::Hello { held: held.clone(), ..hello(2) };
        let mut session = worker.over(&other).session(again).await?;
        let told = &session.welcome.held;
        assert_eq!(told.iter().filter_map(|result| result.lease.clone()).collect::<Vec<_>>(), held);
        assert!(matches!(told[0].outcome, Some(pb::lease_extension_result::Outcome::LeaseExpiresAt(_))), "{told:?}");
        match &told[1].outcome {
            Some(pb::lease_extension_result::Outcome::Error(status)) => {
                refused_item(status, Reason::Job409AlreadyTerminal)
            }
            unexpected => panic!("a cancelled job's lease holds: {unexpected:?}"),
        };
        // One of two is held: there is room for exactly one more.
        assert_eq!(id_of(&session.leased().await?), third);
        session.complete(&first).await;
        assert!(matches!(session.answered().await?.outcome, Some(Outcome::Completed(_))));
        let seen = alice.job(&id_of(&first)).await?;
        assert_eq!((seen.state(), seen.attempt), (JobState::Done, 1));
        Ok(())
    })
}

#[test]
fn a_lease_that_ran_out_is_told_and_makes_room() -> Result<()> {
    run(async {
        let world = World::with(Settings::default().set("leases.ttl_ms", 1000)).await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let lost = alice.submit_job(job().intent("slow.retry")).await?.job_id;
        let mut session = worker.session(hello(1)).await?;
        assert_eq!(id_of(&session.leased().await?), lost);
        let next = alice.submit_job(job()).await?.job_id;
        match session.next().await? {
            Out::Revoked(revoked) => {
                refused_item(&revoked.cause.expect("a cause"), Reason::Job409StaleFence);
            }
            unexpected => panic!("not a revocation: {unexpected:?}"),
        }
        assert_eq!(id_of(&session.leased().await?), next);
        assert_eq!(alice.job(&lost).await?.state(), JobState::Retrying);
        Ok(())
    })
}
