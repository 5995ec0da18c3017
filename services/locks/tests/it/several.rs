//! Acquiring several resources: all or none, in order.

use anyhow::{Context as _, Result, ensure};

use crate::asks::{Ask, look, release, resource, token};
use crate::support::{Reason, SOON, World, eventually, pb, refused, run, tenant};

fn three() -> [pb::Resource; 3] {
    [resource("memory", "m"), resource("budget", "b"), resource("project", "p")]
}

#[test]
fn all_are_granted_under_one_lease_in_the_order_of_the_registry() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let api = world.service("agent", &tenant());
        let lease = Ask::for_all(three()).lease(&api).await?;
        let classes: Vec<_> =
            lease.resources.iter().filter_map(|held| Some(held.resource.as_ref()?.class.as_str())).collect();
        assert_eq!(classes, ["budget", "project", "memory"]);
        for held in &lease.resources {
            let lock = look(&api, held.resource.clone().context("a resource")?).await?;
            assert_eq!(lock.holder.context("a holder")?.fencing_token, held.fencing_token);
        }
        release(&api, &lease).await?;
        for asked in three() {
            assert!(look(&api, asked).await?.holder.is_none());
        }
        Ok(())
    })
}

#[test]
fn where_one_is_held_none_is_granted() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let api = world.service("agent", &tenant());
        Ask::for_all([resource("project", "p")]).lease(&api).await?;
        let received = refused(Ask::for_all(three()).all_of(&api).await, Reason::Job409Locked);
        assert_eq!(received.metadata["resource"], "project/team/p");
        for free in [resource("memory", "m"), resource("budget", "b")] {
            assert!(look(&api, free).await?.holder.is_none());
        }
        Ok(())
    })
}

#[test]
fn a_request_that_waits_has_reserved_what_comes_before() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let api = world.service("agent", &tenant);
        let olga = world.owner("olga", &tenant);
        let held = Ask::for_all([resource("project", "p")]).lease(&api).await?;
        let (caller, ask) = (api.clone(), Ask::for_all(three()).owner("all").wait_s(60));
        let waiting = tokio::spawn(async move { ask.lease(&caller).await });
        let reserved = || async {
            let holder = look(&api, resource("budget", "b")).await?.holder.context("a holder")?;
            ensure!(holder.reserved && holder.fencing_token == 0 && holder.owner == "all", "{holder:?}");
            let lease = pb::LeaseRef { tenant_id: String::new(), lease_id: holder.lease_id };
            let force = pb::ForceReleaseLockRequest { lease: Some(lease), reason: "a test".to_owned() };
            refused(olga.force_release_lock(force).await, Reason::Lock404NotFound);
            ensure!(look(&api, resource("project", "p")).await?.waiter_count == 1, "it does not wait yet");
            ensure!(look(&api, resource("memory", "m")).await?.holder.is_none(), "that is not its turn yet");
            anyhow::Ok(())
        };
        eventually(reserved, SOON).await?;
        release(&api, &held).await?;
        let lease = waiting.await??;
        assert_eq!(lease.resources.len(), 3);
        Ok(())
    })
}

#[test]
fn a_waiting_request_that_goes_gives_back_what_was_reserved() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let api = world.service("agent", &tenant());
        Ask::for_all([resource("memory", "m")]).lease(&api).await?;
        let (caller, ask) = (api.clone(), Ask::for_all(three()).wait_s(60));
        let waiting = tokio::spawn(async move { ask.lease(&caller).await });
        let reserved = || async {
            ensure!(look(&api, resource("project", "p")).await?.holder.is_some(), "not reserved yet");
            anyhow::Ok(())
        };
        eventually(reserved, SOON).await?;
        let (caller, ask) = (api.clone(), Ask::for_all([resource("budget", "b")]).wait_s(60));
        let behind = tokio::spawn(async move { ask.lease(&caller).await });
        waiting.abort();
        behind.await??;
        assert!(look(&api, resource("project", "p")).await?.holder.is_none());
        Ok(())
    })
}

/// The circle that waiting for all at once would close: a holder of the first waits for the second, behind a request for both.
#[test]
fn a_holder_and_a_request_for_several_do_not_wait_for_each_other() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let api = world.service("agent", &tenant());
        let first = Ask::for_all([resource("project", "a")]).owner("holder").lease(&api).await?;
        let second = Ask::for_all([resource("project", "b")]).owner("third").lease(&api).await?;
        let (caller, ask) =
            (api.clone(), Ask::for_all([resource("project", "a"), resource("project", "b")]).owner("both").wait_s(60));
        let both = tokio::spawn(async move { ask.lease(&caller).await });
        let waits = || async {
            ensure!(look(&api, resource("project", "a")).await?.waiter_count == 1, "it does not wait yet");
            anyhow::Ok(())
        };
        eventually(waits, SOON).await?;
        let (caller, ask) = (api.clone(), Ask::for_all([resource("project", "b")]).owner("holder").wait_s(60));
        let more = tokio::spawn(async move { ask.lease(&caller).await });
        let waits = || async {
            ensure!(look(&api, resource("project", "b")).await?.waiter_count == 1, "it does not wait yet");
            anyhow::Ok(())
        };
        eventually(waits, SOON).await?;
        release(&api, &second).await?;
        let more = more.await??;
        release(&api, &more).await?;
        release(&api, &first).await?;
        let both = both.await??;
        assert!(token(&both) > token(&more));
        Ok(())
    })
}
