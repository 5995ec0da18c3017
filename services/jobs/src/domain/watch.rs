//! What a watch follows, and how far it has come.

use std::collections::{HashSet, VecDeque};

use holdfast_events::{EntryId, SHARDS};
use holdfast_ids::{JobId, ProjectId, TenantId};
use uuid::Uuid;

use super::job::{StateName, Time};

/// What is watched.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scope {
    Job { job_id: JobId },
    Project { tenant_id: TenantId, project_id: ProjectId },
}

/// The last event of a shard that a watch has passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    pub entry: EntryId,
    pub event_id: Uuid,
}

/// One position a shard; none where nothing of the project has been on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Positions([Option<Position>; SHARDS as usize]);

impl Positions {
    pub fn set(&mut self, shard: u16, position: Position) {
        if let Some(known) = self.0.get_mut(usize::from(shard)) {
            *known = Some(position);
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = (u16, Position)> {
        (0..).zip(self.0).filter_map(|(shard, position)| Some((shard, position?)))
    }

    /// Behind which entry each shard is to be read.
    pub fn entries(&self) -> [EntryId; SHARDS as usize] {
        self.0.map(|position| position.map_or(EntryId::START, |position| position.entry))
    }

    /// Goes back where the outbox does not know an event under the entry that the position names. `recorded` answers the
    /// entry that it knows now: none while the event waits to be published again.
    ///
    /// Redis lost that entry before the relay had written it down. What was published since stands behind it only if the
    /// clock of the server that took over was not behind; this is how far back it may have been.
    pub fn distrust(&mut self, recorded: impl Fn(Uuid) -> Option<Option<EntryId>>) {
        const CLOCK_BEHIND_MAX_MS: u64 = 10 * 60 * 1000;
        for position in self.0.iter_mut().flatten() {
            if recorded(position.event_id).is_some_and(|entry| entry != Some(position.entry)) {
                position.entry = EntryId { ms: position.entry.ms.saturating_sub(CLOCK_BEHIND_MAX_MS), seq: 0 };
            }
        }
    }
}

/// How far a watch has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Behind this transition of the job.
    Job { seq: i64 },
    /// Behind these entries of the streams; and when everything before had been passed on, by the database's clock.
    Project { positions: Box<Positions>, as_of: Time },
}

/// Which transitions are passed on; all where it says nothing.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub states: Vec<StateName>,
    pub intent: Option<String>,
}

impl Filter {
    pub fn admits(&self, to_state: StateName, intent: &str) -> bool {
        (self.states.is_empty() || self.states.contains(&to_state))
            && self.intent.as_deref().is_none_or(|own| own == intent)
    }
}

/// The events that a watch passed on lately. Within one watch what comes again, from the stream or from the outbox, is
/// not passed on again, as long as it is remembered.
#[derive(Debug, Default)]
pub struct Recent {
    ids: HashSet<Uuid>,
    order: VecDeque<Uuid>,
}

impl Recent {
    /// More than the events of one project that may wait for a relay while a watch goes on.
    pub const IDS_MAX: usize = 16_384;

    /// False where it is there already.
    pub fn insert(&mut self, event_id: Uuid) -> bool {
        if !self.ids.insert(event_id) {
            return false;
        }
        self.order.push_back(event_id);
        if self.order.len() > Self::IDS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        true
    }

    pub fn contains(&self, event_id: &Uuid) -> bool {
        self.ids.contains(event_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(ms: u64) -> Position {
        Position { entry: EntryId { ms, seq: 3 }, event_id: Uuid::now_v7() }
    }

    #[test]
    fn a_position_is_held_only_where_the_outbox_agrees() {
        let mut positions = Positions::default();
        let (agreed, moved, waiting, gone) =
            (position(1_000_000), position(1_000_000), position(1_000_000), position(1_000_000));
        for (shard, position) in (0..).zip([agreed, moved, waiting, gone]) {
            positions.set(shard, position);
        }
        positions.distrust(|event_id| {
            let entry = |ms| Some(EntryId { ms, seq: 3 });
            match event_id {
                id if id == agreed.event_id => Some(entry(1_000_000)),
                id if id == moved.event_id => Some(entry(2_000_000)),
                id if id == waiting.event_id => Some(None),
                // Its row has gone with its slot: it was recorded, long ago.
                _ => None,
            }
        });
        assert_eq!(positions.entries().map(|entry| entry.ms)[..5], [1_000_000, 400_000, 400_000, 1_000_000, 0]);
    }

    #[test]
    fn what_is_recent_is_bounded_and_the_oldest_goes_first() {
        let mut recent = Recent::default();
        let first = Uuid::now_v7();
        assert!(recent.insert(first) && !recent.insert(first));
        for _ in 1..Recent::IDS_MAX {
            recent.insert(Uuid::now_v7());
        }
        assert!(recent.contains(&first));
        recent.insert(Uuid::now_v7());
        assert!(!recent.contains(&first));
        assert_eq!((recent.ids.len(), recent.order.len()), (Recent::IDS_MAX, Recent::IDS_MAX));
    }
}
