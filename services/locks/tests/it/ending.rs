//! Heartbeats, releases, expiries and force.

use anyhow::{Context as _, Result, ensure};

use crate::asks::{Ask, lease_ref, look, release, renew, resource, token};
use crate::support::{Reason, SOON, Settings, World, eventually, pb, refused, run, tenant};

#[test]
fn a_heartbeat_moves_the_end_and_its_repetition_is_not_counted() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let api = world.service("agent", &tenant());
        let lease = Ask::for_one("main").lease(&api).await?;
        let first = renew(&api, &lease, 1).await?;
        assert_eq!(first.renewals, 1);
        let again = renew(&api, &lease, 1).await?;
        assert_eq!(again.renewals, 1);
        let at = |time: Option<prost_types::Timestamp>| time.map(|at| (at.seconds, at.nanos));
        assert!(at(again.expires_at) == at(first.expires_at) && at(first.expires_at) > at(lease.expires_at));
        assert_eq!(renew(&api, &lease, 0).await?.renewals, 2);
        assert_eq!(renew(&api, &lease, 3).await?.renewals, 3);
        Ok(())
    })
}

#[test]
fn a_lease_is_renewed_as_often_as_it_may_be_and_no_more() -> Result<()> {
    run(async {
        let world = World::with(Settings::default().set("leases.renewals_max", 2)).await?;
        let api = world.service("agent", &tenant());
        let lease = Ask::for_one("main").lease(&api).await?;
        assert_eq!(lease.renewals_max, 2);
        renew(&api, &lease, 1).await?;
        renew(&api, &lease, 2).await?;
        let received = refused(renew(&api, &lease, 3).await, Reason::Lock409RenewalsExhausted);
        assert_eq!(received.metadata["renewals_max"], "2");
        // A repetition is none.
        assert_eq!(renew(&api, &lease, 2).await?.renewals, 2);
        release(&api, &lease).await?;
        Ask::for_one("main").lease(&api).await?;
        Ok(())
    })
}

#[test]
fn nobody_else_renews_or_releases_a_lease() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant_id = tenant();
        let lease = Ask::for_one("main").lease(&world.service("agent", &tenant_id)).await?;
        for stranger in [world.service("another", &tenant_id), world.service("agent", &tenant())] {
            refused(renew(&stranger, &lease, 0).await, Reason::Lock404NotFound);
            refused(release(&stranger, &lease).await, Reason::Lock404NotFound);
        }
        renew(&world.service("agent", &tenant_id), &lease, 0).await?;
        Ok(())
    })
}

/// Heartbeats that arrive together share a transaction, and nothing else.
#[test]
fn a_strangers_heartbeats_do_not_stand_in_for_the_holders() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant_id = tenant();
        let holder = world.service("agent", &tenant_id);
        let lease = Ask::for_one("main").ttl_s(60).lease(&holder).await?;
        let strangers = [world.service("another", &tenant_id), world.service("agent", &tenant())];
        for round in 1..=20 {
            let stranger = |index: usize| renew(&strangers[index], &lease, 0);
            let (before, own, after) = tokio::join!(stranger(0), renew(&holder, &lease, round), stranger(1));
            assert_eq!(own?.renewals, round);
            refused(before, Reason::Lock404NotFound);
            refused(after, Reason::Lock404NotFound);
        }
        Ok(())
    })
}

/// Nor does a foreign lease's id, named in another tenant, hold up those who have to do with that lease.
#[test]
fn a_lease_named_by_another_tenant_holds_nobody_up() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let api = world.service("agent", &tenant());
        let both = Ask::for_all([resource("project", "a"), resource("project", "b")]).lease(&api).await?;
        let stranger = world.service("agent", &tenant());
        for _ in 0..20 {
            let ask = Ask::for_all([resource("project", "a")]);
            let (mine, theirs, again) = tokio::join!(ask.of(&api), release(&stranger, &both), ask.of(&api));
            refused(theirs, Reason::Lock404NotFound);
            refused(mine, Reason::Job409Locked);
            refused(again, Reason::Job409Locked);
        }
        Ok(())
    })
}

#[test]
fn a_release_repeated_is_answered_the_same() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let api = world.service("agent", &tenant());
        let lease = Ask::for_one("main").lease(&api).await?;
        let first = release(&api, &lease).await?;
        let again = release(&api, &lease).await?;
        assert!(!first.replayed && again.replayed);
        assert_eq!(first.released_at, again.released_at);
        let received = refused(renew(&api, &lease, 0).await, Reason::Lock409StaleFence);
        assert_eq!(received.metadata["ended"], "released");
        Ok(())
    })
}

