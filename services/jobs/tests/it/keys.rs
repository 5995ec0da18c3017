//! IdempotencyService: a reserved key is a lease with a token, then an outcome for everyone.

use anyhow::Result;
use holdfast_caller::issuer::TokenSpec;
use holdfast_ids::TenantId;
use pb::reserve_key_response::{Granted, Outcome};

use crate::support::*;

fn scope(key: &str) -> Option<pb::KeyScope> {
    Some(pb::KeyScope {
        tenant_id: String::new(),
        project_id: PROJECT.to_owned(),
        intent: "memory.write".to_owned(),
        idempotency_key: key.to_owned(),
    })
}

fn reserve(key: &str) -> pb::ReserveKeyRequest {
    pb::ReserveKeyRequest { scope: scope(key), request: b"{\"a\":1}".to_vec(), ..Default::default() }
}

/// One second: the shortest reservation that there is.
fn reserve_briefly(key: &str) -> pb::ReserveKeyRequest {
    pb::ReserveKeyRequest { lease: Some(prost_types::Duration { seconds: 1, nanos: 0 }), ..reserve(key) }
}

fn complete_key(key: &str, token: u64, outcome: &str) -> pb::CompleteKeyRequest {
    pb::CompleteKeyRequest {
        scope: scope(key),
        token,
        outcome: outcome.as_bytes().to_vec(),
        content_type: String::new(),
    }
}

async fn outcome(api: &Api, request: pb::ReserveKeyRequest) -> Result<Outcome> {
    Ok(api.reserve_key(request).await?.outcome.expect("every answer has an outcome"))
}

async fn granted(api: &Api, request: pb::ReserveKeyRequest) -> Result<Granted> {
    match outcome(api, request).await? {
        Outcome::Granted(granted) => Ok(granted),
        other => anyhow::bail!("not granted: {other:?}"),
    }
}

/// As if the reservation had run out.
async fn run_out(world: &World, tenant: &TenantId) -> Result<()> {
    let statement = "UPDATE jobs.idempotency_heads SET lease_expires_at = clock_timestamp() WHERE tenant_id = $1";
    sqlx::query(statement).bind(tenant.as_str()).execute(world.db.admin()).await?;
    Ok(())
}

#[test]
fn a_key_is_reserved_completed_and_replayed() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let memory = world.service("memory", &tenant());
        let first = granted(&memory, reserve("k")).await?;
        assert_eq!((first.token, first.generation, first.earlier_outcome_unknown), (1, 1, false));
        assert!(first.lease_expires_at.is_some() && first.window_end.is_some());
        assert_eq!(memory.get_key(pb::GetKeyRequest { scope: scope("k") }).await?.state(), pb::KeyState::Reserved);

        match outcome(&memory, reserve("k")).await? {
            Outcome::InProgress(waiting) => assert_eq!(waiting.lease_expires_at, first.lease_expires_at),
            other => panic!("while another works: {other:?}"),
        }
        let done = memory.complete_key(complete_key("k", first.token, "{\"id\": 7}")).await?;
        assert!(!done.replayed);
        let again = memory.complete_key(complete_key("k", first.token, "{\"id\": 7}")).await?;
        assert_eq!((again.completed_at, again.replayed), (done.completed_at, true));

        match outcome(&memory, reserve("k")).await? {
            Outcome::Completed(completed) => {
                assert_eq!(completed.outcome, b"{\"id\": 7}", "verbatim");
                assert_eq!((completed.content_type.as_str(), completed.generation), ("application/json", 1));
                assert_eq!(completed.completed_at, done.completed_at);
            }
            other => panic!("after completion: {other:?}"),
        }
        let seen = memory.get_key(pb::GetKeyRequest { scope: scope("k") }).await?;
        assert_eq!((seen.state(), seen.outcome.as_slice()), (pb::KeyState::Completed, b"{\"id\": 7}".as_slice()));
        Ok(())
    })
}

