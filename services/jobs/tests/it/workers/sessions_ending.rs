//! How a session ends, and that its leases survive it.

use std::time::Duration;

use anyhow::Result;
use pb::JobState;
use pb::work_request::Message as In;
use pb::work_response::Message as Out;
use pb::work_response::answered::Outcome;

use crate::support::*;

#[test]
fn the_session_ends_when_its_token_expires_and_its_leases_stay() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let (alice, worker_again) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let job_id = alice.submit_job(job()).await?.job_id;
        // Whole seconds in a token: two are at least one.
        let short_lived = world.caller(worker("worker-1", &tenant).lifetime(Duration::from_secs(2)));
        let mut session = short_lived.session(hello(1)).await?;
        let leased = session.leased().await?;
        let end = refused(Err::<(), _>(session.end().await), Reason::Auth401InvalidToken);
        assert_eq!(end.metadata.get("cause").map(String::as_str), Some("token_expired"), "{end:?}");
        assert_eq!(alice.job(&job_id).await?.state(), JobState::Running);

        let held = leased.lease.clone().into_iter().collect();
        let mut session = worker_again.session(pb::work_request::Hello { held, ..hello(1) }).await?;
        session.complete(&leased).await;
        assert!(matches!(session.answered().await?.outcome, Some(Outcome::Completed(_))));
        Ok(())
    })
}

#[test]
fn an_instance_that_stops_lets_its_workers_finish() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let stopping = world.another_instance().await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant).over(&stopping));
        let job_id = alice.submit_job(job()).await?.job_id;
        let mut session = worker.session(hello(2)).await?;
        let leased = session.leased().await?;
        stopping.process.signal(holdfast_testkit::Signal::SIGTERM)?;
        match session.next().await? {
            Out::Draining(draining) => assert!(draining.until.is_some()),
            unexpected => panic!("not told that the instance stops: {unexpected:?}"),
        }
        session.complete(&leased).await;
        assert!(matches!(session.answered().await?.outcome, Some(Outcome::Completed(_))));
        refused(Err::<(), _>(session.end().await), Reason::Infra503Draining);
        let status = stopping.process.wait(SOON).await?;
        assert!(status.success(), "{status}: {}", stopping.process.log());
        assert_eq!(alice.job(&job_id).await?.state(), JobState::Done);
        Ok(())
    })
}

#[test]
fn what_is_not_finished_by_the_end_of_the_drain_survives_in_the_database() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let stopping = world.another_instance_with(&world.settings().clone().set("grpc.drain_timeout_ms", 500)).await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let job_id = alice.submit_job(job()).await?.job_id;
        let mut session = worker.over(&stopping).session(hello(1)).await?;
        let leased = session.leased().await?;
        stopping.process.signal(holdfast_testkit::Signal::SIGTERM)?;
        refused(Err::<(), _>(session.end().await), Reason::Infra503Draining);
        assert!(stopping.process.wait(SOON).await?.success());
        assert_eq!(alice.job(&job_id).await?.state(), JobState::Running);
        worker.complete_job(complete(&leased, json("1"))).await?;
        Ok(())
    })
}

#[test]
fn a_session_begins_with_a_hello() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let worker = world.worker("worker-1", &tenant());
        let mut session = worker.session(hello(1)).await?;
        session.say(In::Hello(hello(1))).await;
        assert_eq!(fields(&refused(Err::<(), _>(session.end().await), Reason::Req400InvalidSchema)), ["hello"]);
        Ok(())
    })
}

#[test]
fn a_worker_that_leaves_in_good_order_is_answered_to_the_end() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let job_id = alice.submit_job(job()).await?.job_id;
        let mut session = worker.session(hello(1)).await?;
        let leased = session.leased().await?;
        session.complete(&leased).await;
        session.leave().await?;
        assert_eq!(alice.job(&job_id).await?.state(), JobState::Done);
        Ok(())
    })
}