#[test]
fn until_it_is_stale_a_lease_is_its_holders_and_then_nobodys() -> Result<()> {
    run(async {
        let settings = Settings::default().set("leases.ttl_ms", 1000).set("leases.stale_after_ms", 2500);
        let world = World::with(settings).await?;
        let api = world.service("agent", &tenant());
        let lease = Ask::for_one("main").lease(&api).await?;
        let expired = || async {
            let check = pb::CheckFenceRequest {
                tenant_id: String::new(),
                resource: Some(resource("project", "main")),
                fencing_token: token(&lease),
            };
            ensure!(!api.check_fence(check).await?.current, "it has not expired yet");
            anyhow::Ok(())
        };
        eventually(expired, SOON).await?;
        // Expired for its holder, and for nobody else yet.
        refused(Ask::for_one("main").of(&api).await, Reason::Job409Locked);
        let renewed = renew(&api, &lease, 0).await?;

        let next = Ask::for_one("main").wait_s(30).lease(&api).await?;
        let (granted, stale) = (next.granted_at.context("a time")?, renewed.stale_at.context("a time")?);
        assert!((granted.seconds, granted.nanos) >= (stale.seconds, stale.nanos), "granted before it was stale");
        assert!(token(&next) > token(&lease));
        for outcome in [renew(&api, &lease, 0).await.map(drop), release(&api, &lease).await.map(drop)] {
            assert_eq!(refused(outcome, Reason::Lock409StaleFence).metadata["ended"], "expired");
        }
        Ok(())
    })
}

/// It is over before anybody has noticed: no sweep runs here, and nobody waits.
#[test]
fn a_stale_lease_is_neither_renewed_nor_released() -> Result<()> {
    run(async {
        let settings = Settings::default()
            .set("leases.ttl_ms", 1000)
            .set("leases.stale_after_ms", 1000)
            .set("tasks.expiry_period_ms", 60_000);
        let world = World::with(settings).await?;
        let api = world.service("agent", &tenant());
        let lease = Ask::for_one("main").lease(&api).await?;
        let stale = lease.stale_at.context("a time")?;
        let passed = || async {
            let at = |time: prost_types::Timestamp| time.seconds * 1000 + i64::from(time.nanos) / 1_000_000;
            let now: i64 = sqlx::query_scalar("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::int8")
                .fetch_one(world.db.admin())
                .await?;
            ensure!(now > at(stale), "it is not stale yet");
            anyhow::Ok(())
        };
        eventually(passed, SOON).await?;
        refused(release(&api, &lease).await, Reason::Lock409StaleFence);
        refused(renew(&api, &lease, 0).await, Reason::Lock409StaleFence);
        Ok(())
    })
}

#[test]
fn force_ends_a_lease_at_once_and_is_recorded_with_its_reason() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant_id = tenant();
        let api = world.service("agent", &tenant_id);
        let lease = Ask::for_one("main").lease(&api).await?;
        let force = |reason: &str| pb::ForceReleaseLockRequest { lease: lease_ref(&lease), reason: reason.to_owned() };
        refused(api.force_release_lock(force("stuck")).await, Reason::Auth403Role);
        let owner = world.owner("olga", &tenant_id);
        let first = owner.force_release_lock(force("the agent is stuck")).await?;
        let again = owner.force_release_lock(force("once more")).await?;
        assert!(!first.replayed && again.replayed);
        assert_eq!(first.released_at, again.released_at);
        assert!(look(&api, resource("project", "main")).await?.holder.is_none());
        assert_eq!(refused(renew(&api, &lease, 0).await, Reason::Lock409StaleFence).metadata["ended"], "forced");
        let (detail, actor): (String, String) = sqlx::query_as(
            "SELECT detail, actor_id FROM locks.locks WHERE lease_id = $1::text::uuid AND what = 'forced'",
        )
        .bind(&lease.lease_id)
        .fetch_one(world.db.admin())
        .await?;
        assert_eq!((detail.as_str(), actor.as_str()), ("the agent is stuck", "olga"));
        Ok(())
    })
}

#[test]
fn the_journal_and_the_outbox_tell_each_grant_and_each_end_once_in_order() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant_id = tenant();
        let api = world.service("agent", &tenant_id);
        for _ in 0..3 {
            let lease = Ask::for_one("main").lease(&api).await?;
            release(&api, &lease).await?;
        }
        let journal: Vec<(String, i64)> =
            sqlx::query_as("SELECT what, version FROM locks.locks WHERE tenant_id = $1 ORDER BY version")
                .bind(tenant_id.as_str())
                .fetch_all(world.db.admin())
                .await?;
        let events: Vec<(String, i64)> = sqlx::query_as(
            "SELECT substr(event_name, 6), key_seq FROM locks.outbox
             WHERE tenant_id = $1 AND ordering_key = $1 || '/team/project/main' ORDER BY position",
        )
        .bind(tenant_id.as_str())
        .fetch_all(world.db.admin())
        .await?;
        let expected: Vec<_> = (1..=6)
            .map(|version| ((if version % 2 == 1 { "granted" } else { "released" }).to_owned(), version))
            .collect();
        assert_eq!(journal, expected);
        assert_eq!(events, expected);
        Ok(())
    })
}
