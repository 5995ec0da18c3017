//! Which shards of a source this relay publishes.
//!
//! Relays know of each other by their rows in relay.members, which say what each publishes; of a source's shards each takes
//! at most the fair share among those that publish it, and gives up what it has beyond. What is held here is an
//! opinion, formed at the last renewal: the epoch in Redis decides.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use holdfast_pg::DbError;
use tokio::sync::{Mutex, MutexGuard, watch};
use tokio_util::sync::CancellationToken;

use crate::{
    domain::lease::{Lease, fair_share},
    metrics,
    store::Store,
};

/// What this relay believes to hold of one source, shared between the task that renews and the loop that publishes.
pub struct Holdings {
    leases: watch::Sender<BTreeMap<u16, Held>>,
    round: Mutex<()>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Held {
    epoch: i64,
    /// By our own clock, counted from before the database was asked. Past it we assume that the lease is over.
    believed_until: Instant,
}

impl Default for Holdings {
    fn default() -> Self {
        Self { leases: watch::Sender::new(BTreeMap::new()), round: Mutex::new(()) }
    }
}

impl Holdings {
    /// What is held now, by this relay's belief.
    pub fn leases(&self) -> Vec<Lease> {
        let now = Instant::now();
        let held = self.leases.borrow();
        held.iter()
            .filter(|(_, held)| held.believed_until > now)
            .map(|(&shard, held)| Lease { shard, epoch: held.epoch })
            .collect()
    }

    /// Resolves once the set of leases changes.
    pub async fn changed(&self) {
        let mut receiver = self.leases.subscribe();
        // The sender lives as long as self: this does not fail.
        let _ = receiver.changed().await;
    }

    /// While this is held, no shard is given up for the sake of even shares.
    pub async fn round(&self) -> MutexGuard<'_, ()> {
        self.round.lock().await
    }

    /// Stops work on a lease that turned out to be over.
    pub fn drop_lease(&self, lease: Lease) {
        self.leases.send_if_modified(|held| {
            let ours = held.get(&lease.shard).is_some_and(|held| held.epoch == lease.epoch);
            ours && held.remove(&lease.shard).is_some()
        });
    }

    fn replace(&self, leases: &[Lease], believed_until: Instant) {
        let held: BTreeMap<u16, Held> =
            leases.iter().map(|lease| (lease.shard, Held { epoch: lease.epoch, believed_until })).collect();
        self.leases.send_if_modified(|current| {
            let same = current.len() == held.len()
                && held.iter().all(|(shard, held)| current.get(shard).is_some_and(|old| old.epoch == held.epoch));
            *current = held;
            !same
        });
    }
}

pub struct Membership {
    store: Store,
    holder: String,
    ttl: Duration,
    holdings: Arc<Holdings>,
}

impl Membership {
    pub fn new(store: Store, holder: String, ttl: Duration, holdings: Arc<Holdings>) -> Self {
        Self { store, holder, ttl, holdings }
    }

    /// Renews until told to stop, then gives everything up.
    pub async fn run(self, renew_every: Duration, stop: CancellationToken) {
        let mut renewal = tokio::time::interval(renew_every);
        renewal.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while stop.run_until_cancelled(renewal.tick()).await.is_some() {
            if let Err(error) = self.run_once().await {
                metrics::round_failed(self.store.source(), "postgres");
                tracing::warn!(source = self.store.source().name(), %error, "leases not renewed");
            }
        }
        if let Err(error) = self.leave().await {
            tracing::warn!(source = self.store.source().name(), %error, "leases not released; they expire");
        }
    }

    /// Says that we live, renews what is held, and moves one step towards even shares.
    pub async fn run_once(&self) -> Result<(), DbError> {
        let believed_until = Instant::now() + self.ttl;
        let share = fair_share(self.store.member_heartbeat(&self.holder, self.ttl).await?);
        let mut leases = self.store.leases_renew(&self.holder, self.ttl).await?;
        leases.sort_unstable_by_key(|lease| lease.shard);
        if leases.len() > share {
            let surplus = leases.split_off(share);
            self.hold(&leases, believed_until);
            self.give_up(&surplus).await?;
        } else {
            self.take(&mut leases, share).await?;
            self.hold(&leases, believed_until);
        }
        self.store.members_forget_dead().await
    }

    /// Gives up every shard and the membership, so that others need not wait for the expiry.
    pub async fn leave(&self) -> Result<(), DbError> {
        let held = self.holdings.leases();
        self.hold(&[], Instant::now());
        self.give_up(&held).await?;
        self.store.member_leave(&self.holder).await
    }

    fn hold(&self, leases: &[Lease], believed_until: Instant) {
        metrics::shards_held(self.store.source(), leases.len());
        self.holdings.replace(leases, believed_until);
    }

    /// Goes on while there is something to take: of what we saw another relay may be first to take a part, or all, and leave
    /// others.
    async fn take(&self, leases: &mut Vec<Lease>, share: usize) -> Result<(), DbError> {
        while leases.len() < share
            && let Some(taken) = self.store.leases_take(&self.holder, self.ttl, share - leases.len()).await?
        {
            self.report(&taken, "shards taken");
            leases.extend(taken);
        }
        Ok(())
    }

    /// Waits for the round that may still publish these shards, but not for long: its epoch is about to be passed anyway.
    async fn give_up(&self, surplus: &[Lease]) -> Result<(), DbError> {
        if surplus.is_empty() {
            return Ok(());
        }
        let round = tokio::time::timeout(self.ttl / 4, self.holdings.round()).await;
        self.report(surplus, "shards given up");
        self.store.leases_release(&self.holder, surplus).await?;
        drop(round);
        Ok(())
    }

    fn report(&self, leases: &[Lease], what: &'static str) {
        if leases.is_empty() {
            return;
        }
        let shards: Vec<u16> = leases.iter().map(|lease| lease.shard).collect();
        tracing::info!(source = self.store.source().name(), ?shards, "{what}");
    }
}
