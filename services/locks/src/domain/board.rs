//! The resources of one transaction, those who have them and those who wait: commands are carried out on it one by one, and what they changed
//! is written at once.
//!
//! What it shows is one moment. It is written only where all of its heads are as they were then. So every command that changes a lease moves a
//! head of what that lease is about, be it by its turn alone; and whoever changes a lease has all of its heads on the board. Of a queue it knows the first that is alive, and no
//! more: behind it, once it has gone, somebody may stand.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use holdfast_ids::{ActorId, InstanceId, LeaseId, TenantId};
use uuid::Uuid;

use super::Time;
use super::command::{Cause, Command, Outcome, Unattended};
use super::entry::{Entry, What};
use super::head::{Head, Queue};
use super::lease::{Facts, Held, Lease, Owner, State, Waiting};
use super::order::Order;
use super::resource::{Name, Resource};

/// Between two events about stale tokens of one resource.
const REJECTIONS_APART_MS: i64 = 1000;

#[derive(Debug)]
pub struct Board<'a> {
    order: &'a Order,
    /// By the database's clock.
    now: Time,
    heads: BTreeMap<Name, Head>,
    /// Every lease that a command names, that holds one of the heads or stands first in line for it, and all of the owners that ask.
    leases: HashMap<LeaseId, Lease>,
    changes: Changes,
}

/// What the commands came to, to be written.
#[derive(Debug, Default)]
pub struct Changes {
    pub heads: BTreeSet<Name>,
    /// New, or moved on.
    pub put: BTreeSet<LeaseId>,
    /// Held, and asked for again by this call.
    pub told_again: BTreeSet<LeaseId>,
    pub removed: BTreeMap<LeaseId, TenantId>,
    pub entries: Vec<Entry>,
    /// Resources that became free, or whose queue moved up.
    pub freed: BTreeSet<Name>,
    /// Held leases that ended.
    pub ended: Vec<LeaseId>,
}

impl Changes {
    pub fn is_empty(&self) -> bool {
        self.heads.is_empty() && self.put.is_empty() && self.told_again.is_empty() && self.removed.is_empty()
    }
}

impl<'a> Board<'a> {
    pub fn new(order: &'a Order, now: Time, heads: BTreeMap<Name, Head>, leases: HashMap<LeaseId, Lease>) -> Self {
        Self { order, now, heads, leases, changes: Changes::default() }
    }

    pub fn changes(&self) -> &Changes {
        &self.changes
    }

    /// What is left to tell of once it is written.
    pub fn into_changes(self) -> Changes {
        self.changes
    }

    pub fn heads(&self) -> impl Iterator<Item = (&Name, &Head)> {
        self.heads.iter()
    }

    pub fn leases(&self) -> impl Iterator<Item = &Lease> {
        self.leases.values()
    }

    /// The turn of a head once the board is written. It is never behind the clock, as tokens are not: none that a restored backup has lost comes
    /// again.
    pub fn next_turn(&self, name: &Name, head: &Head) -> i64 {
        match self.changes.heads.contains(name) {
            true => (head.turn + 1).max(self.now.timestamp_micros()),
            false => head.turn,
        }
    }

    pub fn lease(&self, lease_id: LeaseId) -> Option<&Lease> {
        self.leases.get(&lease_id)
    }

    /// Who is next for a resource that has become free, where every head is here that it takes to go on.
    pub fn next(&self, name: &Name) -> Option<&Lease> {
        let Head { lease_id: None, queue: Queue::First(first), .. } = self.heads.get(name)? else { return None };
        self.leases.get(first).filter(|lease| lease.facts.names().all(|name| self.heads.contains_key(&name)))
    }

    fn named(&self, tenant_id: &TenantId, lease_id: LeaseId) -> Option<&Lease> {
        self.leases.get(&lease_id).filter(|lease| lease.facts.owner.tenant_id == *tenant_id)
    }

