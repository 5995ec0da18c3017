//! Settings of projects.

use std::collections::BTreeMap;

use chrono::DateTime;
use holdfast_ids::{ActorId, Intent, ProjectId, TenantId};
use holdfast_pg::{ReadTx, Tx};
use serde_json::Value;
use uuid::Uuid;

use super::StoreError;
use super::rows::corrupt;
use crate::domain::job::Time;
use crate::domain::project::{Change, IntentPolicy, Project, Settings};

/// The columns of jobs.project_settings; all are NULL where there is no row.
struct SettingsRow {
    version: Option<i64>,
    running_max: Option<i32>,
    weight: Option<i32>,
    queue_soft: Option<i64>,
    queue_hard: Option<i64>,
    tokens_per_day_max: Option<i64>,
    cost_micros_per_day_max: Option<i64>,
    intents: Option<Value>,
    updated_at: Option<Time>,
    updated_by: Option<String>,
}

/// A row that has the columns of jobs.project_settings.
macro_rules! settings_row {
    ($row:ident) => {
        SettingsRow {
            version: $row.version,
            running_max: $row.running_max,
            weight: $row.weight,
            queue_soft: $row.queue_soft,
            queue_hard: $row.queue_hard,
            tokens_per_day_max: $row.tokens_per_day_max,
            cost_micros_per_day_max: $row.cost_micros_per_day_max,
            intents: $row.intents,
            updated_at: $row.updated_at,
            updated_by: $row.updated_by,
        }
    };
}

impl SettingsRow {
    fn into_project(self, tenant_id: TenantId, project_id: ProjectId) -> Result<Project, StoreError> {
        let (Some(version), Some(intents), Some(at), Some(by)) =
            (self.version, self.intents, self.updated_at, self.updated_by)
        else {
            return Ok(Project::new(tenant_id, project_id));
        };
        let by = ActorId::parse(&by).map_err(|_| corrupt("project_settings", "updated_by"))?;
        let settings = Settings {
            running_max: self.running_max,
            weight: self.weight,
            queue_soft: self.queue_soft,
            queue_hard: self.queue_hard,
            tokens_per_day_max: self.tokens_per_day_max,
            cost_micros_per_day_max: self.cost_micros_per_day_max,
            intents: intents_of(intents)?,
        };
        Ok(Project { tenant_id, project_id, settings, latest: Some(Change { version, at, by }) })
    }
}

/// The policies, each with the name of its intent.
fn intents_of(kept: Value) -> Result<BTreeMap<Intent, IntentPolicy>, StoreError> {
    serde_json::from_value(kept).map_err(|_| corrupt("project_settings", "intents"))
}

/// A project as it stands, and the clock.
pub async fn project_get(
    tx: &mut Tx,
    tenant_id: &TenantId,
    project_id: &ProjectId,
) -> Result<(Project, Time), StoreError> {
    let row = sqlx::query_file!("src/store/queries/project_get.sql", tenant_id.as_str(), project_id.as_str())
        .fetch_one(&mut **tx)
        .await?;
    let now = row.now;
    Ok((settings_row!(row).into_project(tenant_id.clone(), project_id.clone())?, now))
}

/// A change that is to be made.
#[derive(Debug)]
pub struct NewChange<'a> {
    /// As it is afterwards.
    pub project: &'a Project,
    pub change: &'a Change,
    /// The names of the settings that are not as before.
    pub changed: &'a [&'static str],
    /// Under which the actor may change them.
    pub role: &'static str,
    pub request_id: &'a str,
    pub traceparent: &'a str,
}

/// Makes a change over the version before it; false where that is no longer the version.
pub async fn project_change_if_current(
    tx: &mut Tx,
    new: &NewChange<'_>,
    encode: super::EncodeChange,
) -> Result<bool, StoreError> {
    let NewChange { project, change, .. } = new;
    let settings = &project.settings;
    let event_id = Uuid::now_v7();
    let ordering_key = format!("project:{}/{}", project.tenant_id, project.project_id);
    let made = sqlx::query_file!(
        "src/store/queries/project_change.sql",
        project.tenant_id.as_str(),
        project.project_id.as_str(),
        change.version,
        settings.running_max as _,
        settings.weight as _,
        settings.queue_soft as _,
        settings.queue_hard as _,
        settings.tokens_per_day_max as _,
        settings.cost_micros_per_day_max as _,
        json(&settings.intents),
        change.at,
        change.by.as_str(),
        json(settings),
        new.role,
        new.request_id,
        new.traceparent,
        event_id,
        holdfast_events::shard_of(&ordering_key) as i16,
        &ordering_key,
        encode(new, event_id, &ordering_key),
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(made.is_some())
}

fn json(kept: &impl serde::Serialize) -> Value {
    serde_json::to_value(kept).expect("names and numbers are JSON")
}

#[derive(Debug, Clone)]
pub struct ProjectListing {
    pub tenant_id: TenantId,
    /// Those with a later name; empty: from the first.
    pub after_project_id: String,
    /// Empty: all.
    pub projects: Vec<String>,
    pub projects_max: i64,
}

/// By name.
pub async fn projects_list(tx: &mut ReadTx, listing: &ProjectListing) -> Result<Vec<Project>, StoreError> {
    let rows = sqlx::query_file!(
        "src/store/queries/projects_list.sql",
        listing.tenant_id.as_str(),
        listing.after_project_id,
        &listing.projects,
        listing.projects_max,
    )
    .fetch_all(&mut **tx)
    .await?;
    rows.into_iter()
        .map(|row| {
            let project_id = ProjectId::parse(&row.project_id).map_err(|_| corrupt("project_slots", "project_id"))?;
            settings_row!(row).into_project(listing.tenant_id.clone(), project_id)
        })
        .collect()
}

/// As the task role: the projects of all tenants whose settings were changed at a time or later; all where there is none.
pub async fn projects_changed_since(tx: &mut Tx, since: Option<Time>) -> Result<Vec<Project>, StoreError> {
    let since = since.unwrap_or(DateTime::UNIX_EPOCH);
    let rows = sqlx::query_file!("src/store/queries/projects_changed_since.sql", since).fetch_all(&mut **tx).await?;
    rows.into_iter()
        .map(|row| {
            let tenant_id = TenantId::parse(&row.tenant_id).map_err(|_| corrupt("project_settings", "tenant_id"))?;
            let project_id =
                ProjectId::parse(&row.project_id).map_err(|_| corrupt("project_settings", "project_id"))?;
            settings_row!(row).into_project(tenant_id, project_id)
        })
        .collect()
}
