//! What waits: how long, for whom, how many, and at what cost.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use holdfast_caller::issuer::TokenSpec;

use crate::acquiring::queued;
use crate::asks::{Ask, release};
use crate::support::{Reason, SOON, Settings, World, actor, eventually, refused, run, tenant};

/// The longest that a call may take ends no wait, which would go on at the end of the queue.
#[test]
fn who_waits_for_longer_than_a_call_may_take_keeps_the_place() -> Result<()> {
    run(async {
        let longest = Duration::from_secs(1);
        let world = World::with(Settings::default().set("grpc.deadline_max_ms", longest.as_millis())).await?;
        let api = world.service("agent", &tenant());
        let held = Ask::for_one("main").ttl_s(60).lease(&api).await?;
        let wait = |owner: &'static str| {
            let api = api.clone();
            tokio::spawn(async move { Ask::for_one("main").owner(owner).wait_s(60).of(&api).await })
        };
        let first = wait("first");
        queued(&api, "main", 1).await?;
        let second = wait("second");
        queued(&api, "main", 2).await?;
        let in_vain = Ask::for_one("main").wait(longest * 2).of(&api).await;
        assert_eq!(refused(in_vain, Reason::Job409Locked).metadata["cause"], "waited");
        release(&api, &held).await?;
        let granted = first.await??;
        ensure!(granted.waited.is_some_and(|waited| waited.seconds >= 2), "{granted:?}");
        ensure!(!second.is_finished());
        release(&api, &granted.lease.expect("a lease")).await?;
        second.await??;
        Ok(())
    })
}

/// A token that ends does not end a wait for whoever has the next one.
#[test]
fn a_wait_ends_with_its_token_and_goes_on_with_another() -> Result<()> {
    run(async {
        // A place that nobody stands at is kept until the second look.
        let world = World::with(Settings::default().set("waits.poll_ms", 2_000)).await?;
        let tenant = tenant();
        let api = world.service("agent", &tenant);
        let held = Ask::for_one("main").ttl_s(60).lease(&api).await?;
        let spec = TokenSpec::service(actor("agent"), tenant.clone());
        // Whole seconds in a token: two are at least one.
        let ends_soon = world.caller(spec.lifetime(Duration::from_secs(2)));
        let ask = Ask::for_one("main").owner("first").key("first").wait_s(60);
        let (first, again) = (ask.clone(), ask);
        let first = tokio::spawn(async move { first.of(&ends_soon).await });
        queued(&api, "main", 1).await?;
        let (caller, ask) = (api.clone(), Ask::for_one("main").owner("second").wait_s(60));
        let second = tokio::spawn(async move { ask.lease(&caller).await });
        queued(&api, "main", 2).await?;

        let refusal = refused(first.await?, Reason::Auth401InvalidToken);
        assert_eq!(refusal.metadata["cause"], "token_expired");
        let caller = api.clone();
        let again = tokio::spawn(async move { again.lease(&caller).await });
        // Longer than a place is kept that nobody stands at.
        let in_vain = Ask::for_one("main").wait_s(5).of(&api).await;
        assert_eq!(refused(in_vain, Reason::Job409Locked).metadata["cause"], "waited");
        release(&api, &held).await?;
        let again = again.await??;
        ensure!(!second.is_finished(), "it was served before the first");
        release(&api, &again).await?;
        second.await??;
        Ok(())
    })
}

/// Calls that are given up while an instance stands still are its connection's affair, and not that of others on it.
#[test]
fn who_waits_is_not_disturbed_by_calls_that_are_given_up() -> Result<()> {
    run(async {
        let world = World::with(Settings::default()).await?;
        let api = world.service("agent", &tenant());
        let held = Ask::for_one("main").ttl_s(60).lease(&api).await?;
        let (caller, ask) = (api.clone(), Ask::for_one("main").wait_s(60));
        let waiting = tokio::spawn(async move { ask.lease(&caller).await });
        queued(&api, "main", 1).await?;
        world.first.process.pause()?;
        let given_up: Vec<_> = (0..200)
            .map(|number| {
                let (caller, ask) = (api.clone(), Ask::for_one(&format!("r{number}")));
                tokio::spawn(async move { tokio::time::timeout(Duration::from_millis(300), ask.lease(&caller)).await })
            })
            .collect();
        for call in given_up {
            ensure!(call.await?.is_err(), "it was answered while it stood still");
        }
        world.first.process.resume()?;
        release(&api, &held).await?;
        waiting.await??;
        Ok(())
    })
}

