//! Moving jobs: lock, load, (decide,) persist.

use std::collections::HashMap;

use holdfast_ids::JobId;
use holdfast_pg::Tx;
use uuid::Uuid;

use super::dependencies::dependencies_follow;
use super::rows::LoadedRow;
use super::waits::{waits_get, waits_put};
use super::{EncodeEvent, StoreError};
use crate::domain::job::{Facts, Job, State, Time};
use crate::domain::payload::Payload;
use crate::domain::transition::{Cause, Transition};

/// A job under lock, and the database's clock after the lock.
#[derive(Debug)]
pub struct Locked {
    pub job: Job,
    pub payload_bytes: usize,
    pub now: Time,
}

/// The jobs locked by a query: ids with their tenants, side by side.
#[derive(Debug, Default)]
pub struct LockedIds {
    pub job_ids: Vec<Uuid>,
    pub tenant_ids: Vec<String>,
}

/// Locks jobs, each in the tenants of its own caller (comma separated); what is not there is left out.
pub async fn jobs_lock(tx: &mut Tx, job_ids: &[Uuid], tenants: &[String]) -> Result<LockedIds, StoreError> {
    let rows = sqlx::query_file!("src/store/queries/jobs_lock.sql", job_ids, tenants).fetch_all(&mut **tx).await?;
    let (job_ids, tenant_ids) = rows.into_iter().map(|row| (row.job_id, row.tenant_id)).unzip();
    Ok(LockedIds { job_ids, tenant_ids })
}

pub async fn jobs_load(tx: &mut Tx, locked: &LockedIds) -> Result<Vec<Locked>, StoreError> {
    if locked.job_ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query_file_as!(LoadedRow, "src/store/queries/jobs_load.sql", &locked.job_ids, &locked.tenant_ids)
        .fetch_all(&mut **tx)
        .await?;
    let waits = waits_get(tx, &rows).await?;
    rows.into_iter()
        .map(|row| {
            let waits = waits.get(&row.job_id).copied();
            Ok(Locked {
                now: row.now,
                payload_bytes: usize::try_from(row.payload_bytes).unwrap_or(0),
                job: row.into_job(waits)?,
            })
        })
        .collect()
}

/// A transition to persist.
#[derive(Debug)]
pub struct Step {
    pub transition: Transition,
    pub cause: Cause,
    /// Where the claim found the job; None where the queue has to be searched.
    pub queued_since: Option<Time>,
}

impl Step {
    /// Whether others may wait for what it ends.
    pub fn ends_what_is_awaited(&self) -> bool {
        let Job { state, progressed, .. } = &self.transition.after;
        progressed.awaited && state.name().is_final()
    }
}

/// The payload of a job that was leased.
#[derive(Debug)]
pub struct Handed {
    pub job_id: JobId,
    pub payload: Payload,
}

/// Persists transitions of locked jobs: all of them, each with its history row and its event, or none.
pub async fn transitions_persist(tx: &mut Tx, steps: &[Step], encode: EncodeEvent) -> Result<Vec<Handed>, StoreError> {
    // Before the statement that locks the projects: whoever holds those waits for no row of a job or of what it waits for.
    waits_put(tx, steps.iter().map(|step| &step.transition.after)).await?;
    dependencies_follow(tx, steps).await?;
    let hash_keys = hash_keys_get(tx, steps).await?;
    let mut c = Columns::default();
    for step in steps {
        c.push(step, &hash_keys, encode);
    }
    let rows = sqlx::query_file!(
        "src/store/queries/transitions_persist.sql",
        &c.job_id,
        &c.tenant_id,
        &c.project_id,
        &c.queue,
        &c.intent,
        &c.rank,
        &c.from_state,
        &c.state,
        &c.seq,
        &c.attempt,
        &c.fence,
        &c.lease_id as _,
        &c.worker_id as _,
        &c.run_ms,
        &c.failure_code as _,
        &c.failure_message as _,
        &c.failed_at as _,
        &c.retry_since as _,
        &c.next_attempt_at as _,
        &c.timed_out_clock as _,
        &c.started_at as _,
        &c.finished_at as _,
        &c.result as _,
        &c.result_content_type as _,
        &c.lease_expires_at as _,
        &c.run_deadline as _,
        &c.queued_since as _,
        &c.event_id,
        &c.shard,
        &c.event_payload,
        &c.actor_id,
        &c.history_worker_id as _,
        &c.command_key as _,
        &c.command_hash as _,
        &c.detail,
        &c.occurred_at,
        &c.request_id,
        &c.traceparent,
        &c.delayed_until as _,
        &c.backoff_ms,
    )
    .fetch_all(&mut **tx)
    .await?;
    if rows.len() != steps.len() {
        return Err(StoreError::LostLock);
    }
    Ok(rows
        .into_iter()
        .filter_map(|row| {
            let payload = Payload { data: row.payload?.into(), content_type: row.payload_content_type? };
            Some(Handed { job_id: JobId::from_uuid(row.job_id), payload })
        })
        .collect())
}

