//! When the clock of the queue stands still: otherwise a backlog or an outage would destroy work.

use anyhow::Result;
use pb::JobState;

use super::*;

/// Of one second's patience each: for its turn, behind another, for its time, for another job, for people. Beside them jobs that
/// wait for nothing but a worker are ended, one after the other.
#[test]
fn the_clock_stands_while_a_job_waits_for_anything_but_a_worker() -> Result<()> {
    run(async {
        let world = World::with(lively().set("limits.running_per_project", 1)).await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let impatient = |project: &str| job().intent(IMPATIENT).project(project);
        let running = submitted(&alice, job().project("busy")).await?;
        let leased = worker.lease_jobs(lease_waiting(1)).await?.jobs.remove(0);
        let its_turn = submitted(&alice, impatient("busy")).await?;
        let ahead = submitted(&alice, job().project("line").priority(9)).await?;
        let behind = submitted(&alice, impatient("line")).await?;
        let later = chrono::Utc::now() + chrono::TimeDelta::hours(1);
        let delayed = submitted(&alice, impatient("later").not_before(later)).await?;
        let on = Some(pb::dependency::On::JobId(running.clone()));
        let dependencies = vec![pb::Dependency { on, on_failure: pb::OnFailure::Block.into() }];
        let blocked = submitted(&alice, pb::SubmitJobRequest { dependencies, ..impatient("blocked") }).await?;
        let undecided = submitted(&alice, impatient("undecided").tier(pb::RiskTier::C)).await?;
        for _ in 0..2 {
            let alone = submitted(&alice, impatient("alone")).await?;
            is_timed_out(&alice, &alone).await?;
        }
        for (job_id, state) in [
            (&its_turn, JobState::Queued),
            (&behind, JobState::Queued),
            (&delayed, JobState::Queued),
            (&blocked, JobState::Blocked),
            (&undecided, JobState::WaitingHumanDecision),
        ] {
            assert_eq!(alice.job(job_id).await?.state(), state);
            assert_eq!(clock(&world, job_id).await?, None, "{state:?}");
        }
        assert!(clock(&world, &ahead).await? > Some(BUDGET_MS), "it waits for a worker");

        // Its turn has come, and what it waited for has ended: from now on there is but a worker missing.
        worker.complete_job(complete(&leased, json("1"))).await?;
        for job_id in [&its_turn, &blocked] {
            assert_eq!(is_timed_out(&alice, job_id).await?.timed_out_clock, "queue");
        }
        alice.cancel_job(cancel(&ahead)).await?;
        is_timed_out(&alice, &behind).await?;
        Ok(())
    })
}

/// Nobody looked for an hour: what happened in it nobody knows, and it is not counted.
#[test]
fn an_hour_in_which_nobody_looked_does_not_count() -> Result<()> {
    run(async {
        let world = World::with(lively()).await?;
        let tenant = tenant();
        let alice = world.user("alice", &tenant);
        let job_id = submitted(&alice, job()).await?;
        counted(&world, &job_id, 1).await?;
        let away = "UPDATE jobs.job_queue_clock SET seen_at = seen_at - interval '1 hour' WHERE job_id = $1::uuid";
        sqlx::query(away).bind(&job_id).execute(world.db.admin()).await?;
        looked_again(&world, &job_id).await?;
        let waited_ms = clock(&world, &job_id).await?;
        assert!(waited_ms < Some(60_000), "{waited_ms:?}");
        assert_eq!(told(&world, &job_id).await?, []);
        Ok(())
    })
}
