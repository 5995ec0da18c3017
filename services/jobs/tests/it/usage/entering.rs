//! Jobs whose budgets were exceeded while they waited for something else than a worker.

use anyhow::Result;
use holdfast_caller::Role;
use holdfast_caller::issuer::TokenSpec;
use pb::{Decision, JobState};

use super::*;

fn strict() -> Settings {
    // Nobody sweeps here: what lets a job go on is what ends it.
    lively().set("budgets.job_tokens", 1000).set("tasks.budget_sweep_period_ms", 3_600_000)
}

async fn decided(world: &World, tenant: &TenantId, job_id: &str, decision: Decision) -> Result<JobState> {
    let olga = world.caller(TokenSpec::user(actor("olga"), tenant.clone(), Role::Owner));
    let request = pb::DecideJobRequest {
        job_id: job_id.to_owned(),
        decision: decision.into(),
        reason: "as planned".to_owned(),
        idempotency_key: fresh_key(),
        ..Default::default()
    };
    Ok(olga.decide_job(request).await?.job.expect("the job is in the answer").state())
}

/// From, to and by whom, of the last two moves.
async fn last_moves(api: &Api, job_id: &str) -> Result<[(JobState, JobState, String, String); 2]> {
    let history = api.history(job_id).await?;
    let moves = history.iter().rev().take(2).rev();
    let moves: Vec<_> =
        moves.map(|one| (one.from_state(), one.to_state(), one.actor_id.clone(), one.detail.clone())).collect();
    Ok(moves.try_into().expect("two moves"))
}

#[test]
fn a_job_that_used_up_its_own_budget_while_people_decided_ends_as_it_is_approved() -> Result<()> {
    run(async {
        let world = World::with(strict()).await?;
        let tenant = tenant();
        let (alice, planner) = (world.user("alice", &tenant), world.service("planner", &tenant));
        for (used, first) in [(1001, Decision::Approve), (1001, Decision::Defer), (1000, Decision::Approve)] {
            let job_id = alice.submit_job(job().tier(pb::RiskTier::C)).await?.job_id;
            // A service plans it before anybody has approved it.
            let told = recorded(&planner, usage(&job_id, used, 0)).await?;
            assert_eq!((told.exceeded, told.job_state()), (used > 1000, JobState::WaitingHumanDecision));
            let mut state = decided(&world, &tenant, &job_id, first).await?;
            if first == Decision::Defer {
                assert_eq!(state, JobState::Deferred);
                state = decided(&world, &tenant, &job_id, Decision::Approve).await?;
            }
            if used == 1000 {
                assert_eq!(state, JobState::Queued, "at its limit a budget holds");
                continue;
            }
            assert_eq!(state, JobState::BudgetExceeded);
            assert_eq!(alice.job(&job_id).await?.exceeded_budget, "job.tokens");
            let [approved, ended] = last_moves(&alice, &job_id).await?;
            assert_eq!(
                (approved.0, approved.1, approved.2.as_str()),
                (JobState::WaitingHumanDecision, JobState::Queued, "olga")
            );
            assert_eq!(
                (ended.0, ended.1, ended.2.as_str(), ended.3.as_str()),
                (JobState::Queued, JobState::BudgetExceeded, "system:budgets", "job.tokens: 1001 used of 1000")
            );
        }
        check_sums(world.db.admin()).await
    })
}

#[test]
fn a_job_that_used_up_a_budget_while_it_was_blocked_ends_as_it_is_freed() -> Result<()> {
    run(async {
        let world = World::with(strict().set("budgets.project_day_tokens", 5000)).await?;
        let tenant = tenant();
        let (alice, planner, worker) =
            (world.user("alice", &tenant), world.service("planner", &tenant), world.worker("worker-1", &tenant));
        for (used, elsewhere, name) in [(1001, 0, "job.tokens"), (1, 5000, "project.tokens")] {
            let project = format!("of-{elsewhere}");
            let first = running(&world, &tenant, &project).await?;
            let on = Some(pb::dependency::On::JobId(id_of(&first)));
            let dependencies = vec![pb::Dependency { on, on_failure: pb::OnFailure::Cancel.into() }];
            let blocked = pb::SubmitJobRequest { dependencies, ..job().project(&project) };
            let job_id = alice.submit_job(blocked.clone()).await?.job_id;
            let last = pb::Dependency {
                on: Some(pb::dependency::On::JobId(job_id.clone())),
                on_failure: pb::OnFailure::Cancel.into(),
            };
            let last = pb::SubmitJobRequest { dependencies: vec![last], ..blocked.key(&fresh_key()) };
            let last = alice.submit_job(last).await?.job_id;
            recorded(&planner, usage(&job_id, used, 0)).await?;
            if elsewhere > 0 {
                // It waits for people, and is left to them.
                let spender = alice.submit_job(job().project(&project).tier(pb::RiskTier::C)).await?.job_id;
                recorded(&planner, usage(&spender, elsewhere, 0)).await?;
            }
            worker.complete_job(complete(&first, json("7"))).await?;
            let ended = || async {
                let seen = alice.job(&job_id).await?;
                anyhow::ensure!(seen.exceeded_budget == name, "{seen:?}");
                anyhow::Ok(())
            };
            eventually(ended, SOON).await?;
            // Its own dependents are told.
            let cancelled = || async { alice.job(&last).await.is_ok_and(|job| job.state() == JobState::Cancelled) };
            eventually(cancelled, SOON).await?;
        }
        check_sums(world.db.admin()).await
    })
}
