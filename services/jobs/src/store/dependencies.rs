//! What jobs wait for, and who is told when it has ended. Jobs without dependencies, and that nobody waits for, cost nothing
//! here.

use std::collections::{HashMap, HashSet};

use holdfast_ids::{JobId, TenantId};
use holdfast_pg::Tx;
use uuid::Uuid;

use super::StoreError;
use super::rows::corrupt;
use super::transitions::{LockedIds, Step};
use crate::domain::dependency::{Dependency, OnFailure};
use crate::domain::job::StateName;

/// A job in its tenant.
pub type Placed = (JobId, TenantId);

/// The columns of jobs in their tenants.
fn columns<'a>(placed: impl IntoIterator<Item = &'a Placed>) -> (Vec<Uuid>, Vec<String>) {
    placed.into_iter().map(|(job_id, tenant_id)| (job_id.as_uuid(), tenant_id.to_string())).unzip()
}

/// A job that is named as a dependency.
#[derive(Debug, Clone)]
pub struct Seen {
    pub project_id: String,
    pub state: StateName,
}

/// Those of the jobs that are there.
pub async fn dependencies_seen(tx: &mut Tx, named: &[Placed]) -> Result<HashMap<Placed, Seen>, StoreError> {
    let (job_ids, tenant_ids) = columns(named);
    let rows = sqlx::query_file!("src/store/queries/dependencies_seen.sql", &job_ids, &tenant_ids)
        .fetch_all(&mut **tx)
        .await?;
    rows.into_iter()
        .map(|row| {
            let tenant_id = TenantId::parse(&row.tenant_id).map_err(|_| corrupt("jobs", "tenant_id"))?;
            let state = StateName::from_name(&row.state).ok_or_else(|| corrupt("jobs", "state"))?;
            Ok(((JobId::from_uuid(row.job_id), tenant_id), Seen { project_id: row.project_id, state }))
        })
        .collect()
}

/// Locks jobs that are to be waited for, marks those that have not ended as awaited, and answers how they stand.
pub async fn dependencies_await(tx: &mut Tx, awaited: &[Placed]) -> Result<HashMap<JobId, StateName>, StoreError> {
    let (job_ids, tenant_ids) = columns(awaited);
    let rows = sqlx::query_file!("src/store/queries/dependencies_lock.sql", &job_ids, &tenant_ids)
        .fetch_all(&mut **tx)
        .await?;
    let mut states = HashMap::new();
    let (mut open_ids, mut open_tenants) = (Vec::new(), Vec::new());
    for row in rows {
        let state = StateName::from_name(&row.state).ok_or_else(|| corrupt("jobs", "state"))?;
        states.insert(JobId::from_uuid(row.job_id), state);
        if !state.is_final() {
            open_ids.push(row.job_id);
            open_tenants.push(row.tenant_id);
        }
    }
    if !open_ids.is_empty() {
        sqlx::query_file!("src/store/queries/dependencies_mark.sql", &open_ids, &open_tenants)
            .execute(&mut **tx)
            .await?;
    }
    Ok(states)
}

/// One thing that a blocked job waits for.
#[derive(Debug, Clone)]
pub struct Open {
    pub job_id: JobId,
    pub tenant_id: TenantId,
    pub dependency: Dependency,
}

/// The columns of what jobs wait for.
fn open_columns(open: &[Open]) -> (Vec<Uuid>, Vec<Uuid>, Vec<String>) {
    let job_ids = open.iter().map(|open| open.job_id.as_uuid()).collect();
    let depends_on = open.iter().map(|open| open.dependency.job_id.as_uuid()).collect();
    (job_ids, depends_on, open.iter().map(|open| open.tenant_id.to_string()).collect())
}

