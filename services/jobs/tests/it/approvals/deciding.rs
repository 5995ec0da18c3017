//! Who decides, what each decision does, and how decisions are repeated.

use anyhow::Result;
use holdfast_caller::Role;
use pb::{Decision, JobState};

use super::{as_role, dangerous, decide, owner};
use crate::support::*;

#[test]
fn nothing_of_tier_c_runs_before_it_is_approved() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        // One that waits must not have it either: this one is leased in the transaction of its submission.
        let mut session = worker.session(hello(5)).await?;
        let request = dangerous();
        let submitted = alice.submit_job(request.clone()).await?;
        assert_eq!(submitted.state(), JobState::WaitingHumanDecision);
        assert_eq!(alice.submit_job(request).await?.state(), JobState::WaitingHumanDecision, "replayed");
        let seen = alice.job(&submitted.job_id).await?;
        let budget = at(seen.decide_by) - at(seen.created_at);
        assert_eq!(budget, chrono::TimeDelta::hours(2));
        // What came later is leased; the waiting one is not.
        let harmless = alice.submit_job(job()).await?.job_id;
        assert_eq!(id_of(&session.leased().await?), harmless);

        let decided = owner(world, &tenant).decide_job(decide(&submitted.job_id, Decision::Approve)).await?;
        let (seen, approval) = (decided.job.expect("the job"), decided.approval.expect("the record"));
        assert!(!decided.replayed && seen.decide_by.is_none());
        assert_eq!(seen.state(), JobState::Queued);
        assert_eq!((approval.number, approval.decision()), (1, Decision::Approve));
        assert_eq!((approval.actor_id.as_str(), approval.role.as_str()), ("olga", "owner"));
        let leased = session.leased().await?;
        assert_eq!(id_of(&leased), submitted.job_id);
        session.complete(&leased).await;
        session.answered().await?;
        let history = alice.history(&submitted.job_id).await?;
        let states: Vec<JobState> = history.iter().map(|event| event.to_state()).collect();
        assert_eq!(states, [JobState::WaitingHumanDecision, JobState::Queued, JobState::Running, JobState::Done]);
        assert_eq!((history[1].actor_id.as_str(), history[1].detail.as_str()), ("olga", "approve: as discussed"));
        assert_eq!(rows::of_tenant(world.db.admin(), "job_waits", &tenant).await?, 0);
        Ok(())
    })
}

#[test]
fn a_rejected_job_has_ended() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let (alice, owner) = (world.user("alice", &tenant), owner(world, &tenant));
        let job_id = alice.submit_job(dangerous()).await?.job_id;
        let seen = owner.decide_job(decide(&job_id, Decision::Reject)).await?.job.expect("the job");
        assert_eq!(seen.state(), JobState::Rejected);
        assert!(seen.finished_at.is_some());
        refused(alice.cancel_job(cancel(&job_id)).await, Reason::Job409AlreadyTerminal);
        Ok(())
    })
}

#[test]
fn a_job_that_waits_for_people_is_rejected_and_not_cancelled() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let (alice, owner) = (world.user("alice", &tenant), owner(world, &tenant));
        let job_id = alice.submit_job(dangerous()).await?.job_id;
        refused(alice.cancel_job(cancel(&job_id)).await, Reason::Job422NotCancellable);
        owner.decide_job(decide(&job_id, Decision::Defer)).await?;
        refused(alice.cancel_job(cancel(&job_id)).await, Reason::Job422NotCancellable);
        owner.decide_job(decide(&job_id, Decision::RequestChanges)).await?;
        assert_eq!(alice.job(&job_id).await?.state(), JobState::ChangesRequested);
        let cancelled = alice.cancel_job(cancel(&job_id)).await?.job.expect("the job");
        assert_eq!(cancelled.state(), JobState::Cancelled);
        Ok(())
    })
}

