//! What was accepted is answered again, whatever was set since: the caller may not have heard the first answer.

use anyhow::Result;
use holdfast_caller::Tier;
use holdfast_caller::issuer::TokenSpec;
use holdfast_ids::Intent;
use pb::batch_submit_jobs_result::Outcome;

use crate::support::*;

/// By itself and in a batch, beside one that is refused for the reason.
async fn is_answered(api: &Api, request: &pb::SubmitJobRequest, job_id: &str, reason: Reason) -> Result<()> {
    let answer = api.submit_job(request.clone()).await?;
    assert_eq!((answer.replayed, answer.job_id.as_str()), (true, job_id), "{reason:?}");
    let other = request.clone().key(&fresh_key());
    let results = api.batch_submit_jobs(batch([other.clone(), request.clone()])).await?.results;
    let outcomes: Vec<_> = results.into_iter().map(|result| result.outcome.expect("an outcome")).collect();
    match &outcomes[..] {
        [Outcome::Error(status), Outcome::Job(again)] => {
            refused_item(status, reason);
            assert_eq!((again.replayed, again.job_id.as_str()), (true, job_id), "{reason:?}");
        }
        other => panic!("not one refused and one answered: {other:?}"),
    }
    refused(api.submit_job(other).await, reason);
    // Nor is anything else let in under the key.
    let conflicting = request.clone().payload(json("[1]"));
    refused(api.submit_job(conflicting).await, Reason::Job409IdempotencyConflict);
    Ok(())
}

#[test]
fn what_an_owner_sets_refuses_no_repetition() -> Result<()> {
    run(async {
        let (world, tenant) = (World::shared().await?, tenant());
        let (alice, olga) = (world.user("alice", &tenant), world.owner("olga", &tenant));
        let profile = TokenSpec::agent(actor("agent-1"), tenant.clone(), vec![Intent::parse(INTENT)?], Tier::A);
        let agent = world.caller(profile);
        let parent_job_id = alice.submit_job(job()).await?.job_id;
        let cases = [
            (&alice, job().run_budget_s(600), Reason::Req400InvalidSchema),
            (&alice, job().attempts_at_most(3), Reason::Req400InvalidSchema),
            (&agent, job(), Reason::Auth403Scope),
            (&alice, pb::SubmitJobRequest { parent_job_id, ..job().intent("repo.lint") }, Reason::Policy403Denied),
        ];
        let mut accepted = Vec::new();
        for (api, request, _) in &cases {
            accepted.push(api.submit_job(request.clone()).await?.job_id);
        }
        let rules = pb::IntentPolicy {
            intent: INTENT.to_owned(),
            tier_floor: pb::RiskTier::B.into(),
            run_budget: Some(prost_types::Duration { seconds: 300, nanos: 0 }),
            max_attempts: 2,
            delegations: Some(pb::Delegations::default()),
            ..Default::default()
        };
        olga.update_project(update(PROJECT, 0, policy(rules))).await?;
        for ((api, request, reason), job_id) in cases.iter().zip(&accepted) {
            is_answered(api, request, job_id, *reason).await?;
        }
        assert_eq!(rows::of_tenant(world.db.admin(), "jobs", &tenant).await?, 1 + cases.len() as i64);
        Ok(())
    })
}

#[test]
fn what_a_deployment_holds_refuses_no_repetition() -> Result<()> {
    run(async {
        let (world, tenant) = (World::shared().await?, tenant());
        let alice = world.user("alice", &tenant);
        let request = pb::SubmitJobRequest { classification: pb::Classification::Sensitive.into(), ..job() };
        let job_id = alice.submit_job(request.clone()).await?.job_id;
        let stricter = Settings::default().set("residency.classification_max", "internal");
        let instance = world.another_instance_with(&stricter).await?;
        is_answered(&alice.over(&instance), &request, &job_id, Reason::Policy403Denied).await
    })
}

/// The token still decides: it is what says who asks.
#[test]
fn a_token_that_no_longer_allows_it_is_told_nothing() -> Result<()> {
    run(async {
        let (world, tenant) = (World::shared().await?, tenant());
        let request = job();
        world.user("alice", &tenant).submit_job(request.clone()).await?;
        let beta = holdfast_ids::ProjectId::parse("beta")?;
        let of_beta = world.caller(user("alice", &tenant).projects([beta]));
        refused(of_beta.submit_job(request).await, Reason::Auth403Scope);
        Ok(())
    })
}
