//! Acquiring one resource: at once, after others, or not.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::asks::{Ask, lease_ref, look, release, resource, token};
use crate::support::{Api, Reason, SOON, World, eventually, pb, refused, run, tenant};

/// Waits until so many stand in the queue of a resource.
pub async fn queued(api: &Api, key: &str, count: u32) -> Result<()> {
    let look = || async {
        let lock = look(api, resource("project", key)).await?;
        ensure!(lock.waiter_count == count, "{} wait", lock.waiter_count);
        anyhow::Ok(())
    };
    eventually(look, SOON).await
}

#[test]
fn what_is_free_is_granted_at_once_with_its_token_and_terms() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let api = world.service("agent", &tenant());
        let answer = Ask::for_one("main").owner("run-1").ttl_s(20).of(&api).await?;
        assert_eq!(answer.mirror(), pb::MirrorState::Written);
        assert!(!answer.replayed);
        let lease = answer.lease.context("a lease")?;
        assert_eq!((lease.actor_id.as_str(), lease.owner.as_str()), ("agent", "run-1"));
        assert_eq!(lease.resources.len(), 1);
        assert!(token(&lease) > 0);
        let expires_in = lease.expires_in.context("a duration")?;
        assert!((18..20).contains(&expires_in.seconds), "{expires_in:?}");
        let heartbeat_interval = lease.heartbeat_interval.context("a duration")?;
        assert_eq!((heartbeat_interval.seconds, heartbeat_interval.nanos), (6, 0));
        let lock = look(&api, resource("project", "main")).await?;
        let holder = lock.holder.context("a holder")?;
        assert_eq!((holder.lease_id, holder.fencing_token), (lease.lease_id.clone(), token(&lease)));
        assert!(!holder.reserved);
        assert_eq!(lock.version, 1);
        Ok(())
    })
}

#[test]
fn what_is_held_is_refused_to_whoever_does_not_wait() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let api = world.service("agent", &tenant());
        Ask::for_one("main").lease(&api).await?;
        let received = refused(Ask::for_one("main").of(&api).await, Reason::Job409Locked);
        assert_eq!(received.metadata["cause"], "held");
        assert_eq!(received.metadata["resource"], "project/team/main");
        // Nothing is left of it.
        assert_eq!(look(&api, resource("project", "main")).await?.waiter_count, 0);
        Ok(())
    })
}

#[test]
fn waiters_are_served_first_come_first_served_over_two_instances() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let other = world.another_instance().await?;
        let api = world.service("agent", &tenant());
        let mut held = Ask::for_one("main").lease(&api).await?;
        let mut waiting = Vec::new();
        for number in 0..8_u32 {
            let caller = if number % 2 == 0 { api.clone() } else { api.over(&other) };
            let ask = Ask::for_one("main").owner(&format!("waiter-{number}")).wait_s(60);
            waiting.push(tokio::spawn(async move { ask.lease(&caller).await }));
            queued(&api, "main", number + 1).await?;
        }
        let lock = look(&api, resource("project", "main")).await?;
        let owners: Vec<_> = lock.waiters.iter().map(|waiter| (waiter.position, waiter.owner.as_str())).collect();
        assert_eq!(owners[..2], [(1, "waiter-0"), (2, "waiter-1")]);
        for (number, waiter) in waiting.into_iter().enumerate() {
            let before = token(&held);
            release(&api, &held).await?;
            held = waiter.await??;
            assert_eq!(held.owner, format!("waiter-{number}"));
            assert!(token(&held) > before);
        }
        Ok(())
    })
}

#[test]
fn a_wait_that_is_over_leaves_the_queue() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let api = world.service("agent", &tenant());
        let held = Ask::for_one("main").lease(&api).await?;
        let outcome = Ask::for_one("main").wait(Duration::from_millis(300)).of(&api).await;
        assert_eq!(refused(outcome, Reason::Job409Locked).metadata["cause"], "waited");
        assert_eq!(look(&api, resource("project", "main")).await?.waiter_count, 0);
        release(&api, &held).await?;
        Ask::for_one("main").lease(&api).await?;
        Ok(())
    })
}

#[test]
fn a_waiter_that_goes_leaves_at_once_and_holds_nobody_up() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let api = world.service("agent", &tenant());
        let held = Ask::for_one("main").lease(&api).await?;
        let wait = |owner: &str| {
            let (caller, ask) = (api.clone(), Ask::for_one("main").owner(owner).wait_s(60));
            tokio::spawn(async move { ask.lease(&caller).await })
        };
        let goes = wait("goes");
        queued(&api, "main", 1).await?;
        let stays = wait("stays");
        queued(&api, "main", 2).await?;
        goes.abort();
        queued(&api, "main", 1).await?;
        release(&api, &held).await?;
        assert_eq!(stays.await??.owner, "stays");
        Ok(())
    })
}

#[test]
fn a_deadline_ends_a_wait_like_its_callers_going() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let api = world.service("agent", &tenant());
        Ask::for_one("main").lease(&api).await?;
        let hurried = api.clone().timeout(Duration::from_millis(400));
        Ask::for_one("main").wait_s(60).of(&hurried).await.expect_err("the deadline passes first");
        queued(&api, "main", 0).await
    })
}

