//! How many submissions a caller may make in a minute.

use std::time::Duration;

use anyhow::Result;
use holdfast_caller::Tier;
use holdfast_caller::issuer::TokenSpec;
use holdfast_ids::Intent;
use pb::batch_submit_jobs_result::Outcome as Item;

use crate::support::*;

const PER_MINUTE: usize = 5;

fn held() -> Settings {
    Settings::default().set("rates.users_per_minute", PER_MINUTE)
}

/// A minute's worth at once, whoever of the instances is asked; then each is told when to come again.
#[test]
fn a_person_is_held_to_a_rate_over_all_instances() -> Result<()> {
    run(async {
        let world = World::with(held()).await?;
        let (other, tenant) = (world.another_instance().await?, tenant());
        let alice = world.user("alice", &tenant);
        let both = [alice.clone(), alice.over(&other)];
        for index in 0..PER_MINUTE {
            both[index % 2].submit_job(job()).await?;
        }
        for api in &both {
            let refusal = refused(api.submit_job(job()).await, Reason::Rate429Throttled);
            let wait = refusal.retry_after.expect("checked");
            assert!(wait > Duration::ZERO && wait <= Duration::from_secs(12), "{wait:?}");
        }
        // Others are held to their own: another person, and one of the same name elsewhere.
        world.user("bob", &tenant).submit_job(job()).await?;
        world.user("alice", &crate::support::tenant()).submit_job(job()).await?;
        Ok(())
    })
}

/// Each item of a batch counts, and so does what is in it twice.
#[test]
fn every_submission_counts_however_it_is_made() -> Result<()> {
    run(async {
        let world = World::with(held()).await?;
        let alice = world.user("alice", &tenant());
        let first = job();
        let mut jobs = vec![first.clone(), first];
        jobs.extend((0..PER_MINUTE).map(|_| job()));
        let results = alice.batch_submit_jobs(batch(jobs)).await?.results;
        let (mut taken, mut throttled) = (0, 0);
        for result in results {
            match result.outcome {
                Some(Item::Error(status)) => {
                    refused_item(&status, Reason::Rate429Throttled);
                    throttled += 1;
                }
                Some(_) => taken += 1,
                None => panic!("an item without an outcome"),
            }
        }
        assert_eq!((taken, throttled), (PER_MINUTE, 2));
        refused(alice.submit_job(job()).await, Reason::Rate429Throttled);
        // What is no submission goes on.
        alice.list_jobs(list()).await?;
        Ok(())
    })
}

/// What was taken is answered for nothing, so that nobody is told to come again for an answer that he did not hear.
#[test]
fn a_repetition_is_answered_where_the_rate_is_used_up() -> Result<()> {
    run(async {
        let world = World::with(held()).await?;
        let alice = world.user("alice", &tenant());
        let requests: Vec<_> = (0..PER_MINUTE).map(|_| job()).collect();
        for request in &requests {
            alice.submit_job(request.clone()).await?;
        }
        refused(alice.submit_job(job()).await, Reason::Rate429Throttled);
        for request in &requests {
            assert!(alice.submit_job(request.clone()).await?.replayed);
        }
        let conflicting = requests[0].clone().payload(json("[1]"));
        refused(alice.submit_job(conflicting).await, Reason::Job409IdempotencyConflict);
        Ok(())
    })
}

/// Whoever sends a batch again under the same keys gets on, as far as the rate goes.
#[test]
fn a_batch_above_the_rate_is_taken_in_the_end() -> Result<()> {
    run(async {
        // One more each second.
        let per_minute = 60;
        let world = World::with(Settings::default().set("rates.users_per_minute", per_minute)).await?;
        let tenant = tenant();
        let alice = world.user("alice", &tenant);
        let jobs: Vec<_> = (0..per_minute + 3).map(|_| job()).collect();
        let all_are_taken = || async {
            let results = alice.batch_submit_jobs(batch(jobs.clone())).await.map_err(|status| status.to_string())?;
            let taken = results.results.iter().filter(|result| matches!(result.outcome, Some(Item::Job(_)))).count();
            if taken == jobs.len() { Ok(()) } else { Err(format!("{taken} are taken")) }
        };
        eventually(all_are_taken, SOON).await?;
        assert_eq!(rows::of_tenant(world.db.admin(), "jobs", &tenant).await?, jobs.len() as i64);
        Ok(())
    })
}

#[test]
fn classes_without_a_rate_are_not_held_to_one() -> Result<()> {
    run(async {
        let world = World::with(held().set("rates.agents_per_minute", 2)).await?;
        let tenant = tenant();
        let service = world.service("memory", &tenant);
        for _ in 0..3 * PER_MINUTE {
            service.submit_job(job()).await?;
        }
        let agent = world.caller(TokenSpec::agent(actor("agent-1"), tenant, vec![Intent::parse(INTENT)?], Tier::A));
        agent.submit_job(job()).await?;
        agent.submit_job(job()).await?;
        refused(agent.submit_job(job()).await, Reason::Rate429Throttled);
        Ok(())
    })
}

/// Without Redis each instance counts by itself: nobody is let in without end, and nobody is kept out.
#[test]
fn without_redis_each_instance_holds_callers_to_the_rate() -> Result<()> {
    run(async {
        let world = World::with(held()).await?;
        let alice = world.user("alice", &tenant());
        world.redis.kill().await?;
        for _ in 0..PER_MINUTE {
            alice.submit_job(job()).await?;
        }
        refused(alice.submit_job(job()).await, Reason::Rate429Throttled);
        world.redis.restart().await?;
        Ok(())
    })
}
