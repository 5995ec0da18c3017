//! A switch that is turned while everybody is at work.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Result, ensure};
use holdfast_testkit::http_get;
use pb::JobState;

use super::{Engine, Switch, comes_to, holds_left};
use crate::support::*;

/// The sweeps are out of order, and only what stands at the doors is left.
#[test]
fn the_claim_itself_stops_what_is_in_scope() -> Result<()> {
    run(async {
        let engine = Engine::start().await?;
        let (world, tenant) = (World::with(engine.settings()).await?, tenant());
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let admin = world.db.admin();
        sqlx::query("REVOKE SELECT ON jobs.job_delayed FROM holdfast_jobs_task").execute(admin).await?;
        let jobs = batch((0..20).map(|_| job()));
        let queued: Vec<String> = alice.batch_submit_jobs(jobs).await?.results.into_iter().filter_map(taken).collect();
        ensure!(queued.len() == 20, "{queued:?}");
        let delayed = job().not_before(chrono::Utc::now() + chrono::TimeDelta::hours(1));
        let delayed = alice.submit_job(delayed).await?.job_id;
        engine.set(&world, &Switch::new("project", &tenant, PROJECT), true).await?;
        is_on(&world.first).await?;
        for _ in 0..10 {
            ensure!(worker.lease_jobs(lease(5)).await?.jobs.is_empty(), "handed out after the switch");
        }
        // Who asks for them moves them out of the way.
        for job_id in &queued {
            comes_to(&alice, job_id, JobState::Blocked).await?;
        }
        ensure!(alice.job(&delayed).await?.state() == JobState::Queued, "the sweeps work");
        sqlx::query("GRANT SELECT ON jobs.job_delayed TO holdfast_jobs_task").execute(admin).await?;
        comes_to(&alice, &delayed, JobState::Blocked).await?;
        Ok(())
    })
}

fn taken(result: pb::BatchSubmitJobsResult) -> Option<String> {
    match result.outcome? {
        pb::batch_submit_jobs_result::Outcome::Job(answer) => Some(answer.job_id),
        pb::batch_submit_jobs_result::Outcome::Error(_) => None,
    }
}

/// The instance has heard of a switch.
async fn is_on(instance: &Instance) -> Result<()> {
    let port = instance.process.http_port().unwrap_or_default();
    let heard =
        || async { http_get(port, "/metrics").await.is_ok_and(|page| page.body.contains("policy_kill_switches 1")) };
    eventually(heard, SOON).await
}

/// A claim has decided, and its commit is held up until the switch is on.
#[test]
fn what_was_leased_as_the_switch_came_is_not_handed_out() -> Result<()> {
    run(async {
        let engine = Engine::start().await?;
        let (world, tenant) = (World::with(engine.settings()).await?, tenant());
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let job_id = alice.submit_job(job()).await?.job_id;
        let mut in_the_way = world.db.admin().begin().await?;
        sqlx::query("LOCK TABLE jobs.job_leases IN SHARE MODE").execute(&mut *in_the_way).await?;
        let turning = async {
            let waits =
                "SELECT count(*) > 0 FROM pg_locks WHERE relation = 'jobs.job_leases'::regclass AND NOT granted";
            let claimed = || async {
                sqlx::query_scalar::<_, bool>(waits).fetch_one(world.db.admin()).await.is_ok_and(|waits| waits)
            };
            eventually(claimed, SOON).await?;
            engine.set(&world, &Switch::new("project", &tenant, PROJECT), true).await?;
            is_on(&world.first).await?;
            in_the_way.rollback().await?;
            anyhow::Ok(())
        };
        let (leased, turned) = tokio::join!(worker.lease_jobs(lease_waiting(1)), turning);
        turned?;
        ensure!(leased?.jobs.is_empty(), "handed out after the switch");
        let history = alice.history(&job_id).await?;
        ensure!(history.iter().any(|event| event.to_state() == JobState::Running), "it was never leased: {history:?}");
        let ends = || async {
            let state = alice.job(&job_id).await.map_err(|status| status.to_string())?.state();
            // Given back first, or found by a sweep before.
            if matches!(state, JobState::Blocked | JobState::Cancelled) { Ok(()) } else { Err(format!("{state:?}")) }
        };
        eventually(ends, SOON).await
    })
}

/// When a call began, over which instance, and what it was given.
type Given = (Instant, usize, Vec<String>);