/// A command's hash as the history keeps it: under the job's own key, which is erased with the job, where a hash of few possible
/// contents would give them away in a row that nobody can erase. None where such a job's key is not there.
pub(super) fn kept_hash(hash: &[u8; 32], hash_key: Option<&[u8]>) -> Option<[u8; 32]> {
    match hash_key {
        None => Some(*hash),
        Some(key) => Some(*blake3::keyed_hash(key.try_into().ok()?, hash).as_bytes()),
    }
}

/// The keys of sensitive jobs that a command moves. Others have none, and cost nothing here.
async fn hash_keys_get(tx: &mut Tx, steps: &[Step]) -> Result<HashMap<Uuid, Vec<u8>>, StoreError> {
    let sealed: Vec<&Facts> = steps
        .iter()
        .filter(|step| step.cause.command.is_some())
        .map(|step| &step.transition.after.facts)
        .filter(|facts| facts.labels.is_redacted())
        .collect();
    if sealed.is_empty() {
        return Ok(HashMap::new());
    }
    let job_ids: Vec<Uuid> = sealed.iter().map(|facts| facts.job_id.as_uuid()).collect();
    let tenants: Vec<String> = sealed.iter().map(|facts| facts.tenant_id.to_string()).collect();
    let rows =
        sqlx::query_file!("src/store/queries/hash_keys_get.sql", &job_ids, &tenants).fetch_all(&mut **tx).await?;
    Ok(rows.into_iter().map(|row| (row.job_id, row.hash_key)).collect())
}

/// The arguments of transitions_persist.sql, one element a step.
#[derive(Default)]
struct Columns {
    job_id: Vec<Uuid>,
    tenant_id: Vec<String>,
    project_id: Vec<String>,
    queue: Vec<String>,
    intent: Vec<String>,
    rank: Vec<i16>,
    from_state: Vec<String>,
    state: Vec<String>,
    seq: Vec<i64>,
    attempt: Vec<i32>,
    fence: Vec<i64>,
    lease_id: Vec<Option<Uuid>>,
    worker_id: Vec<Option<String>>,
    run_ms: Vec<i64>,
    failure_code: Vec<Option<String>>,
    failure_message: Vec<Option<String>>,
    failed_at: Vec<Option<Time>>,
    retry_since: Vec<Option<Time>>,
    next_attempt_at: Vec<Option<Time>>,
    timed_out_clock: Vec<Option<String>>,
    started_at: Vec<Option<Time>>,
    finished_at: Vec<Option<Time>>,
    result: Vec<Option<Vec<u8>>>,
    result_content_type: Vec<Option<String>>,
    lease_expires_at: Vec<Option<Time>>,
    run_deadline: Vec<Option<Time>>,
    queued_since: Vec<Option<Time>>,
    event_id: Vec<Uuid>,
    shard: Vec<i16>,
    event_payload: Vec<Vec<u8>>,
    actor_id: Vec<String>,
    history_worker_id: Vec<Option<String>>,
    command_key: Vec<Option<String>>,
    command_hash: Vec<Option<Vec<u8>>>,
    detail: Vec<String>,
    occurred_at: Vec<Time>,
    request_id: Vec<String>,
    traceparent: Vec<String>,
    delayed_until: Vec<Option<Time>>,
    backoff_ms: Vec<i64>,
}

