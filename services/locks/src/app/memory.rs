//! What this instance wrote last: resources that nobody waits for, and the leases that have them. What is decided on it needs no look; it is only ever
//! used for what is then written, and nothing is written where anything has moved since. So it may be wrong, and never does wrong.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use holdfast_ids::LeaseId;

use crate::domain::Time;
use crate::domain::board::Board;
use crate::domain::command::{Command, Outcome};
use crate::domain::head::{Head, Queue};
use crate::domain::lease::{Lease, Owner};
use crate::domain::resource::Name;
use crate::store::board::{Seen, Wanted};

/// Resources that are remembered; past it they are all forgotten.
const HEADS_MAX: usize = 100_000;
/// After a look at the database's clock, how long this machine's goes on in its place: two clocks do not run apart by much in so short a time.
const CLOCK_FOR: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub struct Memory(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// The database's clock, and when it had been read.
    clock: Option<(Time, Instant)>,
    heads: HashMap<Name, Head>,
    leases: HashMap<LeaseId, Lease>,
    by_owner: HashMap<Owner, BTreeSet<LeaseId>>,
}

impl Memory {
    /// The later of two readings is the nearer one: each is older than it says.
    pub fn clock_read(&self, now: Time) {
        let mut known = self.known();
        if known.now().is_none_or(|believed| believed <= now) {
            known.clock = Some((now, Instant::now()));
        }
    }

    /// All that these commands would look for, if all of it is remembered.
    pub fn recall(&self, commands: &[Command]) -> Option<Seen> {
        let known = self.known();
        let mut seen = Seen { now: known.now()?, heads: BTreeMap::new(), leases: HashMap::new() };
        for command in commands {
            match command {
                Command::Acquire { facts, .. } => {
                    facts.names().try_for_each(|name| known.recall_head(name, &mut seen))?;
                    let own = known.by_owner.get(&facts.owner).into_iter().flatten();
                    seen.leases.extend(own.filter_map(|id| Some((*id, known.leases.get(id)?.clone()))));
                }
                Command::Release { lease_id, .. } => {
                    let lease = known.leases.get(lease_id)?;
                    lease.facts.names().try_for_each(|name| known.recall_head(name, &mut seen))?;
                }
                _ => return None,
            }
        }
        Some(seen)
    }

    /// What was written is what there is, until somebody writes again.
    pub fn remember(&self, board: &Board<'_>, wanted: &Wanted) {
        let mut known = self.known();
        if known.heads.len() >= HEADS_MAX || known.leases.len() >= HEADS_MAX {
            *known = Known { clock: known.clock, ..Known::default() };
        }
        for owner in &wanted.owners {
            known.forget_owner(owner);
        }
        for (name, head) in board.heads() {
            known.forget(name);
            let holder = head.lease_id.map(|lease_id| board.lease(lease_id).filter(|lease| lease.held().is_some()));
            if head.queue == Queue::Empty && holder != Some(None) {
                if let Some(lease) = holder.flatten() {
                    known.remember_lease(lease);
                }
                known.heads.insert(name.clone(), Head { turn: board.next_turn(name, head), ..head.clone() });
            }
        }
        // All of theirs that were found, and what they were granted.
        for lease in board.leases().filter(|lease| lease.held().is_some() && wanted.owners.contains(&lease.facts.owner))
        {
            known.remember_lease(lease);
        }
    }

