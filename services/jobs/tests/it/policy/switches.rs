//! What a switch stops, whatever it is doing, and what goes on when it is off.

use anyhow::Result;
use chrono::{TimeDelta, Utc};
use holdfast_caller::Role;
use holdfast_caller::issuer::TokenSpec;
use holdfast_ids::TenantId;
use pb::{Decision, JobState, OnFailure, RiskTier};

use super::{Engine, Switch, comes_to, holds_left, last_move, leases, shared};
use crate::support::*;

/// Its retries are an hour away.
const SLOW: &str = "slow.retry";
const ELSEWHERE: &str = "elsewhere";

fn own() -> pb::SubmitJobRequest {
    job().intent(SLOW)
}

fn approve(job_id: &str) -> pb::DecideJobRequest {
    pb::DecideJobRequest {
        job_id: job_id.to_owned(),
        decision: Decision::Approve.into(),
        idempotency_key: fresh_key(),
        ..Default::default()
    }
}

/// One job in each state that is not final, one that no switch of the scope covers, and what becomes of them.
async fn check(
    engine: &Engine,
    world: &World,
    tenant: &TenantId,
    switch: &Switch,
    other: Option<(&Api, pb::SubmitJobRequest)>,
) -> Result<()> {
    let (alice, worker) = (world.user("alice", tenant), world.worker("worker-1", tenant));
    let olga = world.caller(TokenSpec::user(actor("olga"), tenant.clone(), Role::Owner));
    let first = alice.submit_job(own()).await?.job_id;
    let leased = leases(&worker, &first).await?;
    worker.fail_job(fail(&leased, true)).await?;
    let retrying = first;
    comes_to(&alice, &retrying, JobState::Retrying).await?;
    let running = alice.submit_job(own()).await?.job_id;
    let leased = leases(&worker, &running).await?;
    let approved = alice.submit_job(own().tier(RiskTier::C)).await?.job_id;
    olga.decide_job(approve(&approved)).await?;
    let waiting = alice.submit_job(own().tier(RiskTier::C)).await?.job_id;
    let queued = alice.submit_job(own()).await?.job_id;
    let delayed = alice.submit_job(own().not_before(Utc::now() + TimeDelta::hours(1))).await?.job_id;
    let bystander = match &other {
        Some((caller, request)) => Some(caller.submit_job(request.clone()).await?.job_id),
        None => None,
    };

    engine.set(world, switch, true).await?;
    for job_id in [&queued, &delayed, &approved] {
        let seen = comes_to(&alice, job_id, JobState::Blocked).await?;
        assert_eq!((seen.held_by, seen.blocked_by.len()), (vec![switch.name()], 0));
        assert_eq!(
            last_move(&alice, job_id).await?,
            ("system:kill_switch".into(), format!("held by {}", switch.name()))
        );
    }
    for job_id in [&running, &retrying] {
        comes_to(&alice, job_id, JobState::Cancelled).await?;
        let expected = ("system:kill_switch".into(), format!("stopped by {}", switch.name()));
        assert_eq!(last_move(&alice, job_id).await?, expected);
    }
    refused(worker.complete_job(complete(&leased, json("1"))).await, Reason::Job409AlreadyTerminal);
    // People may still decide; what they let through is held then.
    assert_eq!(alice.job(&waiting).await?.state(), JobState::WaitingHumanDecision);
    olga.decide_job(approve(&waiting)).await?;
    comes_to(&alice, &waiting, JobState::Blocked).await?;
    let taken = alice.submit_job(own()).await?;
    assert_eq!(taken.state(), JobState::Blocked);
    assert_eq!(alice.job(&taken.job_id).await?.held_by, [switch.name()]);
    let asked_for = alice.submit_job(own().tier(RiskTier::C)).await?;
    assert_eq!(asked_for.state(), JobState::Blocked);
    let listed = alice.list_jobs(pb::ListJobsRequest { states: vec![JobState::Blocked.into()], ..list() }).await?;
    assert_eq!(listed.jobs.len(), 6);
    assert!(listed.jobs.iter().all(|job| job.held_by == [switch.name()]));
    if let (Some(bystander), Some((caller, _))) = (&bystander, &other) {
        assert_eq!(caller.job(bystander).await?.state(), JobState::Queued);
    }

    engine.set(world, switch, false).await?;
    // Nobody is asked again about what was approved.
    for job_id in [&queued, &delayed, &approved, &waiting, &taken.job_id] {
        comes_to(&alice, job_id, JobState::Queued).await?;
    }
    comes_to(&alice, &asked_for.job_id, JobState::WaitingHumanDecision).await?;
    assert_eq!(last_move(&alice, &queued).await?, ("system:policy".into(), "nothing holds it any more".into()));
    assert_eq!(alice.job(&running).await?.state(), JobState::Cancelled);
    assert_eq!(holds_left(world, tenant).await?, 0);
    assert_eq!(rows::of_tenant(world.db.admin(), "job_delayed", tenant).await?, 1);
    let mut left = worker.lease_jobs(lease_waiting(10)).await?.jobs;
    while left.len() < 4 {
        left.extend(worker.lease_jobs(lease_waiting(10)).await?.jobs);
    }
    for leased in left {
        worker.complete_job(complete(&leased, json("1"))).await?;
    }
    Ok(())
}

