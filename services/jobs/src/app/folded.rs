//! Submissions of one batch under one key: decided once, answered each.

use std::collections::HashMap;

use holdfast_ids::JobId;

use super::submit::{Refused, Submitted};
use crate::domain::job::{Queue, StateName};
use crate::domain::submission::{KeyScope, Submission};
use crate::store::submit::{InWindow, Opened};

/// What became of a key.
pub(super) enum Decided {
    New { job_id: JobId, state: StateName, opened: Opened },
    Taken(InWindow),
}

/// Submissions under one key within a batch: the first leads, the others are answered as if they had come later.
pub(super) struct Folded {
    pub(super) leaders: Vec<usize>,
    leader_of: Vec<usize>,
}

impl Folded {
    pub(super) fn of(items: &[Submission]) -> Self {
        let mut first: HashMap<&KeyScope, usize> = HashMap::new();
        let leader_of: Vec<usize> =
            items.iter().enumerate().map(|(index, item)| *first.entry(&item.scope).or_insert(index)).collect();
        let mut leaders: Vec<usize> = first.into_values().collect();
        leaders.sort_unstable();
        Self { leaders, leader_of }
    }

    pub(super) fn outcomes(
        &self,
        items: &[Submission],
        decided: &HashMap<usize, Decided>,
        full: &HashMap<usize, Queue>,
    ) -> Vec<Result<Submitted, Refused>> {
        items
            .iter()
            .enumerate()
            .map(|(index, item)| {
                let leader = self.leader_of[index];
                match decided.get(&leader) {
                    Some(Decided::New { job_id, state, opened }) if item.payload_hash == items[leader].payload_hash => {
                        Ok(Submitted {
                            job_id: *job_id,
                            state: *state,
                            replayed: index != leader,
                            window_end: opened.window_end,
                            generation: opened.generation,
                        })
                    }
                    Some(Decided::New { .. }) => Err(Refused::Conflict),
                    Some(Decided::Taken(window)) => Submitted::repeating(window, &item.payload_hash),
                    None => Err(Refused::QueueFull { queue: full.get(&leader).copied().unwrap_or(item.queue) }),
                }
            })
            .collect()
    }
}
