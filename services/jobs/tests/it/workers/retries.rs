//! What becomes of an attempt that failed, or was never heard of again.

use anyhow::Result;
use chrono::TimeDelta;
use pb::JobState;

use crate::support::*;

#[test]
fn a_retryable_failure_is_tried_again_until_the_attempts_are_used_up() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let job_id = alice.submit_job(job().intent("quick.retry")).await?.job_id;
        for attempt in 1..=3 {
            let leased = worker.lease_jobs(lease_waiting(1)).await?.jobs.remove(0);
            assert_eq!(leased.attempt, attempt);
            let failed = worker.fail_job(fail(&leased, true)).await?;
            let expected = if attempt < 3 { JobState::Retrying } else { JobState::Failed };
            assert_eq!(failed.state(), expected);
            assert_eq!(failed.next_attempt_at.is_some(), attempt < 3);
        }
        let seen = alice.job(&job_id).await?;
        assert_eq!((seen.state(), seen.attempt), (JobState::Failed, 3));
        let failure = seen.last_failure.expect("why");
        assert_eq!((failure.code.as_str(), failure.message.as_str()), ("disk_full", "no space left"));
        assert!(seen.finished_at.is_some() && seen.next_attempt_at.is_none());
        Ok(())
    })
}

#[test]
fn a_failure_that_is_not_retryable_is_final() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let job_id = alice.submit_job(job().intent("quick.retry")).await?.job_id;
        let leased = worker.lease_jobs(lease_waiting(1)).await?.jobs.remove(0);
        assert_eq!(worker.fail_job(fail(&leased, false)).await?.state(), JobState::Failed);
        let seen = alice.job(&job_id).await?;
        assert_eq!((seen.state(), seen.attempt), (JobState::Failed, 1));
        Ok(())
    })
}

#[test]
fn the_back_off_doubles_and_has_jitter_of_up_to_half() -> Result<()> {
    run(async {
        let settings = Settings::default().with(
            "[[intents]]\nname = \"measured\"\nretry_initial_ms = 100000\nretry_cap_ms = 300000\nretry_window_ms = 36000000",
        );
        let world = World::with(settings).await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let job_id = alice.submit_job(job().intent("measured")).await?.job_id;
        for back_off_s in [100, 200, 300, 300] {
            let leased = worker.lease_jobs(lease_waiting(1)).await?.jobs.remove(0);
            let failed = worker.fail_job(fail(&leased, true)).await?;
            let seen = alice.job(&job_id).await?;
            assert_eq!(failed.next_attempt_at, seen.next_attempt_at);
            let waits = at(seen.next_attempt_at) - at(seen.last_failure.and_then(|failure| failure.occurred_at));
            let bounds = TimeDelta::seconds(back_off_s)..=TimeDelta::milliseconds(back_off_s * 1500);
            assert!(bounds.contains(&waits), "{waits} is not within {bounds:?}");
            assert!(worker.lease_jobs(lease(1)).await?.jobs.is_empty(), "leased within its back-off");
            // The clock is moved instead of waited for.
            sqlx::query("UPDATE jobs.job_delayed SET due_at = clock_timestamp()").execute(world.db.admin()).await?;
        }
        Ok(())
    })
}

#[test]
fn no_retry_begins_after_the_window() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        alice.submit_job(job().intent("no.time.to.retry")).await?;
        let leased = worker.lease_jobs(lease_waiting(1)).await?.jobs.remove(0);
        assert_eq!(worker.fail_job(fail(&leased, true)).await?.state(), JobState::Failed);
        Ok(())
    })
}

#[test]
fn a_lost_lease_is_a_failed_attempt() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let job_id = alice.submit_job(job().intent("slow.retry").attempts_at_most(2)).await?.job_id;
        worker.lease_jobs(lease_waiting(1)).await?;
        rows::expire_lease(world.db.admin(), &job_id).await?;
        let seen = eventually(
            || async { alice.job(&job_id).await.ok().filter(|job| job.state() == JobState::Retrying) },
            SOON,
        )
        .await?;
        assert_eq!(seen.last_failure.map(|failure| failure.code), Some("lease_lost".to_owned()));
        let history = alice.history(&job_id).await?;
        let last = history.last().expect("a history");
        assert!(last.actor_id.starts_with("system:"), "{last:?}");
        assert!(last.detail.contains("worker-1"), "{last:?}");
        Ok(())
    })
}

