//! What is recorded, by whom, and what it is answered with.

use anyhow::Result;
use holdfast_caller::issuer::TokenSpec;
use holdfast_caller::{Role, Tier};
use holdfast_ids::{Intent, ProjectId};
use pb::record_usage_result::Outcome;
use pb::{BudgetScope, CountSource, JobState};

use super::*;

#[test]
fn usage_counts_against_four_budgets_and_the_answer_says_how_they_stand() -> Result<()> {
    run(async {
        let (world, tenant) = (World::shared().await?, tenant());
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let first = running(world, &tenant, "alpha").await?;
        let second = running(world, &tenant, "beta").await?;
        let one = recorded(&worker, pb::Usage { output_tokens: 5, ..held(&first, 100, 7) }).await?;
        assert_eq!((one.replayed, one.exceeded, one.job_state()), (false, false, JobState::Running));
        let two = recorded(&worker, held(&second, 1000, 20)).await?;
        for (scope, expected) in [
            (BudgetScope::Job, (1000, 20)),
            (BudgetScope::Project, (1000, 20)),
            (BudgetScope::User, (1105, 27)),
            (BudgetScope::Tenant, (1105, 27)),
        ] {
            assert_eq!(used(&two.budgets, scope), expected, "{scope:?}");
        }
        let [job, user, project, of_tenant] = two.budgets.as_slice() else { panic!("{:?}", two.budgets) };
        let limits = |budget: &pb::Budget| {
            (budget.tokens.and_then(|amount| amount.limit), budget.cost_micro_usd.and_then(|amount| amount.limit))
        };
        assert_eq!(limits(job), (Some(500_000), Some(10_000_000)));
        assert_eq!(limits(user), (Some(2_000_000), Some(30_000_000)));
        assert_eq!(limits(project), (Some(12_000_000), Some(150_000_000)));
        assert_eq!(limits(of_tenant), (None, Some(5_000_000_000)));
        assert_eq!((job.scope_id.clone(), job.resets_at), (id_of(&second), None));
        assert_eq!((user.scope_id.as_str(), project.scope_id.as_str()), ("alice", "beta"));
        let recorded_at = at(two.recorded_at);
        assert!(at(user.resets_at) > recorded_at && at(user.resets_at) <= recorded_at + chrono::TimeDelta::days(1));
        assert!(at(of_tenant.resets_at) >= at(user.resets_at));

        let asked = alice.get_budget(budget(BudgetScope::Job, &id_of(&second))).await?;
        assert_eq!((asked.budget.as_ref(), asked.source()), (Some(job), CountSource::Postgres));
        // The counters follow.
        for told in [user, project, of_tenant] {
            let id = if told.scope() == BudgetScope::Tenant { "" } else { told.scope_id.as_str() };
            let follows = || async {
                let asked = alice.get_budget(budget(told.scope(), id)).await?;
                anyhow::ensure!(
                    (asked.budget.as_ref(), asked.source()) == (Some(told), CountSource::Redis),
                    "{asked:?}"
                );
                anyhow::Ok(())
            };
            eventually(follows, SOON).await?;
        }
        Ok(())
    })
}

#[test]
fn the_same_usage_is_counted_once_and_other_usage_under_its_key_is_refused() -> Result<()> {
    run(async {
        let (world, tenant) = (World::shared().await?, tenant());
        let worker = world.worker("worker-1", &tenant);
        let leased = running(world, &tenant, "alpha").await?;
        let one = held(&leased, 100, 7);
        let other = pb::Usage { cost_micro_usd: 8, ..one.clone() };
        // Within one call, and in calls of their own.
        let told = outcomes(&worker, [one.clone(), one.clone(), other.clone()]).await?;
        let [Outcome::Recorded(first), Outcome::Recorded(again), conflict] = told.as_slice() else {
            panic!("{told:?}")
        };
        assert_eq!((first.replayed, again.replayed, again.recorded_at), (false, true, first.recorded_at));
        not_recorded(conflict.clone(), Reason::Job409IdempotencyConflict);
        let again = recorded(&worker, one.clone()).await?;
        assert_eq!((again.replayed, again.recorded_at), (true, first.recorded_at));
        assert_eq!(used(&again.budgets, BudgetScope::Job), (100, 7));
        assert_eq!(used(&again.budgets, BudgetScope::Tenant), (100, 7));
        for other in [other, pb::Usage { model: "another".to_owned(), ..one.clone() }] {
            not_recorded(outcome(&worker, other).await?, Reason::Job409IdempotencyConflict);
        }
        // Another job's key is another key.
        let elsewhere = running(world, &tenant, "beta").await?;
        let same_key = pb::Usage { idempotency_key: one.idempotency_key, ..held(&elsewhere, 1, 1) };
        assert!(!recorded(&worker, same_key).await?.replayed);
        Ok(())
    })
}

