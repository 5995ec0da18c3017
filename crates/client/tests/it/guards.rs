//! What a guard does by itself, against a locks service that answers by a script.

use std::time::{Duration, Instant};

use anyhow::Result;
use futures::TryStreamExt as _;
use holdfast_client::{Acquire, Client, ErrorKind, IdempotencyKey, LockLoss, Reason, resource};
use holdfast_fault::Fault;
use holdfast_testkit::eventually;

use crate::{
    locks_peer::{ACQUIRE, LocksPeer, RELEASE, RENEW, Reply},
    support::{SOON, run},
};

const TTL: Duration = Duration::from_secs(1);
const LASTS: Reply = Reply::Lasts(TTL);

fn acquire(peers: &[&LocksPeer]) -> Result<Acquire> {
    let (first, others) = peers.split_first().expect("a peer");
    let builder = Client::builder(&first.endpoint);
    let client = others.iter().fold(builder, |builder, peer| builder.endpoint(&peer.endpoint)).build()?;
    Ok(client.locks().acquire(resource("p", "project", "a")).owner("test").ttl(TTL))
}

#[test]
fn a_request_goes_on_waiting_on_another_instance_under_its_key() -> Result<()> {
    run(async {
        let stopping = LocksPeer::start([Reason::Infra503Draining.into()], []).await?;
        let other = LocksPeer::start([LASTS], [LASTS]).await?;
        let wait = Duration::from_secs(120);
        let guard = acquire(&[&stopping, &other])?.wait(wait).await?;
        let (refused, granted) = (stopping.seen(ACQUIRE).remove(0), other.seen(ACQUIRE).remove(0));
        assert_eq!((refused.key.len(), &refused.key), (32, &granted.key));
        assert!(refused.wait <= wait && granted.wait < refused.wait, "what is left: {refused:?} {granted:?}");
        assert_eq!((guard.token(), guard.token_of(&resource("p", "project", "b"))), (7, Some(3)));
        assert_eq!(guard.token_of(&resource("q", "project", "a")), None);
        Ok(())
    })
}

#[test]
fn who_is_refused_is_told_at_once_and_an_owner_is_needed() -> Result<()> {
    run(async {
        let peer = LocksPeer::start([Reason::Job409Locked.into()], []).await?;
        let error = acquire(&[&peer])?.wait(SOON).key(IdempotencyKey::new("k")?).await.unwrap_err();
        assert!(error.is(Reason::Job409Locked) && peer.seen(ACQUIRE).len() == 1, "{error}");
        assert_eq!(peer.seen(ACQUIRE)[0].key, "k");
        let error = acquire(&[&peer])?.owner("").await.unwrap_err();
        assert_eq!((&error.kind, peer.seen(ACQUIRE).len()), (&ErrorKind::Invalid, 1));
        Ok(())
    })
}

#[test]
fn a_heartbeat_keeps_its_number_until_it_is_answered() -> Result<()> {
    run(async {
        let down = Reply::from(Reason::Infra503DependencyDown);
        let peer = LocksPeer::start([LASTS], [down.clone(), down, LASTS]).await?;
        let guard = acquire(&[&peer])?.await?;
        eventually(async || peer.seen(RENEW).len() >= 6, SOON).await?;
        let numbers: Vec<u32> = peer.seen(RENEW).iter().map(|seen| seen.renewal).take(6).collect();
        assert_eq!(numbers, [1, 1, 1, 2, 3, 4]);
        assert!(guard.is_held() && guard.time_left() > TTL / 3, "{:?}", guard.time_left());
        guard.release().await?;
        Ok(())
    })
}

#[test]
fn a_lease_is_counted_from_before_it_was_asked_for() -> Result<()> {
    run(async {
        let late = Duration::from_millis(500);
        let peer = LocksPeer::start([Reply::Late(TTL, late)], [Reply::Silence]).await?;
        let began = Instant::now();
        let guard = acquire(&[&peer])?.await?;
        assert!(guard.is_held() && guard.time_left() <= TTL - late, "{:?}", guard.time_left());
        let LockLoss::Expired(_) = guard.lost().await else { anyhow::bail!("nobody has answered") };
        assert!((TTL..TTL + late).contains(&began.elapsed()), "{:?}", began.elapsed());
        assert!(!guard.is_held());
        Ok(())
    })
}