    pub fn run(&mut self, command: &Command) -> Outcome {
        match command {
            Command::Acquire { facts, call_id, instance_id, waits } => {
                self.acquire(facts, *call_id, *instance_id, *waits)
            }
            Command::Claim { tenant_id, lease_id, call_id } => self.claim(tenant_id, *lease_id, *call_id),
            Command::Leave { owner, names, call_id, grant_too, cause } => {
                // Whatever is found: what the call may still be about to write is to come too late.
                self.changes.heads.extend(names.iter().cloned());
                self.leave(owner, *call_id, *grant_too, cause)
            }
            Command::Release { reach, lease_id, cause } => match self.leases.get(lease_id) {
                Some(lease)
                    if lease.held().is_some()
                        && reach.covers(&lease.facts)
                        && lease.facts.owner.actor_id == cause.actor_id =>
                {
                    if lease.is_stale(self.now) {
                        return Outcome::Stale { lease_id: *lease_id };
                    }
                    self.end(*lease_id, cause, |held, now| What::Released { held_ms: held_ms(held, now) })
                }
                _ => Outcome::Gone,
            },
            Command::Force { reach, lease_id, reason, cause } => match self.leases.get(lease_id) {
                Some(lease) if lease.held().is_some() && reach.covers(&lease.facts) => {
                    let reason = reason.clone();
                    self.end(*lease_id, cause, |held, now| What::Forced { held_ms: held_ms(held, now), reason })
                }
                _ => Outcome::Gone,
            },
            Command::Expire { tenant_id, lease_id, cause } => match self.named(tenant_id, *lease_id) {
                Some(lease) if lease.is_stale(self.now) => self.end(*lease_id, cause, |held, now| What::Expired {
                    held_ms: held_ms(held, now),
                    expired_at: held.expires_at,
                }),
                _ => Outcome::Nothing,
            },
            Command::Abandon { tenant_id, lease_id, why } => {
                let lease = self.named(tenant_id, *lease_id);
                let is_unattended = lease.is_some_and(|lease| match (lease.waiting(), why) {
                    (Some(waiting), Unattended::Instance) => !waiting.is_live,
                    (Some(_), Unattended::Call(call_id)) => lease.call_id == *call_id,
                    (None, _) => false,
                });
                if is_unattended { self.withdraw(*lease_id) } else { Outcome::Nothing }
            }
            Command::Reject { name, presented, cause } => self.reject(name, *presented, cause),
        }
    }

    fn acquire(&mut self, facts: &Facts, call_id: Uuid, instance_id: InstanceId, waits: bool) -> Outcome {
        if self.leases.contains_key(&facts.lease_id) {
            // This very request, of which nobody knew whether it was written.
            return self.claim(&facts.owner.tenant_id, facts.lease_id, call_id);
        }
        if let Some(known) = self.known(facts) {
            return self.repeat(known, facts, call_id, instance_id, waits);
        }
        if let Some((blocking, after)) = self.out_of_order(facts) {
            return match self.leases[&blocking].is_stale(self.now) {
                true => Outcome::Stale { lease_id: blocking },
                false => Outcome::OutOfOrder { after },
            };
        }
        let blocking = facts.names().find(|name| !self.is_takeable(name, facts.lease_id));
        if let Some(name) = blocking {
            if let Some(lease_id) = self.stale_holder(&name) {
                return Outcome::Stale { lease_id };
            }
            if !waits {
                return Outcome::Busy { resource: name.resource };
            }
        }
        // In no queue yet.
        let waiting = Waiting { instance_id, is_live: true, standing: 0, place: 0 };
        let state = State::Waiting(waiting);
        let lease = Lease { facts: facts.clone(), call_id, asked_at: self.now, state };
        self.leases.insert(facts.lease_id, lease);
        self.advance(facts.lease_id)
    }

    /// What an earlier call under the same key came to.
    fn known(&self, facts: &Facts) -> Option<LeaseId> {
        let key = facts.idempotency_key.as_ref()?;
        let owner = &facts.owner;
        let same = |lease: &&Lease| {
            lease.facts.idempotency_key.as_ref() == Some(key)
                && lease.facts.owner.tenant_id == owner.tenant_id
                && lease.facts.owner.actor_id == owner.actor_id
        };
        self.leases.values().find(same).map(|lease| lease.facts.lease_id)
    }