#[test]
fn a_key_that_is_asked_for_again_was_seen_again() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let memory = world.service("memory", &tenant);
        let seen = async || -> Result<_> {
            let key = memory.get_key(pb::GetKeyRequest { scope: scope("k") }).await?;
            Ok((at(key.first_seen_at), at(key.last_seen_at)))
        };
        let first = granted(&memory, reserve("k")).await?;
        let (first_seen, mut last_seen) = seen().await?;
        let mut moved = async |what| -> Result<()> {
            memory.reserve_key(reserve("k")).await?;
            let (first_now, last_now) = seen().await?;
            assert!(first_now == first_seen && last_now > last_seen, "{what}");
            last_seen = last_now;
            Ok(())
        };
        moved("in progress").await?;
        run_out(world, &tenant).await?;
        moved("taken over").await?;
        memory.complete_key(complete_key("k", first.token + 1, "1")).await?;
        moved("completed").await
    })
}

#[test]
fn an_agent_reserves_keys_of_its_intents() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let profile = |intent| -> Result<_> {
            Ok(TokenSpec::agent(
                actor("agent-1"),
                tenant(),
                vec![holdfast_ids::Intent::parse(intent)?],
                holdfast_caller::Tier::A,
            ))
        };
        granted(&world.caller(profile("memory.write")?), reserve("k")).await?;
        let other = world.caller(profile("memory.read")?);
        refused(other.reserve_key(reserve("k")).await, Reason::Auth403Scope);
        refused(other.complete_key(complete_key("k", 1, "1")).await, Reason::Auth403Scope);
        refused(other.get_key(pb::GetKeyRequest { scope: scope("k") }).await, Reason::Auth403Scope);
        Ok(())
    })
}

#[test]
fn another_request_under_the_key_is_a_conflict() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let memory = world.service("memory", &tenant());
        let first = granted(&memory, reserve("k")).await?;
        let same = pb::ReserveKeyRequest { request: b" { \"a\" : 1.0 } ".to_vec(), ..reserve("k") };
        assert!(matches!(outcome(&memory, same).await?, Outcome::InProgress(_)), "compared by what it means");
        let other = pb::ReserveKeyRequest { request: b"{\"a\":2}".to_vec(), ..reserve("k") };
        refused(memory.reserve_key(other.clone()).await, Reason::Job409IdempotencyConflict);
        memory.complete_key(complete_key("k", first.token, "1")).await?;
        refused(memory.reserve_key(other).await, Reason::Job409IdempotencyConflict);
        refused(memory.complete_key(complete_key("k", first.token, "2")).await, Reason::Idempotency409StaleToken);
        Ok(())
    })
}

#[test]
fn a_reservation_that_ran_out_is_taken_over_with_a_higher_token() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let memory = world.service("memory", &tenant);
        let first = granted(&memory, reserve("k")).await?;
        run_out(world, &tenant).await?;
        let second = granted(&memory, reserve("k")).await?;
        assert!(second.token > first.token);
        assert!(second.earlier_outcome_unknown);
        assert_eq!((second.generation, second.window_end), (1, first.window_end));

        refused(
            memory.complete_key(complete_key("k", first.token, "\"stale\"")).await,
            Reason::Idempotency409StaleToken,
        );
        memory.complete_key(complete_key("k", second.token, "\"fresh\"")).await?;
        refused(
            memory.complete_key(complete_key("k", first.token, "\"stale\"")).await,
            Reason::Idempotency409StaleToken,
        );
        refused(
            memory.complete_key(complete_key("k", first.token, "\"fresh\"")).await,
            Reason::Idempotency409StaleToken,
        );
        match outcome(&memory, reserve("k")).await? {
            Outcome::Completed(completed) => assert_eq!(completed.outcome, b"\"fresh\""),
            other => panic!("after completion: {other:?}"),
        }
        Ok(())
    })
}

#[test]
fn the_shortest_reservation_runs_out_by_itself() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let memory = world.service("memory", &tenant());
        let first = granted(&memory, reserve_briefly("k")).await?;
        let second = eventually(|| granted(&memory, reserve("k")), SOON).await?;
        assert!(second.token > first.token && second.earlier_outcome_unknown);
        Ok(())
    })
}

