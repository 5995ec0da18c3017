//! What owners have set for projects, as this instance knows it: read where a submission is admitted, which must not cost
//! a look at the database. Fed by a poll and by hints; what this instance changed itself is in it before it is answered.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use holdfast_ids::{Intent, ProjectId, TenantId};

use crate::domain::job::{Tier, Time};
use crate::domain::project::Project;

#[derive(Debug, Default)]
pub struct InForce {
    known: RwLock<Known>,
}

#[derive(Debug, Default)]
struct Known {
    projects: HashMap<TenantId, HashMap<ProjectId, Arc<Project>>>,
    /// The latest change that a poll has seen.
    seen_up_to: Option<Time>,
}

impl InForce {
    /// The settings of a project that has any.
    pub fn of(&self, tenant_id: &str, project_id: &str) -> Option<Arc<Project>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.projects.get(tenant_id)?.get(project_id).cloned()
    }

    /// What jobs of an intent are raised to.
    pub fn tier_floor(&self, tenant_id: &TenantId, project_id: &ProjectId, intent: &Intent) -> Tier {
        let project = self.of(tenant_id.as_str(), project_id.as_str());
        project.and_then(|project| project.settings.intents.get(intent)?.tier_floor).unwrap_or(Tier::A)
    }

    pub fn seen_up_to(&self) -> Option<Time> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).seen_up_to
    }

    /// Takes in what a poll has found.
    pub fn polled(&self, projects: Vec<Project>) {
        let latest = projects.iter().filter_map(|project| project.latest.as_ref().map(|change| change.at)).max();
        for project in projects {
            self.changed(project);
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.seen_up_to = known.seen_up_to.max(latest);
    }

    /// Takes in one, unless a later version is known: a poll may have overtaken the answer to a change.
    pub fn changed(&self, project: Project) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let own = known.projects.entry(project.tenant_id.clone()).or_default();
        if own.get(&project.project_id).is_none_or(|present| present.version() < project.version()) {
            own.insert(project.project_id.clone(), Arc::new(project));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::project::{Change, Settings};
    use holdfast_ids::ActorId;

    fn at_version(version: i64) -> Project {
        let settings = Settings { queue_hard: Some(version), ..Settings::default() };
        let at = chrono::DateTime::UNIX_EPOCH + Duration::from_secs(version.unsigned_abs());
        let latest = Some(Change { version, at, by: ActorId::parse("olga").unwrap() });
        let (tenant_id, project_id) = (TenantId::parse("acme").unwrap(), ProjectId::parse("alpha").unwrap());
        Project { tenant_id, project_id, settings, latest }
    }

    #[test]
    fn the_latest_version_stays_whatever_comes_in_late() {
        let in_force = InForce::default();
        in_force.changed(at_version(2));
        in_force.polled(vec![at_version(1)]);
        assert_eq!(in_force.of("acme", "alpha").map(|project| project.version()), Some(2));
        assert_eq!(in_force.of("acme", "beta"), None);
        // What was changed here says nothing of what others have changed before it.
        assert_eq!(in_force.seen_up_to(), at_version(1).latest.map(|change| change.at));
    }
}