    fn repeat(
        &mut self,
        lease_id: LeaseId,
        facts: &Facts,
        call_id: Uuid,
        instance_id: InstanceId,
        waits: bool,
    ) -> Outcome {
        let now = self.now;
        let Some(lease) = self.leases.get(&lease_id) else { return Outcome::Gone };
        if lease.facts.request_hash != facts.request_hash {
            return Outcome::KeyConflict;
        }
        if lease.is_stale(now) {
            return Outcome::Stale { lease_id };
        }
        if let State::Waiting(waiting) = &lease.state {
            let ahead: Vec<Name> = lease.facts.names().skip(waiting.standing).collect();
            // Whoever does not wait leaves the place to the call that does.
            if let Some(name) = ahead.into_iter().find(|name| !waits && !self.is_takeable(name, lease_id)) {
                return Outcome::Busy { resource: name.resource };
            }
        }
        let Some(lease) = self.leases.get_mut(&lease_id) else { return Outcome::Gone };
        lease.call_id = call_id;
        self.changes.heads.extend(lease.facts.names());
        match &mut lease.state {
            State::Held(_) => {
                self.changes.told_again.insert(lease_id);
                Outcome::Granted { lease: Box::new(lease.clone()), replayed: true, now }
            }
            State::Waiting(waiting) => {
                (waiting.instance_id, waiting.is_live) = (instance_id, true);
                self.changes.put.insert(lease_id);
                self.advance(lease_id)
            }
        }
    }

    /// What of its owner's does not come before all that is asked for, and whose it is. An owner that waits asks for nothing more: it would have
    /// what comes later while it waits for what comes before.
    fn out_of_order(&self, facts: &Facts) -> Option<(LeaseId, Resource)> {
        let first = facts.resources.first()?;
        self.leases
            .values()
            .filter(|lease| lease.facts.owner == facts.owner)
            .flat_map(|lease| lease.facts.resources.iter().map(move |resource| (lease, resource)))
            .filter(|(lease, resource)| lease.waiting().is_some() || self.order.compare(resource, first).is_ge())
            .map(|(lease, resource)| (lease.facts.lease_id, resource))
            .max_by(|(_, one), (_, other)| self.order.compare(one, other))
            .map(|(lease_id, resource)| (lease_id, resource.clone()))
    }

    fn is_takeable(&self, name: &Name, by: LeaseId) -> bool {
        let head = &self.heads[name];
        let is_next = match head.queue {
            Queue::Empty | Queue::Dead => true,
            Queue::First(first) => first == by,
            Queue::Unknown => false,
        };
        head.lease_id.is_none() && is_next
    }

    fn stale_holder(&self, name: &Name) -> Option<LeaseId> {
        let holder = self.heads[name].lease_id?;
        self.leases.get(&holder).filter(|lease| lease.is_stale(self.now)).map(|lease| lease.facts.lease_id)
    }

    fn claim(&mut self, tenant_id: &TenantId, lease_id: LeaseId, call_id: Uuid) -> Outcome {
        let Some(lease) = self.named(tenant_id, lease_id) else { return Outcome::Gone };
        if lease.call_id != call_id {
            return Outcome::Superseded;
        }
        match &lease.state {
            // By an earlier claim whose answer was lost, and for so long that nothing is left of it.
            State::Held(_) if lease.is_stale(self.now) => Outcome::Stale { lease_id },
            State::Held(_) => Outcome::Granted { lease: Box::new(lease.clone()), replayed: false, now: self.now },
            State::Waiting(waiting) => {
                let name = lease.facts.name(&lease.facts.resources[waiting.standing]);
                match self.stale_holder(&name) {
                    Some(stale) if self.heads[&name].queue == Queue::First(lease_id) => {
                        Outcome::Stale { lease_id: stale }
                    }
                    _ => self.advance(lease_id),
                }
            }
        }
    }