impl Columns {
    fn push(&mut self, step: &Step, hash_keys: &HashMap<Uuid, Vec<u8>>, encode: EncodeEvent) {
        let Step { transition, cause, queued_since } = step;
        self.queued_since.push(*queued_since);
        self.delayed_until.push(match &transition.after.state {
            State::Retrying { next_attempt_at } => Some(*next_attempt_at),
            // Approved, or free, ahead of its time.
            State::Queued => transition.after.facts.run_after.filter(|at| *at > transition.occurred_at),
            _ => None,
        });
        self.push_job(&transition.after);
        self.push_state(&transition.after.state);
        let event_id = Uuid::now_v7();
        let job_id = transition.after.facts.job_id;
        self.event_id.push(event_id);
        self.shard.push(holdfast_events::shard_of(&job_id.to_string()) as i16);
        self.event_payload.push(encode(transition, cause, event_id));
        self.from_state.push(transition.from.map_or("", |from| from.as_str()).to_owned());
        self.actor_id.push(cause.actor_id.to_string());
        self.history_worker_id.push(cause.worker_id.clone());
        self.command_key.push(cause.command.as_ref().map(|command| command.key.clone()));
        let hash_key = hash_keys.get(&job_id.as_uuid()).map(Vec::as_slice);
        let is_kept = hash_key.is_some() || !transition.after.facts.labels.is_redacted();
        let hash = cause.command.as_ref().filter(|_| is_kept).and_then(|command| kept_hash(&command.hash, hash_key));
        self.command_hash.push(hash.map(Vec::from));
        self.detail.push(transition.detail.clone());
        self.occurred_at.push(transition.occurred_at);
        self.request_id.push(cause.request_id.clone());
        self.traceparent.push(cause.traceparent.clone());
    }

    fn push_job(&mut self, job: &Job) {
        let Job { facts, state, progressed } = job;
        self.job_id.push(facts.job_id.as_uuid());
        self.tenant_id.push(facts.tenant_id.to_string());
        self.project_id.push(facts.project_id.to_string());
        self.queue.push(facts.queue.as_str().to_owned());
        self.intent.push(facts.intent.to_string());
        self.rank.push(9 - facts.priority);
        self.state.push(state.name().as_str().to_owned());
        self.seq.push(progressed.seq);
        self.attempt.push(progressed.attempt);
        self.fence.push(progressed.fence);
        self.run_ms.push(progressed.run_ms);
        self.backoff_ms.push(progressed.backoff_ms);
        let failure = progressed.last_failure.as_ref();
        self.failure_code.push(failure.map(|failure| failure.code.clone()));
        self.failure_message.push(failure.map(|failure| failure.message.clone()));
        self.failed_at.push(failure.map(|failure| failure.occurred_at));
        self.retry_since.push(progressed.retry_since);
        self.started_at.push(progressed.started_at);
    }

    fn push_state(&mut self, state: &State) {
        let (mut lease, mut result, mut next_attempt_at, mut clock) = (None, None, None, None);
        let finished_at = match state {
            State::Queued
            | State::WaitingHumanDecision(_)
            | State::ChangesRequested { .. }
            | State::Deferred(_)
            | State::Blocked => None,
            State::Running(held) => {
                lease = Some(held);
                None
            }
            State::Retrying { next_attempt_at: at } => {
                next_attempt_at = Some(*at);
                None
            }
            State::Done { result: payload, finished_at } => {
                result = Some(payload);
                Some(*finished_at)
            }
            State::TimedOut { clock: ran_out, finished_at } => {
                clock = Some(ran_out.as_str().to_owned());
                Some(*finished_at)
            }
            State::Failed { finished_at }
            | State::Cancelled { finished_at }
            | State::Rejected { finished_at }
            | State::BudgetExceeded { finished_at } => Some(*finished_at),
        };
        self.lease_id.push(lease.map(|lease| lease.lease_id.as_uuid()));
        self.worker_id.push(lease.map(|lease| lease.worker_id.clone()));
        self.lease_expires_at.push(lease.map(|lease| lease.expires_at));
        self.run_deadline.push(lease.map(|lease| lease.run_deadline));
        self.result.push(result.map(|result| result.data.to_vec()));
        self.result_content_type.push(result.map(|result| result.content_type.clone()));
        self.next_attempt_at.push(next_attempt_at);
        self.timed_out_clock.push(clock);
        self.finished_at.push(finished_at);
    }
}