#[test]
fn a_deferred_job_is_followed_up_and_not_deferred_again() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let (alice, owner) = (world.user("alice", &tenant), owner(world, &tenant));
        let job_id = alice.submit_job(dangerous()).await?.job_id;
        let waiting = alice.job(&job_id).await?;
        let deferred = owner.decide_job(decide(&job_id, Decision::Defer)).await?.job.expect("the job");
        assert_eq!((deferred.state(), deferred.decide_by), (JobState::Deferred, waiting.decide_by), "one clock");
        refused(owner.decide_job(decide(&job_id, Decision::Defer)).await, Reason::Req422InvalidState);
        let approved = owner.decide_job(decide(&job_id, Decision::Approve)).await?.job.expect("the job");
        assert_eq!(approved.state(), JobState::Queued);
        let states: Vec<JobState> = alice.history(&job_id).await?.iter().map(|event| event.to_state()).collect();
        assert_eq!(
            states,
            [JobState::WaitingHumanDecision, JobState::Deferred, JobState::WaitingHumanDecision, JobState::Queued]
        );
        Ok(())
    })
}

#[test]
fn decisions_are_for_approvers() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let alice = world.user("alice", &tenant);
        let project_job = alice.submit_job(dangerous()).await?.job_id;
        let infra_job = alice.submit_job(dangerous().infra()).await?.job_id;
        for role in [Role::Admin, Role::ProjectMaintainer] {
            let caller = as_role(world, "paul", &tenant, role);
            for job_id in [&project_job, &infra_job] {
                refused(caller.decide_job(decide(job_id, Decision::Approve)).await, Reason::Approval403NotApprover);
            }
        }
        let infra = as_role(world, "ines", &tenant, Role::InfraApprover);
        refused(infra.decide_job(decide(&project_job, Decision::Approve)).await, Reason::Approval403NotApprover);
        let approval = infra.decide_job(decide(&infra_job, Decision::Approve)).await?.approval.expect("the record");
        assert_eq!(approval.role, "infra-approver");
        let viewer = as_role(world, "vera", &tenant, Role::Viewer);
        refused(viewer.decide_job(decide(&project_job, Decision::Approve)).await, Reason::Auth403Role);
        let machine = world.service("gateway", &tenant);
        refused(machine.decide_job(decide(&project_job, Decision::Approve)).await, Reason::Auth403Role);
        assert_eq!(alice.job(&project_job).await?.state(), JobState::WaitingHumanDecision);
        Ok(())
    })
}

#[test]
fn in_production_infra_approvers_decide_about_every_job() -> Result<()> {
    run(async {
        let world = World::with(Settings::default().set("approvals.production", true)).await?;
        let tenant = tenant();
        let job_id = world.user("alice", &tenant).submit_job(dangerous()).await?.job_id;
        let infra = as_role(&world, "ines", &tenant, Role::InfraApprover);
        let seen = infra.decide_job(decide(&job_id, Decision::Approve)).await?.job.expect("the job");
        assert_eq!(seen.state(), JobState::Queued);
        Ok(())
    })
}

#[test]
fn a_repeated_decision_is_answered_the_same_and_another_is_a_conflict() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let (alice, olga) = (world.user("alice", &tenant), owner(world, &tenant));
        let oscar = as_role(world, "oscar", &tenant, Role::Owner);
        let job_id = alice.submit_job(dangerous()).await?.job_id;
        let request = decide(&job_id, Decision::Approve);
        let first = olga.decide_job(request.clone()).await?;
        let again = olga.decide_job(request.clone()).await?;
        assert_eq!((again.replayed, &again.approval), (true, &first.approval));
        let other = pb::DecideJobRequest { reason: "on second thoughts".to_owned(), ..request.clone() };
        refused(olga.decide_job(other).await, Reason::Job409IdempotencyConflict);
        // The same decision of somebody else is recorded beside the first, and moves nothing.
        let agreeing = decide(&job_id, Decision::Approve);
        let agreed = oscar.decide_job(agreeing.clone()).await?;
        let (seen, second) = (agreed.job.expect("the job"), agreed.approval.expect("the record"));
        assert_eq!((agreed.replayed, second.number, seen.seq), (false, 2, 2));
        for decision in [Decision::Reject, Decision::RequestChanges, Decision::Defer] {
            refused(oscar.decide_job(decide(&job_id, decision)).await, Reason::Approval409DecisionConflict);
        }
        let listed = alice.list_approvals(pb::ListApprovalsRequest { job_id: job_id.clone() }).await?.approvals;
        assert_eq!(listed, first.approval.into_iter().chain([second.clone()]).collect::<Vec<_>>());
        // Whatever comes after it: its repetition decides nothing.
        olga.decide_job(super::correct(&second, Decision::Defer)).await?;
        let again = oscar.decide_job(agreeing).await?;
        assert_eq!((again.replayed, again.approval), (true, Some(second)));
        assert_eq!(alice.job(&job_id).await?.state(), JobState::Deferred);
        Ok(())
    })
}

