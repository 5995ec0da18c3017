//! Whose answer counts: the holder's of the current lease, before it runs out, once.

use anyhow::Result;
use pb::JobState;

use crate::support::*;

/// A job whose first lease ran out and that another worker holds now.
struct Taken {
    job_id: String,
    stale: pb::LeasedJob,
    current: pb::LeasedJob,
}

async fn taken_over(world: &World, tenant: &holdfast_ids::TenantId) -> Result<Taken> {
    let (alice, worker) = (world.user("alice", tenant), world.worker("worker-1", tenant));
    let job_id = alice.submit_job(job().intent("quick.retry")).await?.job_id;
    let stale = worker.lease_jobs(lease_waiting(1)).await?.jobs.remove(0);
    rows::expire_lease(world.db.admin(), &job_id).await?;
    let current = worker.lease_jobs(lease_waiting(1)).await?.jobs.remove(0);
    assert_eq!(id_of(&current), job_id);
    Ok(Taken { job_id, stale, current })
}

#[test]
fn a_stale_worker_is_refused() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let worker = world.worker("worker-1", &tenant);
        let Taken { job_id, stale, current } = taken_over(world, &tenant).await?;
        assert!(fence_of(&current) > fence_of(&stale), "the fencing token grows");
        assert_eq!(current.attempt, 2);

        refused(worker.complete_job(complete(&stale, json("\"stale\""))).await, Reason::Job409StaleFence);
        refused(worker.fail_job(fail(&stale, true)).await, Reason::Job409StaleFence);
        let extended = worker.extend_leases(extend(&stale)).await?.results.remove(0);
        match extended.outcome {
            Some(pb::lease_extension_result::Outcome::Error(status)) => refused_item(&status, Reason::Job409StaleFence),
            other => panic!("extended: {other:?}"),
        };
        // Neither the new lease under the old token, nor the old lease under the new one.
        for (lease_of, fence) in [(&current, fence_of(&stale)), (&stale, fence_of(&current))] {
            let mut mixed = lease_of.clone();
            mixed.lease.as_mut().expect("a lease").fencing_token = fence;
            refused(worker.complete_job(complete(&mixed, json("1"))).await, Reason::Job409StaleFence);
        }
        assert_eq!(world.user("alice", &tenant).job(&job_id).await?.state(), JobState::Running);
        worker.complete_job(complete(&current, json("\"fresh\""))).await?;
        refused(worker.complete_job(complete(&stale, json("\"stale\""))).await, Reason::Job409AlreadyTerminal);
        assert_eq!(world.user("alice", &tenant).job(&job_id).await?.result, Some(json("\"fresh\"")));
        Ok(())
    })
}

#[test]
fn an_answer_after_the_expiry_is_refused_before_anyone_noticed_the_expiry() -> Result<()> {
    run(async {
        // No sweep comes in between.
        let world = World::with(Settings::default().set("tasks.lease_expiry_period_ms", 3_600_000)).await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let job_id = alice.submit_job(job()).await?.job_id;
        let leased = worker.lease_jobs(lease_waiting(1)).await?.jobs.remove(0);
        rows::expire_lease(world.db.admin(), &job_id).await?;
        refused(worker.complete_job(complete(&leased, json("1"))).await, Reason::Job409StaleFence);
        refused(worker.fail_job(fail(&leased, false)).await, Reason::Job409StaleFence);
        let extended = worker.extend_leases(extend(&leased)).await?.results.remove(0);
        assert!(matches!(extended.outcome, Some(pb::lease_extension_result::Outcome::Error(_))), "{extended:?}");
        assert_eq!(alice.job(&job_id).await?.seq, 2);
        Ok(())
    })
}