#[test]
fn a_holder_that_is_late_may_still_complete_while_nobody_took_over() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let memory = world.service("memory", &tenant);
        let first = granted(&memory, reserve("k")).await?;
        run_out(world, &tenant).await?;
        memory.complete_key(complete_key("k", first.token, "1")).await?;
        assert!(matches!(outcome(&memory, reserve("k")).await?, Outcome::Completed(_)));
        Ok(())
    })
}

#[test]
fn a_window_that_is_over_opens_the_next_generation() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let memory = world.service("memory", &tenant());
        let in_window = |request: pb::ReserveKeyRequest| {
            let mut request = request;
            request.scope.as_mut().expect("a scope").intent = "short.window".to_owned();
            request
        };
        let first = granted(&memory, in_window(reserve("k"))).await?;
        let other = in_window(pb::ReserveKeyRequest { request: b"[]".to_vec(), ..reserve("k") });
        let second = eventually(|| granted(&memory, other.clone()), SOON).await?;
        assert_eq!((second.generation, second.earlier_outcome_unknown), (2, false));
        assert!(second.token > first.token, "a token of the old window is never the current one");
        let mut late = complete_key("k", first.token, "1");
        late.scope.as_mut().expect("a scope").intent = "short.window".to_owned();
        refused(memory.complete_key(late).await, Reason::Idempotency409StaleToken);
        Ok(())
    })
}

#[test]
fn of_many_concurrent_callers_one_is_granted_the_key() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let other = world.another_instance().await?;
        let tenant = tenant();
        let memory = world.service("memory", &tenant);
        let apis = [memory.clone(), memory.over(&other)];
        for round in 0..3 {
            let calls = (0..32).map(|number: usize| {
                let api = apis[number % 2].clone();
                async move { outcome(&api, reserve("k")).await }
            });
            let outcomes = futures::future::try_join_all(calls).await?;
            let grants: Vec<_> = outcomes
                .iter()
                .filter_map(|outcome| match outcome {
                    Outcome::Granted(granted) => Some(granted),
                    Outcome::InProgress(_) => None,
                    Outcome::Completed(_) => panic!("nobody completed it"),
                })
                .collect();
            assert_eq!(grants.len(), 1, "{grants:?}");
            assert_eq!(grants[0].earlier_outcome_unknown, round > 0);
            run_out(world, &tenant).await?;
        }
        Ok(())
    })
}

#[test]
fn keys_of_services_and_of_jobs_are_one_ledger() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let memory = world.service("memory", &tenant);
        let submitted = memory.submit_job(job().intent("memory.write").key("job-key")).await?;
        refused(memory.reserve_key(reserve("job-key")).await, Reason::Job409IdempotencyConflict);
        let seen = memory.get_key(pb::GetKeyRequest { scope: scope("job-key") }).await?;
        assert_eq!((seen.job_id, seen.generation), (submitted.job_id, 1));
        refused(memory.complete_key(complete_key("job-key", 1, "1")).await, Reason::Idempotency409StaleToken);

        granted(&memory, reserve("k")).await?;
        refused(memory.submit_job(job().intent("memory.write").key("k")).await, Reason::Job409IdempotencyConflict);
        assert_eq!(rows::of_tenant(world.db.admin(), "jobs", &tenant).await?, 1);
        Ok(())
    })
}

#[test]
fn a_key_nobody_used_is_not_found_nor_is_anothers() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let here = tenant();
        let memory = world.service("memory", &here);
        let first = granted(&memory, reserve("k")).await?;
        for stranger in [world.service("policy", &here), world.service("memory", &tenant())] {
            refused(stranger.get_key(pb::GetKeyRequest { scope: scope("k") }).await, Reason::Idempotency404NotFound);
            refused(stranger.complete_key(complete_key("k", first.token, "1")).await, Reason::Idempotency404NotFound);
            assert!(matches!(outcome(&stranger, reserve("k")).await?, Outcome::Granted(_)), "a key of its own");
        }
        refused(memory.get_key(pb::GetKeyRequest { scope: scope("never") }).await, Reason::Idempotency404NotFound);
        Ok(())
    })
}
