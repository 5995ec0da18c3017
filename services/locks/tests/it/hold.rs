//! Holding a lease by a stream.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use pb::hold_lock_request::{Acquire, Message as In, Resume};
use pb::hold_lock_response::Message as Out;

use crate::asks::{Ask, lease_ref, look, release, renew, resource};
use crate::support::*;

/// The first message of a stream for one resource of the class project.
fn acquire(key: &str, wait_s: i64) -> In {
    let terms = pb::AcquireTerms {
        owner: uuid::Uuid::now_v7().to_string(),
        wait: Some(prost_types::Duration { seconds: wait_s, nanos: 0 }),
        ..Default::default()
    };
    let (tenant_id, resources) = (String::new(), vec![resource("project", key)]);
    In::Acquire(Acquire { tenant_id, resources, terms: Some(terms) })
}

fn resume(lease: &pb::Lease) -> In {
    In::Resume(Resume { lease: lease_ref(lease) })
}

/// A stream that has its lease.
async fn held(api: &Api, key: &str) -> Result<(Hold, pb::Lease)> {
    let mut hold = api.hold(acquire(key, 0)).await?;
    let lease = hold.granted().await?.lease.context("a lease")?;
    Ok((hold, lease))
}

async fn holder(api: &Api, key: &str) -> Result<Option<pb::lock::Holder>> {
    Ok(look(api, resource("project", key)).await?.holder)
}

async fn is_held_by(api: &Api, lease: &pb::Lease) -> Result<()> {
    let key = lease.resources[0].resource.clone().context("a resource")?.key;
    let holder = holder(api, &key).await?.context("a holder")?;
    ensure!(holder.lease_id == lease.lease_id, "another has it");
    Ok(())
}

async fn waiters(api: &Api, key: &str, count: u32) -> Result<()> {
    let look = || async {
        let waiters = look(api, resource("project", key)).await?.waiter_count;
        ensure!(waiters == count, "{waiters} wait");
        anyhow::Ok(())
    };
    eventually(look, SOON).await
}

#[test]
fn a_stream_that_is_half_closed_releases_its_lease() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let api = world.service("agent", &tenant());
        let (hold, lease) = held(&api, "main").await?;
        is_held_by(&api, &lease).await?;
        hold.done().await?;
        assert!(holder(&api, "main").await?.is_none());
        assert!(release(&api, &lease).await?.replayed, "its holder did");
        Ok(())
    })
}

#[test]
fn a_stream_begins_with_a_message_and_soon() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let api = world.service("agent", &tenant());
        let mut silent = api.hold(None).await?;
        let mut empty = api.hold(None).await?;
        empty.half_close();
        assert_eq!(fields(&refused(empty.next().await, Reason::Req400MissingField)), ["message"]);
        refused(silent.next().await, Reason::Req408Deadline);
        Ok(())
    })
}

#[test]
fn a_stream_that_is_cut_releases_nothing_and_another_one_resumes_it() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let (one, other) = (world.another_instance().await?, world.another_instance().await?);
        let api = world.service("agent", &tenant()).over(&one);
        let (hold, lease) = held(&api, "main").await?;
        assert_eq!(one.measure("locks_sessions").await?, 1.0);
        drop(hold);
        eventually(|| async { one.measure("locks_sessions").await.is_ok_and(|sessions| sessions == 0.0) }, SOON)
            .await?;
        is_held_by(&api, &lease).await?;

        let there = api.over(&other);
        let mut hold = there.hold(resume(&lease)).await?;
        let granted = hold.granted().await?;
        assert!(granted.replayed);
        assert_eq!(granted.mirror(), pb::MirrorState::Written);
        let again = granted.lease.context("a lease")?;
        assert_eq!((again.lease_id, again.resources), (lease.lease_id, lease.resources));
        assert_eq!(again.renewals, 1, "to resume is to renew");
        hold.done().await?;
        assert!(holder(&api, "main").await?.is_none());
        Ok(())
    })
}

#[test]
fn whose_lease_it_is_not_does_not_resume_it() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let (_hold, lease) = held(&world.service("agent", &tenant), "main").await?;
        let mut other = world.service("other", &tenant).hold(resume(&lease)).await?;
        refused(other.next().await, Reason::Lock404NotFound);
        is_held_by(&world.service("agent", &tenant), &lease).await
    })
}

