//! PostgreSQL or Redis goes away, or falls silent, under those who wait and hold.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use holdfast_testkit::{Database, Postgres, PostgresOptions};

use crate::acquiring::queued;
use crate::asks::{Ask, look, release, renew, resource, token};
use crate::support::{Api, Reason, SOON, Settings, World, eventually, pb, refused, run, tenant};

/// A wait that is longer than what is away.
fn waits(api: &Api, owner: &str) -> tokio::task::JoinHandle<Result<pb::Lease, tonic::Status>> {
    let (caller, ask) = (api.clone(), Ask::for_one("main").owner(owner).wait_s(120));
    tokio::spawn(async move { ask.lease(&caller).await })
}

async fn no_call_is_answered(api: &Api, lease: &pb::Lease) {
    let api = api.clone().timeout(Duration::from_secs(30));
    let away = |received: holdfast_fault::Received| assert_eq!(received.metadata["component"], "postgres");
    away(refused(Ask::for_one("other").of(&api).await, Reason::Infra503DependencyDown));
    away(refused(renew(&api, lease, 0).await, Reason::Infra503DependencyDown));
    away(refused(release(&api, lease).await, Reason::Infra503DependencyDown));
    let look = pb::GetLockRequest { tenant_id: String::new(), resource: Some(resource("project", "main")) };
    away(refused(api.get_lock(look).await, Reason::Infra503DependencyDown));
}

async fn outlived(crash: bool) -> Result<()> {
    let postgres = Postgres::start(PostgresOptions::default()).await?;
    // Nothing of this runs out while PostgreSQL is away.
    let settings = Settings::default().set("leases.ttl_ms", 300_000).set("leases.stale_after_ms", 600_000);
    let world = World::over(Database::create_on(&postgres).await?, settings).await?;
    let process = world.first.process.pid();
    let api = world.service("agent", &tenant());
    let held = Ask::for_one("main").lease(&api).await?;
    let first = waits(&api, "first");
    queued(&api, "main", 1).await?;
    let second = waits(&api, "second");
    queued(&api, "main", 2).await?;

    if crash {
        postgres.kill().await?
    } else {
        postgres.stop().await?
    };
    let away = Instant::now();
    no_call_is_answered(&api, &held).await;
    // The instance's own lease, and more.
    eventually(|| async { away.elapsed() > Duration::from_secs(4) }, SOON).await?;
    assert!(!first.is_finished() && !second.is_finished(), "they wait on");
    postgres.restart().await?;
    world.first.process.ready(SOON).await?;
    assert_eq!(world.first.process.pid(), process, "another process answers");

    // It was away for longer than the instance's own lease. That is nobody's death: they keep their places.
    eventually(|| renew(&api, &held, 0), SOON).await?;
    release(&api, &held).await?;
    let mut last = token(&held);
    for (owner, waiter) in [("first", first), ("second", second)] {
        let lease = waiter.await??;
        assert_eq!(lease.owner, owner);
        assert!(token(&lease) > last);
        last = token(&lease);
        release(&api, &lease).await?;
    }
    let lease = Ask::for_one("main").wait_s(30).lease(&api).await?;
    assert!(token(&lease) > last);
    release(&api, &lease).await?;
    Ok(())
}

#[test]
fn a_crash_of_postgres_is_outlived() -> Result<()> {
    run(outlived(true))
}

#[test]
fn a_shutdown_of_postgres_is_outlived() -> Result<()> {
    run(outlived(false))
}

#[test]
fn a_silence_of_postgres_is_outlived() -> Result<()> {
    run(async {
        let postgres = Postgres::start(PostgresOptions::default()).await?;
        let settings = Settings::default()
            .set("database.transaction_time_max_ms", 2000)
            .set("leases.ttl_ms", 300_000)
            .set("leases.stale_after_ms", 600_000);
        let world = World::over(Database::create_on(&postgres).await?, settings).await?;
        let api = world.service("agent", &tenant());
        let held = Ask::for_one("main").lease(&api).await?;
        let began = Instant::now();
        let frozen = postgres.freeze()?;
        no_call_is_answered(&api, &held).await;
        assert!(began.elapsed() < Duration::from_secs(40), "after {:?}", began.elapsed());
        drop(frozen);
        world.first.process.ready(SOON).await?;
        // A release that was not answered may have happened.
        let freed = || async {
            release(&api, &held).await?;
            ensure!(look(&api, resource("project", "main")).await?.holder.is_none(), "it is held");
            anyhow::Ok(())
        };
        eventually(freed, SOON).await?;
        eventually(|| async { Ask::for_one("other").lease(&api).await.context("not granted") }, SOON).await?;
        Ok(())
    })
}

#[test]
fn without_redis_those_who_wait_on_other_instances_are_served_by_the_poll() -> Result<()> {
    run(async {
        let world = World::with(Settings::default()).await?;
        let other = world.another_instance().await?;
        let api = world.service("agent", &tenant());
        let mut held = Ask::for_one("main").lease(&api).await?;
        world.redis.kill().await?;
        let mut waiting = Vec::new();
        for number in 0..6_u32 {
            let caller = if number % 2 == 0 { api.over(&other) } else { api.clone() };
            waiting.push(waits(&caller, &format!("w{number}")));
            queued(&api, "main", number + 1).await?;
        }
        for (number, waiter) in waiting.into_iter().enumerate() {
            let released = Instant::now();
            release(&api, &held).await?;
            held = waiter.await??;
            assert_eq!(held.owner, format!("w{number}"));
            // A poll is 250 ms; the rest is for a machine that is busy.
            assert!(released.elapsed() < Duration::from_secs(5), "after {:?}", released.elapsed());
        }
        Ok(())
    })
}
