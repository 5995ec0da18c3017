//! Records are never changed: a correction is a further record.

use anyhow::Result;
use pb::{Decision, JobState};

use super::{correct, dangerous, decide, owner};
use crate::support::*;

async fn approvals(api: &Api, job_id: &str) -> Result<Vec<pb::Approval>> {
    Ok(api.list_approvals(pb::ListApprovalsRequest { job_id: job_id.to_owned() }).await?.approvals)
}

#[test]
fn an_approval_is_taken_back_until_the_job_runs() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let (alice, owner) = (world.user("alice", &tenant), owner(world, &tenant));
        let worker = world.worker("worker-1", &tenant);
        let job_id = alice.submit_job(dangerous()).await?.job_id;
        let first = owner.decide_job(decide(&job_id, Decision::Approve)).await?.approval.expect("the record");
        let corrected = owner.decide_job(correct(&first, Decision::Reject)).await?;
        assert_eq!(corrected.job.expect("the job").state(), JobState::Rejected);
        let second = corrected.approval.expect("the record");
        assert_eq!((second.number, second.corrects.as_str()), (2, first.approval_id.as_str()));
        assert_eq!(approvals(&alice, &job_id).await?, [first, second], "both stand");
        assert!(worker.lease_jobs(lease(1)).await?.jobs.is_empty());

        let job_id = alice.submit_job(dangerous()).await?.job_id;
        let first = owner.decide_job(decide(&job_id, Decision::Approve)).await?.approval.expect("the record");
        worker.lease_jobs(lease_waiting(1)).await?;
        refused(owner.decide_job(correct(&first, Decision::Reject)).await, Reason::Req422InvalidState);
        assert_eq!(alice.job(&job_id).await?.state(), JobState::Running);
        Ok(())
    })
}

#[test]
fn a_released_job_has_run_and_its_approval_stands() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let (alice, owner) = (world.user("alice", &tenant), owner(world, &tenant));
        let worker = world.worker("worker-1", &tenant);
        let job_id = alice.submit_job(dangerous()).await?.job_id;
        let first = owner.decide_job(decide(&job_id, Decision::Approve)).await?.approval.expect("the record");
        let mut session = worker.session(hello(1)).await?;
        let leased = session.leased().await?;
        let release = leased.lease.into_iter().collect();
        session.say(pb::work_request::Message::Drain(pb::work_request::Drain { release })).await;
        eventually(|| async { alice.job(&job_id).await.ok().filter(|job| job.state() == JobState::Queued) }, SOON)
            .await?;
        refused(owner.decide_job(correct(&first, Decision::Reject)).await, Reason::Req422InvalidState);
        Ok(())
    })
}

#[test]
fn a_reason_is_corrected_at_any_time_and_moves_nothing() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let (alice, owner) = (world.user("alice", &tenant), owner(world, &tenant));
        let job_id = alice.submit_job(dangerous()).await?.job_id;
        let first = owner.decide_job(decide(&job_id, Decision::Reject)).await?.approval.expect("the record");
        let request = pb::DecideJobRequest { reason: "see ticket 12".to_owned(), ..correct(&first, Decision::Reject) };
        let corrected = owner.decide_job(request.clone()).await?;
        let (seen, second) = (corrected.job.expect("the job"), corrected.approval.expect("the record"));
        assert_eq!((seen.state(), seen.seq, second.reason.as_str()), (JobState::Rejected, 2, "see ticket 12"));
        assert!(owner.decide_job(request).await?.replayed);
        // Only the latest can be corrected, and what took effect cannot be undone.
        refused(owner.decide_job(correct(&first, Decision::Reject)).await, Reason::Req422InvalidState);
        refused(owner.decide_job(correct(&second, Decision::Approve)).await, Reason::Req422InvalidState);
        Ok(())
    })
}

#[test]
fn a_deferral_is_corrected_like_a_follow_up() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let (alice, owner) = (world.user("alice", &tenant), owner(world, &tenant));
        let job_id = alice.submit_job(dangerous()).await?.job_id;
        let first = owner.decide_job(decide(&job_id, Decision::Defer)).await?.approval.expect("the record");
        let corrected = owner.decide_job(correct(&first, Decision::Approve)).await?;
        assert_eq!(corrected.job.expect("the job").state(), JobState::Queued);
        Ok(())
    })
}

#[test]
fn records_do_not_grow_for_ever() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let (alice, owner) = (world.user("alice", &tenant), owner(world, &tenant));
        let job_id = alice.submit_job(dangerous()).await?.job_id;
        let mut latest = owner.decide_job(decide(&job_id, Decision::Reject)).await?.approval.expect("the record");
        for number in 2..=100 {
            latest = owner.decide_job(correct(&latest, Decision::Reject)).await?.approval.expect("the record");
            assert_eq!(latest.number, number);
        }
        refused(owner.decide_job(correct(&latest, Decision::Reject)).await, Reason::Req422InvalidState);
        refused(owner.decide_job(decide(&job_id, Decision::Reject)).await, Reason::Req422InvalidState);
        assert_eq!(approvals(&alice, &job_id).await?.len(), 100);
        Ok(())
    })
}
