//! Locks against the real service: what is asked is answered, and what a guard promises holds.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures::TryStreamExt as _;
use holdfast_client::{
    Client, ErrorKind, IdempotencyKey, LockFilter, LockGuard, LockLoss, MirrorState, Reason, Resource, resource,
};
use holdfast_testkit::{Stack, StackBuilder, eventually};

use crate::{
    proxy::Proxy,
    support::{PROJECT, SOON, builder, run},
};

const TTL: Duration = Duration::from_secs(2);

fn stack() -> StackBuilder {
    let stack = Stack::builder().jobs(0).relays(0).locks(1);
    stack.locks_env("LEASES__TTL_MS", 2_000).locks_env("LEASES__STALE_AFTER_MS", 3_000)
}

fn client(stack: &Stack, endpoint: &str) -> Result<Client> {
    Ok(builder(endpoint, &stack.tokens.owner("ada", "acme")?).build()?)
}

fn key(key: &str) -> Resource {
    resource(PROJECT, "project", key)
}

#[test]
fn a_lock_is_held_seen_and_released() -> Result<()> {
    run(async {
        let stack = stack().start().await?;
        let locks = client(&stack, &stack.locks[0].endpoint())?.locks();
        let guard = locks.acquire(key("a")).owner("one").await?;
        assert!(guard.is_held() && guard.token() >= 1 && guard.time_left() <= TTL);
        assert_eq!((guard.token_of(&key("a")), guard.mirror()), (Some(guard.token()), MirrorState::Written));

        let busy = locks.acquire(key("a")).owner("other").await.unwrap_err();
        assert!(busy.is(Reason::Job409Locked) && busy.metadata["cause"] == "held", "{busy}");
        let began = Instant::now();
        let late = locks.acquire(key("a")).owner("other").wait(Duration::from_millis(300)).await.unwrap_err();
        assert_eq!(late.metadata["cause"], "waited", "{late}");
        assert!(began.elapsed() >= Duration::from_millis(300));

        let lock = locks.get("", &key("a")).await?;
        let holder = lock.holder.expect("it is held");
        assert_eq!((&*holder.owner, &holder.lease_id), ("one", &guard.lease().lease_id));
        let listed: Vec<_> =
            locks.list(LockFilter { project: PROJECT.into(), ..Default::default() }).try_collect().await?;
        assert_eq!(listed.len(), 1);
        assert!(locks.check_fence("", &key("a"), guard.token()).await?.current);

        let token = guard.token();
        assert!(!guard.release().await?.replayed);
        assert!(!locks.check_fence("", &key("a"), token).await?.current);
        let again = locks.acquire(key("a")).owner("other").await?;
        assert!(again.token() > token);
        drop(again);
        let is_free = || async { anyhow::Ok(locks.get("", &key("a")).await?.holder.is_none()) };
        eventually(|| async { is_free().await.unwrap_or_default() }, SOON).await
    })
}

#[test]
fn several_are_taken_in_order_and_against_it_nothing_is() -> Result<()> {
    run(async {
        let stack = stack().start().await?;
        let locks = client(&stack, &stack.locks[0].endpoint())?.locks();
        let classes: Vec<String> = locks.classes().await?.into_iter().map(|class| class.name).collect();
        assert_eq!(classes, ["infrastructure", "budget", "project", "memory"]);
        let (memory, project) = (resource(PROJECT, "memory", "a"), key("z"));
        let both = locks.acquire_all([memory.clone(), project.clone()]).owner("one").await?;
        let order = both.lease().resources.iter().filter_map(|held| Some(held.resource.as_ref()?.class.as_str()));
        assert_eq!(order.collect::<Vec<_>>(), ["project", "memory"]);
        assert_eq!(Some(both.token()), both.token_of(&project));
        assert!(both.token_of(&memory).is_some() && both.token_of(&key("a")).is_none());
        let against = locks.acquire(resource(PROJECT, "budget", "a")).owner("one").await.unwrap_err();
        assert_eq!(against.metadata["cause"], "order", "{against}");
        locks.acquire(resource(PROJECT, "budget", "a")).owner("other").await?.release().await?;
        Ok(())
    })
}

