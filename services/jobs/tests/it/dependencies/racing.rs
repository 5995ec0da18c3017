//! Ends that race with submissions, and ends that nobody told.

use anyhow::Result;
use pb::{JobState, OnFailure};

use super::{after, comes_to, held, on, submitted};
use crate::support::*;

#[test]
fn whoever_comes_as_the_other_ends_waits_for_it_or_does_not_and_never_for_good() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let other = world.another_instance().await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        for _ in 0..15 {
            let first = submitted(&alice, job()).await?;
            let leased = held(&worker, &first).await?;
            let late = (0..12).map(|number: usize| {
                let caller = if number.is_multiple_of(2) { alice.clone() } else { alice.over(&other) };
                let request = after([&first]);
                async move { caller.submit_job(request).await }
            });
            let ending = async { worker.over(&other).complete_job(complete(&leased, json("1"))).await };
            let (submitted, ended) = tokio::join!(futures::future::join_all(late), ending);
            ended?;
            for answer in submitted {
                let job_id = answer?.job_id;
                comes_to(&alice, &job_id, JobState::Queued).await?;
            }
            for leased in worker.lease_jobs(lease_waiting(12)).await?.jobs {
                worker.complete_job(complete(&leased, json("1"))).await?;
            }
        }
        Ok(())
    })
}

#[test]
fn more_dependents_than_fit_one_round_are_all_told() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let alice = world.user("alice", &tenant);
        let (first, never) = (submitted(&alice, job()).await?, submitted(&alice, job()).await?);
        // Half of them stay where they are, and are in nobody's way.
        let free = (0..100).map(|_| after([&first]));
        let stuck = (0..100).map(|_| pb::SubmitJobRequest {
            dependencies: vec![on(&first, OnFailure::Cancel), on(&never, OnFailure::Block)],
            ..job()
        });
        let results = alice.batch_submit_jobs(batch(stuck.chain(free))).await?.results;
        assert_eq!(results.len(), 200);
        let worker = world.worker("worker-1", &tenant);
        let leased = held(&worker, &first).await?;
        worker.complete_job(complete(&leased, json("1"))).await?;
        let sql = "SELECT count(*) FILTER (WHERE state = 'queued') - 1, count(*) FILTER (WHERE state = 'blocked'), \
             (SELECT count(*) FROM jobs.job_settlements WHERE tenant_id = $1) FROM jobs.jobs WHERE tenant_id = $1";
        let is_settled = || async {
            let counts: (i64, i64, i64) = sqlx::query_as(sql)
                .bind(tenant.as_str())
                .fetch_one(world.db.admin())
                .await
                .map_err(|error| error.to_string())?;
            if counts == (100, 100, 0) { Ok(()) } else { Err(format!("queued, blocked, to settle: {counts:?}")) }
        };
        eventually(is_settled, SOON).await
    })
}

#[test]
fn many_that_come_too_late_tell_it_once_a_transaction() -> Result<()> {
    run(async {
        let world = World::with(Settings::default()).await?;
        sqlx::raw_sql(
            "CREATE TABLE public.told (job_id uuid, told_by xid8); \
             CREATE FUNCTION public.tell() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS \
                 'BEGIN INSERT INTO public.told VALUES (NEW.job_id, pg_current_xact_id()); RETURN NEW; END'; \
             CREATE TRIGGER told AFTER INSERT ON jobs.job_settlements FOR EACH ROW EXECUTE FUNCTION public.tell()",
        )
        .execute(world.db.admin())
        .await?;
        let alice = world.user("alice", &tenant());
        let first = submitted(&alice, job()).await?;
        alice.cancel_job(cancel(&first)).await?;
        let late = || pb::SubmitJobRequest { dependencies: vec![on(&first, OnFailure::Cancel)], ..job() };
        for result in alice.batch_submit_jobs(batch((0..40).map(|_| late()))).await?.results {
            let Some(pb::batch_submit_jobs_result::Outcome::Job(taken)) = result.outcome else {
                anyhow::bail!("not taken: {result:?}")
            };
            comes_to(&alice, &taken.job_id, JobState::Cancelled).await?;
        }
        let told: (i64, i64) = sqlx::query_as("SELECT count(*), count(DISTINCT told_by) FROM public.told")
            .fetch_one(world.db.admin())
            .await?;
        assert!(told.0 > 0 && told.0 == told.1, "settlements, transactions: {told:?}");
        Ok(())
    })
}

#[test]
fn an_end_that_an_older_version_did_not_note_is_found() -> Result<()> {
    run(async {
        let world = World::with(Settings::default().set("tasks.settle_check_period_ms", 50)).await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let first = submitted(&alice, job()).await?;
        let second = submitted(&alice, after([&first])).await?;
        let leased = held(&worker, &first).await?;
        // As that version would see the job.
        sqlx::query("UPDATE jobs.jobs SET awaited = false WHERE tenant_id = $1")
            .bind(tenant.as_str())
            .execute(world.db.admin())
            .await?;
        worker.complete_job(complete(&leased, json("1"))).await?;
        comes_to(&alice, &second, JobState::Queued).await?;
        Ok(())
    })
}
