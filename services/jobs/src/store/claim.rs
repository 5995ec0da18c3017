//! Candidates for leases. The scan is one source of them; whatever the source, the claim locks, loads and decides.

use holdfast_ids::TenantId;
use holdfast_pg::Tx;

use super::StoreError;
use super::transitions::LockedIds;
use crate::domain::job::{Queue, Time};
use crate::domain::submission::Submission;

/// What a group of workers with the same rights asks for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Wanted {
    /// Ascending.
    pub tenants: Vec<TenantId>,
    pub queues: Vec<Queue>,
    /// Empty: all.
    pub intents: Vec<String>,
    /// Empty: all.
    pub projects: Vec<String>,
}

impl Wanted {
    /// Whether the scan would find this submission's job.
    pub fn covers(&self, submission: &Submission) -> bool {
        let scope = &submission.scope;
        self.tenants.binary_search(&scope.tenant_id).is_ok()
            && self.queues.contains(&submission.queue)
            && (self.intents.is_empty() || self.intents.iter().any(|intent| intent == scope.intent.as_str()))
            && (self.projects.is_empty() || self.projects.iter().any(|project| project == scope.project_id.as_str()))
    }
}

/// How many jobs of a project may run at once.
#[derive(Debug, Clone, Default)]
pub struct RunningLimits {
    pub default: i32,
    pub tenant_ids: Vec<String>,
    pub project_ids: Vec<String>,
    pub running_max: Vec<i32>,
}

/// Where the scan of the projects goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cursor {
    pub tenant_id: String,
    pub project_id: String,
}

/// Locked candidates, and since when each is queued.
#[derive(Debug, Default)]
pub struct Candidates {
    pub locked: LockedIds,
    pub queued_since: Vec<Time>,
    /// The project of the last one.
    pub last: Option<Cursor>,
}

/// Locks up to `jobs_max` ready jobs, from the projects after the cursor.
pub async fn candidates_scan(
    tx: &mut Tx,
    wanted: &Wanted,
    after: &Cursor,
    limits: &RunningLimits,
    jobs_max: i64,
) -> Result<Candidates, StoreError> {
    let (tenants, after_projects): (Vec<String>, Vec<String>) = wanted
        .tenants
        .iter()
        .filter(|tenant| tenant.as_str() >= after.tenant_id.as_str())
        .map(|tenant| {
            let resumes = tenant.as_str() == after.tenant_id;
            (tenant.to_string(), if resumes { after.project_id.clone() } else { String::new() })
        })
        .unzip();
    let queues: Vec<String> = wanted.queues.iter().map(|queue| queue.as_str().to_owned()).collect();
    let rows = sqlx::query_file!(
        "src/store/queries/claim_scan.sql",
        &tenants,
        &after_projects,
        &queues,
        &wanted.intents,
        limits.default,
        &limits.tenant_ids,
        &limits.project_ids,
        &limits.running_max,
        jobs_max,
        &wanted.projects,
    )
    .fetch_all(&mut **tx)
    .await?;
    let mut candidates = Candidates::default();
    for row in rows {
        candidates.last = Some(Cursor { tenant_id: row.tenant_id.clone(), project_id: row.project_id });
        candidates.locked.job_ids.push(row.job_id);
        candidates.locked.tenant_ids.push(row.tenant_id);
        candidates.queued_since.push(row.ready_at);
    }
    Ok(candidates)
}
