//! What projects may do: read, and replaced under the version that was read.

use holdfast_caller::Role;
use holdfast_fault::{Fault, Reason};
use holdfast_ids::{ProjectId, TenantId};
use holdfast_pg::{ReadTx, TenantScope};

use super::depth::QueueLimits;
use super::{App, Asking, authorise, retrying};
use crate::domain::project::{self, Asked, Change, Project, Settings, WEIGHT_DEFAULT};
use crate::store::StoreError;
pub use crate::store::projects::ProjectListing;
use crate::store::projects::{NewChange, project_change_if_current, project_get, projects_list};

/// Settings as the caller wants them, well-formed.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub tenant_id: Option<TenantId>,
    pub project_id: ProjectId,
    pub expected_version: i64,
    pub settings: Settings,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Updated {
    pub project: Project,
    pub replayed: bool,
}

/// Why settings are not replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NotUpdated {
    Conflict { version: i64 },
    NotOwner,
}

impl From<NotUpdated> for Fault {
    fn from(not: NotUpdated) -> Self {
        match not {
            NotUpdated::Conflict { version } => {
                let message = format!("the settings are at version {version}");
                Self::new(Reason::Project409VersionConflict, message).with("version", version.to_string())
            }
            NotUpdated::NotOwner => Self::new(Reason::Auth403Role, "only an owner may change the rules of intents"),
        }
    }
}

impl App {
    /// From the primary: who changed it finds the change.
    pub async fn project(
        &self,
        asking: &Asking,
        tenant_id: Option<TenantId>,
        project_id: ProjectId,
    ) -> Result<Project, Fault> {
        let tenant_id = authorise::tenant(&asking.caller, tenant_id)?;
        asking.caller.require_project(&project_id)?;
        Ok(self.core.app_db.bounded(self.project_once(asking, &tenant_id, &project_id)).await?)
    }

    async fn project_once(
        &self,
        asking: &Asking,
        tenant_id: &TenantId,
        project_id: &ProjectId,
    ) -> Result<Project, StoreError> {
        let mut tx = self.core.app_db.begin(&TenantScope::one(tenant_id), asking.deadline).await?;
        let (project, _) = project_get(&mut tx, tenant_id, project_id).await?;
        tx.commit().await?;
        Ok(project)
    }

    /// Those of a listing that the caller's token is for.
    pub async fn projects(&self, asking: &Asking, mut listing: ProjectListing) -> Result<Vec<Project>, Fault> {
        listing.projects = authorise::named_projects(&asking.caller)?;
        let scope = TenantScope::one(&listing.tenant_id);
        let list = |tx| projects_once(tx, &listing);
        Ok(self.core.read_db.read(&scope, asking.deadline, list).await?)
    }

    pub async fn update_project(&self, asking: &Asking, wanted: Wanted) -> Result<Updated, Fault> {
        let tenant_id = authorise::tenant(&asking.caller, wanted.tenant_id.clone())?;
        asking.caller.require_project(&wanted.project_id)?;
        let updated = retrying(&self.core.app_db, || self.update_once(asking, &tenant_id, &wanted)).await??;
        self.core.in_force.changed(updated.project.clone());
        if !updated.replayed {
            self.core.hints.settings();
            self.core.hints.outbox();
            // There may be room for more of its jobs.
            self.core.wake_dispatch();
        }
        Ok(updated)
    }

    async fn update_once(
        &self,
        asking: &Asking,
        tenant_id: &TenantId,
        wanted: &Wanted,
    ) -> Result<Result<Updated, NotUpdated>, StoreError> {
        let mut tx = self.core.app_db.begin(&TenantScope::one(tenant_id), asking.deadline).await?;
        let (present, now) = project_get(&mut tx, tenant_id, &wanted.project_id).await?;
        match project::asked(&present, wanted.expected_version, &wanted.settings) {
            Asked::New => {}
            Asked::Replay => return Ok(Ok(Updated { project: present, replayed: true })),
            Asked::Conflict => return Ok(Err(NotUpdated::Conflict { version: present.version() })),
        }
        let is_owner = asking.caller.has_any_role(&[Role::Owner]);
        let changed = wanted.settings.changed(&present.settings);
        if changed.contains(&"intents") && !is_owner {
            return Ok(Err(NotUpdated::NotOwner));
        }
        let change = Change { version: present.version() + 1, at: now, by: asking.caller.actor.clone() };
        let project = Project { settings: wanted.settings.clone(), latest: Some(change.clone()), ..present };
        let new = NewChange {
            project: &project,
            change: &change,
            changed: &changed,
            role: if is_owner { Role::Owner } else { Role::Admin }.as_str(),
            request_id: &asking.request_id,
            traceparent: &asking.traceparent,
        };
        if !project_change_if_current(&mut tx, &new, self.core.encode_change).await? {
            return Err(StoreError::Raced);
        }
        tx.commit().await?;
        Ok(Ok(Updated { project, replayed: false }))
    }

    /// What holds for a project: its settings, and configuration where they say nothing.
    pub fn in_force(&self, project: &Project) -> Settings {
        let limits = &self.core.limits;
        let queue = QueueLimits::of_project(limits.depth, Some(project));
        let (tenant, name) = (project.tenant_id.as_str(), project.project_id.as_str());
        let own = &project.settings;
        let budget = limits.budgets.of_project(&project.tenant_id, Some(own)).project;
        Settings {
            running_max: Some(own.running_max.unwrap_or_else(|| limits.running.of(tenant, name))),
            weight: Some(own.weight.unwrap_or(WEIGHT_DEFAULT)),
            queue_soft: Some(queue.soft),
            queue_hard: Some(queue.hard),
            tokens_per_day_max: budget.tokens,
            cost_micros_per_day_max: budget.cost_micro_usd,
            ..own.clone()
        }
    }
}

async fn projects_once(mut tx: ReadTx, listing: &ProjectListing) -> Result<Vec<Project>, StoreError> {
    let projects = projects_list(&mut tx, listing).await?;
    tx.commit().await?;
    Ok(projects)
}
