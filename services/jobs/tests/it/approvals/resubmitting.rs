//! ResubmitJob: a final state is final, so recovery is a new job that names the old one.

use anyhow::Result;
use pb::JobState;

use super::{dangerous, decide, owner};
use crate::support::*;

fn resubmit(job_id: &str, key: &str) -> pb::ResubmitJobRequest {
    pb::ResubmitJobRequest { job_id: job_id.to_owned(), idempotency_key: key.to_owned() }
}

#[test]
fn a_job_that_has_ended_is_done_anew() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let request = job().priority(7).attempts_at_most(2).payload(json("{\"n\":1}"));
        let old = alice.submit_job(request.clone()).await?.job_id;
        refused(alice.resubmit_job(resubmit(&old, "again")).await, Reason::Req422InvalidState);
        let leased = worker.lease_jobs(lease_waiting(1)).await?.jobs.remove(0);
        worker.fail_job(fail(&leased, false)).await?;

        let anew = alice.resubmit_job(resubmit(&old, "again")).await?.job.expect("the new job");
        assert!(anew.job_id != old && !anew.replayed);
        let seen = alice.job(&anew.job_id).await?;
        assert_eq!((seen.resubmits.as_str(), seen.priority, seen.max_attempts), (old.as_str(), 7, 2));
        assert_eq!((seen.state(), seen.payload), (JobState::Queued, request.payload.clone()));
        assert_eq!(alice.job(&old).await?.state(), JobState::Failed, "the old one is as it was");

        let again = alice.resubmit_job(resubmit(&old, "again")).await?.job.expect("the new job");
        assert_eq!((again.job_id.as_str(), again.replayed), (anew.job_id.as_str(), true));
        // The key is an ordinary one: a submission with the same payload that resubmits nothing is another.
        refused(alice.submit_job(request.key("again")).await, Reason::Job409IdempotencyConflict);
        Ok(())
    })
}

#[test]
fn a_rejected_job_that_is_resubmitted_waits_for_people_again() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let alice = world.user("alice", &tenant);
        let old = alice.submit_job(dangerous()).await?.job_id;
        owner(world, &tenant).decide_job(decide(&old, pb::Decision::Reject)).await?;
        let anew = alice.resubmit_job(resubmit(&old, "again")).await?.job.expect("the new job");
        assert_eq!(anew.state(), JobState::WaitingHumanDecision);
        Ok(())
    })
}

#[test]
fn a_child_whose_parent_is_out_of_reach_is_done_anew_all_the_same() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let (alice, owner) = (world.user("alice", &tenant), owner(world, &tenant));
        let parent = alice.submit_job(job()).await?.job_id;
        let child = pb::SubmitJobRequest { parent_job_id: parent.clone(), ..job().project("beta") };
        let old = alice.submit_job(child).await?.job_id;
        owner.decide_job(decide(&old, pb::Decision::Reject)).await?;
        let beta = holdfast_ids::ProjectId::parse("beta")?;
        let of_beta = world.caller(user("alice", &tenant).projects([beta]));
        let anew = of_beta.resubmit_job(resubmit(&old, "again")).await?.job.expect("the new job");
        let seen = of_beta.job(&anew.job_id).await?;
        assert_eq!(
            (seen.parent_job_id.as_str(), seen.depth, seen.state()),
            (parent.as_str(), 1, JobState::WaitingHumanDecision)
        );
        Ok(())
    })
}
