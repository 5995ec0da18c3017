//! An instance stops: those who wait there are told, and lose nothing.

use anyhow::{Result, ensure};
use holdfast_testkit::Signal;
use pb::hold_lock_request::{Acquire, Message as In, Resume};

use crate::acquiring::queued;
use crate::asks::{Ask, lease_ref, look, release, resource, token};
use crate::support::{Reason, SOON, World, eventually, pb, refused, run, tenant};

#[test]
fn a_waiter_keeps_its_place_from_a_drained_instance_to_another() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let leaves = world.another_instance().await?;
        let api = world.service("agent", &tenant());
        let held = Ask::for_one("main").lease(&api).await?;
        let first = Ask::for_one("main").owner("first").key("first").wait_s(60);
        let (caller, ask) = (api.over(&leaves), first.clone());
        let told = tokio::spawn(async move { ask.of(&caller).await });
        queued(&api, "main", 1).await?;
        let (caller, ask) = (api.clone(), Ask::for_one("main").owner("second").wait_s(60));
        let second = tokio::spawn(async move { ask.lease(&caller).await });
        queued(&api, "main", 2).await?;

        leaves.process.signal(Signal::SIGTERM)?;
        assert!(refused(told.await?, Reason::Infra503Draining).retryable());
        let (caller, ask) = (api.clone(), first);
        let first = tokio::spawn(async move { ask.lease(&caller).await });
        assert!(leaves.process.wait(SOON).await?.success());
        let lock = look(&api, resource("project", "main")).await?;
        assert_eq!((lock.waiter_count, lock.waiters[0].owner.as_str()), (2, "first"));
        release(&api, &held).await?;
        let first = first.await??;
        assert!(!second.is_finished(), "it was served before the first");
        release(&api, &first).await?;
        assert!(token(&second.await??) > token(&first));
        Ok(())
    })
}

#[test]
fn a_stream_that_waits_is_told_and_keeps_its_place_for_another() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let leaves = world.another_instance().await?;
        let api = world.service("agent", &tenant());
        let held = Ask::for_one("main").lease(&api).await?;
        let terms = pb::AcquireTerms {
            owner: "first".to_owned(),
            idempotency_key: "first".to_owned(),
            wait: Some(prost_types::Duration { seconds: 60, nanos: 0 }),
            ..Default::default()
        };
        let resources = vec![resource("project", "main")];
        let acquire = || {
            let (resources, terms) = (resources.clone(), Some(terms.clone()));
            In::Acquire(Acquire { tenant_id: String::new(), resources, terms })
        };
        let mut waits = api.over(&leaves).hold(acquire()).await?;
        waits.waiting().await?;
        let (caller, ask) = (api.clone(), Ask::for_one("main").owner("second").wait_s(60));
        let second = tokio::spawn(async move { ask.lease(&caller).await });
        queued(&api, "main", 2).await?;

        leaves.process.signal(Signal::SIGTERM)?;
        refused(waits.next().await, Reason::Infra503Draining);
        let mut waits = api.hold(acquire()).await?;
        waits.waiting().await?;
        release(&api, &held).await?;
        waits.granted().await?;
        assert!(!second.is_finished(), "it was served before the first");
        waits.done().await?;
        second.await??;
        assert!(leaves.process.wait(SOON).await?.success());
        Ok(())
    })
}

#[test]
fn a_holder_is_told_and_holds_on_elsewhere() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let leaves = world.another_instance().await?;
        let api = world.service("agent", &tenant());
        let lease = Ask::for_one("main").lease(&api).await?;
        let resume = || In::Resume(Resume { lease: lease_ref(&lease) });
        let mut hold = api.over(&leaves).hold(resume()).await?;
        hold.granted().await?;
        leaves.process.signal(Signal::SIGTERM)?;
        refused(hold.next().await, Reason::Infra503Draining);
        assert!(leaves.process.wait(SOON).await?.success());
        let mut hold = api.hold(resume()).await?;
        assert_eq!(hold.granted().await?.lease.map(|lease| lease.lease_id), Some(lease.lease_id.clone()));
        hold.done().await?;
        let free = || async {
            ensure!(look(&api, resource("project", "main")).await?.holder.is_none(), "it is held");
            anyhow::Ok(())
        };
        eventually(free, SOON).await
    })
}
