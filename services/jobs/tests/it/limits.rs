//! Queues and the outbox have an end.

use anyhow::Result;
use pb::batch_submit_jobs_result::Outcome;

use crate::support::*;

async fn shallow_world() -> Result<World> {
    let settings = Settings::default()
        .set("limits.project_depth_soft", 2)
        .set("limits.project_depth_hard", 3)
        .set("limits.infra_depth_soft", 1)
        .set("limits.infra_depth_hard", 2);
    World::with(settings).await
}

#[test]
fn a_project_takes_no_more_than_its_hard_limit() -> Result<()> {
    run(async {
        let world = shallow_world().await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let requests = [job(), job(), job()];
        for request in &requests {
            alice.submit_job(request.clone()).await?;
        }
        let refusal = refused(alice.submit_job(job()).await, Reason::Job503QueueUnavailable);
        assert!(refusal.retry_after.is_some());
        for request in &requests {
            assert!(alice.submit_job(request.clone()).await?.replayed, "a full queue still knows its jobs");
        }
        let conflicting = requests[0].clone().payload(json("[1]"));
        refused(alice.submit_job(conflicting).await, Reason::Job409IdempotencyConflict);
        alice.submit_job(job().project("beta")).await?;
        world.user("alice", &crate::support::tenant()).submit_job(job()).await?;

        // Depth is what waits: a leased job has left the queue, a cancelled one too.
        let leased =
            worker.lease_jobs(pb::LeaseJobsRequest { intents: vec![INTENT.to_owned()], ..lease_waiting(1) }).await?;
        assert_eq!(leased.jobs[0].project_id, PROJECT);
        let taken = alice.submit_job(job()).await?;
        refused(alice.submit_job(job()).await, Reason::Job503QueueUnavailable);
        alice.cancel_job(cancel(&taken.job_id)).await?;
        alice.submit_job(job()).await?;
        refused(alice.submit_job(job()).await, Reason::Job503QueueUnavailable);
        assert_eq!(alice.list_jobs(list()).await?.jobs.len(), 5, "nothing of the refused remains");
        Ok(())
    })
}

#[test]
fn a_refused_submission_uses_up_no_key() -> Result<()> {
    run(async {
        let world = shallow_world().await?;
        let tenant = tenant();
        let alice = world.user("alice", &tenant);
        let mut last = String::new();
        for _ in 0..3 {
            last = alice.submit_job(job()).await?.job_id;
        }
        let request = job();
        refused(alice.submit_job(request.clone()).await, Reason::Job503QueueUnavailable);
        alice.cancel_job(cancel(&last)).await?;
        let answer = alice.submit_job(request).await?;
        assert_eq!((answer.replayed, answer.generation), (false, 1));
        Ok(())
    })
}

#[test]
fn a_batch_is_taken_as_far_as_there_is_room() -> Result<()> {
    run(async {
        let world = shallow_world().await?;
        let tenant = tenant();
        let alice = world.user("alice", &tenant);
        let known = job();
        alice.submit_job(known.clone()).await?;
        let jobs = [job(), known, job(), job(), job(), job().project("beta")];
        let results = alice.batch_submit_jobs(batch(jobs)).await?.results;
        let outcomes: Vec<_> = results.into_iter().filter_map(|result| result.outcome).collect();
        let mut fate = Vec::new();
        for outcome in &outcomes {
            fate.push(match outcome {
                Outcome::Job(job) if job.replayed => "replayed",
                Outcome::Job(_) => "queued",
                Outcome::Error(status) => {
                    refused_item(status, Reason::Job503QueueUnavailable);
                    "refused"
                }
            });
        }
        assert_eq!(fate, ["queued", "replayed", "queued", "refused", "refused", "queued"]);
        assert_eq!(rows::of_tenant(world.db.admin(), "jobs", &tenant).await?, 4);
        Ok(())
    })
}

#[test]
fn infra_jobs_have_a_limit_of_their_own_over_all_projects_of_a_tenant() -> Result<()> {
    run(async {
        let world = shallow_world().await?;
        let tenant = tenant();
        let alice = world.user("alice", &tenant);
        alice.submit_job(job().infra()).await?;
        alice.submit_job(job().infra().project("beta")).await?;
        refused(alice.submit_job(job().infra().project("gamma")).await, Reason::Job503QueueUnavailable);
        alice.submit_job(job()).await?;
        world.user("alice", &crate::support::tenant()).submit_job(job().infra()).await?;
        Ok(())
    })
}

#[test]
fn many_concurrent_submissions_through_two_instances_do_not_overfill_a_queue() -> Result<()> {
    run(async {
        let world = shallow_world().await?;
        let other = world.another_instance().await?;
        let tenant = tenant();
        let alice = world.user("alice", &tenant);
        let apis = [alice.clone(), alice.over(&other)];
        let calls = (0..40).map(|number: usize| {
            let api = apis[number % 2].clone();
            async move { api.submit_job(job()).await }
        });
        let outcomes = futures::future::join_all(calls).await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 3);
        for outcome in outcomes.into_iter().filter(Result::is_err) {
            refused(outcome, Reason::Job503QueueUnavailable);
        }
        Ok(())
    })
}

#[test]
fn a_full_outbox_refuses_submissions_and_nothing_else() -> Result<()> {
    run(async {
        let settings = Settings::default().set("limits.outbox_pending_soft", 2).set("limits.outbox_pending_hard", 5);
        let world = World::with(settings).await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let known = job();
        alice.submit_job(known.clone()).await?;
        let refusal = eventually(|| async { alice.submit_job(job()).await.err() }, SOON).await?;
        let refusal = refused(Err::<(), _>(refusal), Reason::Infra503DependencyDown);
        assert_eq!(refusal.metadata.get("component").map(String::as_str), Some("outbox"));
        assert!(alice.submit_job(known).await?.replayed, "what was taken is answered");

        let leased = worker.lease_jobs(lease_waiting(3)).await?.jobs;
        worker.complete_job(complete(&leased[0], json("1"))).await?;
        worker.fail_job(fail(&leased[1], false)).await?;
        alice.cancel_job(cancel(&id_of(&leased[2]))).await?;
        assert_eq!(alice.job(&id_of(&leased[0])).await?.state(), pb::JobState::Done);

        // What a relay would do.
        sqlx::query("UPDATE jobs.outbox SET published_at = clock_timestamp(), stream_ms = 1, stream_seq = 0")
            .execute(world.db.admin())
            .await?;
        eventually(|| alice.submit_job(job()), SOON).await?;
        Ok(())
    })
}