/// The money is spent, whatever became of the job and of the lease.
#[test]
fn usage_under_a_lease_that_is_over_still_counts() -> Result<()> {
    run(async {
        let (world, tenant) = (World::shared().await?, tenant());
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let job_id = alice.submit_job(job().intent("quick.retry")).await?.job_id;
        let first = worker.lease_jobs(lease_waiting(1)).await?.jobs.remove(0);
        worker.fail_job(fail(&first, true)).await?;
        recorded(&worker, held(&first, 1, 1)).await?;
        let second = worker.lease_jobs(lease_waiting(1)).await?.jobs.remove(0);
        assert_eq!(recorded(&worker, held(&first, 10, 1)).await?.job_state(), JobState::Running);
        recorded(&worker, held(&second, 100, 1)).await?;
        worker.complete_job(complete(&second, json("7"))).await?;
        let late = recorded(&worker, held(&second, 1000, 1)).await?;
        assert_eq!((late.job_state(), used(&late.budgets, BudgetScope::Job)), (JobState::Done, (1111, 4)));
        assert_eq!(alice.job(&job_id).await?.seq, 5, "it moved by nothing of this");
        // Even more than there is: who has ended is not ended again.
        let late = recorded(&worker, held(&second, 1_000_000, 1)).await?;
        assert!(late.exceeded && late.job_state() == JobState::Done, "{late:?}");
        Ok(())
    })
}

#[test]
fn a_worker_names_a_lease_that_the_job_had() -> Result<()> {
    run(async {
        let (world, tenant) = (World::shared().await?, tenant());
        let worker = world.worker("worker-1", &tenant);
        let leased = running(world, &tenant, "alpha").await?;
        let job_id = id_of(&leased);
        let missing = not_recorded(outcome(&worker, usage(&job_id, 1, 1)).await?, Reason::Req400MissingField);
        assert_eq!(fields(&missing), ["usages[0].lease"]);
        let lease = leased.lease.clone().expect("leased");
        for wrong in [
            pb::LeaseRef { lease_id: uuid::Uuid::new_v4().to_string(), ..lease.clone() },
            pb::LeaseRef { fencing_token: lease.fencing_token + 1, ..lease.clone() },
            pb::LeaseRef { fencing_token: lease.fencing_token - 1, ..lease.clone() },
        ] {
            let usage = pb::Usage { lease: Some(wrong), ..held(&leased, 1, 1) };
            not_recorded(outcome(&worker, usage).await?, Reason::Job409StaleFence);
        }
        let other = uuid::Uuid::now_v7().to_string();
        let two_jobs = not_recorded(
            outcome(&worker, pb::Usage { job_id: other, ..held(&leased, 1, 1) }).await?,
            Reason::Req400InvalidSchema,
        );
        assert_eq!(fields(&two_jobs), ["usages[0].job_id"]);
        let both = pb::Usage { job_id, ..held(&leased, 1, 1) };
        assert_eq!(used(&recorded(&worker, both).await?.budgets, BudgetScope::Job), (1, 1), "the refused left nothing");
        Ok(())
    })
}

#[test]
fn services_and_agents_report_what_their_tokens_reach() -> Result<()> {
    run(async {
        let (world, tenant) = (World::shared().await?, tenant());
        let job_id = id_of(&running(world, &tenant, "alpha").await?);
        recorded(&world.service("memory", &tenant), usage(&job_id, 1, 1)).await?;
        let agent = |intent: &str| {
            let intents = vec![Intent::parse(intent).expect("an intent")];
            world.caller(TokenSpec::agent(actor("agent-1"), tenant.clone(), intents, Tier::A))
        };
        recorded(&agent(INTENT), usage(&job_id, 1, 1)).await?;
        not_recorded(outcome(&agent("other.intent"), usage(&job_id, 1, 1)).await?, Reason::Auth403Scope);
        // One batch of the coalescer holds both, each in the tenants of its own caller.
        let stranger = world.service("memory", &crate::support::tenant());
        not_recorded(outcome(&stranger, usage(&job_id, 1, 1)).await?, Reason::Job404NotFound);
        Ok(())
    })
}

#[test]
fn a_budget_is_told_to_those_whom_it_concerns() -> Result<()> {
    run(async {
        let (world, tenant) = (World::shared().await?, tenant());
        let alpha = [ProjectId::parse("alpha")?];
        let viewer = TokenSpec::user(actor("alice"), tenant.clone(), Role::Viewer);
        let (whole, held) = (world.caller(viewer.clone()), world.caller(viewer.projects(alpha)));
        for (scope, id) in [(BudgetScope::User, ""), (BudgetScope::User, "alice"), (BudgetScope::Project, "alpha")] {
            for caller in [&whole, &held] {
                let told = caller.get_budget(budget(scope, id)).await?;
                // Nothing is counted yet: there is no counter, and PostgreSQL has no row.
                assert_eq!(told.source(), CountSource::Postgres);
                let told = told.budget.expect("a budget");
                assert_eq!((told.exceeded, told.tokens.map(|amount| amount.used)), (false, Some(0)));
                assert!(told.resets_at.is_some());
            }
        }
        for (scope, id) in [(BudgetScope::User, "bob"), (BudgetScope::Project, "beta"), (BudgetScope::Tenant, "")] {
            whole.get_budget(budget(scope, id)).await?;
            refused(held.get_budget(budget(scope, id)).await, Reason::Auth403Scope);
        }
        let named = whole.get_budget(budget(BudgetScope::Tenant, tenant.as_str())).await;
        assert_eq!(fields(&refused(named, Reason::Req400InvalidSchema)), ["scope_id"]);
        let nobodys = uuid::Uuid::now_v7().to_string();
        refused(whole.get_budget(budget(BudgetScope::Job, &nobodys)).await, Reason::Job404NotFound);
        Ok(())
    })
}
