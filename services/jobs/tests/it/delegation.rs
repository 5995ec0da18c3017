//! Jobs on behalf of others: how deep, how dangerous, in whose trace.

use anyhow::Result;
use holdfast_caller::Tier;
use holdfast_caller::issuer::TokenSpec;
use holdfast_ids::{Intent, ProjectId};
use pb::{JobState, RiskTier};

use crate::support::*;

fn child(parent_job_id: &str) -> pb::SubmitJobRequest {
    pb::SubmitJobRequest { parent_job_id: parent_job_id.to_owned(), ..job() }
}

#[test]
fn delegation_ends_three_levels_down() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let alice = world.user("alice", &tenant());
        let mut parent = alice.submit_job(job()).await?.job_id;
        for depth in 1..=3 {
            let job_id = alice.submit_job(child(&parent)).await?.job_id;
            let seen = alice.job(&job_id).await?;
            assert_eq!((seen.parent_job_id.as_str(), seen.depth), (parent.as_str(), depth));
            parent = job_id;
        }
        refused(alice.submit_job(child(&parent)).await, Reason::Job422DelegationDepthExceeded);
        Ok(())
    })
}

#[test]
fn a_child_is_as_dangerous_as_its_parent_at_least() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let alice = world.user("alice", &tenant());
        for (of_parent, own, expected) in [
            (RiskTier::A, RiskTier::A, RiskTier::A),
            (RiskTier::B, RiskTier::A, RiskTier::B),
            (RiskTier::A, RiskTier::B, RiskTier::B),
            (RiskTier::C, RiskTier::A, RiskTier::C),
        ] {
            let parent = alice.submit_job(job().tier(of_parent)).await?.job_id;
            let submitted = alice.submit_job(child(&parent).tier(own)).await?;
            let seen = alice.job(&submitted.job_id).await?;
            assert_eq!(seen.tier(), expected, "{of_parent:?} and {own:?}");
            assert_eq!(submitted.state() == JobState::WaitingHumanDecision, expected == RiskTier::C);
        }
        Ok(())
    })
}

#[test]
fn leaving_the_parents_project_takes_a_decision() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let alice = world.user("alice", &tenant());
        let parent = alice.submit_job(job()).await?.job_id;
        let submitted = alice.submit_job(child(&parent).project("beta")).await?;
        assert_eq!(submitted.state(), JobState::WaitingHumanDecision);
        assert_eq!(alice.job(&submitted.job_id).await?.tier(), RiskTier::C);
        Ok(())
    })
}

#[test]
fn a_child_is_in_the_trace_of_its_parent() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let trace_id = "4bf92f3577b34da6a3ce929d0e0e4736";
        let (alice, bob) = (world.user("alice", &tenant), world.user("bob", &tenant));
        let traced = alice.header("traceparent", &format!("00-{trace_id}-00f067aa0ba902b7-01"));
        let parent = traced.submit_job(job()).await?.job_id;
        let job_id = bob.submit_job(child(&parent)).await?.job_id;
        assert_eq!(bob.job(&job_id).await?.trace_id, trace_id);
        Ok(())
    })
}

#[test]
fn a_parent_out_of_reach_is_none() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let (here, elsewhere) = (tenant(), tenant());
        let parent = world.user("alice", &here).submit_job(job()).await?.job_id;
        let stranger = world.user("alice", &elsewhere);
        refused(stranger.submit_job(child(&parent)).await, Reason::Job404NotFound);
        // Of both tenants, but a family does not cross them.
        let of_both = world.caller(user("alice", &here).tenants([here.clone(), elsewhere.clone()]));
        refused(of_both.submit_job(child(&parent).tenant(&elsewhere)).await, Reason::Job404NotFound);
        let of_project = world.caller(user("alice", &here).projects([ProjectId::parse("beta")?]));
        refused(of_project.submit_job(child(&parent).project("beta")).await, Reason::Job404NotFound);
        refused(stranger.submit_job(child(&uuid::Uuid::now_v7().to_string())).await, Reason::Job404NotFound);
        Ok(())
    })
}

#[test]
fn an_agent_does_not_get_past_its_tier_by_inheritance() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let parent = world.user("alice", &tenant).submit_job(job().tier(RiskTier::B)).await?.job_id;
        let profile = TokenSpec::agent(actor("agent-1"), tenant, vec![Intent::parse(INTENT)?], Tier::A);
        refused(world.caller(profile).submit_job(child(&parent)).await, Reason::Auth403Scope);
        Ok(())
    })
}

#[test]
fn the_parent_is_part_of_what_a_key_stands_for() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let alice = world.user("alice", &tenant());
        let parent = alice.submit_job(job()).await?.job_id;
        let request = child(&parent);
        let first = alice.submit_job(request.clone()).await?;
        assert_eq!(alice.submit_job(request.clone()).await?.job_id, first.job_id);
        let orphan = pb::SubmitJobRequest { parent_job_id: String::new(), ..request };
        refused(alice.submit_job(orphan).await, Reason::Job409IdempotencyConflict);
        Ok(())
    })
}