#[test]
fn a_project_is_stopped_and_no_other() -> Result<()> {
    run(async {
        let ((engine, world), tenant) = (shared().await?, tenant());
        let (switch, alice) = (Switch::new("project", &tenant, PROJECT), world.user("alice", &tenant));
        check(engine, world, &tenant, &switch, Some((&alice, own().project("beta")))).await
    })
}

#[test]
fn an_agent_is_stopped_and_nobody_else() -> Result<()> {
    run(async {
        let ((engine, world), tenant) = (shared().await?, tenant());
        let (switch, bob) = (Switch::new("agent", &tenant, "alice"), world.user("bob", &tenant));
        check(engine, world, &tenant, &switch, Some((&bob, own()))).await
    })
}

#[test]
fn an_intent_of_one_tenant_is_stopped_and_no_other() -> Result<()> {
    run(async {
        let ((engine, world), tenant) = (shared().await?, tenant());
        let (switch, alice) = (Switch::new("intent", &tenant, SLOW), world.user("alice", &tenant));
        check(engine, world, &tenant, &switch, Some((&alice, job().intent(ELSEWHERE)))).await
    })
}

#[test]
fn everything_is_stopped_by_the_platform() -> Result<()> {
    run(async {
        let engine = Engine::start().await?;
        let (world, tenant) = (World::with(engine.settings()).await?, tenant());
        check(&engine, &world, &tenant, &Switch::new("global", "", ""), None).await?;
        // An intent of all tenants, likewise.
        let (one, other) = (self::tenant(), self::tenant());
        let switch = Switch::new("intent", "", SLOW);
        let theirs = world.user("alice", &other);
        check(&engine, &world, &one, &switch, Some((&theirs, job().intent(ELSEWHERE)))).await?;
        engine.set(&world, &switch, true).await?;
        let taken = || async { theirs.submit_job(own()).await.is_ok_and(|taken| taken.state() == JobState::Blocked) };
        eventually(taken, SOON).await
    })
}

#[test]
fn a_tenants_switch_touches_no_other_tenant() -> Result<()> {
    run(async {
        let ((engine, world), ours, theirs) = (shared().await?, tenant(), tenant());
        let (alice, same_name) = (world.user("alice", &ours), world.user("alice", &theirs));
        let switches = [
            Switch::new("project", &theirs, PROJECT),
            Switch::new("agent", &theirs, "alice"),
            Switch::new("intent", &theirs, INTENT),
        ];
        for switch in &switches {
            engine.set(world, switch, true).await?;
        }
        let held = || async {
            let taken = same_name.submit_job(job()).await.map_err(|status| status.to_string())?;
            let seen = same_name.job(&taken.job_id).await.map_err(|status| status.to_string())?;
            if seen.held_by.len() == 3 { Ok(seen) } else { Err(format!("{:?}", seen.held_by)) }
        };
        eventually(held, SOON).await?;
        let job_id = alice.submit_job(job()).await?.job_id;
        let leased = leases(&world.worker("worker-1", &ours), &job_id).await?;
        world.worker("worker-1", &ours).complete_job(complete(&leased, json("1"))).await?;
        // Switches of one name: the other tenant's goes off, and this one's stays on.
        let (mine, job_id) = (Switch::new("project", &ours, PROJECT), alice.submit_job(job()).await?.job_id);
        engine.set(world, &mine, true).await?;
        comes_to(&alice, &job_id, JobState::Blocked).await?;
        let theirs_held = same_name.submit_job(job()).await?.job_id;
        for switch in &switches {
            engine.set(world, switch, false).await?;
        }
        comes_to(&same_name, &theirs_held, JobState::Queued).await?;
        assert_eq!(alice.job(&job_id).await?.state(), JobState::Blocked);
        engine.set(world, &mine, false).await?;
        comes_to(&alice, &job_id, JobState::Queued).await?;
        Ok(())
    })
}