    /// Takes what it can of what a waiting lease asks for, in order: resource after resource, each in its queue's turn, until it has all or stands in
    /// line for one.
    fn advance(&mut self, lease_id: LeaseId) -> Outcome {
        let Some(lease) = self.leases.get(&lease_id) else { return Outcome::Gone };
        let Some(mut waiting) = lease.waiting().cloned() else { return Outcome::Gone };
        let names: Vec<Name> = lease.facts.names().collect();
        while waiting.standing < names.len() {
            let name = &names[waiting.standing];
            let is_takeable = self.is_takeable(name, lease_id);
            let head = self.head_mut(name);
            if !is_takeable {
                if waiting.place == 0 {
                    head.places += 1;
                    waiting.place = head.places;
                    if matches!(head.queue, Queue::Empty | Queue::Dead) {
                        head.queue = Queue::First(lease_id);
                    }
                    self.changes.heads.insert(name.clone());
                    self.changes.put.insert(lease_id);
                }
                break;
            }
            head.lease_id = Some(lease_id);
            if waiting.place != 0 {
                head.queue = Queue::Unknown;
            }
            self.changes.freed.remove(name);
            (waiting.standing, waiting.place) = (waiting.standing + 1, 0);
            self.changes.heads.insert(name.clone());
            self.changes.put.insert(lease_id);
        }
        let place = waiting.place;
        let standing = names.get(waiting.standing).cloned();
        if let Some(lease) = self.leases.get_mut(&lease_id) {
            lease.state = State::Waiting(waiting);
        }
        match standing {
            Some(standing) => Outcome::Waiting { lease_id, standing, place },
            None => self.grant(lease_id),
        }
    }

    /// A token is higher than all before, and never behind the clock: a restored backup, or a failover that lost the last grant, does not bring
    /// tokens back that were given.
    fn grant(&mut self, lease_id: LeaseId) -> Outcome {
        let now = self.now;
        let Some(mut lease) = self.leases.remove(&lease_id) else { return Outcome::Gone };
        let waited_ms = (now - lease.asked_at).num_milliseconds().max(0);
        let (expires_at, stale_at) = lease.facts.terms.ends(now);
        let mut fences = Vec::with_capacity(lease.facts.resources.len());
        let names: Vec<Name> = lease.facts.names().collect();
        for name in &names {
            let head = self.head_mut(name);
            head.fence = (head.fence + 1).max(now.timestamp_micros());
            fences.push(head.fence);
        }
        lease.state = State::Held(Held { fences, granted_at: now, expires_at, stale_at, renewals: 0 });
        let by = Cause {
            actor_id: lease.facts.owner.actor_id.clone(),
            request_id: lease.facts.request_id.clone(),
            traceparent: lease.facts.traceparent.clone(),
        };
        self.record(&lease, &by, |_| What::Granted { expires_at, waited_ms });
        self.changes.put.insert(lease_id);
        self.leases.insert(lease_id, lease.clone());
        Outcome::Granted { lease: Box::new(lease), replayed: false, now }
    }

    fn leave(&mut self, owner: &Owner, call_id: Uuid, grant_too: bool, cause: &Cause) -> Outcome {
        let own = |lease: &&Lease| lease.call_id == call_id && lease.facts.owner == *owner;
        let Some(lease) = self.leases.values().find(own) else { return Outcome::Gone };
        let lease_id = lease.facts.lease_id;
        match &lease.state {
            State::Waiting(_) => self.withdraw(lease_id),
            State::Held(_) if !grant_too && lease.is_stale(self.now) => Outcome::Stale { lease_id },
            State::Held(_) if !grant_too => {
                Outcome::Granted { lease: Box::new(lease.clone()), replayed: false, now: self.now }
            }
            State::Held(_) => self.end(lease_id, cause, |held, now| What::Released { held_ms: held_ms(held, now) }),
        }
    }

    /// Ends a held lease: its resources are free.
    fn end(&mut self, lease_id: LeaseId, cause: &Cause, what: impl FnOnce(&Held, Time) -> What) -> Outcome {
        let now = self.now;
        let Some(lease) = self.leases.remove(&lease_id) else { return Outcome::Gone };
        let Some(held) = lease.held() else { return Outcome::Gone };
        let what = what(held, now);
        self.changes.ended.push(lease_id);
        self.free(&lease);
        self.record(&lease, cause, |_| what.clone());
        self.remove(&lease);
        Outcome::Ended { at: now }
    }