pub async fn dependencies_insert(tx: &mut Tx, open: &[Open]) -> Result<(), StoreError> {
    let (job_ids, depends_on, tenant_ids) = open_columns(open);
    let on_failure: Vec<String> = open.iter().map(|open| open.dependency.on_failure.as_str().to_owned()).collect();
    sqlx::query_file!("src/store/queries/dependencies_insert.sql", &job_ids, &depends_on, &tenant_ids, &on_failure)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Takes away what locked jobs wait for no longer.
pub async fn dependencies_clear(tx: &mut Tx, cleared: &[Open]) -> Result<(), StoreError> {
    if cleared.is_empty() {
        return Ok(());
    }
    let (job_ids, depends_on, tenant_ids) = open_columns(cleared);
    sqlx::query_file!("src/store/queries/dependencies_clear.sql", &job_ids, &depends_on, &tenant_ids)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// A job that is done anew, in place of a locked one.
#[derive(Debug, Clone)]
pub struct Anew {
    pub old: JobId,
    pub anew: JobId,
    pub tenant_id: TenantId,
}

/// Lets those whom old jobs block wait for the new ones, which need not be there yet; answers which of these are awaited.
pub async fn dependencies_move<'a>(
    tx: &mut Tx,
    jobs: impl Iterator<Item = &'a Anew> + Clone,
) -> Result<HashSet<JobId>, StoreError> {
    let old: Vec<Uuid> = jobs.clone().map(|job| job.old.as_uuid()).collect();
    let anew: Vec<Uuid> = jobs.clone().map(|job| job.anew.as_uuid()).collect();
    let tenant_ids: Vec<String> = jobs.map(|job| job.tenant_id.to_string()).collect();
    let moved = sqlx::query_file!("src/store/queries/dependencies_move.sql", &old, &anew, &tenant_ids)
        .fetch_all(&mut **tx)
        .await?;
    Ok(moved.into_iter().map(|row| JobId::from_uuid(row.anew)).collect())
}

/// Says that jobs have ended for which others may wait.
pub async fn settlements_insert<'a>(
    tx: &mut Tx,
    ended: impl IntoIterator<Item = &'a Placed>,
) -> Result<(), StoreError> {
    let (job_ids, tenant_ids) = columns(ended);
    let ids: Vec<Uuid> = job_ids.iter().map(|_| Uuid::now_v7()).collect();
    sqlx::query_file!("src/store/queries/settlements_insert.sql", &ids, &job_ids, &tenant_ids)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// What transitions mean for those who wait: which of the jobs are awaited and have ended, and which wait no more.
pub(super) async fn dependencies_follow(tx: &mut Tx, steps: &[Step]) -> Result<(), StoreError> {
    let placed = |step: &Step| {
        let facts = &step.transition.after.facts;
        (facts.job_id, facts.tenant_id.clone())
    };
    let ended: Vec<Placed> = steps.iter().filter(|step| step.ends_what_is_awaited()).map(placed).collect();
    if !ended.is_empty() {
        settlements_insert(tx, &ended).await?;
    }
    let freed: Vec<Placed> =
        steps.iter().filter(|step| step.transition.from == Some(StateName::Blocked)).map(placed).collect();
    if !freed.is_empty() {
        let (job_ids, tenant_ids) = columns(&freed);
        sqlx::query_file!("src/store/queries/dependencies_delete.sql", &job_ids, &tenant_ids)
            .execute(&mut **tx)
            .await?;
    }
    Ok(())
}

/// Awaited jobs that have ended, taken to be looked at, with their next dependents.
#[derive(Debug)]
pub struct Settlements {
    taken: Vec<Uuid>,
    /// Where each that has more dependents than were asked for goes on.
    goes_on_after: HashMap<Uuid, Uuid>,
    pub dependents: LockedIds,
}

impl Settlements {
    pub fn count(&self) -> usize {
        self.taken.len()
    }
}

/// Takes settlements that nobody looks at at this moment; their dependents are not locked yet.
pub async fn settlements_take(
    tx: &mut Tx,
    settlements_max: i64,
    dependents_max: i64,
) -> Result<Settlements, StoreError> {
    let taken =
        sqlx::query_file!("src/store/queries/settlements_take.sql", settlements_max).fetch_all(&mut **tx).await?;
    let ids: Vec<Uuid> = taken.iter().map(|row| row.settlement_id).collect();
    let mut settlements = Settlements { taken: ids, goes_on_after: HashMap::new(), dependents: LockedIds::default() };
    if taken.is_empty() {
        return Ok(settlements);
    }
    let job_ids: Vec<Uuid> = taken.iter().map(|row| row.job_id).collect();
    let tenant_ids: Vec<String> = taken.iter().map(|row| row.tenant_id.clone()).collect();
    let after: Vec<Uuid> = taken.iter().map(|row| row.after_job_id).collect();
    let rows = sqlx::query_file!(
        "src/store/queries/dependents_of.sql",
        &settlements.taken,
        &job_ids,
        &tenant_ids,
        &after,
        dependents_max,
    )
    .fetch_all(&mut **tx)
    .await?;
    let mut found: HashMap<Uuid, (i64, Uuid)> = HashMap::new();
    let mut dependents: HashMap<Uuid, String> = HashMap::new();
    for row in rows {
        let (count, last) = found.entry(row.settlement_id).or_insert((0, row.job_id));
        *count += 1;
        *last = row.job_id.max(*last);
        dependents.insert(row.job_id, row.tenant_id);
    }
    settlements.goes_on_after = found
        .into_iter()
        .filter(|(_, (count, _))| *count == dependents_max)
        .map(|(id, (_, last))| (id, last))
        .collect();
    (settlements.dependents.job_ids, settlements.dependents.tenant_ids) = dependents.into_iter().unzip();
    Ok(settlements)
}

/// Ends what was taken, but for those that have dependents left.
pub async fn settlements_close(tx: &mut Tx, settlements: &Settlements) -> Result<(), StoreError> {
    let goes_on: Vec<Option<Uuid>> =
        settlements.taken.iter().map(|id| settlements.goes_on_after.get(id).copied()).collect();
    sqlx::query_file!("src/store/queries/settlements_close.sql", &settlements.taken, &goes_on as _)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// What each of the locked jobs waits for, and how that stands.
pub async fn dependencies_of(
    tx: &mut Tx,
    locked: &LockedIds,
) -> Result<HashMap<JobId, Vec<(Dependency, Option<StateName>)>>, StoreError> {
    let rows = sqlx::query_file!("src/store/queries/dependencies_of.sql", &locked.job_ids, &locked.tenant_ids)
        .fetch_all(&mut **tx)
        .await?;
    let mut open: HashMap<JobId, Vec<_>> = HashMap::new();
    for row in rows {
        let state =
            row.state.as_deref().map(|state| StateName::from_name(state).ok_or_else(|| corrupt("jobs", "state")));
        let on_failure =
            OnFailure::from_name(&row.on_failure).ok_or_else(|| corrupt("job_dependencies", "on_failure"))?;
        let dependency = Dependency { job_id: JobId::from_uuid(row.depends_on), on_failure };
        open.entry(JobId::from_uuid(row.job_id)).or_default().push((dependency, state.transpose()?));
    }
    Ok(open)
}

/// Makes settlements that are missing; answers how many.
pub async fn settlements_add_missing(tx: &mut Tx, jobs_max: i64) -> Result<u64, StoreError> {
    let done = sqlx::query_file!("src/store/queries/settlements_missing.sql", jobs_max).execute(&mut **tx).await?;
    Ok(done.rows_affected())
}
