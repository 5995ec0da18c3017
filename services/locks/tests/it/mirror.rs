//! What Redis is told of grants, and what becomes of them where it cannot be told.

use std::collections::HashMap;

use anyhow::{Context as _, Result, ensure};
use holdfast_redis::fred::interfaces::{HashesInterface as _, KeysInterface as _};
use holdfast_redis::{Redis as Client, RedisConfig};
use holdfast_testkit::{Redis, http_get};

use crate::asks::{Ask, lease_ref, look, release, renew, resource, token};
use crate::support::{Reason, SOON, Settings, World, eventually, pb, refused, run, tenant};

const PREFIX: &str = "hf:test";

/// A server, as others look at it.
struct Seen(Client);

impl Seen {
    async fn of(redis: &Redis) -> Result<Self> {
        let config = RedisConfig { url: redis.url(), prefix: PREFIX.to_owned(), connections: 1 };
        let client = Client::connect(&config)?;
        client.wait_until_connected(SOON).await?;
        Ok(Self(client))
    }

    async fn entry(&self, tenant: &str, class: &str, key: &str) -> Result<HashMap<String, String>> {
        Ok(self.0.client().hgetall(self.0.keys().lock(tenant, "team", class, key)).await?)
    }

    async fn is_of(&self, tenant: &str, lease: &pb::Lease) -> Result<()> {
        for held in &lease.resources {
            let name = held.resource.as_ref().context("a resource")?;
            let entry = self.entry(tenant, &name.class, &name.key).await?;
            ensure!(entry.get("fence") == Some(&held.fencing_token.to_string()), "{entry:?}");
            ensure!(entry.get("lease_id") == Some(&lease.lease_id), "{entry:?}");
        }
        Ok(())
    }

    /// Writes what the service would have for a token.
    async fn put(&self, tenant: &str, key: &str, fence: &str) -> Result<()> {
        let name = self.0.keys().lock(tenant, "team", "project", key);
        let far = (chrono::Utc::now() + chrono::TimeDelta::hours(1)).timestamp_millis().to_string();
        let fields = [("fence", fence), ("lease_id", "other"), ("expires_at_ms", &far), ("stale_at_ms", &far)];
        Ok(self.0.client().hset(name, HashMap::from(fields)).await?)
    }
}

async fn readiness(world: &World) -> Result<String> {
    let port = world.first.process.http_port().context("every instance has one")?;
    let answer = http_get(port, "/readyz").await?;
    ensure!(answer.status == 200, "not ready: {}", answer.body);
    Ok(answer.body)
}

#[test]
fn a_grant_is_mirrored_before_it_is_answered_and_its_end_after() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let (tenant, redis) = (tenant(), Seen::of(&world.redis).await?);
        let api = world.service("agent", &tenant);
        for round in 0..20 {
            let lease = Ask::for_all([resource("budget", "b"), resource("memory", "m")]).lease(&api).await?;
            redis.is_of(tenant.as_str(), &lease).await.with_context(|| format!("round {round}"))?;
            release(&api, &lease).await?;
            let gone =
                || async { redis.entry(tenant.as_str(), "budget", "b").await.is_ok_and(|entry| entry.is_empty()) };
            eventually(gone, SOON).await?;
        }
        let lease = Ask::for_one("main").ttl_s(20).lease(&api).await?;
        let before = redis.entry(tenant.as_str(), "project", "main").await?;
        let stale_at = |entry: &HashMap<String, String>| entry["stale_at_ms"].parse::<i64>();
        let name = redis.0.keys().lock(tenant.as_str(), "team", "project", "main");
        let left_ms: i64 = redis.0.client().pttl(&name).await?;
        assert!((30_000..=45_000).contains(&left_ms), "it goes when the lease is stale: {left_ms}");
        renew(&api, &lease, 1).await?;
        let extended = || async {
            let entry = redis.entry(tenant.as_str(), "project", "main").await?;
            ensure!(stale_at(&entry)? > stale_at(&before)?, "{entry:?}");
            anyhow::Ok(())
        };
        eventually(extended, SOON).await?;
        let force = pb::ForceReleaseLockRequest { lease: lease_ref(&lease), reason: "a test".to_owned() };
        world.owner("olga", &tenant).force_release_lock(force).await?;
        eventually(
            || async { redis.entry(tenant.as_str(), "project", "main").await.is_ok_and(|entry| entry.is_empty()) },
            SOON,
        )
        .await?;
        let ranks: HashMap<String, String> = redis.0.client().hgetall(redis.0.keys().lock_registry()).await?;
        assert_eq!(ranks.get("infrastructure").map(String::as_str), Some("10"));
        Ok(())
    })
}

