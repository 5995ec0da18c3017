//! CancelJob: final at once, whatever the job was doing.

use anyhow::Result;
use pb::JobState;

use crate::support::*;

#[test]
fn a_queued_job_is_cancelled_and_never_leased() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let job_id = alice.submit_job(job().priority(9)).await?.job_id;
        let cancelled = alice.cancel_job(cancel(&job_id)).await?;
        let seen = cancelled.job.expect("the job is in the answer");
        assert_eq!((seen.state(), seen.seq, cancelled.replayed), (JobState::Cancelled, 2, false));
        assert!(seen.finished_at.is_some());

        let other = alice.submit_job(job()).await?.job_id;
        let leased = worker.lease_jobs(lease_waiting(10)).await?.jobs;
        assert_eq!(leased.iter().map(id_of).collect::<Vec<_>>(), [other]);
        let history = alice.history(&job_id).await?;
        assert_eq!((history[1].detail.as_str(), history[1].actor_id.as_str()), ("not needed", "alice"));
        Ok(())
    })
}

#[test]
fn a_running_jobs_lease_is_void_once_it_is_cancelled() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let job_id = alice.submit_job(job()).await?.job_id;
        let leased = worker.lease_jobs(lease_waiting(1)).await?.jobs.remove(0);
        alice.cancel_job(cancel(&job_id)).await?;

        refused(worker.complete_job(complete(&leased, json("1"))).await, Reason::Job409AlreadyTerminal);
        refused(worker.fail_job(fail(&leased, true)).await, Reason::Job409AlreadyTerminal);
        let extended = worker.extend_leases(extend(&leased)).await?.results.remove(0);
        match extended.outcome {
            Some(pb::lease_extension_result::Outcome::Error(status)) => {
                refused_item(&status, Reason::Job409AlreadyTerminal);
            }
            other => panic!("extended: {other:?}"),
        }
        let seen = alice.job(&job_id).await?;
        assert_eq!((seen.state(), seen.seq), (JobState::Cancelled, 3));
        assert!(seen.worker_id.is_empty() && seen.lease_expires_at.is_none() && seen.result.is_none());
        Ok(())
    })
}

#[test]
fn a_job_that_waits_for_its_back_off_is_cancelled() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let job_id = alice.submit_job(job().intent("slow.retry")).await?.job_id;
        let leased = worker.lease_jobs(lease_waiting(1)).await?.jobs.remove(0);
        assert_eq!(worker.fail_job(fail(&leased, true)).await?.state(), JobState::Retrying);
        let seen = alice.cancel_job(cancel(&job_id)).await?.job.expect("the job is in the answer");
        assert_eq!(seen.state(), JobState::Cancelled);
        assert!(seen.next_attempt_at.is_none());
        assert_eq!(rows::of_tenant(world.db.admin(), "job_delayed", &tenant).await?, 0);
        Ok(())
    })
}

#[test]
fn a_final_job_cannot_be_cancelled() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let job_id = alice.submit_job(job()).await?.job_id;
        let leased = worker.lease_jobs(lease_waiting(1)).await?.jobs.remove(0);
        worker.complete_job(complete(&leased, json("1"))).await?;
        refused(alice.cancel_job(cancel(&job_id)).await, Reason::Job409AlreadyTerminal);
        assert_eq!(alice.job(&job_id).await?.state(), JobState::Done);
        Ok(())
    })
}

#[test]
fn a_repeated_cancellation_is_answered_the_same() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let alice = world.user("alice", &tenant);
        let job_id = alice.submit_job(job()).await?.job_id;
        let request = cancel(&job_id);
        let first = alice.cancel_job(request.clone()).await?;
        let again = alice.cancel_job(request.clone()).await?;
        assert_eq!((&again.job, again.replayed), (&first.job, true));
        assert_eq!(alice.history(&job_id).await?.len(), 2);

        refused(alice.cancel_job(cancel(&job_id)).await, Reason::Job409AlreadyTerminal);
        let other_reason = pb::CancelJobRequest { reason: "another".to_owned(), ..request };
        refused(alice.cancel_job(other_reason).await, Reason::Job409AlreadyTerminal);
        Ok(())
    })
}

#[test]
fn concurrent_cancellations_and_completions_have_one_winner() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        for _ in 0..10 {
            let job_id = alice.submit_job(job()).await?.job_id;
            let leased = worker.lease_jobs(lease_waiting(1)).await?.jobs.remove(0);
            let (cancelled, completed) =
                tokio::join!(alice.cancel_job(cancel(&job_id)), worker.complete_job(complete(&leased, json("1"))));
            assert_ne!(cancelled.is_ok(), completed.is_ok(), "{cancelled:?} {completed:?}");
            let expected = if cancelled.is_ok() { JobState::Cancelled } else { JobState::Done };
            assert_eq!(alice.job(&job_id).await?.state(), expected);
            assert_eq!(alice.history(&job_id).await?.len(), 3);
        }
        Ok(())
    })
}

/// Two people's equal keys never meet.
#[test]
fn a_cancellation_is_repeated_by_its_own_actor_only() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let (alice, bob) = (world.user("alice", &tenant), world.user("bob", &tenant));
        for classification in [pb::Classification::Internal, pb::Classification::Sensitive] {
            let labelled = pb::SubmitJobRequest { classification: classification.into(), ..job() };
            let job_id = alice.submit_job(labelled).await?.job_id;
            let cancellation =
                pb::CancelJobRequest { reason: String::new(), idempotency_key: "1".to_owned(), ..cancel(&job_id) };
            assert!(!alice.cancel_job(cancellation.clone()).await?.replayed);
            refused(bob.cancel_job(cancellation.clone()).await, Reason::Job409AlreadyTerminal);
            assert!(alice.cancel_job(cancellation.clone()).await?.replayed);
            let other = pb::CancelJobRequest { reason: "another".to_owned(), ..cancellation };
            refused(alice.cancel_job(other).await, Reason::Job409AlreadyTerminal);
        }
        Ok(())
    })
}
