//! The time that people have for jobs of tier C. Other jobs cost nothing here.

use std::collections::HashMap;
use std::time::Duration;

use holdfast_ids::{JobId, ProjectId, TenantId};
use holdfast_pg::Tx;
use uuid::Uuid;

use super::StoreError;
use super::rows::{LoadedRow, WaitRow, corrupt};
use super::transitions::LockedIds;
use crate::domain::job::{HumanTerms, Job, State, Tier, Time};

/// The rows of those of the jobs that have one.
pub(super) async fn waits_get(tx: &mut Tx, jobs: &[LoadedRow]) -> Result<HashMap<Uuid, WaitRow>, StoreError> {
    let of_tier_c = || jobs.iter().filter(|row| row.tier == Tier::C.as_str());
    if of_tier_c().next().is_none() {
        return Ok(HashMap::new());
    }
    let job_ids: Vec<Uuid> = of_tier_c().map(|row| row.job_id).collect();
    let tenants: Vec<String> = of_tier_c().map(|row| row.tenant_id.clone()).collect();
    let rows =
        sqlx::query_file!("src/store/queries/job_waits_get.sql", &job_ids, &tenants).fetch_all(&mut **tx).await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let waits = WaitRow {
                budget_ms: row.budget_ms,
                spent_ms: row.spent_ms,
                ends_at: row.ends_at,
                since: row.since,
                due_at: row.due_at,
            };
            (row.job_id, waits)
        })
        .collect())
}

/// Keeps what transitions leave of people's time.
pub(super) async fn waits_put(tx: &mut Tx, jobs: impl Iterator<Item = &Job>) -> Result<(), StoreError> {
    let mut c = Columns::default();
    for job in jobs {
        if let Some(terms) = job.facts.human {
            c.push(job, terms);
        }
    }
    if c.job_id.is_empty() {
        return Ok(());
    }
    sqlx::query_file!(
        "src/store/queries/job_waits_put.sql",
        &c.job_id,
        &c.tenant_id,
        &c.project_id,
        &c.budget_ms,
        &c.spent_ms,
        &c.ends_at,
        &c.since as _,
        &c.due_at as _,
        &c.reminds,
        &c.is_over,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The arguments of job_waits_put.sql, one element a job.
#[derive(Default)]
struct Columns {
    job_id: Vec<Uuid>,
    tenant_id: Vec<String>,
    project_id: Vec<String>,
    budget_ms: Vec<i64>,
    spent_ms: Vec<i64>,
    ends_at: Vec<Time>,
    since: Vec<Option<Time>>,
    due_at: Vec<Option<Time>>,
    reminds: Vec<bool>,
    is_over: Vec<bool>,
}

impl Columns {
    fn push(&mut self, job: &Job, terms: HumanTerms) {
        let (since, due_at) = match &job.state {
            State::WaitingHumanDecision(wait) | State::Deferred(wait) => (Some(wait.since), Some(wait.due_at)),
            State::ChangesRequested { due_at } => (None, Some(*due_at)),
            State::Blocked => (None, Some(terms.ends_at)),
            _ => (None, None),
        };
        self.job_id.push(job.facts.job_id.as_uuid());
        self.tenant_id.push(job.facts.tenant_id.to_string());
        self.project_id.push(job.facts.project_id.to_string());
        self.budget_ms.push(terms.budget_ms);
        self.spent_ms.push(job.progressed.human_ms);
        self.ends_at.push(terms.ends_at);
        self.since.push(since);
        self.due_at.push(due_at);
        self.reminds.push(matches!(job.state, State::WaitingHumanDecision(_)));
        self.is_over.push(job.state.name().is_final());
    }
}

/// Locks jobs for which the time of people is over.
pub async fn waits_due_lock(tx: &mut Tx, jobs_max: i64) -> Result<LockedIds, StoreError> {
    let rows = sqlx::query_file!("src/store/queries/waits_due.sql", jobs_max).fetch_all(&mut **tx).await?;
    let (job_ids, tenant_ids) = rows.into_iter().map(|row| (row.job_id, row.tenant_id)).unzip();
    Ok(LockedIds { job_ids, tenant_ids })
}

/// A reminder that is due.
#[derive(Debug, Clone)]
pub struct Reminder {
    pub job_id: JobId,
    pub tenant_id: TenantId,
    pub project_id: ProjectId,
    pub intent: String,
    pub queue: String,
    pub idempotency_key: String,
    pub request_id: String,
    pub traceparent: String,
    pub waiting_since: Time,
    pub decide_by: Time,
    /// Of this job, from 1.
    pub number: i32,
    pub at: Time,
}

/// Takes the reminders that are due.
pub async fn reminders_take(tx: &mut Tx, every: Duration, jobs_max: i64) -> Result<Vec<Reminder>, StoreError> {
    let every_ms = every.as_millis() as i64;
    let rows = sqlx::query_file!("src/store/queries/waits_remind.sql", every_ms, jobs_max).fetch_all(&mut **tx).await?;
    rows.into_iter()
        .map(|row| {
            Ok(Reminder {
                job_id: JobId::from_uuid(row.job_id),
                tenant_id: TenantId::parse(&row.tenant_id).map_err(|_| corrupt("job_waits", "tenant_id"))?,
                project_id: ProjectId::parse(&row.project_id).map_err(|_| corrupt("job_waits", "project_id"))?,
                intent: row.intent,
                queue: row.queue,
                idempotency_key: row.idempotency_key,
                request_id: row.request_id,
                traceparent: row.traceparent,
                waiting_since: row.since,
                decide_by: row.due_at,
                number: row.reminders,
                at: row.now,
            })
        })
        .collect()
}

/// A reminder's event.
#[derive(Debug)]
pub struct ReminderEvent {
    pub event_id: Uuid,
    pub ordering_key: String,
    pub key_seq: i64,
    pub payload: Vec<u8>,
}

/// Puts reminders into the outbox.
pub async fn reminders_insert(tx: &mut Tx, reminders: &[(Reminder, ReminderEvent)]) -> Result<(), StoreError> {
    let column = |f: fn(&(Reminder, ReminderEvent)) -> String| -> Vec<String> { reminders.iter().map(f).collect() };
    let event_ids: Vec<Uuid> = reminders.iter().map(|(_, event)| event.event_id).collect();
    let shards: Vec<i16> =
        reminders.iter().map(|(_, event)| holdfast_events::shard_of(&event.ordering_key) as i16).collect();
    let key_seqs: Vec<i64> = reminders.iter().map(|(_, event)| event.key_seq).collect();
    let payloads: Vec<Vec<u8>> = reminders.iter().map(|(_, event)| event.payload.clone()).collect();
    let times: Vec<Time> = reminders.iter().map(|(reminder, _)| reminder.at).collect();
    sqlx::query_file!(
        "src/store/queries/reminders_insert.sql",
        &event_ids,
        &shards,
        &column(|(reminder, _)| reminder.tenant_id.to_string()),
        &column(|(reminder, _)| reminder.project_id.to_string()),
        &column(|(_, event)| event.ordering_key.clone()),
        &key_seqs,
        &payloads,
        &column(|(reminder, _)| reminder.traceparent.clone()),
        &times,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