#[test]
fn heartbeats_renew_and_a_repeated_one_is_not_counted() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let api = world.service("agent", &tenant());
        let (mut hold, _) = held(&api, "main").await?;
        for (number, renewals) in [(1, 1), (2, 2), (2, 2), (1, 2), (0, 3)] {
            hold.heartbeat(number).await;
            match hold.next().await? {
                Some(Out::Renewed(renewed)) => {
                    assert_eq!(renewed.renewals, renewals);
                    assert!(renewed.expires_in.context("a duration")?.seconds >= 28);
                }
                other => panic!("not renewed: {other:?}"),
            }
        }
        hold.done().await?;
        Ok(())
    })
}

#[test]
fn a_heartbeat_too_many_is_refused_and_the_lease_holds_on() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let instance = world.another_instance_with(&world.settings().clone().set("leases.renewals_max", 1)).await?;
        let api = world.service("agent", &tenant()).over(&instance);
        let (mut hold, lease) = held(&api, "main").await?;
        hold.heartbeat(1).await;
        assert!(matches!(hold.next().await?, Some(Out::Renewed(_))));
        hold.heartbeat(2).await;
        match hold.next().await? {
            Some(Out::NotRenewed(refused)) => drop(told(refused.cause, Reason::Lock409RenewalsExhausted)),
            other => panic!("not refused: {other:?}"),
        }
        is_held_by(&api, &lease).await?;
        hold.done().await?;
        assert!(holder(&api, "main").await?.is_none());
        Ok(())
    })
}

#[test]
fn who_waits_is_told_so_and_granted_in_its_turn() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let api = world.service("agent", &tenant());
        let (first, _) = held(&api, "main").await?;
        let mut second = api.hold(acquire("main", 60)).await?;
        second.waiting().await?;
        waiters(&api, "main", 1).await?;
        first.done().await?;
        let lease = second.granted().await?.lease.context("a lease")?;
        is_held_by(&api, &lease).await
    })
}

#[test]
fn a_wait_is_withdrawn_when_its_stream_is_cut_and_when_it_is_half_closed() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let api = world.service("agent", &tenant());
        let (_held, lease) = held(&api, "main").await?;
        let mut cut = api.hold(acquire("main", 600)).await?;
        cut.waiting().await?;
        let mut closed = api.hold(acquire("main", 600)).await?;
        closed.waiting().await?;
        waiters(&api, "main", 2).await?;
        drop(cut);
        waiters(&api, "main", 1).await?;
        closed.done().await?;
        waiters(&api, "main", 0).await?;
        is_held_by(&api, &lease).await
    })
}

#[test]
fn who_does_not_wait_is_refused() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let api = world.service("agent", &tenant());
        let (_held, _) = held(&api, "main").await?;
        let received = refused(api.hold(acquire("main", 0)).await?.next().await, Reason::Job409Locked);
        assert_eq!(received.metadata["cause"], "held");
        Ok(())
    })
}

#[test]
fn loss_by_force_is_pushed_to_the_holder_on_any_instance() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let (tenant, other) = (tenant(), world.another_instance().await?);
        let olga = world.owner("olga", &tenant);
        for (key, from) in [("here", olga.clone()), ("there", olga.over(&other))] {
            let (mut hold, lease) = held(&world.service("agent", &tenant), key).await?;
            let request = pb::ForceReleaseLockRequest { lease: lease_ref(&lease), reason: "it hangs".to_owned() };
            from.force_release_lock(request).await?;
            let received = told(hold.lost().await?.cause, Reason::Lock409StaleFence);
            assert_eq!(received.metadata["ended"], "forced");
            assert!(hold.next().await?.is_none(), "the stream ends with it");
        }
        Ok(())
    })
}