#[test]
fn without_redis_a_grant_is_degraded_or_given_back() -> Result<()> {
    run(async {
        let world = World::with(Settings::default()).await?;
        let tenant = tenant();
        let api = world.service("agent", &tenant);
        let is_whole = || async { readiness(&world).await.is_ok_and(|body| !body.contains("degraded")) };
        eventually(is_whole, SOON).await?;
        // Whatever is missing afterwards is so because it was not written, and not because Redis lost it.
        assert_eq!(world.redis.command("SET kept 1").await?, "+OK");
        world.redis.stop().await?;
        let is_degraded = || async { readiness(&world).await.is_ok_and(|body| body.contains("degraded")) };
        eventually(is_degraded, SOON).await?;

        let once = Ask::for_one("main").key("once");
        let granted = once.of(&api).await?;
        assert_eq!(granted.mirror(), pb::MirrorState::Degraded);
        let lease = granted.lease.context("a lease")?;
        // Not taken from whoever was told of it.
        let again = once.require_mirror(true).of(&api).await?;
        assert!(again.replayed && again.mirror() == pb::MirrorState::Degraded, "{again:?}");
        assert_eq!(again.lease.as_ref().map(|lease| &lease.lease_id), Some(&lease.lease_id));
        let refusal =
            refused(Ask::for_one("other").require_mirror(true).of(&api).await, Reason::Infra503DependencyDown);
        assert_eq!(refusal.metadata["component"], "redis");
        let lock = look(&api, resource("project", "other")).await?;
        assert!(lock.holder.is_none(), "{lock:?}");
        assert_eq!(lock.version, 2, "granted, and released again");

        // What it missed it is told of.
        world.redis.restart().await?;
        assert_eq!(world.redis.command("EXISTS kept").await?, ":1");
        let redis = Seen::of(&world.redis).await?;
        eventually(|| redis.is_of(tenant.as_str(), &lease), SOON).await?;
        let written = || async {
            let answer = Ask::for_one("other").require_mirror(true).of(&api).await?;
            ensure!(answer.mirror() == pb::MirrorState::Written, "{answer:?}");
            anyhow::Ok(answer)
        };
        eventually(written, SOON).await?;
        Ok(())
    })
}

#[test]
fn a_grant_waits_for_the_replicas_that_are_configured() -> Result<()> {
    run(async {
        let settings = Settings::default().set("mirror.replicas", 1).set("mirror.wait_ms", 300);
        let world = World::with(settings.clone()).await?;
        let tenant = tenant();
        let api = world.service("agent", &tenant);
        assert_eq!(Ask::for_one("alone").of(&api).await?.mirror(), pb::MirrorState::Degraded);
        let refusal = refused(Ask::for_one("main").require_mirror(true).of(&api).await, Reason::Infra503DependencyDown);
        assert_eq!(refusal.metadata["component"], "redis");

        let replica = Redis::start_replica_of(&world.redis).await?;
        let seen = Seen::of(&replica).await?;
        // A replica that has just been copied in full is heard up to a second later.
        let written = || async {
            let answer = Ask::for_one("main").require_mirror(true).of(&api).await?;
            anyhow::Ok(answer.lease.context("a lease")?)
        };
        let lease = eventually(written, SOON).await?;
        seen.is_of(tenant.as_str(), &lease).await?;
        for number in 0..20 {
            let lease = Ask::for_one(&format!("r{number}")).require_mirror(true).lease(&api).await?;
            seen.is_of(tenant.as_str(), &lease).await.context("on the replica before the answer")?;
        }

        replica.pause()?;
        assert_eq!(Ask::for_one("late").of(&api).await?.mirror(), pb::MirrorState::Degraded);
        let required = world.another_instance_with(&settings.set("mirror.require", true)).await?;
        refused(Ask::for_one("never").of(&api.over(&required)).await, Reason::Infra503DependencyDown);
        assert!(look(&api, resource("project", "never")).await?.holder.is_none());
        replica.resume()?;
        Ok(())
    })
}

#[test]
fn a_mirror_that_was_lost_is_written_again() -> Result<()> {
    run(async {
        let world = World::with(Settings::default()).await?;
        let (tenant, redis) = (tenant(), Seen::of(&world.redis).await?);
        let api = world.service("agent", &tenant);
        let mut held = Vec::new();
        for number in 0..30 {
            held.push(Ask::for_one(&format!("r{number}")).lease(&api).await?);
        }
        let released = held.pop().context("a lease")?;
        release(&api, &released).await?;
        for _ in 0..2 {
            world.redis.flush().await?;
            let whole = || async {
                for lease in &held {
                    redis.is_of(tenant.as_str(), lease).await?;
                }
                let ranks: i64 = redis.0.client().hlen(redis.0.keys().lock_registry()).await?;
                ensure!(ranks == 4, "{ranks} classes");
                anyhow::Ok(())
            };
            eventually(whole, SOON).await?;
            assert!(redis.entry(tenant.as_str(), "project", "r29").await?.is_empty(), "it was released");
        }
        Ok(())
    })
}

#[test]
fn an_older_lease_changes_nothing_of_a_newer_one() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let (tenant, redis) = (tenant(), Seen::of(&world.redis).await?);
        let api = world.service("agent", &tenant);
        redis.put(tenant.as_str(), "old", "7").await?;
        let lease = Ask::for_one("old").lease(&api).await?;
        redis.is_of(tenant.as_str(), &lease).await?;

        let lease = Ask::for_one("new").lease(&api).await?;
        let newer = (token(&lease) + 1).to_string();
        redis.put(tenant.as_str(), "new", &newer).await?;
        let newest = redis.entry(tenant.as_str(), "project", "new").await?;
        renew(&api, &lease, 1).await?;
        release(&api, &lease).await?;
        // Behind these on the same connection.
        Ask::for_one("behind").lease(&api).await?;
        assert_eq!(redis.entry(tenant.as_str(), "project", "new").await?, newest);
        // And a grant that is not the newest that Redis knows of is not mirrored.
        redis.put(tenant.as_str(), "new", "9000000000000000000").await?;
        let newest = redis.entry(tenant.as_str(), "project", "new").await?;
        assert_eq!(Ask::for_one("new").of(&api).await?.mirror(), pb::MirrorState::Degraded);
        assert_eq!(redis.entry(tenant.as_str(), "project", "new").await?, newest);
        Ok(())
    })
}
