//! Watching a resource.

use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::asks::{Ask, release, renew, resource, token};
use crate::support::*;

#[test]
fn a_watch_tells_the_state_at_once_and_every_change_of_the_holder() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let other = world.another_instance().await?;
        let api = world.service("agent", &tenant());
        // One where it changes, one that hears of it.
        for watching in [api.clone(), api.over(&other)] {
            let mut watch = watching.watch(resource("project", "main")).await?;
            let free = watch.next().await?;
            assert!(free.holder.is_none() && free.waiter_count == 0, "{free:?}");
            let lease = Ask::for_one("main").lease(&api).await?;
            let taken = watch.next().await?;
            assert_eq!(taken.holder.context("a holder")?.lease_id, lease.lease_id);
            assert_eq!(taken.fencing_token, token(&lease));
            // Not a change of its holder: the next state is that of the release.
            renew(&api, &lease, 0).await?;
            release(&api, &lease).await?;
            let freed = watch.next().await?;
            assert!(freed.holder.is_none() && freed.version > taken.version, "{freed:?}");
        }
        Ok(())
    })
}

/// Whoever knows of a grant and asks then, does not see what was before.
#[test]
fn a_further_watch_of_a_resource_begins_with_its_state_now() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let other = world.another_instance().await?;
        let api = world.service("agent", &tenant());
        let there = api.over(&other);
        let mut first = there.watch(resource("project", "main")).await?;
        first.next().await?;
        for _ in 0..10 {
            let lease = Ask::for_one("main").lease(&api).await?;
            let holder = there.watch(resource("project", "main")).await?.next().await?.holder;
            assert_eq!(holder.context("a holder")?.lease_id, lease.lease_id);
            release(&api, &lease).await?;
        }
        Ok(())
    })
}

#[test]
fn without_redis_a_watch_is_told_by_polling() -> Result<()> {
    run(async {
        let world = World::with(Settings::default()).await?;
        let other = world.another_instance().await?;
        let api = world.service("agent", &tenant());
        let mut watch = api.over(&other).watch(resource("project", "main")).await?;
        watch.next().await?;
        world.redis.kill().await?;
        let lease = Ask::for_one("main").lease(&api).await?;
        let taken = watch.until(|lock| lock.holder.is_some()).await?;
        assert_eq!(taken.holder.context("a holder")?.lease_id, lease.lease_id);
        Ok(())
    })
}

#[test]
fn an_instance_has_so_many_watches_and_no_more() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let instance = world.another_instance_with(&world.settings().clone().set("watch.watches_max", 1)).await?;
        let api = world.service("agent", &tenant()).over(&instance);
        let mut watch = api.watch(resource("project", "main")).await?;
        watch.next().await?;
        refused(api.watch(resource("project", "other")).await.map(drop), Reason::Rate429Throttled);
        drop(watch);
        let again = || async { api.watch(resource("project", "other")).await.is_ok() };
        eventually(again, SOON).await
    })
}

#[test]
fn a_watch_ends_with_its_instance_and_with_its_callers_token() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let (tenant, instance) = (tenant(), world.another_instance().await?);
        let mut watch = world.service("agent", &tenant).over(&instance).watch(resource("project", "main")).await?;
        watch.next().await?;
        let (stopped, end) = tokio::join!(instance.process.terminate(SOON), watch.next());
        stopped?;
        refused(end, Reason::Infra503Draining);

        let short = world.caller(user("alice", &tenant).lifetime(Duration::from_secs(2)));
        let mut watch = short.watch(resource("project", "main")).await?;
        watch.next().await?;
        refused(watch.next().await, Reason::Auth401InvalidToken);
        Ok(())
    })
}