#[test]
fn a_repeated_answer_is_answered_the_same() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let job_id = alice.submit_job(job()).await?.job_id;
        let leased = worker.lease_jobs(lease_waiting(1)).await?.jobs.remove(0);
        let first = worker.complete_job(complete(&leased, json("{\"a\":1}"))).await?;
        let again = worker.complete_job(complete(&leased, json("{\"a\":1}"))).await?;
        assert_eq!(again, pb::CompleteJobResponse { replayed: true, ..first });

        refused(worker.complete_job(complete(&leased, json("{\"a\":2}"))).await, Reason::Job409AlreadyTerminal);
        refused(worker.complete_job(complete(&leased, binary(b"{\"a\":1}"))).await, Reason::Job409AlreadyTerminal);
        refused(worker.fail_job(fail(&leased, true)).await, Reason::Job409AlreadyTerminal);
        let seen = alice.job(&job_id).await?;
        assert_eq!((seen.state(), seen.seq, seen.result), (JobState::Done, 3, Some(json("{\"a\":1}"))));
        Ok(())
    })
}

#[test]
fn a_repeated_failure_is_answered_the_same_even_when_another_holds_the_job() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let job_id = alice.submit_job(job().intent("quick.retry")).await?.job_id;
        let first = worker.lease_jobs(lease_waiting(1)).await?.jobs.remove(0);
        let failed = worker.fail_job(fail(&first, true)).await?;
        assert_eq!((failed.state(), failed.replayed), (JobState::Retrying, false));
        let second = worker.lease_jobs(lease_waiting(1)).await?.jobs.remove(0);

        let again = worker.fail_job(fail(&first, true)).await?;
        assert_eq!((again.state(), again.replayed), (JobState::Retrying, true));
        let other_message = pb::FailJobRequest { message: "something else".to_owned(), ..fail(&first, true) };
        refused(worker.fail_job(other_message).await, Reason::Job409StaleFence);
        refused(worker.fail_job(fail(&first, false)).await, Reason::Job409StaleFence);
        refused(worker.complete_job(complete(&first, json("1"))).await, Reason::Job409StaleFence);
        assert_eq!(alice.job(&job_id).await?.seq, 4, "nothing moved");
        worker.complete_job(complete(&second, json("1"))).await?;
        let still = worker.fail_job(fail(&first, true)).await?;
        assert_eq!((still.state(), still.replayed), (JobState::Retrying, true));
        Ok(())
    })
}

#[test]
fn concurrent_answers_under_one_lease_are_one() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let other = world.another_instance().await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let job_id = alice.submit_job(job()).await?.job_id;
        let leased = worker.lease_jobs(lease_waiting(1)).await?.jobs.remove(0);
        let workers = [worker.clone(), worker.over(&other)];
        let calls = (0..32).map(|number: usize| {
            let (worker, leased) = (workers[number % 2].clone(), leased.clone());
            async move { worker.complete_job(complete(&leased, json("1"))).await }
        });
        let answers = futures::future::try_join_all(calls).await?;
        assert_eq!(answers.iter().filter(|answer| !answer.replayed).count(), 1);
        assert!(answers.iter().all(|answer| answer.finished_at == answers[0].finished_at));
        assert_eq!(alice.history(&job_id).await?.len(), 3);
        Ok(())
    })
}

#[test]
fn a_lease_belongs_to_its_tenant() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        alice.submit_job(job()).await?;
        let leased = worker.lease_jobs(lease_waiting(1)).await?.jobs.remove(0);
        let stranger = world.worker("worker-1", &crate::support::tenant());
        refused(stranger.complete_job(complete(&leased, json("1"))).await, Reason::Job404NotFound);
        refused(stranger.fail_job(fail(&leased, true)).await, Reason::Job404NotFound);
        let extended = stranger.extend_leases(extend(&leased)).await?.results.remove(0);
        match extended.outcome {
            Some(pb::lease_extension_result::Outcome::Error(status)) => refused_item(&status, Reason::Job404NotFound),
            other => panic!("extended: {other:?}"),
        };
        worker.complete_job(complete(&leased, json("1"))).await?;
        Ok(())
    })
}
