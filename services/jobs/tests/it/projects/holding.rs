//! What holds for submissions once it is set: at once on the instance that answered, soon on every other.

use anyhow::Result;
use holdfast_caller::Tier;
use holdfast_caller::issuer::TokenSpec;
use holdfast_ids::Intent;
use pb::{JobState, RiskTier};

use crate::support::*;

fn floor(tier: RiskTier) -> pb::ProjectSettings {
    policy(pb::IntentPolicy { intent: INTENT.to_owned(), tier_floor: tier.into(), ..Default::default() })
}

#[test]
fn a_lower_tier_is_raised_to_the_floor() -> Result<()> {
    run(async {
        let (world, tenant) = (World::shared().await?, tenant());
        let (alice, olga) = (world.user("alice", &tenant), world.owner("olga", &tenant));
        let earlier = job();
        alice.submit_job(earlier.clone()).await?;
        olga.update_project(update(PROJECT, 0, floor(RiskTier::B))).await?;
        for (asked, expected) in [(RiskTier::A, RiskTier::B), (RiskTier::B, RiskTier::B), (RiskTier::C, RiskTier::C)] {
            let submitted = alice.submit_job(job().tier(asked)).await?;
            assert_eq!(alice.job(&submitted.job_id).await?.tier(), expected, "{asked:?}");
        }
        assert!(alice.submit_job(earlier).await?.replayed, "what a key stands for does not depend on settings");
        let other = alice.submit_job(job().intent("other.intent")).await?;
        assert_eq!(alice.job(&other.job_id).await?.tier(), RiskTier::A);
        let agent = TokenSpec::agent(actor("agent-1"), tenant.clone(), vec![Intent::parse(INTENT)?], Tier::A);
        refused(world.caller(agent).submit_job(job()).await, Reason::Auth403Scope);
        olga.update_project(update(PROJECT, 1, floor(RiskTier::C))).await?;
        let submitted = alice.submit_job(job()).await?;
        assert_eq!(submitted.state(), JobState::WaitingHumanDecision);
        Ok(())
    })
}

#[test]
fn a_change_reaches_the_other_instances_with_redis_and_without() -> Result<()> {
    run(async {
        // Found by the hint alone, as the poll is an hour away; and by the poll alone, once Redis is gone.
        for (with_redis, period_ms) in [(true, 3_600_000), (false, 50)] {
            let settings = Settings::default().set("tasks.project_settings_period_ms", period_ms);
            let world = World::with(settings).await?;
            let (other, tenant) = (world.another_instance().await?, tenant());
            let (alice, olga) = (world.user("alice", &tenant).over(&other), world.owner("olga", &tenant));
            if !with_redis {
                world.redis.kill().await?;
            }
            // A hint may be said before anybody hears it: the other instance has just begun.
            let mut version = 0;
            let reached = || {
                let (alice, olga) = (alice.clone(), olga.clone());
                version += 1;
                let tier = if version % 2 == 1 { RiskTier::B } else { RiskTier::A };
                async move {
                    olga.update_project(update(PROJECT, version - 1, floor(tier))).await?;
                    let look = || async {
                        let submitted = alice.submit_job(job()).await?;
                        anyhow::ensure!(alice.job(&submitted.job_id).await?.tier() == tier, "not yet");
                        anyhow::Ok(())
                    };
                    eventually(look, std::time::Duration::from_secs(3)).await
                }
            };
            eventually(reached, SOON).await?;
        }
        Ok(())
    })
}

#[test]
fn an_instance_that_starts_knows_what_was_set() -> Result<()> {
    run(async {
        let world = World::with(Settings::default().set("tasks.project_settings_period_ms", 3_600_000)).await?;
        let tenant = tenant();
        world.owner("olga", &tenant).update_project(update(PROJECT, 0, floor(RiskTier::C))).await?;
        let other = world.another_instance().await?;
        let submitted = world.user("alice", &tenant).over(&other).submit_job(job()).await?;
        assert_eq!(submitted.state(), JobState::WaitingHumanDecision);
        Ok(())
    })
}