    /// What was decided on was not so, or it is not known what became of it.
    pub fn forget(&self, wanted: &Wanted) {
        let mut known = self.known();
        known.clock = None;
        wanted.owners.iter().for_each(|owner| known.forget_owner(owner));
        wanted.names.iter().for_each(|name| known.forget(name));
        wanted.leases.iter().for_each(|(lease_id, _)| known.forget_lease(*lease_id));
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn now(&self) -> Option<Time> {
        let (clock, read) = self.clock.filter(|(_, read)| read.elapsed() < CLOCK_FOR)?;
        // In microseconds, as the database has it.
        Some(clock + TimeDelta::microseconds(read.elapsed().as_micros() as i64))
    }

    /// The head, and the lease that has it.
    fn recall_head(&self, name: Name, seen: &mut Seen) -> Option<()> {
        let head = self.heads.get(&name)?;
        if let Some(lease_id) = head.lease_id {
            seen.leases.insert(lease_id, self.leases.get(&lease_id)?.clone());
        }
        seen.heads.insert(name, head.clone());
        Some(())
    }

    fn remember_lease(&mut self, lease: &Lease) {
        let lease_id = lease.facts.lease_id;
        self.by_owner.entry(lease.facts.owner.clone()).or_default().insert(lease_id);
        self.leases.insert(lease_id, lease.clone());
    }

    fn forget(&mut self, name: &Name) {
        if let Some(lease_id) = self.heads.remove(name).and_then(|head| head.lease_id) {
            self.forget_lease(lease_id);
        }
    }

    fn forget_owner(&mut self, owner: &Owner) {
        for lease_id in self.by_owner.remove(owner).into_iter().flatten() {
            self.leases.remove(&lease_id);
        }
    }

    fn forget_lease(&mut self, lease_id: LeaseId) {
        let Some(lease) = self.leases.remove(&lease_id) else { return };
        if let Some(own) = self.by_owner.get_mut(&lease.facts.owner) {
            own.remove(&lease_id);
            if own.is_empty() {
                self.by_owner.remove(&lease.facts.owner);
            }
        }
    }
}

/// Whether an outcome is proven by its having been written. A refusal changes nothing, and asks for a look.
pub fn is_proven(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Granted { replayed, .. } => !replayed,
        Outcome::Waiting { .. } | Outcome::Ended { .. } => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::board::world::{World, act, order};

    impl Memory {
        /// No lease is remembered that neither a head nor its owner leads to.
        fn check(&self) {
            let known = self.known();
            for (lease_id, lease) in &known.leases {
                assert!(known.by_owner[&lease.facts.owner].contains(lease_id), "nobody forgets it");
            }
            assert_eq!(known.by_owner.values().map(BTreeSet::len).sum::<usize>(), known.leases.len());
        }
    }

    /// Whether what is remembered would be written: as the store compares it.
    fn stands(seen: &Seen, commands: &[Command], world: &World) -> bool {
        let (heads, leases) = world.look();
        let asks = |lease: &Lease| {
            commands.iter().any(|command| match command {
                Command::Acquire { facts, .. } => {
                    let same_key = facts.idempotency_key.is_some()
                        && facts.idempotency_key == lease.facts.idempotency_key
                        && facts.owner.actor_id == lease.facts.owner.actor_id;
                    facts.owner == lease.facts.owner || same_key
                }
                _ => false,
            })
        };
        seen.heads.iter().all(|(name, head)| heads[name].turn == head.turn)
            && leases.values().filter(|lease| asks(lease)).all(|lease| seen.leases.contains_key(&lease.facts.lease_id))
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

        /// Two instances write; one of them remembers. What it decides on that, and may write, is what a look would have come to.
        #[test]
        fn what_is_remembered_and_stands_is_what_a_look_would_find(
            batches in prop::collection::vec((any::<bool>(), prop::collection::vec(act(), 1..4)), 1..40)
        ) {
            let (mut world, memory, order) = (World::new(), Memory::default(), order());
            for (ours, batch) in batches {
                let commands = world.commands(&batch);
                if !ours {
                    world.run(&commands);
                    continue;
                }
                let (heads, leases) = world.look();
                let mut looked = Board::new(&order, world.now, heads, leases);
                let outcomes: Vec<Outcome> = commands.iter().map(|command| looked.run(command)).collect();
                memory.clock_read(world.now);
                if let Some(seen) = memory.recall(&commands)
                    && stands(&seen, &commands, &world)
                {
                    let mut board = Board::new(&order, world.now, seen.heads, seen.leases);
                    let remembered: Vec<Outcome> = commands.iter().map(|command| board.run(command)).collect();
                    if remembered.iter().all(is_proven) {
                        prop_assert_eq!(&remembered, &outcomes);
                        prop_assert_eq!(&board.changes().heads, &looked.changes().heads);
                        prop_assert_eq!(&board.changes().put, &looked.changes().put);
                        prop_assert_eq!(&board.changes().removed, &looked.changes().removed);
                    }
                }
                world.write(&looked);
                memory.remember(&looked, &Wanted::of(&commands));
                memory.check();
            }
        }
    }

    #[test]
    fn a_clock_that_was_not_read_lately_is_not_gone_by() {
        let memory = Memory::default();
        assert!(memory.recall(&[]).is_none());
        let now = Time::from_timestamp(1_700_000_000, 0).expect("a time");
        memory.clock_read(now);
        let seen = memory.recall(&[]).expect("the clock was read");
        assert!(seen.now >= now);
        let long_ago = Instant::now().checked_sub(CLOCK_FOR).expect("this machine runs for longer");
        memory.known().clock = Some((now, long_ago));
        assert!(memory.recall(&[]).is_none());
    }
}
