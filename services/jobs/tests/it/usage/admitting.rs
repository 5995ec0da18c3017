//! What becomes of submissions that would draw on exceeded budgets.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use holdfast_testkit::{Database, Postgres, PostgresOptions};
use pb::JobState;

use super::*;

fn small_days() -> Settings {
    lively().set("budgets.project_day_tokens", 1000)
}

/// Uses up the day of a project.
async fn exceeded(world: &World, tenant: &TenantId, project: &str) -> Result<()> {
    let leased = running(world, tenant, project).await?;
    let told = recorded(&world.worker("worker-1", tenant), held(&leased, 1001, 0)).await?;
    ensure!(told.exceeded, "{told:?}");
    Ok(())
}

#[test]
fn new_jobs_of_an_exceeded_budget_are_refused_until_it_resets() -> Result<()> {
    run(async {
        let world = World::with(small_days()).await?;
        let (other, tenant) = (world.another_instance().await?, tenant());
        let alice = world.user("alice", &tenant);
        let known = job();
        let first = alice.submit_job(known.clone()).await?;
        world.worker("worker-1", &tenant).lease_jobs(lease_waiting(1)).await?;
        exceeded(&world, &tenant, PROJECT).await?;

        // At once by the instance that counted, and soon by the other.
        for api in [alice.clone(), alice.over(&other)] {
            let refusal = eventually(|| async { api.submit_job(job()).await.err() }, SOON).await?;
            let refusal = refused(Err::<(), _>(refusal), Reason::Budget429Limit);
            assert_eq!(refusal.metadata.get("budget").map(String::as_str), Some("project.tokens"));
            assert!(refusal.retry_after.is_some_and(|wait| wait <= Duration::from_secs(24 * 3600)), "{refusal:?}");
        }
        refused(world.user("bob", &tenant).submit_job(job()).await, Reason::Budget429Limit);
        // Who was told of a job is told again.
        let again = alice.submit_job(known.clone()).await?;
        assert!(again.replayed && again.job_id == first.job_id);
        refused(alice.submit_job(known.payload(json("1"))).await, Reason::Job409IdempotencyConflict);
        // Others are not concerned.
        alice.submit_job(job().project("beta")).await?;
        world.user("alice", &crate::support::tenant()).submit_job(job()).await?;
        // Another limit, and the same count is within it.
        let generous = world.another_instance_with(&small_days().set("budgets.project_day_tokens", 1001)).await?;
        alice.over(&generous).submit_job(job()).await?;
        Ok(())
    })
}

#[test]
fn an_owner_sets_what_a_project_may_use() -> Result<()> {
    run(async {
        let world = World::with(small_days()).await?;
        let (other, tenant) = (world.another_instance().await?, tenant());
        let (alice, olga) = (world.user("alice", &tenant), world.owner("olga", &tenant));
        let set = |version, tokens_per_day_max| {
            let settings = pb::ProjectSettings { tokens_per_day_max, ..Default::default() };
            olga.update_project(update(PROJECT, version, settings))
        };
        let in_force = |answer: pb::UpdateProjectResponse| answer.project.and_then(|project| project.in_force);
        let settings = in_force(set(0, 2000).await?).expect("what holds");
        assert_eq!(settings.tokens_per_day_max, 2000);
        assert!(settings.cost_micros_per_day_max > 0, "of the money, what configuration says");
        // More than configuration allows, and less than the owner does.
        exceeded(&world, &tenant, PROJECT).await.expect_err("1,001 are within 2,000");
        alice.submit_job(job()).await?;
        // A limit that is lowered below what was used ends what draws on it, and holds on every instance.
        set(1, 500).await?;
        for api in [alice.clone(), alice.over(&other)] {
            let refusal = eventually(|| async { api.submit_job(job()).await.err() }, SOON).await?;
            refused(Err::<(), _>(refusal), Reason::Budget429Limit);
        }
        alice.submit_job(job().project("beta")).await?;
        // And one that is raised again lets new jobs in.
        set(2, 5000).await?;
        for api in [alice.clone(), alice.over(&other)] {
            eventually(|| async { api.submit_job(job()).await }, SOON).await?;
        }
        Ok(())
    })
}