#[test]
fn a_lease_that_nobody_extends_runs_out_by_itself() -> Result<()> {
    run(async {
        let world = World::with(Settings::default().set("leases.ttl_ms", 1000)).await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let kept = alice.submit_job(job().intent("slow.retry")).await?.job_id;
        let kept_lease = worker.lease_jobs(lease_waiting(1)).await?.jobs.remove(0);
        let lost = alice.submit_job(job().intent("slow.retry")).await?.job_id;
        worker.lease_jobs(lease_waiting(1)).await?;
        eventually(
            || async {
                worker.extend_leases(extend(&kept_lease)).await?;
                anyhow::ensure!(alice.job(&lost).await?.state() == JobState::Retrying, "still leased");
                anyhow::Ok(())
            },
            SOON,
        )
        .await?;
        assert_eq!(alice.job(&kept).await?.state(), JobState::Running, "heartbeats keep a lease");
        Ok(())
    })
}

#[test]
fn the_run_budget_ends_a_job_however_often_its_lease_is_extended() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let job_id = alice.submit_job(job().intent("short.budget")).await?.job_id;
        let leased = worker.lease_jobs(lease_waiting(1)).await?.jobs.remove(0);
        assert!(at(leased.lease_expires_at) <= at(leased.run_deadline), "a lease does not outlive the budget");
        let seen = eventually(
            || async {
                let result = worker.extend_leases(extend(&leased)).await?.results.remove(0);
                if let Some(pb::lease_extension_result::Outcome::LeaseExpiresAt(expires_at)) = result.outcome {
                    assert!(at(Some(expires_at)) <= at(leased.run_deadline), "extended beyond the budget");
                }
                let seen = alice.job(&job_id).await?;
                anyhow::ensure!(seen.state() == JobState::TimedOut, "still {:?}", seen.state());
                anyhow::Ok(seen)
            },
            SOON,
        )
        .await?;
        assert_eq!(seen.timed_out_clock, "run");
        assert!(seen.run_ms >= 1000, "{} ms under lease", seen.run_ms);
        refused(worker.complete_job(complete(&leased, json("1"))).await, Reason::Job409AlreadyTerminal);
        Ok(())
    })
}

#[test]
fn time_under_lease_counts_over_all_attempts() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let job_id = alice.submit_job(job().intent("quick.retry").run_budget_s(60)).await?.job_id;
        let first = worker.lease_jobs(lease_waiting(1)).await?.jobs.remove(0);
        // As if the first attempt had begun forty seconds ago.
        sqlx::query("UPDATE jobs.job_leases SET leased_at = leased_at - interval '40 s' WHERE job_id = $1::uuid")
            .bind(&job_id)
            .execute(world.db.admin())
            .await?;
        worker.fail_job(fail(&first, true)).await?;
        let second = worker.lease_jobs(lease_waiting(1)).await?.jobs.remove(0);
        let seen = alice.job(&job_id).await?;
        assert!(seen.run_ms >= 40_000, "{}", seen.run_ms);
        let left = at(second.run_deadline) - at(seen.started_at);
        assert!(left <= TimeDelta::seconds(20) && left > TimeDelta::seconds(15), "{left} left");
        Ok(())
    })
}

#[test]
fn a_used_up_budget_is_no_failed_attempt() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let job_id = alice.submit_job(job()).await?.job_id;
        worker.lease_jobs(lease_waiting(1)).await?;
        rows::use_up_run_budget(world.db.admin(), &job_id).await?;
        let seen =
            eventually(|| async { alice.job(&job_id).await.ok().filter(|job| job.state() != JobState::Running) }, SOON)
                .await?;
        assert_eq!((seen.state(), seen.last_failure), (JobState::TimedOut, None));
        Ok(())
    })
}
