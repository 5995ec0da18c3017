//! The total clock: time under lease, in back-off and with people.

use anyhow::Result;
use pb::{JobState, RiskTier};

use crate::support::*;

async fn world() -> Result<World> {
    let intents = r#"
        [[intents]]
        name = "short.total"
        total_budget_ms = 1000

        [[intents]]
        name = "late.retry"
        total_budget_ms = 2000
        retry_initial_ms = 5000
    "#;
    World::with(Settings::default().with(intents)).await
}

async fn timed_out(api: &Api, job_id: &str) -> Result<pb::Job> {
    let look = || async { api.job(job_id).await.ok().filter(|job| job.state() == JobState::TimedOut) };
    eventually(look, SOON).await
}

#[test]
fn people_have_no_more_time_than_all_together() -> Result<()> {
    run(async {
        let world = world().await?;
        let alice = world.user("alice", &tenant());
        let job_id = alice.submit_job(job().intent("short.total").tier(RiskTier::C)).await?.job_id;
        let seen = timed_out(&alice, &job_id).await?;
        assert_eq!(seen.timed_out_clock, "total");
        let last = alice.history(&job_id).await?.pop().expect("a history");
        assert_eq!(last.detail, "total budget of 1000 ms used up");
        Ok(())
    })
}

#[test]
fn a_lease_ends_with_the_total() -> Result<()> {
    run(async {
        let world = world().await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let job_id = alice.submit_job(job().intent("short.total")).await?.job_id;
        let leased = worker.lease_jobs(lease_waiting(1)).await?.jobs.remove(0);
        // Renewed for as long as it goes.
        worker.extend_leases(extend(&leased)).await?;
        let seen = timed_out(&alice, &job_id).await?;
        assert_eq!((seen.timed_out_clock.as_str(), seen.last_failure), ("total", None));
        assert!((1000..1500).contains(&seen.run_ms), "{}", seen.run_ms);
        refused(worker.complete_job(complete(&leased, json("1"))).await, Reason::Job409AlreadyTerminal);
        Ok(())
    })
}

#[test]
fn a_retry_for_which_no_time_is_left_is_none() -> Result<()> {
    run(async {
        let world = world().await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let job_id = alice.submit_job(job().intent("late.retry")).await?.job_id;
        let leased = worker.lease_jobs(lease_waiting(1)).await?.jobs.remove(0);
        let answer = worker.fail_job(fail(&leased, true)).await?;
        assert_eq!(answer.state(), JobState::TimedOut);
        let seen = alice.job(&job_id).await?;
        assert_eq!(seen.timed_out_clock, "total");
        // Why it would have been tried again.
        assert!(seen.last_failure.is_some());
        Ok(())
    })
}

#[test]
fn back_offs_count_and_the_queue_does_not() -> Result<()> {
    run(async {
        let world = world().await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let job_id = alice.submit_job(job().intent("quick.retry")).await?.job_id;
        let leased = worker.lease_jobs(lease_waiting(1)).await?.jobs.remove(0);
        worker.fail_job(fail(&leased, true)).await?;
        let again = worker.lease_jobs(lease_waiting(1)).await?.jobs.remove(0);
        worker.complete_job(complete(&again, json("1"))).await?;
        let spent = "SELECT backoff_ms, total_budget_ms FROM jobs.jobs WHERE job_id = $1::uuid";
        let (backoff_ms, total_budget_ms): (i64, i64) =
            sqlx::query_as(spent).bind(&job_id).fetch_one(world.db.admin()).await?;
        // The back-off is 1 ms and half of that at most, however long the job then waited for its worker.
        assert_eq!((backoff_ms, total_budget_ms), (1, (21 * 60 + 5) * 1000));
        Ok(())
    })
}