#[test]
fn a_guard_holds_longer_than_a_lease_and_learns_of_force() -> Result<()> {
    run(async {
        let stack = stack().start().await?;
        let locks = client(&stack, &stack.locks[0].endpoint())?.locks();
        let guard = locks.acquire(key("a")).owner("one").ttl(Duration::from_secs(1)).await?;
        let renewed = || async {
            let holder = locks.get("", &key("a")).await?.holder;
            ensure!(holder.is_some_and(|holder| holder.renewals >= 5), "not yet");
            Ok(())
        };
        eventually(renewed, SOON).await?;
        assert!(guard.is_held() && !guard.is_at_risk());
        let mut states = locks.watch("", &key("a"));
        assert!(states.try_next().await?.is_some_and(|lock| lock.holder.is_some()));
        assert!(!locks.force_release(guard.lease_ref(), "by the test").await?.replayed);
        assert!(states.try_next().await?.is_some_and(|lock| lock.holder.is_none()));
        let loss = guard.lost().await;
        assert!(matches!(loss, LockLoss::Forced(_)), "{loss}");
        let error = guard.release().await.unwrap_err();
        assert!(error.is(Reason::Lock409StaleFence), "{error}");
        Ok(())
    })
}

/// A resource is reserved without an event, and so without a new version.
#[test]
fn a_watch_tells_of_what_is_reserved() -> Result<()> {
    run(async {
        let stack = stack().start().await?;
        let locks = client(&stack, &stack.locks[0].endpoint())?.locks();
        let later = locks.acquire(key("b")).owner("holder").await?;
        let mut states = locks.watch("", &key("a"));
        assert!(states.try_next().await?.is_some_and(|lock| lock.holder.is_none()));
        let both = locks.acquire_all([key("a"), key("b")]).owner("both").wait(SOON);
        let waiting = tokio::spawn(both.into_future());
        let reserved = states.try_next().await?.and_then(|lock| lock.holder).expect("it is taken");
        assert!(reserved.reserved && reserved.owner == "both");
        later.release().await?;
        let granted = states.try_next().await?.and_then(|lock| lock.holder).expect("it is taken");
        assert!(!granted.reserved && granted.lease_id == reserved.lease_id);
        waiting.await??.release().await?;
        Ok(())
    })
}

/// One call, however long the wait: another one would begin at the end of the queue.
#[test]
fn a_wait_is_longer_than_a_call_may_take() -> Result<()> {
    run(async {
        let stack = stack().locks_env("GRPC__DEADLINE_MAX_MS", 500).start().await?;
        let locks = client(&stack, &stack.locks[0].endpoint())?.locks();
        let held = locks.acquire(key("a")).owner("holder").await?;
        let waits = |owner: &'static str| tokio::spawn(locks.acquire(key("a")).owner(owner).wait(SOON).into_future());
        let stand = |count: u32| {
            let locks = &locks;
            async move { locks.get("", &key("a")).await.is_ok_and(|lock| lock.waiter_count == count) }
        };
        let first = waits("first");
        eventually(|| stand(1), SOON).await?;
        let second = waits("second");
        eventually(|| stand(2), SOON).await?;
        let in_vain = locks.acquire(key("a")).owner("third").wait(Duration::from_millis(1500)).await.unwrap_err();
        assert_eq!(in_vain.metadata["cause"], "waited", "{in_vain}");
        held.release().await?;
        let first = first.await??;
        ensure!(!second.is_finished(), "it was served before the first");
        first.release().await?;
        second.await??.release().await?;
        Ok(())
    })
}