#[test]
fn silence_is_a_risk_first_and_a_loss_in_the_end() -> Result<()> {
    run(async {
        let peer = LocksPeer::start([LASTS], [Reply::Silence]).await?;
        let guard = acquire(&[&peer])?.await?;
        guard.at_risk().await;
        assert!(guard.is_held() && guard.time_left() <= TTL / 3, "{:?}", guard.time_left());
        let loss = guard.lost().await;
        assert!(matches!(&loss, LockLoss::Expired(Some(error)) if error.kind == ErrorKind::Lost), "{loss}");
        assert!(peer.seen(RENEW).len() > 1, "an attempt that hangs leaves time for another");
        Ok(())
    })
}

#[test]
fn what_the_service_says_of_a_lease_is_told_at_once() -> Result<()> {
    run(async {
        let forced = Fault::new(Reason::Lock409StaleFence, "by the script").with("ended", "forced");
        let peer = LocksPeer::start([Reply::Lasts(SOON)], [Reply::Fault(forced)]).await?;
        let guard = acquire(&[&peer])?.await?;
        assert!(matches!(guard.lost().await, LockLoss::Forced(_)));

        let peer = LocksPeer::start([LASTS], [Reason::Lock409RenewalsExhausted.into()]).await?;
        let guard = acquire(&[&peer])?.await?;
        guard.at_risk().await;
        assert!(guard.time_left() > TTL / 3, "the work has until the lease ends: {:?}", guard.time_left());
        assert!(matches!(guard.lost().await, LockLoss::RenewalsExhausted(_)));
        assert_eq!(peer.seen(RENEW).len(), 1);
        Ok(())
    })
}

#[test]
fn a_lease_of_which_little_is_left_is_renewed_before_it_is_handed_over() -> Result<()> {
    run(async {
        let nearly_over = Reply::Replayed(Duration::from_millis(100));
        let peer = LocksPeer::start([nearly_over.clone()], [LASTS]).await?;
        let guard = acquire(&[&peer])?.await?;
        assert!(guard.replayed() && guard.time_left() > TTL / 2, "{:?}", guard.time_left());

        let peer = LocksPeer::start([nearly_over], [Reason::Lock409StaleFence.into()]).await?;
        let error = acquire(&[&peer])?.await.unwrap_err();
        assert!(error.is(Reason::Lock409StaleFence), "{error}");
        Ok(())
    })
}

#[test]
fn a_guard_releases_once_when_it_is_dropped_or_asked() -> Result<()> {
    run(async {
        let peer = LocksPeer::start([LASTS], [LASTS]).await?;
        let guard = acquire(&[&peer])?.await?;
        let lost = guard.lost();
        guard.release().await?;
        assert!(matches!(lost.await, LockLoss::Released) && peer.seen(RELEASE).len() == 1);
        let peer = LocksPeer::start([LASTS], [LASTS]).await?;
        drop(acquire(&[&peer])?.await?);
        eventually(async || peer.seen(RELEASE).len() == 1, SOON).await?;
        Ok(())
    })
}

#[test]
fn a_watch_is_opened_again_and_tells_each_state_once() -> Result<()> {
    run(async {
        let peer = LocksPeer::start([], []).await?;
        let client = Client::builder(&peer.endpoint).build()?;
        let mut states = client.locks().watch("", &resource("p", "project", "a"));
        let mut versions = Vec::new();
        while let Some(lock) = states.try_next().await? {
            versions.push(lock.version);
            if lock.version == 2 {
                break;
            }
        }
        assert_eq!((versions, peer.seen("watch").len()), (vec![1, 2], 3));
        Ok(())
    })
}
