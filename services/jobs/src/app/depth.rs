//! How deep a queue may get, and who is refused where it would get deeper.

use std::collections::{HashMap, HashSet};

use holdfast_ids::Intent;

use super::limits::DepthLimits;
use crate::domain::job::Queue;
use crate::domain::project::Project;
use crate::metrics;
use crate::store::submit::New;

/// Of the depth of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueLimits {
    pub soft: i64,
    pub hard: i64,
}

impl QueueLimits {
    /// The project's own, and where it has none those of all. A soft limit is never above the hard one.
    pub fn of_project(all: DepthLimits, own: Option<&Project>) -> Self {
        let own = own.map(|own| &own.settings);
        let hard = own.and_then(|own| own.queue_hard).unwrap_or(all.project_hard);
        let soft = own.and_then(|own| own.queue_soft).unwrap_or(all.project_soft);
        Self { soft: soft.min(hard), hard }
    }
}

/// By how many jobs a queue is over what it may hold.
pub(super) struct Over {
    /// Of which only those count that are not safety-critical.
    ordinary: i64,
    any: i64,
}

impl Over {
    pub(super) fn by(depth: i64, limits: QueueLimits, is_pressed: bool) -> Option<Self> {
        let over_soft = depth - limits.soft;
        if over_soft > 0 {
            metrics::over_soft_limit();
        }
        let any = (depth - limits.hard).max(0);
        let ordinary = if is_pressed { over_soft.max(any) } else { any };
        (ordinary > 0).then_some(Self { ordinary, any })
    }

    /// Whether one more has to go.
    fn takes(&mut self, is_critical: bool) -> bool {
        let takes = if is_critical { self.any > 0 } else { self.ordinary > 0 };
        if takes {
            self.ordinary -= 1;
            self.any -= 1;
        }
        takes
    }
}

/// The last submissions of each queue that is over, as many as it is over by; those that are safety-critical last of all.
pub(super) fn surplus(
    news: &[(usize, New<'_>)],
    mut over: HashMap<(Queue, String, String), Over>,
    safety_critical: &HashSet<Intent>,
) -> Option<HashMap<usize, Queue>> {
    let mut surplus = HashMap::new();
    let is_critical = |new: &New<'_>| safety_critical.contains(&new.candidate.submission.scope.intent);
    let (critical, ordinary): (Vec<_>, Vec<_>) = news.iter().rev().partition(|(_, new)| is_critical(new));
    for (index, new) in ordinary.into_iter().chain(critical) {
        let submission = new.candidate.submission;
        let project = match submission.queue {
            Queue::Project => submission.scope.project_id.to_string(),
            Queue::Infra => String::new(),
        };
        let key = (submission.queue, submission.scope.tenant_id.to_string(), project);
        if over.get_mut(&key).is_some_and(|over| over.takes(is_critical(new))) {
            surplus.insert(*index, submission.queue);
        }
    }
    // Over by more than this batch brought: others fill the queue too, and nothing of it is this batch's to undo.
    (!surplus.is_empty()).then_some(surplus)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::project::Settings;
    use holdfast_ids::{ProjectId, TenantId};

    #[test]
    fn a_soft_limit_is_never_above_the_hard_one() {
        let all = DepthLimits { project_soft: 20, project_hard: 50, infra_soft: 1, infra_hard: 2 };
        assert_eq!(QueueLimits::of_project(all, None), QueueLimits { soft: 20, hard: 50 });
        let (tenant_id, project_id) = (TenantId::parse("acme").unwrap(), ProjectId::parse("alpha").unwrap());
        let settings = Settings { queue_hard: Some(7), ..Settings::default() };
        let own = Project { settings, ..Project::new(tenant_id, project_id) };
        assert_eq!(QueueLimits::of_project(all, Some(&own)), QueueLimits { soft: 7, hard: 7 });
    }

    #[test]
    fn the_soft_limit_is_held_to_under_pressure_and_by_what_is_not_critical() {
        let limits = QueueLimits { soft: 10, hard: 20 };
        assert!(Over::by(15, limits, false).is_none());
        let mut over = Over::by(12, limits, true).unwrap();
        assert_eq!(
            [over.takes(true), over.takes(false), over.takes(false), over.takes(false)],
            [false, true, true, false]
        );
        let mut over = Over::by(21, limits, false).unwrap();
        assert_eq!([over.takes(true), over.takes(true), over.takes(false)], [true, false, false]);
        // What an ordinary job makes room for, a critical one need not.
        let mut over = Over::by(21, limits, true).unwrap();
        assert_eq!([over.takes(false), over.takes(true)], [true, false]);
    }
}
