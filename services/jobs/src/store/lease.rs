//! Heartbeats.

use std::time::Instant;

use holdfast_ids::{JobId, LeaseId};
use holdfast_pg::Tx;

use super::StoreError;
use super::rows::corrupt;
use crate::domain::job::{StateName, Time};

#[derive(Debug, Clone)]
pub struct Extension {
    pub job_id: JobId,
    pub lease_id: LeaseId,
    pub fence: i64,
    /// The caller's, comma separated.
    pub tenants: String,
    /// The caller's, comma separated; empty for all.
    pub projects: String,
    pub progress_percent: Option<i16>,
    pub progress_note: Option<String>,
    /// Past it nobody waits for the answer.
    pub deadline: Option<Instant>,
}

/// Renews what is still held and not expired; answers the new expiries of those leases, each with its fence.
pub async fn leases_extend_if_held(
    tx: &mut Tx,
    items: &[Extension],
    ttl_ms: i64,
) -> Result<Vec<((LeaseId, i64), Time)>, StoreError> {
    let job_ids: Vec<_> = items.iter().map(|item| item.job_id.as_uuid()).collect();
    let lease_ids: Vec<_> = items.iter().map(|item| item.lease_id.as_uuid()).collect();
    let fences: Vec<_> = items.iter().map(|item| item.fence).collect();
    let tenants: Vec<_> = items.iter().map(|item| item.tenants.clone()).collect();
    let percents: Vec<_> = items.iter().map(|item| item.progress_percent).collect();
    let notes: Vec<_> = items.iter().map(|item| item.progress_note.clone()).collect();
    let projects: Vec<_> = items.iter().map(|item| item.projects.clone()).collect();
    let rows = sqlx::query_file!(
        "src/store/queries/leases_extend.sql",
        &job_ids,
        &lease_ids,
        &fences,
        &tenants,
        &percents as _,
        &notes as _,
        ttl_ms,
        &projects,
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows.into_iter().map(|row| ((LeaseId::from_uuid(row.lease_id), row.fence), row.expires_at)).collect())
}

/// A lease that was not renewed.
#[derive(Debug, Clone, Copy)]
pub struct Looked {
    /// Of its job.
    pub state: StateName,
    /// It holds all the same.
    pub holds: bool,
}

/// The leases, in the order asked; None where a job does not exist for its caller.
pub async fn leases_look(tx: &mut Tx, items: &[&Extension]) -> Result<Vec<Option<Looked>>, StoreError> {
    if items.is_empty() {
        return Ok(Vec::new());
    }
    let job_ids: Vec<_> = items.iter().map(|item| item.job_id.as_uuid()).collect();
    let lease_ids: Vec<_> = items.iter().map(|item| item.lease_id.as_uuid()).collect();
    let fences: Vec<_> = items.iter().map(|item| item.fence).collect();
    let tenants: Vec<_> = items.iter().map(|item| item.tenants.clone()).collect();
    let projects: Vec<_> = items.iter().map(|item| item.projects.clone()).collect();
    let rows =
        sqlx::query_file!("src/store/queries/leases_look.sql", &job_ids, &lease_ids, &fences, &tenants, &projects)
            .fetch_all(&mut **tx)
            .await?;
    let mut looked = vec![None; items.len()];
    for row in rows {
        let state = StateName::from_name(&row.state).ok_or_else(|| corrupt("jobs", "state"))?;
        looked[row.ordinal as usize - 1] = Some(Looked { state, holds: row.holds });
    }
    Ok(looked)
}