    /// Takes a waiting lease out of its queue, and gives back what was reserved for it.
    fn withdraw(&mut self, lease_id: LeaseId) -> Outcome {
        let Some(lease) = self.leases.remove(&lease_id) else { return Outcome::Gone };
        self.free(&lease);
        self.remove(&lease);
        Outcome::Ended { at: self.now }
    }

    fn free(&mut self, lease: &Lease) {
        let lease_id = lease.facts.lease_id;
        for name in lease.facts.names() {
            let head = self.head_mut(&name);
            let (had, led) = (head.lease_id == Some(lease_id), head.queue == Queue::First(lease_id));
            if had {
                head.lease_id = None;
            }
            self.changes.heads.insert(name.clone());
            if led {
                self.head_mut(&name).queue = Queue::Unknown;
            }
            if had || led {
                self.changes.freed.insert(name);
            }
        }
    }

    fn remove(&mut self, lease: &Lease) {
        let lease_id = lease.facts.lease_id;
        self.changes.put.remove(&lease_id);
        self.changes.told_again.remove(&lease_id);
        self.changes.removed.insert(lease_id, lease.facts.owner.tenant_id.clone());
    }

    fn reject(&mut self, name: &Name, presented: i64, cause: &Cause) -> Outcome {
        let now = self.now;
        let head = self.head_mut(name);
        if head.rejected_at.is_some_and(|at| (now - at).num_milliseconds() < REJECTIONS_APART_MS) {
            return Outcome::Nothing;
        }
        head.rejected_at = Some(now);
        head.version += 1;
        let (fence, version) = (head.fence, head.version);
        self.changes.heads.insert(name.clone());
        let event_id = Uuid::now_v7();
        self.changes.entries.push(Entry {
            event_id,
            lease_id: LeaseId::from_uuid(event_id),
            ordinal: 1,
            what: What::FenceRejected { presented },
            name: name.clone(),
            fence,
            version,
            holder: cause.actor_id.clone(),
            owner: String::new(),
            actor_id: cause.actor_id.clone(),
            occurred_at: now,
            request_id: cause.request_id.clone(),
            traceparent: cause.traceparent.clone(),
        });
        Outcome::Nothing
    }

    /// An entry for each resource of a lease.
    fn record(&mut self, lease: &Lease, cause: &Cause, what: impl Fn(&Resource) -> What) {
        let Some(held) = lease.held() else { return };
        for (index, (resource, fence)) in lease.facts.resources.iter().zip(&held.fences).enumerate() {
            let name = lease.facts.name(resource);
            let head = self.head_mut(&name);
            head.version += 1;
            let version = head.version;
            self.changes.heads.insert(name.clone());
            self.changes.entries.push(Entry {
                event_id: Uuid::now_v7(),
                lease_id: lease.facts.lease_id,
                ordinal: index as i16 + 1,
                what: what(resource),
                name,
                fence: *fence,
                version,
                holder: lease.facts.owner.actor_id.clone(),
                owner: lease.facts.owner.label.to_string(),
                actor_id: cause.actor_id.clone(),
                occurred_at: self.now,
                request_id: cause.request_id.clone(),
                traceparent: cause.traceparent.clone(),
            });
        }
    }

    /// Every head that a command can touch was loaded with it.
    fn head_mut(&mut self, name: &Name) -> &mut Head {
        self.heads.get_mut(name).unwrap_or_else(|| unreachable!("{name} was not locked"))
    }
}

fn held_ms(held: &Held, now: Time) -> i64 {
    (now - held.granted_at).num_milliseconds().max(0)
}

/// In whose name a background task acts.
pub fn system(task: &'static str) -> Cause {
    let actor_id = ActorId::parse(task).unwrap_or_else(|_| unreachable!("{task} is a name"));
    Cause { actor_id, request_id: Uuid::now_v7().to_string(), traceparent: String::new() }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod world;
