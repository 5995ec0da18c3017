//! By default a job that is overdue is told of, once, and waits on.

use std::time::Duration;

use anyhow::{Context as _, Result};
use holdfast_proto::events::v1::JobQueueOverdue;
use holdfast_testkit::{Signal, http_get};
use pb::{Decision, JobState, RiskTier};

use super::*;

async fn overdue_total(world: &World, tier: &str) -> Result<Option<f64>> {
    let page = http_get(world.first.process.http_port().context("a port")?, "/metrics").await?.body;
    let mut lines = page.lines().filter(|line| line.starts_with("jobs_queue_overdue_total{"));
    let labels = [format!("tier=\"{tier}\""), "reaction=\"event\"".to_owned()];
    let line = lines.find(|line| labels.iter().all(|label| line.contains(label)));
    line.map(|line| Ok(line.rsplit(' ').next().context("a value")?.parse()?)).transpose()
}

#[test]
fn what_waits_for_too_long_is_told_of_once_and_waits_on() -> Result<()> {
    run(async {
        let world = World::with(lively()).await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let request = job().intent(SHORT).infra();
        let overdue = submitted(&alice, request.clone()).await?;
        let patient = submitted(&alice, job()).await?;
        let envelope = is_told(&world, &overdue).await?;
        assert_eq!((envelope.event_name.as_str(), envelope.key_seq), ("job.queue_overdue", 1));
        assert_eq!((envelope.job_id.as_str(), envelope.tenant_id.as_str()), (overdue.as_str(), tenant.as_str()));
        assert_eq!(envelope.actor_id, "system:queue_clock");
        assert_eq!((&envelope.idempotency_key, &envelope.project_id), (&request.idempotency_key, &request.project_id));
        let seen = alice.job(&overdue).await?;
        assert_eq!((&envelope.trace_id, &envelope.request_id), (&seen.trace_id, &seen.request_id));
        let said: JobQueueOverdue = holdfast_events::unpack(&envelope)?;
        assert_eq!((said.intent.as_str(), said.queue.as_str(), said.tier.as_str()), (SHORT, "infra", "A"));
        assert!(said.budget_ms == 1000 && said.waited_ms >= 1000, "{said:?}");

        // Many looks later it still is told of once, and nothing has moved.
        counted(&world, &overdue, 2 * BUDGET_MS).await?;
        assert_eq!(told(&world, &overdue).await?.len(), 1);
        assert_eq!(told(&world, &patient).await?, []);
        assert_eq!((seen.state(), seen.seq, alice.history(&overdue).await?.len()), (JobState::Queued, 1, 1));
        assert_eq!(overdue_total(&world, "A").await?, Some(1.0));
        let shown = alice.job(&overdue).await?.queue_clock.context("it waits")?;
        assert!(shown.waited_ms >= 2 * BUDGET_MS, "{shown:?}");
        assert_eq!(shown.budget, Some(prost_types::Duration { seconds: 1, nanos: 0 }));
        let shown = alice.job(&patient).await?.queue_clock.context("it waits")?;
        assert_eq!(shown.budget, Some(prost_types::Duration { seconds: 60, nanos: 0 }));
        let listed = alice.list_jobs(list()).await?.jobs;
        assert!(listed.len() == 2 && listed.iter().all(|job| job.queue_clock.is_none()), "{listed:?}");

        // A worker may have it as if nothing had happened; then nothing is left of it here.
        for _ in 0..2 {
            let job = worker.lease_jobs(lease_waiting(1)).await?.jobs.remove(0);
            assert_eq!(alice.job(&id_of(&job)).await?.queue_clock, None, "it runs");
            worker.complete_job(complete(&job, json("1"))).await?;
        }
        let cleared = || async {
            rows::of_tenant(world.db.admin(), "job_queue_clock", &tenant).await.is_ok_and(|rows| rows == 0)
        };
        eventually(cleared, SOON).await?;
        Ok(())
    })
}

#[test]
fn the_budget_is_the_tiers_where_nobody_says_another() -> Result<()> {
    run(async {
        let world = World::with(lively()).await?;
        let tenant = tenant();
        let (alice, owner) = (world.user("alice", &tenant), world.owner("olga", &tenant));
        let mut jobs = Vec::new();
        for tier in [RiskTier::A, RiskTier::B, RiskTier::C] {
            jobs.push(submitted(&alice, job().tier(tier)).await?);
        }
        let approval = pb::DecideJobRequest {
            job_id: jobs[2].clone(),
            decision: Decision::Approve.into(),
            idempotency_key: fresh_key(),
            ..Default::default()
        };
        owner.decide_job(approval).await?;
        for job_id in &jobs {
            counted(&world, job_id, 0).await?;
        }
        for (waited_ms, overdue) in [(50_000, 0), (60_000, 1), (110_000, 1), (120_000, 2), (170_000, 2), (180_000, 3)] {
            set_clocks(&world, &tenant, waited_ms).await?;
            looked_again(&world, &jobs[0]).await?;
            for (index, job_id) in jobs.iter().enumerate() {
                let expected = usize::from(index < overdue);
                assert_eq!(told(&world, job_id).await?.len(), expected, "job {index} at {waited_ms} ms");
            }
        }
        Ok(())
    })
}

