//! Live jobs as they stand in dispatch, page by page: for whoever has to look at all of them. A page costs what it reads, however
//! much lives, and locks nothing.

use holdfast_ids::{JobId, TenantId};
use holdfast_pg::Tx;
use uuid::Uuid;

use super::StoreError;
use super::rows::corrupt;
use crate::domain::job::Time;

/// A table of dispatch, by its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// All tenants' together.
    Delayed,
    Queue(TenantId),
    /// All tenants' together.
    Leases,
}

/// A job of one of the tenants that were asked for.
#[derive(Debug, Clone)]
pub struct Live {
    pub job_id: JobId,
    pub tenant_id: TenantId,
    pub project_id: String,
    pub actor_id: String,
    /// The job's: what it was when it stood there.
    pub seq: i64,
    /// Where it stands in the queue, if it does.
    pub queued_since: Option<Time>,
    /// When it may run, if it waits for that.
    pub due_at: Option<Time>,
}

/// How far somebody has read. The default is the beginning.
#[derive(Debug, Clone, Default)]
pub struct Cursor {
    project_id: String,
    rank: i16,
    ready_at: Time,
    job_id: Uuid,
}

struct LiveRow {
    job_id: Uuid,
    tenant_id: String,
    project_id: String,
    rank: i16,
    queued_since: Option<Time>,
    due_at: Option<Time>,
    actor_id: Option<String>,
    seq: Option<i64>,
}

/// What comes behind the cursor, and how far that is; None at the end.
pub async fn live_page(
    tx: &mut Tx,
    place: &Place,
    tenants: &[String],
    after: &Cursor,
    rows_max: i64,
) -> Result<(Vec<Live>, Option<Cursor>), StoreError> {
    let rows = match place {
        Place::Delayed => {
            sqlx::query_file_as!(LiveRow, "src/store/queries/live_delayed.sql", tenants, after.job_id, rows_max)
                .fetch_all(&mut **tx)
                .await?
        }
        Place::Leases => {
            sqlx::query_file_as!(LiveRow, "src/store/queries/live_leased.sql", tenants, after.job_id, rows_max)
                .fetch_all(&mut **tx)
                .await?
        }
        Place::Queue(tenant_id) => {
            sqlx::query_file_as!(
                LiveRow,
                "src/store/queries/live_queued.sql",
                tenant_id.as_str(),
                after.project_id,
                after.rank,
                after.ready_at,
                after.job_id,
                rows_max
            )
            .fetch_all(&mut **tx)
            .await?
        }
    };
    let is_full = rows.len() as i64 == rows_max;
    let next = rows.last().filter(|_| is_full).map(|last| Cursor {
        project_id: last.project_id.clone(),
        rank: last.rank,
        ready_at: last.queued_since.unwrap_or_default(),
        job_id: last.job_id,
    });
    let live = rows.into_iter().filter_map(|row| {
        let (Some(actor_id), Some(seq)) = (row.actor_id, row.seq) else { return None };
        let tenant_id = TenantId::parse(&row.tenant_id).map_err(|_| corrupt("jobs", "tenant_id"));
        Some(tenant_id.map(|tenant_id| Live {
            job_id: JobId::from_uuid(row.job_id),
            tenant_id,
            project_id: row.project_id,
            actor_id,
            seq,
            queued_since: row.queued_since,
            due_at: row.due_at,
        }))
    });
    Ok((live.collect::<Result<_, StoreError>>()?, next))
}