#[test]
fn nothing_is_done_on_behalf_of_a_job_that_exceeded_a_budget() -> Result<()> {
    run(async {
        let world = World::with(lively().set("budgets.job_tokens", 1000)).await?;
        let tenant = tenant();
        let alice = world.user("alice", &tenant);
        let parent = running(&world, &tenant, PROJECT).await?;
        let child = pb::SubmitJobRequest { parent_job_id: id_of(&parent), ..job() };
        let accepted = alice.submit_job(child.clone()).await?;
        let old = pb::SubmitJobRequest { idempotency_key: fresh_key(), ..child.clone() };
        let old = alice.submit_job(old).await?.job_id;
        alice.cancel_job(cancel(&old)).await?;
        let anew = |job_id: &str| pb::ResubmitJobRequest { job_id: job_id.to_owned(), idempotency_key: fresh_key() };
        let request = anew(&old);
        let heard = alice.resubmit_job(request.clone()).await?.job.expect("a job").job_id;
        recorded(&world.worker("worker-1", &tenant), held(&parent, 1001, 0)).await?;
        let again = alice.submit_job(child.clone()).await?;
        assert!(again.replayed && again.job_id == accepted.job_id, "who was told of a job is told again");
        let other_child = pb::SubmitJobRequest { idempotency_key: fresh_key(), ..child };
        refused(alice.submit_job(other_child).await, Reason::Budget409Exceeded);
        // Nor are its children done anew.
        refused(alice.resubmit_job(anew(&old)).await, Reason::Budget409Exceeded);
        let again = alice.resubmit_job(request).await?.job.expect("a job");
        assert!(again.replayed && again.job_id == heard, "who was told of a job is told again");
        // Anew it has a budget of its own: that takes somebody who wants it.
        let anew = alice.resubmit_job(anew(&id_of(&parent))).await?.job.expect("a job");
        assert_eq!(alice.job(&anew.job_id).await?.state(), JobState::Queued);
        Ok(())
    })
}

/// Redis is only the quick way to know.
#[test]
fn without_redis_or_its_data_the_same_is_refused() -> Result<()> {
    run(async {
        let world = World::with(small_days()).await?;
        let tenant = tenant();
        let alice = world.user("alice", &tenant);
        exceeded(&world, &tenant, PROJECT).await?;
        world.redis.flush().await?;
        let fresh = world.another_instance().await?;
        let refused_by =
            |api: Api| async move { eventually(|| async { api.submit_job(job()).await.err() }, SOON).await };
        refused(Err::<(), _>(refused_by(alice.over(&fresh)).await?), Reason::Budget429Limit);

        world.redis.kill().await?;
        // Learned while there is no Redis to learn it from.
        exceeded(&world, &tenant, "beta").await?;
        let gamma = job().project("beta");
        let learns = || async { alice.over(&fresh).submit_job(gamma.clone().key(&fresh_key())).await.err() };
        refused(Err::<(), _>(eventually(learns, SOON).await?), Reason::Budget429Limit);
        alice.submit_job(job().project("gamma")).await?;
        world.redis.restart().await?;
        Ok(())
    })
}

/// What somebody wrote into Redis is looked at in PostgreSQL before anybody is refused for it.
#[test]
fn redis_alone_refuses_nobody() -> Result<()> {
    run(async {
        let world = World::with(small_days().set("tasks.budget_counters_period_ms", 3_600_000)).await?;
        let tenant = tenant();
        let ends_ms = (chrono::Utc::now() + chrono::TimeDelta::days(1)).timestamp_millis();
        let starts_ms = chrono::Utc::now().timestamp_millis();
        let entry = format!("project:{tenant}:{starts_ms}:{PROJECT} {ends_ms}:999999:0");
        world.redis.command(&format!("HSET hf:test:budgets:exceeded whole 1 {entry}")).await?;
        let (alice, begun) = (world.user("alice", &tenant), Instant::now());
        // For as long as it takes every instance to have read it, many times.
        while begun.elapsed() < Duration::from_millis(500) {
            alice.submit_job(job()).await?;
        }
        Ok(())
    })
}

#[test]
fn where_neither_can_be_asked_new_jobs_are_refused_and_then_taken_again() -> Result<()> {
    run(async {
        let postgres = Postgres::start(PostgresOptions::default()).await?;
        let settings = small_days().set("budgets.freshness_max_ms", 3000);
        let world = World::over(Database::create_on(&postgres).await?, settings).await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let leased = running(&world, &tenant, PROJECT).await?;
        world.redis.kill().await?;
        // PostgreSQL alone is enough.
        alice.submit_job(job()).await?;
        postgres.stop().await?;
        let component = || async {
            let refusal = refused(alice.submit_job(job()).await, Reason::Infra503DependencyDown);
            let component = refusal.metadata.get("component").cloned();
            ensure!(component.as_deref() == Some("budgets"), "{component:?}");
            anyhow::Ok(())
        };
        eventually(component, SOON).await?;
        not_recorded(outcome(&worker, held(&leased, 1, 1)).await?, Reason::Infra503DependencyDown);
        postgres.restart().await?;
        eventually(|| alice.submit_job(job()), SOON).await?;
        eventually(|| recorded(&worker, held(&leased, 1, 1)), SOON).await?;
        world.redis.restart().await?;
        check_sums(world.db.admin()).await
    })
}
