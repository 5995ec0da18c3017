//! What watches read: from the outbox where in the streams an event stands, from the history what it says.

use holdfast_events::{EntryId, SHARDS};
use holdfast_ids::{JobId, ProjectId, TenantId};
use holdfast_pg::Tx;
use uuid::Uuid;

use super::StoreError;
use super::read::SeenEvent;
use super::rows::corrupt;
use crate::domain::job::{StateName, Time};
use crate::domain::watch::{Position, Positions};

/// An event of a project as the outbox has it.
#[derive(Debug, Clone)]
pub struct Relayed {
    pub shard: u16,
    pub event_id: Uuid,
    /// Of a job's transition its id.
    pub ordering_key: String,
    pub seq: i64,
    /// None while it waits for a relay.
    pub entry: Option<EntryId>,
}

/// Which transition, of which tenant's job.
#[derive(Debug, Clone)]
pub struct Transitioned {
    pub tenant_id: TenantId,
    pub job_id: JobId,
    pub seq: i64,
}

/// A transition, and what watches choose by.
#[derive(Debug, Clone)]
pub struct Watched {
    pub event: SeenEvent,
    pub tenant_id: String,
    pub intent: String,
}

fn entry(ms: Option<i64>, seq: Option<i64>) -> Option<EntryId> {
    Some(EntryId { ms: ms?.unsigned_abs(), seq: seq?.unsigned_abs() })
}

/// What of a project stands behind these positions: what is published, in the order of each stream and at most
/// `published_max` a shard, then what waits, in the order in which it will be published.
pub async fn events_behind(
    tx: &mut Tx,
    (tenant_id, project_id): (&TenantId, &ProjectId),
    behind: [EntryId; SHARDS as usize],
    published_max: i64,
    waiting_max: i64,
) -> Result<Vec<Relayed>, StoreError> {
    let rows = sqlx::query_file!(
        "src/store/queries/watch_behind.sql",
        tenant_id.as_str(),
        project_id.as_str(),
        &behind.map(|entry| entry.ms as i64),
        &behind.map(|entry| entry.seq as i64),
        published_max,
        waiting_max,
    )
    .fetch_all(&mut **tx)
    .await?;
    let mut events: Vec<_> = rows
        .into_iter()
        .map(|row| {
            let entry = entry(row.stream_ms, row.stream_seq);
            let relayed = Relayed {
                shard: row.shard.unsigned_abs(),
                event_id: row.outbox_id,
                ordering_key: row.ordering_key,
                seq: row.key_seq,
                entry,
            };
            (row.position, relayed)
        })
        .collect();
    // The two halves of the statement promise no order between them.
    events.sort_by_key(|(position, event)| (event.entry.is_none(), event.shard, event.entry, *position));
    Ok(events.into_iter().map(|(_, event)| event).collect())
}

/// Where a watch of a project begins that begins now, and the events of before that wait for a relay.
pub async fn watch_begin(
    tx: &mut Tx,
    tenant_id: &TenantId,
    project_id: &ProjectId,
    waiting_max: i64,
) -> Result<(Positions, Vec<Uuid>), StoreError> {
    let (tenant_id, project_id) = (tenant_id.as_str(), project_id.as_str());
    let rows = sqlx::query_file!("src/store/queries/watch_begin.sql", tenant_id, project_id, waiting_max)
        .fetch_all(&mut **tx)
        .await?;
    let (mut positions, mut waiting) = (Positions::default(), Vec::new());
    for row in rows {
        let event_id = row.outbox_id;
        match entry(row.stream_ms, row.stream_seq) {
            Some(entry) => positions.set(row.shard.unsigned_abs(), Position { entry, event_id }),
            None => waiting.push(event_id),
        }
    }
    Ok((positions, waiting))
}

/// Under which entries the outbox knows these events: None while one waits, not there where its slot has been emptied.
pub async fn entries_recorded(
    tx: &mut Tx,
    tenant_id: &TenantId,
    event_ids: &[Uuid],
) -> Result<Vec<(Uuid, Option<EntryId>)>, StoreError> {
    let rows = sqlx::query_file!("src/store/queries/watch_recorded.sql", tenant_id.as_str(), event_ids)
        .fetch_all(&mut **tx)
        .await?;
    Ok(rows.into_iter().map(|row| (row.outbox_id, entry(row.stream_ms, row.stream_seq))).collect())
}

/// The transitions, in the order asked for; None where there is no such row.
pub async fn transitions_get(tx: &mut Tx, items: &[Transitioned]) -> Result<Vec<Option<Watched>>, StoreError> {
    let job_ids: Vec<Uuid> = items.iter().map(|item| item.job_id.as_uuid()).collect();
    let seqs: Vec<i64> = items.iter().map(|item| item.seq).collect();
    let tenants: Vec<String> = items.iter().map(|item| item.tenant_id.to_string()).collect();
    let rows =
        sqlx::query_file!("src/store/queries/watch_events.sql", &job_ids, &seqs, &tenants).fetch_all(&mut **tx).await?;
    let mut found = vec![None; items.len()];
    for row in rows {
        let state = |name: &str| StateName::from_name(name).ok_or_else(|| corrupt("job_events", "state"));
        let event = SeenEvent {
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
        };
        // WITH ORDINALITY counts from 1.
        found[row.ordinal as usize - 1] = Some(Watched { event, tenant_id: row.tenant_id, intent: row.intent });
    }
    Ok(found)
}

pub async fn database_time(tx: &mut Tx) -> Result<Time, StoreError> {
    Ok(sqlx::query_scalar!(r#"SELECT clock_timestamp() AS "now!""#).fetch_one(&mut **tx).await?)
}