/// The same request on another instance goes on in its place.
#[test]
fn of_two_calls_that_wait_under_one_key_the_later_one_is_served() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let other = world.another_instance().await?;
        let api = world.service("agent", &tenant());
        let held = Ask::for_one("main").lease(&api).await?;
        let ask = Ask::for_one("main").owner("run").key("once").wait_s(60);
        let (caller, earlier) = (api.clone(), ask.clone());
        let earlier = tokio::spawn(async move { earlier.of(&caller).await });
        queued(&api, "main", 1).await?;
        let caller = api.over(&other);
        let later = tokio::spawn(async move { ask.of(&caller).await });
        // Where it stands now is known only to the earlier one, which looks when it is woken.
        let refusal = refused(earlier.await?, Reason::Job409Locked);
        assert_eq!(refusal.metadata["cause"], "superseded");
        queued(&api, "main", 1).await?;
        release(&api, &held).await?;
        assert!(!later.await??.replayed);
        Ok(())
    })
}

#[test]
fn an_instance_keeps_as_many_calls_as_it_may() -> Result<()> {
    run(async {
        let world = World::with(Settings::default().set("waits.waiters_max", 2)).await?;
        let api = world.service("agent", &tenant());
        let held = Ask::for_one("main").lease(&api).await?;
        let wait = || {
            let (caller, ask) = (api.clone(), Ask::for_one("main").wait_s(60));
            tokio::spawn(async move { ask.lease(&caller).await })
        };
        let first = wait();
        queued(&api, "main", 1).await?;
        let second = wait();
        queued(&api, "main", 2).await?;
        assert!(refused(Ask::for_one("other").of(&api).await, Reason::Rate429Throttled).retryable());
        release(&api, &held).await?;
        release(&api, &first.await??).await?;
        second.await??;
        eventually(|| async { Ask::for_one("other").lease(&api).await }, SOON).await?;
        Ok(())
    })
}

/// Without Redis each instance looks four times a second, for all who wait there.
#[test]
fn many_that_wait_cost_no_more_looks_than_one() -> Result<()> {
    const WAITERS: u32 = 200;
    run(async {
        let world = World::with(Settings::default()).await?;
        let api = world.service("agent", &tenant());
        let held = Ask::for_one("main").ttl_s(60).lease(&api).await?;
        world.redis.kill().await?;
        let waiting: Vec<_> = (0..WAITERS)
            .map(|_| {
                let (caller, ask) = (api.clone(), Ask::for_one("main").wait_s(60));
                tokio::spawn(async move { ask.lease(&caller).await })
            })
            .collect();
        queued(&api, "main", WAITERS).await?;
        let transactions = async || -> Result<i64> {
            let counted = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()";
            Ok(sqlx::query_scalar(counted).fetch_one(world.db.admin()).await?)
        };
        // Sessions tell what they did about once a second.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let (before, began) = (transactions().await?, Instant::now());
        tokio::time::sleep(Duration::from_secs(4)).await;
        let each_s = (transactions().await? - before) as f64 / began.elapsed().as_secs_f64();
        ensure!(each_s > 0.0, "nothing is counted");
        // Each for itself, they would come to 800, beside the background work's hundred.
        ensure!(each_s < f64::from(WAITERS) * 2.0, "{each_s} transactions a second");
        waiting.iter().for_each(tokio::task::JoinHandle::abort);
        release(&api, &held).await?;
        Ok(())
    })
}