#[test]
fn the_terms_of_an_intent_are_the_projects() -> Result<()> {
    run(async {
        let (world, tenant) = (World::shared().await?, tenant());
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let ms = |ms: i64| Some(prost_types::Duration { seconds: ms / 1000, nanos: (ms % 1000) as i32 * 1_000_000 });
        let terms = pb::IntentPolicy {
            intent: INTENT.to_owned(),
            run_budget: ms(30_000),
            human_budget: ms(5000),
            max_attempts: 2,
            retry_initial: ms(1),
            retry_cap: ms(2),
            key_window: ms(1),
            ..Default::default()
        };
        world.owner("olga", &tenant).update_project(update(PROJECT, 0, policy(terms))).await?;
        let request = job();
        let first = alice.submit_job(request.clone()).await?;
        let constraints = alice.job(&first.job_id).await?.constraints.expect("the terms");
        assert_eq!((constraints.run_budget, constraints.max_attempts), (ms(30_000), 2));
        let over = alice.submit_job(job().run_budget_s(31)).await;
        assert_eq!(fields(&refused(over, Reason::Req400InvalidSchema)), ["constraints.run_budget"]);
        assert_eq!(
            fields(&refused(alice.submit_job(job().attempts_at_most(3)).await, Reason::Req400InvalidSchema)),
            ["constraints.max_attempts"]
        );
        // The window of its key is over at once.
        eventually(
            || async {
                let again = alice.submit_job(request.clone()).await?;
                anyhow::ensure!(!again.replayed && again.job_id != first.job_id, "still in its window");
                anyhow::Ok(())
            },
            SOON,
        )
        .await?;
        // By configuration the first back-off is a second and more.
        let leased = worker.lease_jobs(lease_waiting(1)).await?.jobs.remove(0);
        let retrying = worker.fail_job(fail(&leased, true)).await?;
        assert_eq!(retrying.state(), JobState::Retrying);
        let waits =
            at(retrying.next_attempt_at) - at(alice.job(&id_of(&leased)).await?.last_failure.unwrap().occurred_at);
        assert!(waits <= chrono::TimeDelta::milliseconds(3), "{waits}");
        let dangerous = alice.submit_job(job().tier(RiskTier::C)).await?;
        let seen = alice.job(&dangerous.job_id).await?;
        assert_eq!(at(seen.decide_by) - at(seen.created_at), chrono::TimeDelta::milliseconds(5000));
        Ok(())
    })
}

#[test]
fn a_job_is_the_parent_of_what_its_intent_may_delegate() -> Result<()> {
    run(async {
        let (world, tenant) = (World::shared().await?, tenant());
        let (alice, olga) = (world.user("alice", &tenant), world.owner("olga", &tenant));
        let parent = alice.submit_job(job()).await?.job_id;
        let child = |intent: &str| pb::SubmitJobRequest { parent_job_id: parent.clone(), ..job().intent(intent) };
        alice.submit_job(child("repo.deploy")).await?;
        let old = alice.submit_job(child("repo.deploy").project("beta")).await?.job_id;
        let decision = pb::DecideJobRequest {
            job_id: old.clone(),
            decision: pb::Decision::Reject.into(),
            reason: "not now".to_owned(),
            idempotency_key: fresh_key(),
            ..Default::default()
        };
        olga.decide_job(decision).await?;
        // Of beta alone: the rules are those of a parent that this caller does not see.
        let of_beta = world.caller(user("alice", &tenant).projects([holdfast_ids::ProjectId::parse("beta")?]));
        let resubmit = || pb::ResubmitJobRequest { job_id: old.clone(), idempotency_key: fresh_key() };
        let heard = resubmit();
        of_beta.resubmit_job(heard.clone()).await?;
        let delegations = |intents: &[&str]| {
            let intents = intents.iter().map(|intent| (*intent).to_owned()).collect();
            let delegations = Some(pb::Delegations { intents });
            policy(pb::IntentPolicy { intent: INTENT.to_owned(), delegations, ..Default::default() })
        };
        olga.update_project(update(PROJECT, 0, delegations(&["repo.lint"]))).await?;
        alice.submit_job(child("repo.lint")).await?;
        let refusal = refused(alice.submit_job(child("repo.deploy")).await, Reason::Policy403Denied);
        assert_eq!(refusal.metadata.get("rule").map(String::as_str), Some("delegations"));
        // The rules are those of the parent's project, wherever the child is to be.
        refused(alice.submit_job(child("repo.deploy").project("beta")).await, Reason::Policy403Denied);
        refused(of_beta.resubmit_job(resubmit()).await, Reason::Policy403Denied);
        assert!(of_beta.resubmit_job(heard).await?.job.is_some_and(|job| job.replayed));
        alice.submit_job(job().intent("repo.deploy")).await?;
        olga.update_project(update(PROJECT, 1, delegations(&[]))).await?;
        refused(alice.submit_job(child("repo.lint")).await, Reason::Policy403Denied);
        Ok(())
    })
}