#[test]
fn the_same_request_is_answered_with_the_same_lease_on_every_instance() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let other = world.another_instance().await?;
        let api = world.service("agent", &tenant());
        let ask = Ask::for_one("main").owner("run").key("once");
        let first = ask.of(&api).await?.lease.context("a lease")?;
        let again = ask.of(&api.over(&other)).await?;
        assert!(again.replayed);
        let again = again.lease.context("a lease")?;
        assert_eq!((&again.lease_id, &again.resources), (&first.lease_id, &first.resources));

        refused(Ask::for_one("other").owner("run").key("once").of(&api).await, Reason::Job409IdempotencyConflict);
        let another = world.service("another", &tenant());
        assert!(!Ask::for_one("main").owner("run").key("once").of(&another).await?.replayed, "another tenant's");

        release(&api, &first).await?;
        let anew = ask.of(&api).await?;
        assert!(!anew.replayed);
        assert!(token(&anew.lease.context("a lease")?) > token(&first));
        Ok(())
    })
}

#[test]
fn callers_of_one_key_at_once_get_one_lease() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let other = world.another_instance().await?;
        let api = world.service("agent", &tenant());
        for round in 0..10 {
            let ask = Ask::for_one(&format!("r{round}")).owner("run").key(&format!("once-{round}")).wait_s(20);
            let calls = (0..8).map(|number| {
                let caller = if number % 2 == 0 { api.clone() } else { api.over(&other) };
                let ask = ask.clone();
                tokio::spawn(async move { ask.lease(&caller).await })
            });
            let mut leases = Vec::new();
            for call in calls.collect::<Vec<_>>() {
                leases.push(call.await??);
            }
            assert!(leases.iter().all(|lease| lease.lease_id == leases[0].lease_id), "round {round}");
            release(&api, &leases[0]).await?;
        }
        Ok(())
    })
}

#[test]
fn a_request_against_the_order_is_refused_with_the_order() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let api = world.service("agent", &tenant());
        let memory = Ask::for_all([resource("memory", "notes")]).owner("run").lease(&api).await?;
        for against in [resource("project", "main"), resource("memory", "a"), resource("memory", "notes")] {
            let outcome = Ask::for_all([against]).owner("run").wait_s(5).of(&api).await;
            let received = refused(outcome, Reason::Job409Locked);
            assert_eq!(received.metadata["cause"], "order");
            assert_eq!(received.metadata["order"], "infrastructure, budget, project, memory");
            assert_eq!(received.metadata["after"], "memory/team/notes");
        }
        Ask::for_all([resource("memory", "z")]).owner("run").lease(&api).await?;
        Ask::for_one("main").owner("another").lease(&api).await?;
        release(&api, &memory).await?;
        refused(Ask::for_one("main2").owner("run").of(&api).await, Reason::Job409Locked);
        Ok(())
    })
}

#[test]
fn two_calls_of_one_owner_at_once_cannot_get_past_the_order() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let other = world.another_instance().await?;
        let api = world.service("agent", &tenant());
        for round in 0..30 {
            let owner = format!("run-{round}");
            let first = Ask::for_all([resource("project", &owner)]).owner(&owner);
            let later = Ask::for_all([resource("memory", &owner)]).owner(&owner);
            let elsewhere = api.over(&other);
            let (first, later) = tokio::join!(first.lease(&api), later.lease(&elsewhere));
            let later = later?;
            if let Ok(first) = first {
                assert!(token(&first) < token(&later), "round {round}: granted after what comes later");
            }
        }
        Ok(())
    })
}

#[test]
fn contenders_over_two_instances_are_one_at_a_time_and_tokens_grow() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let other = world.another_instance().await?;
        let api = world.service("agent", &tenant());
        let inside = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
        let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let contenders = (0..24).map(|number| {
            let caller = if number % 2 == 0 { api.clone() } else { api.over(&other) };
            let (inside, seen) = (inside.clone(), seen.clone());
            tokio::spawn(async move {
                for _ in 0..4 {
                    let lease = Ask::for_one("hot").wait_s(100).lease(&caller).await?;
                    let before = inside.swap(token(&lease), std::sync::atomic::Ordering::SeqCst);
                    ensure!(before == 0, "two were inside");
                    seen.lock().unwrap().push(token(&lease));
                    tokio::task::yield_now().await;
                    inside.store(0, std::sync::atomic::Ordering::SeqCst);
                    release(&caller, &lease).await?;
                }
                Ok(())
            })
        });
        for contender in contenders.collect::<Vec<_>>() {
            contender.await??;
        }
        let seen = seen.lock().unwrap();
        assert_eq!(seen.len(), 96);
        assert!(seen.is_sorted_by(|one, next| one < next), "tokens do not grow");
        Ok(())
    })
}

#[test]
fn a_class_that_is_none_is_not_found() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let api = world.service("agent", &tenant());
        refused(Ask::for_all([resource("nothing", "a")]).of(&api).await, Reason::Lock404NotFound);
        let held = Ask::for_one("main").lease(&api).await?;
        let unknown = pb::ReleaseLockRequest {
            lease: lease_ref(&pb::Lease { lease_id: uuid::Uuid::now_v7().to_string(), ..held }),
        };
        refused(api.release_lock(unknown).await, Reason::Lock404NotFound);
        Ok(())
    })
}
