//! What callers read.

use std::time::Instant;

use holdfast_ids::{JobId, ProjectId, TenantId};
use holdfast_pg::{ReadTx, Tx};
use uuid::Uuid;

use super::StoreError;
pub use super::rows::{Held, SeenJob};
use super::rows::{SeenRow, corrupt};
use crate::domain::job::{StateName, Time};
use crate::metrics::{self, Query};

/// A job, and the tenants (comma separated) that its caller may look in.
#[derive(Debug, Clone)]
pub struct Sought {
    pub job_id: JobId,
    pub tenants: String,
    /// Past it nobody waits for the answer.
    pub deadline: Option<Instant>,
}

/// The jobs, in the order sought; None where a job is in none of its caller's tenants.
pub async fn jobs_get(tx: &mut Tx, sought: &[Sought]) -> Result<Vec<Option<SeenJob>>, StoreError> {
    let job_ids: Vec<Uuid> = sought.iter().map(|item| item.job_id.as_uuid()).collect();
    let tenants: Vec<String> = sought.iter().map(|item| item.tenants.clone()).collect();
    let statement = sqlx::query_file_as!(SeenRow, "src/store/queries/job_get.sql", &job_ids, &tenants);
    let rows = metrics::timed(Query::JobById, statement.fetch_all(&mut **tx)).await?;
    let mut jobs = vec![None; sought.len()];
    for row in rows {
        let position = row.ordinal as usize - 1;
        jobs[position] = Some(row.into_job()?);
    }
    Ok(jobs)
}

pub async fn job_get(tx: &mut Tx, sought: Sought) -> Result<Option<SeenJob>, StoreError> {
    Ok(jobs_get(tx, &[sought]).await?.pop().flatten())
}

#[derive(Debug, Clone)]
pub struct Listing {
    pub tenant_id: TenantId,
    pub project_id: ProjectId,
    /// Empty: all.
    pub states: Vec<StateName>,
    pub intent: Option<String>,
    /// Older than this job.
    pub before: Option<JobId>,
    pub jobs_max: i64,
}

/// Newest first.
pub async fn jobs_list(tx: &mut ReadTx, listing: &Listing) -> Result<Vec<SeenJob>, StoreError> {
    let states: Vec<String> = listing.states.iter().map(|state| state.as_str().to_owned()).collect();
    let rows = sqlx::query_file_as!(
        SeenRow,
        "src/store/queries/jobs_list.sql",
        listing.tenant_id.as_str(),
        listing.project_id.as_str(),
        &states,
        listing.intent as _,
        listing.before.map_or(Uuid::max(), |job_id| job_id.as_uuid()),
        listing.jobs_max,
    )
    .fetch_all(&mut **tx)
    .await?;
    rows.into_iter().map(SeenRow::into_job).collect()
}

/// One transition as recorded.
#[derive(Debug, Clone)]
pub struct SeenEvent {
    pub job_id: JobId,
    pub project_id: String,
    pub seq: i64,
    pub event_id: Uuid,
    pub from_state: Option<StateName>,
    pub to_state: StateName,
    pub attempt: i32,
    pub fence: i64,
    pub actor_id: String,
    pub worker_id: Option<String>,
    pub detail: String,
    pub occurred_at: Time,
    pub request_id: String,
    pub traceparent: String,
}

/// Oldest first, after `after_seq`.
pub async fn job_events_list(
    tx: &mut ReadTx,
    job_id: JobId,
    tenants: &[TenantId],
    after_seq: i64,
    events_max: i64,
) -> Result<Vec<SeenEvent>, StoreError> {
    let tenants: Vec<String> = tenants.iter().map(ToString::to_string).collect();
    let rows =
        sqlx::query_file!("src/store/queries/job_events_list.sql", job_id.as_uuid(), &tenants, after_seq, events_max)
            .fetch_all(&mut **tx)
            .await?;
    rows.into_iter()
        .map(|row| {
            let state = |name: &str| StateName::from_name(name).ok_or_else(|| corrupt("job_events", "state"));
            Ok(SeenEvent {
                job_id: JobId::from_uuid(row.job_id),
                project_id: row.project_id,
                seq: row.seq,
                event_id: row.event_id,
                from_state: row.from_state.as_deref().map(state).transpose()?,
                to_state: state(&row.to_state)?,
                attempt: row.attempt,
                fence: row.fence,
                actor_id: row.actor_id,
                worker_id: row.worker_id,
                detail: row.detail,
                occurred_at: row.occurred_at,
                request_id: row.request_id,
                traceparent: row.traceparent,
            })
        })
        .collect()
}