#[test]
fn a_workers_session_hears_that_its_job_was_stopped() -> Result<()> {
    run(async {
        let ((engine, world), tenant) = (shared().await?, tenant());
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let mut session = worker.session(hello(1)).await?;
        alice.submit_job(job()).await?;
        let leased = session.leased().await?;
        engine.set(world, &Switch::new("agent", &tenant, "alice"), true).await?;
        match session.next().await? {
            pb::work_response::Message::Revoked(revoked) => assert_eq!(revoked.lease, leased.lease),
            other => panic!("not a revocation: {other:?}"),
        }
        Ok(())
    })
}

fn after(job_id: &str) -> pb::Dependency {
    pb::Dependency { on: Some(pb::dependency::On::JobId(job_id.to_owned())), on_failure: OnFailure::Block.into() }
}

#[test]
fn a_job_is_free_when_neither_a_job_nor_a_switch_is_in_its_way() -> Result<()> {
    run(async {
        let ((engine, world), tenant) = (shared().await?, tenant());
        let (alice, bob) = (world.user("alice", &tenant), world.user("bob", &tenant));
        let worker = world.worker("worker-1", &tenant);
        let switch = Switch::new("agent", &tenant, "alice");
        for is_switched_off_first in [true, false] {
            let first = bob.submit_job(job()).await?.job_id;
            let before = alice.submit_job(pb::SubmitJobRequest { dependencies: vec![after(&first)], ..job() }).await?;
            engine.set(world, &switch, true).await?;
            let probe =
                || async { alice.submit_job(job()).await.is_ok_and(|taken| taken.state() == JobState::Blocked) };
            eventually(probe, SOON).await?;
            let held = alice.submit_job(pb::SubmitJobRequest { dependencies: vec![after(&first)], ..job() }).await?;
            let seen = alice.job(&held.job_id).await?;
            assert_eq!((seen.blocked_by, seen.held_by), (vec![first.clone()], vec![switch.name()]));
            let done = async {
                let leased = loop {
                    // What the probe left queued before the switch was on is not in anybody's way.
                    let leased = worker.lease_jobs(lease_waiting(1)).await?.jobs;
                    if let Some(leased) = leased.into_iter().find(|leased| id_of(leased) == first) {
                        break leased;
                    }
                };
                worker.complete_job(complete(&leased, json("1"))).await?;
                anyhow::Ok(())
            };
            let both = [&before.job_id, &held.job_id];
            if is_switched_off_first {
                engine.set(world, &switch, false).await?;
                let only_waits = || async { alice.job(&held.job_id).await.is_ok_and(|seen| seen.held_by.is_empty()) };
                eventually(only_waits, SOON).await?;
                assert_eq!(alice.job(&held.job_id).await?.blocked_by, [first.as_str()]);
                done.await?;
            } else {
                done.await?;
                for job_id in both {
                    let only_held = || async {
                        let seen = alice.job(job_id).await.map_err(|status| status.to_string())?;
                        let found = (seen.blocked_by.len(), seen.held_by);
                        if found == (0, vec![switch.name()]) { Ok(()) } else { Err(format!("{found:?}")) }
                    };
                    eventually(only_held, SOON).await?;
                }
                engine.set(world, &switch, false).await?;
            }
            for job_id in both {
                comes_to(&alice, job_id, JobState::Queued).await?;
                alice.cancel_job(cancel(job_id)).await?;
            }
        }
        Ok(())
    })
}

#[test]
fn a_held_job_can_be_cancelled_and_ends_at_its_maximum_age() -> Result<()> {
    run(async {
        let engine = Engine::start().await?;
        let settings = engine.settings().set("limits.max_age_ms", 1500).set("tasks.max_age_period_ms", 50);
        let (world, tenant) = (World::with(settings).await?, tenant());
        let (alice, switch) = (world.user("alice", &tenant), Switch::new("project", &tenant, PROJECT));
        engine.set(&world, &switch, true).await?;
        let taken = || async {
            let taken = alice.submit_job(job()).await.map_err(|status| status.to_string())?;
            if taken.state() == JobState::Blocked { Ok(taken.job_id) } else { Err("not held".to_owned()) }
        };
        let given_up = eventually(taken, SOON).await?;
        alice.cancel_job(cancel(&given_up)).await?;
        for tier in [RiskTier::A, RiskTier::C] {
            let old = alice.submit_job(job().tier(tier)).await?.job_id;
            assert_eq!(comes_to(&alice, &old, JobState::TimedOut).await?.timed_out_clock, "age");
        }
        assert_eq!(alice.job(&given_up).await?.state(), JobState::Cancelled);
        let none_left = || async { holds_left(&world, &tenant).await.is_ok_and(|left| left == 0) };
        eventually(none_left, SOON).await
    })
}
