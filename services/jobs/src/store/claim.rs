//! Candidates for leases: by scan, or chosen among those that have some. Whatever the source, the claim locks, loads and
//! decides.

use std::collections::HashMap;

use holdfast_ids::TenantId;
use holdfast_pg::Tx;
use uuid::Uuid;

use super::StoreError;
use super::rows::corrupt;
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

impl RunningLimits {
    /// Of a project whose settings say nothing.
    pub fn of(&self, tenant_id: &str, project_id: &str) -> i32 {
        let mut own = self.tenant_ids.iter().zip(&self.project_ids).zip(&self.running_max);
        let found = own.find(|((tenant, project), _)| *tenant == tenant_id && *project == project_id);
        found.map_or(self.default, |(_, running_max)| *running_max)
    }
}

/// Locked candidates, and since when each is queued.
#[derive(Debug, Default)]
pub struct Candidates {
    pub locked: LockedIds,
    pub queued_since: Vec<Time>,
}

impl Candidates {
    pub fn count(&self) -> usize {
        self.queued_since.len()
    }

    fn push(&mut self, job_id: Uuid, tenant_id: String, queued_since: Time) {
        self.locked.job_ids.push(job_id);
        self.locked.tenant_ids.push(tenant_id);
        self.queued_since.push(queued_since);
    }
}

/// Locks up to `jobs_max` ready jobs, of the first projects that have some.
pub async fn candidates_scan(
    tx: &mut Tx,
    wanted: &Wanted,
    limits: &RunningLimits,
    jobs_max: i64,
) -> Result<Candidates, StoreError> {
    let (tenants, queues) = names(wanted);
    let rows = sqlx::query_file!(
        "src/store/queries/claim_scan.sql",
        &tenants,
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
        candidates.push(row.job_id, row.tenant_id, row.ready_at);
    }
    Ok(candidates)
}

/// The jobs of one queue of one project that could be leased now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Active {
    pub tenant_id: String,
    pub project_id: String,
    pub queue: Queue,
    /// As far as its project has room for them; more than are counted are taken to be as many as that.
    pub ready: usize,
    /// None: as all.
    pub weight: Option<i32>,
}

/// Ready jobs that are counted, of one queue of one project. With more than these it can be told to give what it has room
/// for; where it cannot, the next claim makes up for it.
const COUNTED_MAX: i64 = 8;

/// Who has ready jobs: of each tenant the first `flows_max`, after the project that is given for it, if any. In key order;
/// none is locked.
pub async fn active_list(
    tx: &mut Tx,
    wanted: &Wanted,
    limits: &RunningLimits,
    after: &HashMap<String, String>,
    flows_max: i64,
) -> Result<Vec<Active>, StoreError> {
    let (tenants, queues) = names(wanted);
    let after: Vec<String> = tenants.iter().map(|tenant| after.get(tenant).cloned().unwrap_or_default()).collect();
    let rows = sqlx::query_file!(
        "src/store/queries/claim_active.sql",
        &tenants,
        &queues,
        &wanted.intents,
        limits.default,
        &limits.tenant_ids,
        &limits.project_ids,
        &limits.running_max,
        COUNTED_MAX,
        &wanted.projects,
        &after,
        flows_max,
    )
    .fetch_all(&mut **tx)
    .await?;
    rows.into_iter()
        .map(|row| {
            let queue = Queue::from_name(&row.queue).ok_or_else(|| corrupt("job_queue", "queue"))?;
            let counted = if row.ready < COUNTED_MAX { row.ready } else { i64::from(row.room) };
            let ready = usize::try_from(counted).unwrap_or(0);
            Ok(Active { tenant_id: row.tenant_id, project_id: row.project_id, queue, ready, weight: row.weight })
        })
        .collect()
}

/// How many jobs of a queue of a project are wanted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Chosen {
    pub tenant_id: String,
    pub project_id: String,
    pub queue: Queue,
    pub jobs: i64,
}

/// Locks the ready jobs of those chosen, as many as they have room for. They are to come in their order, by project.
pub async fn candidates_take(
    tx: &mut Tx,
    wanted: &Wanted,
    limits: &RunningLimits,
    chosen: &[Chosen],
) -> Result<Candidates, StoreError> {
    let column = |f: fn(&Chosen) -> &str| -> Vec<String> { chosen.iter().map(|chosen| f(chosen).to_owned()).collect() };
    let jobs: Vec<i64> = chosen.iter().map(|chosen| chosen.jobs).collect();
    let rows = sqlx::query_file!(
        "src/store/queries/claim_take.sql",
        &column(|chosen| &chosen.tenant_id),
        &column(|chosen| &chosen.project_id),
        &column(|chosen| chosen.queue.as_str()),
        &jobs,
        &wanted.intents,
        limits.default,
        &limits.tenant_ids,
        &limits.project_ids,
        &limits.running_max,
    )
    .fetch_all(&mut **tx)
    .await?;
    let (mut candidates, mut taken) = (Candidates::default(), HashMap::new());
    for row in rows {
        let taken: &mut i32 = taken.entry((row.tenant_id.clone(), row.project_id)).or_default();
        // Chosen for both queues, a project has still only the room it has.
        if *taken < row.room {
            *taken += 1;
            candidates.push(row.job_id, row.tenant_id, row.ready_at);
        }
    }
    Ok(candidates)
}

fn names(wanted: &Wanted) -> (Vec<String>, Vec<String>) {
    let tenants = wanted.tenants.iter().map(ToString::to_string).collect();
    (tenants, wanted.queues.iter().map(|queue| queue.as_str().to_owned()).collect())
}
