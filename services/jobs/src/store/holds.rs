//! What holds jobs back, and what is to be stopped or may go on. Work that nothing holds costs nothing here.

use std::collections::HashSet;

use holdfast_ids::{JobId, TenantId};
use holdfast_pg::Tx;
use uuid::Uuid;

use super::StoreError;
use super::transitions::LockedIds;
use crate::domain::hold::{Hold, Switch};
use crate::domain::job::Tier;

/// What holds one blocked job.
#[derive(Debug, Clone)]
pub struct Held {
    pub job_id: JobId,
    pub tenant_id: TenantId,
    pub holds: Vec<Hold>,
    /// Whether it waited for a worker before.
    pub was_queued: bool,
}

pub async fn holds_insert(tx: &mut Tx, held: &[Held]) -> Result<(), StoreError> {
    if held.is_empty() {
        return Ok(());
    }
    let (mut job_ids, mut tenant_ids, mut was_queued) = (Vec::new(), Vec::new(), Vec::new());
    let (mut names, mut of_tenants) = (Vec::new(), Vec::new());
    for Held { job_id, tenant_id, holds, was_queued: was } in held {
        for hold in holds {
            job_ids.push(job_id.as_uuid());
            tenant_ids.push(tenant_id.to_string());
            names.push(hold.name());
            of_tenants.push(hold.of_tenant().to_owned());
            was_queued.push(*was);
        }
    }
    sqlx::query_file!("src/store/queries/holds_insert.sql", &job_ids, &tenant_ids, &names, &of_tenants, &was_queued)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Takes away what holds locked jobs.
pub async fn holds_delete(tx: &mut Tx, jobs: &[(JobId, TenantId)]) -> Result<(), StoreError> {
    if jobs.is_empty() {
        return Ok(());
    }
    let (job_ids, tenant_ids): (Vec<Uuid>, Vec<String>) =
        jobs.iter().map(|(job_id, tenant_id)| (job_id.as_uuid(), tenant_id.to_string())).unzip();
    sqlx::query_file!("src/store/queries/holds_delete.sql", &job_ids, &tenant_ids).execute(&mut **tx).await?;
    Ok(())
}

/// Which of the locked jobs waited for a worker before they were held.
pub async fn holds_queued(tx: &mut Tx, locked: &LockedIds) -> Result<HashSet<JobId>, StoreError> {
    let rows = sqlx::query_file!("src/store/queries/holds_queued.sql", &locked.job_ids, &locked.tenant_ids)
        .fetch_all(&mut **tx)
        .await?;
    Ok(rows.into_iter().map(|row| JobId::from_uuid(row.job_id)).collect())
}

/// What may not go on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stops {
    pub switches: Vec<Switch>,
    /// Held while policy is away.
    pub tiers: Vec<Tier>,
}

impl Stops {
    pub fn is_empty(&self) -> bool {
        self.switches.is_empty() && self.tiers.is_empty()
    }
}

/// Where jobs are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Among {
    Running,
    /// For a worker, or for their time.
    Waiting,
}

/// Locks jobs that may not go on as they are; those that run, only for a switch.
pub async fn jobs_in_scope_lock(
    tx: &mut Tx,
    stops: &Stops,
    among: Among,
    jobs_max: i64,
) -> Result<LockedIds, StoreError> {
    let switches = &stops.switches;
    let scopes: Vec<String> = switches.iter().map(|switch| switch.scope.as_str().to_owned()).collect();
    let of_tenants: Vec<String> = switches.iter().map(of_tenant).collect();
    let targets: Vec<String> = switches.iter().map(|switch| switch.target.clone()).collect();
    let is_running = among == Among::Running;
    let tiers = if is_running { &[] } else { stops.tiers.as_slice() };
    let tiers: Vec<String> = tiers.iter().map(|tier| tier.as_str().to_owned()).collect();
    let rows = sqlx::query_file!(
        "src/store/queries/jobs_in_scope.sql",
        &scopes,
        &of_tenants,
        &targets,
        &tiers,
        jobs_max,
        is_running,
    )
    .fetch_all(&mut **tx)
    .await?;
    let (job_ids, tenant_ids) = rows.into_iter().map(|row| (row.job_id, row.tenant_id)).unzip();
    Ok(LockedIds { job_ids, tenant_ids })
}

fn of_tenant(switch: &Switch) -> String {
    switch.tenant_id.as_ref().map(ToString::to_string).unwrap_or_default()
}

/// Locks jobs with a hold that is no longer in force.
pub async fn jobs_freed_lock(tx: &mut Tx, stops: &Stops, jobs_max: i64) -> Result<LockedIds, StoreError> {
    let switches = stops.switches.iter().cloned().map(Hold::KillSwitch);
    let holds: Vec<Hold> = switches.chain((!stops.tiers.is_empty()).then_some(Hold::Policy)).collect();
    let names: Vec<String> = holds.iter().map(Hold::name).collect();
    let of_tenants: Vec<String> = holds.iter().map(|hold| hold.of_tenant().to_owned()).collect();
    let rows = sqlx::query_file!("src/store/queries/jobs_freed.sql", &names, &of_tenants, jobs_max)
        .fetch_all(&mut **tx)
        .await?;
    let (job_ids, tenant_ids) = rows.into_iter().map(|row| (row.job_id, row.tenant_id)).unzip();
    Ok(LockedIds { job_ids, tenant_ids })
}
