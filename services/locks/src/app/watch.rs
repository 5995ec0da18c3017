//! Watching resources: their state, and again after every change of it.
//!
//! An instance looks for all its watches at once, when hints say that something of theirs has changed and every so often without, since hints may be lost. Of what it
//! saw each watch gets the latest: one that is slow misses states in between, and nothing waits for it.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use holdfast_fault::{Fault, Reason};
use holdfast_ids::{LeaseId, TenantId};
use holdfast_pg::TenantScope;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::{App, Asking, Core};
use crate::domain::resource::{Name, Resource};
use crate::metrics;
use crate::store::StoreError;
use crate::store::read::{Seen, locks_see};

/// A resource that changes hands all the time is looked at no more often.
const LOOKS_APART: Duration = Duration::from_millis(10);

/// What the watches of an instance share.
#[derive(Debug)]
pub struct Watches {
    hub: Arc<Hub>,
    places: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct Hub {
    watched: Mutex<Watched>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct Watched {
    by_name: HashMap<Name, Follow>,
    /// To be looked at.
    changed: HashSet<Name>,
    /// Looks that were begun; each has its number.
    looks: u64,
}

#[derive(Debug)]
struct Follow {
    told: watch::Sender<Told>,
    watches: usize,
}

/// What a look brought.
#[derive(Debug, Clone)]
struct Told {
    look: u64,
    seen: Result<Arc<Seen>, Fault>,
}

/// One watch; ends when it is dropped.
#[derive(Debug)]
pub struct Watcher {
    hub: Arc<Hub>,
    name: Name,
    told: watch::Receiver<Told>,
    /// The latest look before it began: what that one saw may be older than what the caller knows.
    since: u64,
    passed_on: Option<State>,
    _place: OwnedSemaphorePermit,
}

/// What of a resource is passed on when it changes: its version, and whose it is, which is reserved without a new version.
type State = (i64, Option<LeaseId>);

impl Watches {
    /// Looks for its watches until the instance drains.
    pub fn new(core: Arc<Core>) -> Self {
        let places = Arc::new(Semaphore::new(core.limits.watches_max));
        let hub = Arc::new(Hub::default());
        tokio::spawn(hub.clone().run(core));
        Self { hub, places }
    }

    /// A hint: this resource has changed.
    pub fn changed(&self, name: &Name) {
        let mut watched = self.hub.lock();
        if watched.by_name.contains_key(name) && watched.changed.insert(name.clone()) {
            self.hub.wake.notify_one();
        }
    }

    /// Hints may have been missed.
    pub fn look_again(&self) {
        self.hub.lock().all_changed();
        self.hub.wake.notify_one();
    }
}

impl App {
    /// A watch that may begin. The caller is looked at once: a watch ends with its token.
    pub fn watch(&self, asking: &Asking, tenant_id: Option<TenantId>, resource: Resource) -> Result<Watcher, Fault> {
        let name = self.name(asking, tenant_id, resource)?;
        let too_many = |_| Fault::new(Reason::Rate429Throttled, "this instance has as many watches as it may");
        let place = self.watches.places.clone().try_acquire_owned().map_err(too_many)?;
        Ok(Watcher::new(self.watches.hub.clone(), name, place))
    }
}

impl Watcher {
    fn new(hub: Arc<Hub>, name: Name, place: OwnedSemaphorePermit) -> Self {
        metrics::watch_began();
        let mut watched = hub.lock();
        let since = watched.looks;
        let nothing = || Told { look: 0, seen: Err(Fault::unexpected("nobody has looked yet")) };
        let follow = watched
            .by_name
            .entry(name.clone())
            .or_insert_with(|| Follow { told: watch::Sender::new(nothing()), watches: 0 });
        follow.watches += 1;
        let told = follow.told.subscribe();
        watched.changed.insert(name.clone());
        drop(watched);
        hub.wake.notify_one();
        Self { hub, name, told, since, passed_on: None, _place: place }
    }

    /// The state at first, then every other one. Fails only at first: what cannot be looked at later is told of once it can.
    pub async fn next(&mut self) -> Result<Arc<Seen>, Fault> {
        loop {
            let since = self.since;
            let told = self.told.wait_for(|told| told.look > since).await;
            let told = told.map_err(|_| Fault::unexpected("a watch that nobody looks for"))?.clone();
            self.since = told.look;
            match told.seen {
                Ok(seen) => {
                    let state = (seen.version, seen.holder.as_ref().map(|holder| holder.lease_id));
                    if self.passed_on != Some(state) {
                        self.passed_on = Some(state);
                        return Ok(seen);
                    }
                }
                Err(fault) if self.passed_on.is_none() => return Err(fault),
                Err(_) => {}
            }
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        metrics::watch_ended();
        let mut watched = self.hub.lock();
        if let Some(follow) = watched.by_name.get_mut(&self.name) {
            follow.watches -= 1;
            if follow.watches == 0 {
                watched.by_name.remove(&self.name);
                watched.changed.remove(&self.name);
            }
        }
    }
}

impl Watched {
    fn all_changed(&mut self) {
        let Self { by_name, changed, .. } = self;
        changed.extend(by_name.keys().cloned());
    }
}

impl Hub {
    async fn run(self: Arc<Self>, core: Arc<Core>) {
        let mut polls = interval(core.limits.poll);
        polls.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.wake.notified() => {}
                _ = polls.tick() => self.lock().all_changed(),
                () = core.draining.cancelled() => return,
            }
            self.look(&core).await;
            sleep(LOOKS_APART).await;
        }
    }

    async fn look(&self, core: &Core) {
        let (names, look) = {
            let mut watched = self.lock();
            if watched.changed.is_empty() {
                return;
            }
            watched.looks += 1;
            (watched.changed.drain().collect::<Vec<_>>(), watched.looks)
        };
        match core.app_db.bounded(see(core, &names)).await {
            Ok(seen) => {
                let watched = self.lock();
                for seen in seen {
                    if let Some(follow) = watched.by_name.get(&seen.name) {
                        follow.told.send_replace(Told { look, seen: Ok(Arc::new(seen)) });
                    }
                }
            }
            Err(error) => {
                let fault = Fault::from(error);
                let watched = self.lock();
                for follow in names.iter().filter_map(|name| watched.by_name.get(name)) {
                    follow.told.send_replace(Told { look, seen: Err(fault.clone()) });
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Watched> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn see(core: &Core, names: &[Name]) -> Result<Vec<Seen>, StoreError> {
    let scope = TenantScope::new(names.iter().map(|name| &name.tenant_id))?;
    let mut tx = core.app_db.begin(&scope, None).await?;
    let seen = locks_see(&mut tx, names).await?;
    tx.rollback().await?;
    Ok(seen)
}