/// By the stream's own clock: nobody ends the lease, and nobody hints at it.
#[test]
fn a_silent_holder_is_told_that_its_lease_is_lost_and_is_not_kept_alive_by_its_stream() -> Result<()> {
    run(async {
        let settings = Settings::default().set("leases.ttl_ms", 1000).set("leases.stale_after_ms", 1500);
        let world = World::with(settings.set("tasks.expiry_period_ms", 3_600_000)).await?;
        let api = world.service("agent", &tenant());
        let (mut hold, lease) = held(&api, "main").await?;
        let received = told(hold.lost().await?.cause, Reason::Lock409StaleFence);
        assert_eq!(received.metadata["ended"], "stale");
        assert!(hold.next().await?.is_none(), "the stream ends with it");
        refused(renew(&api, &lease, 0).await, Reason::Lock409StaleFence);
        Ok(())
    })
}

#[test]
fn what_is_renewed_elsewhere_is_not_lost_here() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let settings = world.settings().clone().set("leases.ttl_ms", 1000).set("leases.stale_after_ms", 1500);
        let instance = world.another_instance_with(&settings).await?;
        let api = world.service("agent", &tenant()).over(&instance);
        let (mut hold, lease) = held(&api, "main").await?;
        let began = std::time::Instant::now();
        let mut renewed = 0;
        // Past what the stream alone would take for stale.
        eventually(
            || async {
                renew(&api, &lease, 0).await?;
                ensure!(began.elapsed() > Duration::from_secs(3), "not yet");
                anyhow::Ok(())
            },
            SOON,
        )
        .await?;
        hold.heartbeat(0).await;
        if let Some(Out::Renewed(answer)) = hold.next().await? {
            renewed = answer.renewals;
        }
        assert!(renewed > 1, "the stream has it still");
        hold.done().await?;
        Ok(())
    })
}

#[test]
fn an_instance_that_stops_sends_its_holders_on_and_releases_nothing() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let instance = world.another_instance().await?;
        let api = world.service("agent", &tenant());
        let (mut hold, lease) = held(&api.over(&instance), "main").await?;
        let stopping = instance.process.terminate(SOON);
        let (stopped, end) = tokio::join!(stopping, hold.next());
        stopped?;
        refused(end, Reason::Infra503Draining);
        is_held_by(&api, &lease).await?;
        let mut hold = api.hold(resume(&lease)).await?;
        hold.granted().await?;
        hold.done().await?;
        Ok(())
    })
}

#[test]
fn a_stream_ends_with_its_callers_token_and_releases_nothing() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let short = world.caller(user("alice", &tenant).lifetime(Duration::from_secs(2)));
        let (mut hold, lease) = held(&short, "main").await?;
        refused(hold.next().await, Reason::Auth401InvalidToken);
        let alice = world.user("alice", &tenant);
        is_held_by(&alice, &lease).await?;
        alice.hold(resume(&lease)).await?.granted().await?;
        Ok(())
    })
}

#[test]
fn messages_out_of_their_order_end_the_stream_and_release_nothing() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let api = world.service("agent", &tenant());
        let heartbeat = In::Heartbeat(pb::hold_lock_request::Heartbeat { renewal: 1 });
        let mut early = api.hold(heartbeat).await?;
        assert_eq!(fields(&refused(early.next().await, Reason::Req400InvalidSchema)), ["heartbeat"]);
        let (mut hold, lease) = held(&api, "main").await?;
        hold.say(acquire("other", 0)).await;
        assert_eq!(fields(&refused(hold.next().await, Reason::Req400InvalidSchema)), ["acquire"]);
        is_held_by(&api, &lease).await?;
        let mut again = api.hold(resume(&lease)).await?;
        again.granted().await?;
        again.say(resume(&lease)).await;
        assert_eq!(fields(&refused(again.next().await, Reason::Req400InvalidSchema)), ["resume"]);
        is_held_by(&api, &lease).await
    })
}

/// A request and its repetition under one key are one lease, by stream as by call.
#[test]
fn a_key_finds_the_lease_that_a_stream_was_granted() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let api = world.service("agent", &tenant());
        let granted = Ask::for_one("main").owner("one").key("once").lease(&api).await?;
        let In::Acquire(mut first) = acquire("main", 0) else { unreachable!("made above") };
        first.terms = Some(pb::AcquireTerms {
            owner: "one".to_owned(),
            idempotency_key: "once".to_owned(),
            ..Default::default()
        });
        let again = api.hold(In::Acquire(first)).await?.granted().await?;
        assert!(again.replayed);
        assert_eq!(again.lease.context("a lease")?.lease_id, granted.lease_id);
        Ok(())
    })
}