#[test]
fn a_waiter_keeps_its_place_when_its_instance_stops() -> Result<()> {
    run(async {
        let stack = stack().locks(2).start().await?;
        let [stops, stays] = &stack.locks[..] else { anyhow::bail!("two were asked for") };
        let at_other = client(&stack, &stays.endpoint())?.locks();
        let holder = at_other.acquire(key("a")).owner("holder").await?;
        let token = stack.tokens.owner("ada", "acme")?;
        // The first attempt of a client goes to the first of its endpoints.
        let moves = builder(&stops.endpoint(), &token).endpoint(stays.endpoint()).build()?.locks();
        let waits = |locks: holdfast_client::Locks, owner: &'static str| {
            tokio::spawn(async move { locks.acquire(key("a")).owner(owner).wait(2 * SOON).await })
        };
        let waiters = |count: u32| {
            let locks = &at_other;
            async move {
                let waiters = locks.get("", &key("a")).await?.waiter_count;
                ensure!(waiters == count, "{waiters} wait");
                Ok(())
            }
        };
        let first = waits(moves, "first");
        eventually(|| waiters(1), SOON).await?;
        let second = waits(at_other.clone(), "second");
        eventually(|| waiters(2), SOON).await?;
        stops.process.terminate(SOON).await?;
        let lock = at_other.get("", &key("a")).await?;
        let owners: Vec<&str> = lock.waiters.iter().map(|waiter| waiter.owner.as_str()).collect();
        assert_eq!(owners, ["first", "second"], "it stands where it stood");
        holder.release().await?;
        let first: LockGuard = first.await??;
        assert!(!second.is_finished());
        first.release().await?;
        second.await??.release().await?;
        Ok(())
    })
}

#[test]
fn a_grant_whose_answer_was_lost_is_found_again() -> Result<()> {
    run(async {
        let stack = stack().start().await?;
        let proxy = Proxy::start(stack.locks[0].grpc_port).await?;
        let locks = client(&stack, &proxy.endpoint())?.locks();
        locks.classes().await?;
        proxy.lose_answer();
        let key_of_its_own = IdempotencyKey::random();
        let guard = locks.acquire(key("a")).owner("one").key(key_of_its_own.clone()).wait(SOON).await?;
        assert_eq!(proxy.lost(), 1);
        let again = locks.acquire(key("a")).owner("one").key(key_of_its_own).unguarded().await?;
        assert_eq!((&again.lease.lease_id, again.replayed), (&guard.lease().lease_id, true));
        // Lost on its way, a heartbeat is repeated.
        proxy.lose_answer();
        eventually(|| async { proxy.lost() == 2 }, SOON).await?;
        let is_renewed = || async { guard.time_left() > TTL / 2 };
        eventually(is_renewed, SOON).await?;
        assert!(guard.is_held());
        Ok(())
    })
}

#[test]
fn who_is_cut_off_knows_it_before_another_is_granted() -> Result<()> {
    run(async {
        let stack = stack().start().await?;
        let proxy = Proxy::start(stack.locks[0].grpc_port).await?;
        let guard = client(&stack, &proxy.endpoint())?.locks().acquire(key("a")).owner("one").await?;
        proxy.silence(true);
        let others = client(&stack, &stack.locks[0].endpoint())?.locks();
        let other = tokio::spawn(async move { others.acquire(key("a")).owner("other").wait(SOON).await });
        guard.at_risk().await;
        assert!(guard.is_held() && !other.is_finished());
        let loss = guard.lost().await;
        assert!(!other.is_finished(), "two hold it: {loss}");
        assert!(matches!(&loss, LockLoss::Expired(Some(error)) if error.kind == ErrorKind::Lost), "{loss}");
        let other = other.await??;
        assert!(other.token() > guard.token());
        proxy.silence(false);
        Ok(())
    })
}

#[test]
fn a_guard_outlasts_the_instance_that_granted_it() -> Result<()> {
    run(async {
        let stack = stack().locks(2).start().await?;
        let [dies, lives] = &stack.locks[..] else { anyhow::bail!("two were asked for") };
        let token = stack.tokens.owner("ada", "acme")?;
        let locks = builder(&dies.endpoint(), &token).endpoint(lives.endpoint()).build()?.locks();
        let guard = locks.acquire(key("a")).owner("one").await?;
        dies.process.kill().await?;
        let before = locks.get("", &key("a")).await?.holder.map_or(0, |holder| holder.renewals);
        let renewed = || async {
            let holder = locks.get("", &key("a")).await?.holder;
            ensure!(holder.is_some_and(|holder| holder.renewals >= before + 6), "not yet");
            Ok(())
        };
        eventually(renewed, SOON).await?;
        assert!(guard.is_held());
        guard.release().await?;
        Ok(())
    })
}