/// The clock adds up over the stays of a job in the queue, runs in none of its attempts, and runs out once.
#[test]
fn a_job_that_is_tried_again_goes_on_waiting_and_is_told_of_once() -> Result<()> {
    run(async {
        let world = World::with(lively()).await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let job_id = submitted(&alice, job().intent("quick.retry").priority(9)).await?;
        let witness = submitted(&alice, job()).await?;
        for job_id in [&job_id, &witness] {
            counted(&world, job_id, 0).await?;
        }
        set_clocks(&world, &tenant, 30_000).await?;
        let leased = worker.lease_jobs(lease_waiting(1)).await?.jobs.remove(0);
        assert_eq!(id_of(&leased), job_id);
        looked_again(&world, &witness).await?;
        let stood = clock(&world, &job_id).await?;
        looked_again(&world, &witness).await?;
        assert_eq!(clock(&world, &job_id).await?, stood, "it runs");
        worker.fail_job(fail(&leased, true)).await?;
        let stood = stood.context("it was counted")?;
        assert!(counted(&world, &job_id, stood + 1).await? < 60_000, "it goes on from where it stood");
        assert_eq!(told(&world, &job_id).await?, []);
        set_clocks(&world, &tenant, 60_000).await?;
        is_told(&world, &job_id).await?;

        let leased = worker.lease_jobs(lease_waiting(1)).await?.jobs.remove(0);
        worker.fail_job(fail(&leased, true)).await?;
        let before = clock(&world, &job_id).await?.context("it was counted")?;
        counted(&world, &job_id, before + 1).await?;
        looked_again(&world, &job_id).await?;
        assert_eq!(told(&world, &job_id).await?.len(), 1);
        Ok(())
    })
}

/// Whoever has a job locked is about to move it: it is not waited for, and not forgotten.
#[test]
fn a_job_that_somebody_has_locked_is_told_of_later() -> Result<()> {
    run(async {
        let world = World::with(lively()).await?;
        let alice = world.user("alice", &tenant());
        let locked = submitted(&alice, job().intent(SHORT)).await?;
        let mut holding = world.db.admin().begin().await?;
        let lock = "SELECT job_id FROM jobs.jobs WHERE job_id = $1::uuid FOR UPDATE";
        sqlx::query(lock).bind(&locked).fetch_one(&mut *holding).await?;
        let free = submitted(&alice, job().intent(SHORT)).await?;
        is_told(&world, &free).await?;
        counted(&world, &locked, BUDGET_MS).await?;
        looked_again(&world, &free).await?;
        assert_eq!(told(&world, &locked).await?, []);
        holding.rollback().await?;
        is_told(&world, &locked).await?;
        Ok(())
    })
}

/// The one that looks is killed in the midst of it, and another goes on: nobody is told of twice, and nobody is left out.
#[test]
fn every_job_is_told_of_once_whichever_instance_looks() -> Result<()> {
    run(async {
        let world = World::with(lively().set("tasks.leadership_ttl_ms", 1000)).await?;
        let _other = world.another_instance().await?;
        let alice = world.user("alice", &tenant());
        let mut jobs = Vec::new();
        for _ in 0..8 {
            let requests = batch((0..10).map(|_| job().intent(SHORT)));
            for result in alice.batch_submit_jobs(requests).await?.results {
                let Some(pb::batch_submit_jobs_result::Outcome::Job(submitted)) = result.outcome else {
                    panic!("{result:?}")
                };
                jobs.push(submitted.job_id);
            }
            // So that they are overdue one after the other.
            counted(&world, jobs.last().context("submitted")?, 50).await?;
        }
        is_told(&world, &jobs[0]).await?;
        world.first.process.signal(Signal::SIGKILL)?;
        for job_id in &jobs {
            let told = || async { told(&world, job_id).await.is_ok_and(|told| !told.is_empty()) };
            eventually(told, Duration::from_secs(60)).await?;
        }
        looked_again(&world, &jobs[0]).await?;
        for job_id in &jobs {
            assert_eq!(told(&world, job_id).await?.len(), 1, "{job_id}");
        }
        Ok(())
    })
}
