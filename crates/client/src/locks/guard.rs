//! A lease that is held: its heartbeats, what its holder is told of it, and its end.

use std::{future::Future, sync::Arc, time::Duration};

use pb::{Lease, LeaseRef, MirrorState, Resource};
use tokio::{
    runtime::Handle,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    Granted, LockLoss, Locks, Released,
    term::{AfterFailure, Stretch, Term},
};
use crate::{Error, locks_pb as pb};

/// Less than this is no time for an attempt.
const ROUND_MIN: Duration = Duration::from_millis(100);

/// Holds a lease, and renews it in a task of its own for as long as the guard lives.
///
/// The lease is counted on this machine's monotonic clock from before each request was sent, so that [`lost`](Self::lost) says
/// so before the service lets anybody else have it. That clock stands still while a machine is suspended, and a
/// program can be stopped between its last look and its write: put the [`token`](Self::token) on each write, to
/// something that refuses a lower one than it has seen.
///
/// Dropped, it releases the lease in the background, if the runtime that it was acquired on still runs; otherwise the lease runs
/// out. [`release`](Self::release) waits for it, and tells whether the lease was held to its end.
#[derive(Debug)]
pub struct LockGuard {
    granted: Granted,
    lease: LeaseRef,
    term: Arc<Term>,
    locks: Locks,
    runtime: Handle,
    heartbeats: AbortOnDropHandle<()>,
    is_released: bool,
}

impl LockGuard {
    pub(super) fn hold(
        locks: Locks,
        granted: Granted,
        lease: LeaseRef,
        stretch: Stretch,
        interval: Duration,
        renewals: u32,
    ) -> Self {
        let term = Arc::new(Term::new(stretch));
        let heart = Heart { locks: locks.clone(), lease: lease.clone(), term: term.clone(), interval, renewals };
        let heartbeats = AbortOnDropHandle::new(tokio::spawn(heart.beat()));
        Self { granted, lease, term, locks, runtime: Handle::current(), heartbeats, is_released: false }
    }

    /// As it was granted.
    pub fn lease(&self) -> &Lease {
        &self.granted.lease
    }

    /// Names the lease in calls about it.
    pub fn lease_ref(&self) -> &LeaseRef {
        &self.lease
    }

    pub fn mirror(&self) -> MirrorState {
        self.granted.mirror
    }

    /// An earlier request under its key was granted it.
    pub fn replayed(&self) -> bool {
        self.granted.replayed
    }

    /// In the queue.
    pub fn waited(&self) -> Duration {
        self.granted.waited
    }

    /// The fencing token, of the first resource in the order of the registry where there are several.
    pub fn token(&self) -> u64 {
        self.granted.lease.resources.first().map_or(0, |held| held.fencing_token)
    }

    /// The fencing token of one of its resources.
    pub fn token_of(&self, resource: &Resource) -> Option<u64> {
        let held = self.granted.lease.resources.iter().find(|held| held.resource.as_ref() == Some(resource));
        held.map(|held| held.fencing_token)
    }

    /// By this side's clock, now.
    pub fn is_held(&self) -> bool {
        self.term.loss().is_none()
    }

    /// For how long it is certainly held if no further heartbeat succeeds; zero once it is lost.
    pub fn time_left(&self) -> Duration {
        self.term.time_left()
    }

    /// Whether a third of its time or less is left, or no heartbeat will be taken any more.
    pub fn is_at_risk(&self) -> bool {
        self.term.is_at_risk()
    }

    /// Until it is at risk: time to bring the work to where it can stop. A heartbeat that succeeds later ends the risk.
    pub fn at_risk(&self) -> impl Future<Output = ()> + Send + use<> {
        let term = self.term.clone();
        async move { term.at_risk().await }
    }

    /// Until it is no longer held, and why: stop then, and write nothing more.
    pub fn lost(&self) -> impl Future<Output = LockLoss> + Send + use<> {
        let term = self.term.clone();
        async move { term.over().await }
    }

    /// Ends the lease. Fails with LOCK_409_STALE_FENCE where it was lost before.
    pub async fn release(mut self) -> Result<Released, Error> {
        self.heartbeats.abort();
        self.term.released();
        let released = self.locks.release(&self.lease).await;
        // Not before: dropped halfway, it goes on in the background.
        self.is_released = true;
        released
    }
}

impl Drop for LockGuard {
    fn drop(&mut self) {
        self.term.released();
        if !self.is_released {
            let (locks, lease) = (self.locks.clone(), self.lease.clone());
            self.runtime.spawn(async move {
                if let Err(error) = locks.release(&lease).await {
                    tracing::debug!(lease_id = lease.lease_id, %error, "a dropped lock was not released");
                }
            });
        }
    }
}

struct Heart {
    locks: Locks,
    lease: LeaseRef,
    term: Arc<Term>,
    interval: Duration,
    renewals: u32,
}

impl Heart {
    /// Until the lease is over, or cannot be renewed any more.
    async fn beat(mut self) {
        let mut latest = Some(self.term.stretch());
        while let Some(stretch) = latest {
            // Whatever an answer says: not at once again.
            sleep_until(stretch.heartbeat_at(self.interval).max(Instant::now() + ROUND_MIN)).await;
            latest = self.round().await;
        }
    }

    /// One heartbeat, as often as it takes: it keeps its number, so that it counts once.
    async fn round(&mut self) -> Option<Stretch> {
        while self.term.loss().is_none() {
            // An attempt that hangs leaves time for others.
            let patience = self.interval.min(self.term.time_left()).max(ROUND_MIN);
            match self.locks.beat(&self.lease, self.renewals + 1, patience).await {
                Ok((renewals, stretch)) => {
                    self.renewals = renewals.max(self.renewals);
                    self.term.renewed(stretch);
                    return Some(stretch);
                }
                Err(error) => {
                    tracing::debug!(lease_id = self.lease.lease_id, %error, "a heartbeat failed");
                    if self.term.failed(error) == AfterFailure::GiveUp {
                        return None;
                    }
                    sleep((self.interval / 3).mul_f64(rand::random_range(0.5..1.0))).await;
                }
            }
        }
        None
    }
}