#[test]
fn what_never_waited_is_not_decided_about() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let (alice, owner) = (world.user("alice", &tenant), owner(world, &tenant));
        let job_id = alice.submit_job(job()).await?.job_id;
        refused(owner.decide_job(decide(&job_id, Decision::Approve)).await, Reason::Req422InvalidState);
        alice.cancel_job(cancel(&job_id)).await?;
        refused(owner.decide_job(decide(&job_id, Decision::Approve)).await, Reason::Job409AlreadyTerminal);
        let nowhere = uuid::Uuid::now_v7().to_string();
        refused(owner.decide_job(decide(&nowhere, Decision::Approve)).await, Reason::Job404NotFound);
        Ok(())
    })
}

#[test]
fn whoever_is_told_no_is_told_why() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let (alice, owner) = (world.user("alice", &tenant), owner(world, &tenant));
        let job_id = alice.submit_job(dangerous()).await?.job_id;
        for decision in [Decision::Reject, Decision::RequestChanges, Decision::Defer] {
            let silent = pb::DecideJobRequest { reason: " ".to_owned(), ..decide(&job_id, decision) };
            assert_eq!(fields(&refused(owner.decide_job(silent).await, Reason::Req400MissingField)), ["reason"]);
        }
        let silent = pb::DecideJobRequest { reason: String::new(), ..decide(&job_id, Decision::Approve) };
        owner.decide_job(silent).await?;
        Ok(())
    })
}

#[test]
fn an_approved_job_waits_for_its_time() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let later = chrono::Utc::now() + chrono::TimeDelta::hours(1);
        let job_id = alice.submit_job(dangerous().not_before(later)).await?.job_id;
        owner(world, &tenant).decide_job(decide(&job_id, Decision::Approve)).await?;
        assert!(worker.lease_jobs(lease(1)).await?.jobs.is_empty());
        assert_eq!(rows::of_tenant(world.db.admin(), "job_delayed", &tenant).await?, 1);
        Ok(())
    })
}

#[test]
fn waiting_jobs_count_into_the_depth_of_their_queue_until_they_end() -> Result<()> {
    run(async {
        let settings = Settings::default().set("limits.project_depth_soft", 2).set("limits.project_depth_hard", 2);
        let world = World::with(settings).await?;
        let tenant = tenant();
        let (alice, owner) = (world.user("alice", &tenant), owner(&world, &tenant));
        let waiting = alice.submit_job(dangerous()).await?.job_id;
        let rejected = alice.submit_job(dangerous()).await?.job_id;
        refused(alice.submit_job(job()).await, Reason::Job503QueueUnavailable);
        owner.decide_job(decide(&rejected, Decision::Reject)).await?;
        alice.submit_job(job()).await?;
        // A decision is never refused for want of room.
        owner.decide_job(decide(&waiting, Decision::Approve)).await?;
        refused(alice.submit_job(job()).await, Reason::Job503QueueUnavailable);
        let worker = world.worker("worker-1", &tenant);
        assert_eq!(worker.lease_jobs(lease_waiting(10)).await?.jobs.len(), 2);
        alice.submit_job(job()).await?;
        alice.submit_job(job()).await?;
        refused(alice.submit_job(job()).await, Reason::Job503QueueUnavailable);
        Ok(())
    })
}
