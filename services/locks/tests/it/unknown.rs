//! The connection breaks while a board is written, before the server hears of it or after it has done it. The instance does not know which, and finds out:
//! each call comes to its end once.

use anyhow::{Result, ensure};
use holdfast_ids::TenantId;
use holdfast_pg::Role as Login;
use holdfast_testkit::{Database, Loss, Postgres, Proxy};

use crate::acquiring::queued;
use crate::asks::{Ask, look, release, resource, token};
use crate::support::*;

/// A world whose service speaks to its database through the proxy; background work does not.
async fn behind_a_proxy() -> Result<(Proxy, World)> {
    let proxy = Proxy::of(Postgres::shared().await?.service_port(), "locks.board_write(").await?;
    let db = Database::create().await?;
    let settings = Settings::default().set("database.app_url", proxy.url(db.url(Login::LocksApp)));
    Ok((proxy, World::over(db, settings).await?))
}

/// What the journal says of a tenant's resource, in order.
async fn journal(world: &World, tenant: &TenantId) -> Result<Vec<String>> {
    let entries = "SELECT what FROM locks.locks WHERE tenant_id = $1 AND resource_key = 'main' ORDER BY version";
    let events = "SELECT count(*) FROM locks.outbox WHERE tenant_id = $1 AND ordering_key LIKE '%/main'";
    let admin = world.db.admin();
    let entries: Vec<String> = sqlx::query_scalar(entries).bind(tenant.as_str()).fetch_all(admin).await?;
    let events: i64 = sqlx::query_scalar(events).bind(tenant.as_str()).fetch_one(admin).await?;
    ensure!(events == entries.len() as i64, "{events} events, {entries:?}");
    Ok(entries)
}

const EACH: [Loss; 2] = [Loss::Command, Loss::Answer];

#[test]
fn a_grant_is_given_once_and_told_of() -> Result<()> {
    run(async {
        let (proxy, world) = behind_a_proxy().await?;
        // Of a resource that the instance has never seen, and of one that it remembers.
        for (loss, rounds) in [(EACH[0], 0), (EACH[1], 0), (EACH[0], 2), (EACH[1], 2)] {
            let tenant = tenant();
            let api = world.service("agent", &tenant);
            for _ in 0..rounds {
                let lease = Ask::for_one("main").lease(&api).await?;
                release(&api, &lease).await?;
            }
            let before = proxy.lost();
            proxy.lose(loss);
            let answer = Ask::for_one("main").of(&api).await?;
            assert_eq!(proxy.lost(), before + 1, "{loss:?}");
            assert!(!answer.replayed, "{loss:?}: nobody was told before");
            let lease = answer.lease.expect("a lease");
            let holder = look(&api, resource("project", "main")).await?.holder.expect("a holder");
            assert_eq!((&holder.lease_id, holder.fencing_token), (&lease.lease_id, token(&lease)), "{loss:?}");
            release(&api, &lease).await?;
            let once = ["granted", "released"].repeat(rounds + 1);
            assert_eq!(journal(&world, &tenant).await?, once, "{loss:?}");
        }
        Ok(())
    })
}

#[test]
fn a_release_is_done_once_and_answered() -> Result<()> {
    run(async {
        let (proxy, world) = behind_a_proxy().await?;
        for loss in EACH {
            let tenant = tenant();
            let api = world.service("agent", &tenant);
            let lease = Ask::for_one("main").lease(&api).await?;
            proxy.lose(loss);
            release(&api, &lease).await?;
            assert_eq!(journal(&world, &tenant).await?, ["granted", "released"], "{loss:?}");
            let next = Ask::for_one("main").lease(&api).await?;
            assert!(token(&next) > token(&lease), "{loss:?}");
        }
        Ok(())
    })
}

/// What a release hands over to somebody who waits through the same instance, in the write that nobody heard of.
#[test]
fn who_waits_is_granted_once_and_told_of() -> Result<()> {
    run(async {
        let (proxy, world) = behind_a_proxy().await?;
        for loss in EACH {
            let tenant = tenant();
            let api = world.service("agent", &tenant);
            let lease = Ask::for_one("main").owner("first").lease(&api).await?;
            let (caller, ask) = (api.clone(), Ask::for_one("main").owner("second").wait_s(60));
            let waits = tokio::spawn(async move { ask.lease(&caller).await });
            queued(&api, "main", 1).await?;
            proxy.lose(loss);
            release(&api, &lease).await?;
            let next = waits.await??;
            assert_eq!(next.owner, "second");
            assert!(token(&next) > token(&lease), "{loss:?}");
            assert_eq!(journal(&world, &tenant).await?, ["granted", "released", "granted"], "{loss:?}");
            release(&api, &next).await?;
        }
        Ok(())
    })
}
