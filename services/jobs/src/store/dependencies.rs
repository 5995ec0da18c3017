//! What jobs wait for, and who is told when it has ended. Jobs without dependencies, and that nobody waits for, cost nothing
//! here.

use std::collections::HashMap;

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

/// The projects of those of the jobs that are there.
pub async fn dependencies_seen(
    tx: &mut Tx,
    tenant_id: &TenantId,
    dependencies: &[Dependency],
) -> Result<HashMap<JobId, String>, StoreError> {
    let job_ids: Vec<Uuid> = dependencies.iter().map(|dependency| dependency.job_id.as_uuid()).collect();
    let tenant_ids = vec![tenant_id.to_string(); job_ids.len()];
    let rows = sqlx::query_file!("src/store/queries/dependencies_seen.sql", &job_ids, &tenant_ids)
        .fetch_all(&mut **tx)
        .await?;
    Ok(rows.into_iter().map(|row| (JobId::from_uuid(row.job_id), row.project_id)).collect())
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
    awaited_mark(tx, &open_ids, &open_tenants).await?;
    Ok(states)
}

async fn awaited_mark(tx: &mut Tx, job_ids: &[Uuid], tenant_ids: &[String]) -> Result<(), StoreError> {
    if !job_ids.is_empty() {
        sqlx::query_file!("src/store/queries/dependencies_mark.sql", job_ids, tenant_ids).execute(&mut **tx).await?;
    }
    Ok(())
}

/// One thing that a blocked job waits for.
#[derive(Debug, Clone)]
pub struct Open {
    pub job_id: JobId,
    pub tenant_id: TenantId,
    pub dependency: Dependency,
}

pub async fn dependencies_insert(tx: &mut Tx, open: &[Open]) -> Result<(), StoreError> {
    let job_ids: Vec<Uuid> = open.iter().map(|open| open.job_id.as_uuid()).collect();
    let depends_on: Vec<Uuid> = open.iter().map(|open| open.dependency.job_id.as_uuid()).collect();
    let tenant_ids: Vec<String> = open.iter().map(|open| open.tenant_id.to_string()).collect();
    let on_failure: Vec<String> = open.iter().map(|open| open.dependency.on_failure.as_str().to_owned()).collect();
    sqlx::query_file!("src/store/queries/dependencies_insert.sql", &job_ids, &depends_on, &tenant_ids, &on_failure)
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

/// Lets those whom old jobs block wait for the new ones, which are marked as awaited.
pub async fn dependencies_move(tx: &mut Tx, jobs: &[Anew]) -> Result<(), StoreError> {
    let old: Vec<Uuid> = jobs.iter().map(|job| job.old.as_uuid()).collect();
    let anew: Vec<Uuid> = jobs.iter().map(|job| job.anew.as_uuid()).collect();
    let tenant_ids: Vec<String> = jobs.iter().map(|job| job.tenant_id.to_string()).collect();
    let moved = sqlx::query_file!("src/store/queries/dependencies_move.sql", &old, &anew, &tenant_ids)
        .fetch_all(&mut **tx)
        .await?;
    let (job_ids, tenant_ids): (Vec<_>, Vec<_>) = moved.into_iter().map(|row| (row.anew, row.tenant_id)).unzip();
    awaited_mark(tx, &job_ids, &tenant_ids).await
}

/// Says that jobs have ended for which others may wait.
pub async fn settlements_insert(tx: &mut Tx, ended: &[Placed]) -> Result<(), StoreError> {
    let (job_ids, tenant_ids) = columns(ended);
    let ids: Vec<Uuid> = ended.iter().map(|_| Uuid::now_v7()).collect();
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