/// From when an instance has answered a submission as held on, it hands out nothing in scope; and whatever was under way at that
/// moment, in the end no job in scope waits or runs.
#[test]
fn nothing_in_scope_is_handed_out_after_the_switch_and_nothing_is_left_behind() -> Result<()> {
    run(async {
        let engine = Engine::start().await?;
        let (world, tenant) = (World::with(engine.settings()).await?, tenant());
        let other = world.another_instance().await?;
        let switch = Switch::new("project", &tenant, PROJECT);
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let submit = |instance: usize, project: &'static str| {
            let api = if instance == 0 { alice.clone() } else { alice.over(&other) };
            async move { api.submit_job(job().project(project)).await }
        };
        for _ in 0..3 {
            let is_over = AtomicBool::new(false);
            let working = |instance: usize| {
                let worker = if instance == 0 { worker.clone() } else { worker.over(&other) };
                let is_over = &is_over;
                async move {
                    let mut given: Vec<Given> = Vec::new();
                    while !is_over.load(Ordering::Acquire) {
                        let began = Instant::now();
                        let jobs = worker.lease_jobs(lease(5)).await?.jobs;
                        given.push((began, instance, jobs.iter().map(id_of).collect()));
                        for (number, leased) in jobs.iter().enumerate() {
                            // Some are done, some fail and are retried, some go on and on.
                            match number % 3 {
                                0 => drop(worker.complete_job(complete(leased, json("1"))).await),
                                1 => drop(worker.fail_job(fail(leased, true)).await),
                                _ => {}
                            }
                        }
                    }
                    anyhow::Ok(given)
                }
            };
            let submitting = async {
                let (mut stopped, mut others) = (HashSet::new(), Vec::new());
                let mut applied: [Option<Instant>; 2] = [None, None];
                for number in 0_usize.. {
                    let instance = number % 2;
                    let answer = submit(instance, PROJECT).await?;
                    if answer.state() == JobState::Blocked {
                        applied[instance].get_or_insert_with(Instant::now);
                    }
                    stopped.insert(answer.job_id);
                    others.push(submit(instance, "beta").await?.job_id);
                    if number == 20 {
                        engine.set(&world, &switch, true).await?;
                    }
                    if applied.iter().all(Option::is_some) && number > 60 {
                        break;
                    }
                }
                is_over.store(true, Ordering::Release);
                anyhow::Ok((stopped, others, applied))
            };
            let (workers, submitted) =
                tokio::join!(futures::future::join_all([working(0), working(1), working(0), working(1)]), submitting);
            let (in_scope, others, applied) = submitted?;
            let mut in_scope_given = 0;
            for given in workers {
                for (began, instance, job_ids) in given? {
                    let stopped: Vec<_> = job_ids.iter().filter(|job_id| in_scope.contains(*job_id)).collect();
                    in_scope_given += stopped.len();
                    let is_late = applied[instance].is_some_and(|at| began > at);
                    ensure!(!is_late || stopped.is_empty(), "{stopped:?} were handed out after the switch");
                }
            }
            ensure!(in_scope_given > 0, "the race never began");
            let open = "SELECT count(*) FROM jobs.jobs WHERE tenant_id = $1 AND project_id = $2 \
                 AND state IN ('queued', 'running', 'retrying')";
            let none_goes_on = || async {
                let query = sqlx::query_scalar::<_, i64>(open).bind(tenant.as_str()).bind(PROJECT);
                match query.fetch_one(world.db.admin()).await {
                    Ok(0) => Ok(()),
                    found => Err(format!("{found:?}")),
                }
            };
            eventually(none_goes_on, SOON).await?;
            for job_id in &others {
                ensure!(alice.job(job_id).await?.held_by.is_empty(), "{job_id} of another project");
            }
            engine.set(&world, &switch, false).await?;
            for job_id in &in_scope {
                let seen = alice.job(job_id).await?;
                if seen.state() == JobState::Blocked {
                    comes_to(&alice, job_id, JobState::Queued).await?;
                }
                if !matches!(alice.job(job_id).await?.state(), JobState::Done | JobState::Cancelled | JobState::Failed)
                {
                    alice.cancel_job(cancel(job_id)).await?;
                }
            }
            ensure!(holds_left(&world, &tenant).await? == 0);
            // As the tables count them.
            let places = "SELECT (SELECT count(*) FROM jobs.job_queue WHERE tenant_id = $1 AND project_id = $2) + \
                 (SELECT count(*) FROM jobs.job_leases WHERE tenant_id = $1 AND project_id = $2) + \
                 (SELECT count(*) FROM jobs.job_delayed WHERE tenant_id = $1 AND project_id = $2)";
            let places: i64 =
                sqlx::query_scalar(places).bind(tenant.as_str()).bind(PROJECT).fetch_one(world.db.admin()).await?;
            ensure!(places == 0, "{places} places in dispatch are left");
        }
        Ok(())
    })
}
