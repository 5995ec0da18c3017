//! Who waits through this instance: woken when what it waits for may be free. A wake-up is a hint, and may be for nothing; the board decides. What was
//! granted to somebody where another one gave it back is handed over.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use holdfast_ids::LeaseId;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::domain::Time;
use crate::domain::lease::Lease;
use crate::domain::resource::Name;
use crate::metrics;

/// A grant to somebody who waits.
#[derive(Debug)]
pub struct HandedOver {
    pub lease: Lease,
    /// By the database's clock.
    pub now: Time,
    /// Before it was granted.
    pub asked: Instant,
}

/// All of an instance's waiters.
#[derive(Debug, Default)]
pub struct Waiters(Arc<Mutex<Lines>>);

#[derive(Debug, Default)]
struct Lines {
    /// By the resource in whose queue they stand, in the order of their places. Place 0: it is not known yet whether and where it stands.
    by_name: HashMap<Name, BTreeMap<(i64, Uuid), Arc<Wake>>>,
    by_lease: HashMap<LeaseId, HashMap<Uuid, Arc<Wake>>>,
    /// Calls that attend to a wait, or may come to one.
    calls: HashSet<Uuid>,
}

/// How a call is reached while it stands.
#[derive(Debug, Default)]
struct Wake {
    notify: Notify,
    handed_over: Mutex<Option<HandedOver>>,
}

/// A call's place among them; given up when it is dropped.
#[derive(Debug)]
pub struct Seat {
    lines: Arc<Mutex<Lines>>,
    call_id: Uuid,
    lease_id: Option<LeaseId>,
    stands: Vec<(Name, i64)>,
    wake: Arc<Wake>,
}

impl Waiters {
    pub fn count(&self) -> usize {
        self.lines().calls.len()
    }

    /// From before the request is made, so that no wake-up is missed.
    pub fn sit(&self, call_id: Uuid, names: impl IntoIterator<Item = Name>) -> Seat {
        let mut seat =
            Seat { lines: self.0.clone(), call_id, lease_id: None, stands: Vec::new(), wake: Arc::default() };
        let stands = names.into_iter().map(|name| (name, 0)).collect();
        let mut lines = self.lines();
        lines.calls.insert(call_id);
        metrics::waiters(lines.calls.len());
        lines.stand(&mut seat, stands);
        drop(lines);
        seat
    }

    /// A resource may be free: for the first of its queue here, and for those that do not know yet where they stand.
    pub fn freed(&self, name: &Name) {
        if let Some(line) = self.lines().by_name.get(name) {
            wake_first(line);
        }
    }

    /// Hints may have been missed.
    pub fn wake_firsts(&self) {
        self.lines().by_name.values().for_each(wake_first);
    }

    pub fn wake(&self, lease_id: LeaseId) {
        if let Some(calls) = self.lines().by_lease.get(&lease_id) {
            calls.values().for_each(|wake| wake.notify.notify_one());
        }
    }

    pub fn wake_all(&self) {
        self.lines().by_lease.values().flat_map(HashMap::values).for_each(|wake| wake.notify.notify_one());
    }

    /// Whether this call stands there for this lease.
    pub fn stands(&self, lease_id: LeaseId, call_id: Uuid) -> bool {
        self.lines().by_lease.get(&lease_id).is_some_and(|calls| calls.contains_key(&call_id))
    }

    /// To the call that it was granted to. Where that one has gone meanwhile, it is about to give it back.
    pub fn hand_over(&self, grant: HandedOver) {
        let lines = self.lines();
        let calls = lines.by_lease.get(&grant.lease.facts.lease_id);
        if let Some(wake) = calls.and_then(|calls| calls.get(&grant.lease.call_id)) {
            *wake.handed_over.lock().unwrap_or_else(PoisonError::into_inner) = Some(grant);
            wake.notify.notify_one();
        }
    }

    /// Whether there is such a call.
    pub fn attends(&self, call_id: Uuid) -> bool {
        self.lines().calls.contains(&call_id)
    }

    /// How many stand in a queue.
    pub fn standing(&self) -> usize {
        self.lines().by_lease.len()
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wake_first(line: &BTreeMap<(i64, Uuid), Arc<Wake>>) {
    let mut first = None;
    for ((place, _), wake) in line {
        // Of one place there may be two calls, of which one goes on in the other's place.
        if first.is_some_and(|first| first != *place) {
            break;
        }
        wake.notify.notify_one();
        first = Some(*place).filter(|place| *place > 0);
    }
}

impl Lines {
    fn stand(&mut self, seat: &mut Seat, stands: Vec<(Name, i64)>) {
        self.leave(seat);
        for (name, place) in &stands {
            self.by_name.entry(name.clone()).or_default().insert((*place, seat.call_id), seat.wake.clone());
        }
        seat.stands = stands;
    }

    fn leave(&mut self, seat: &mut Seat) {
        for (name, place) in seat.stands.drain(..) {
            if let Some(line) = self.by_name.get_mut(&name) {
                line.remove(&(place, seat.call_id));
                if line.is_empty() {
                    self.by_name.remove(&name);
                }
            }
        }
        if let Some(lease_id) = seat.lease_id.take()
            && let Some(calls) = self.by_lease.get_mut(&lease_id)
        {
            calls.remove(&seat.call_id);
            if calls.is_empty() {
                self.by_lease.remove(&lease_id);
            }
        }
    }
}

impl Seat {
    /// It stands there; where it stands next is not known yet, among `later`.
    pub fn stand(&mut self, lease_id: LeaseId, name: Name, place: i64, later: impl IntoIterator<Item = Name>) {
        let lines = self.lines.clone();
        let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
        let later = later.into_iter().map(|name| (name, 0));
        lines.stand(self, [(name, place)].into_iter().chain(later).collect());
        self.lease_id = Some(lease_id);
        lines.by_lease.entry(lease_id).or_default().insert(self.call_id, self.wake.clone());
    }

    /// It is in nobody's way any more. Its call attends to what is left of the wait until the seat is dropped.
    pub fn rise(&mut self) {
        let lines = self.lines.clone();
        lines.lock().unwrap_or_else(PoisonError::into_inner).leave(self);
    }

    pub async fn woken(&self) {
        self.wake.notify.notified().await;
    }

    /// What it was granted while it stood.
    pub fn handed_over(&self) -> Option<HandedOver> {
        self.wake.handed_over.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let lines = self.lines.clone();
        let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.leave(self);
        lines.calls.remove(&self.call_id);
        metrics::waiters(lines.calls.len());
    }
}
