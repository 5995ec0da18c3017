//! Queueing jobs under their idempotency keys.

use std::collections::HashSet;

use holdfast_ids::{JobId, LedgerId};
use holdfast_pg::Tx;
use uuid::Uuid;

use super::claim::RunningLimits;
use super::rows::corrupt;
use super::waits::waits_put;
use super::{EncodeEvent, StoreError};
use crate::domain::dependency::Dependency;
use crate::domain::hold::Hold;
use crate::domain::job::{Facts, Job, Lease, Queue, State, StateName, Time};
use crate::domain::submission::{KeyScope, Submission};
use crate::domain::transition::{self, Cause, Command, Transition};
use crate::metrics::{self, Query};

/// A submission with the ids it gets if its key is free.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    pub submission: &'a Submission,
    pub job_id: JobId,
    pub ledger_id: LedgerId,
}

/// A window that this transaction opened.
#[derive(Debug, Clone)]
pub struct Opened {
    pub ledger_id: LedgerId,
    pub generation: i64,
    pub window_end: Time,
    pub opened_at: Time,
}

/// The columns of a key's scope, one array each.
struct ScopeColumns {
    tenant_id: Vec<String>,
    project_id: Vec<String>,
    intent: Vec<String>,
    actor_id: Vec<String>,
    key: Vec<String>,
}

impl<'a> FromIterator<&'a KeyScope> for ScopeColumns {
    fn from_iter<I: IntoIterator<Item = &'a KeyScope>>(scopes: I) -> Self {
        let mut c = Self { tenant_id: vec![], project_id: vec![], intent: vec![], actor_id: vec![], key: vec![] };
        for scope in scopes {
            c.tenant_id.push(scope.tenant_id.to_string());
            c.project_id.push(scope.project_id.to_string());
            c.intent.push(scope.intent.to_string());
            c.actor_id.push(scope.actor_id.to_string());
            c.key.push(scope.key.to_string());
        }
        c
    }
}

/// Opens a window for each candidate whose key has none open. Scopes must differ.
pub async fn key_heads_claim_if_free(tx: &mut Tx, candidates: &[Candidate<'_>]) -> Result<Vec<Opened>, StoreError> {
    let scope: ScopeColumns = candidates.iter().map(|candidate| &candidate.submission.scope).collect();
    let ledger_ids: Vec<Uuid> = candidates.iter().map(|candidate| candidate.ledger_id.as_uuid()).collect();
    let hashes: Vec<Vec<u8>> = candidates.iter().map(|candidate| candidate.submission.payload_hash.to_vec()).collect();
    let windows: Vec<i64> = candidates.iter().map(|candidate| candidate.submission.window_ms).collect();
    let job_ids: Vec<Uuid> = candidates.iter().map(|candidate| candidate.job_id.as_uuid()).collect();
    let rows = sqlx::query_file!(
        "src/store/queries/key_heads_claim.sql",
        &scope.tenant_id,
        &scope.project_id,
        &scope.intent,
        &scope.actor_id,
        &scope.key,
        &ledger_ids,
        &hashes,
        &windows,
        &job_ids,
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Opened {
            ledger_id: LedgerId::from_uuid(row.ledger_id),
            generation: row.generation,
            window_end: row.window_end,
            opened_at: row.opened_at,
        })
        .collect())
}

/// The latest window of a key.
#[derive(Debug, Clone)]
pub struct InWindow {
    pub ledger_id: Uuid,
    pub generation: i64,
    pub payload_hash: Vec<u8>,
    pub window_end: Time,
    pub is_open: bool,
    /// The job it queued, and how that stands; None where another service reserved the key.
    pub job: Option<(JobId, StateName)>,
}

/// The latest windows of keys, in the order asked.
pub async fn key_heads_in_window(tx: &mut Tx, scopes: &[&KeyScope]) -> Result<Vec<Option<InWindow>>, StoreError> {
    let scope: ScopeColumns = scopes.iter().copied().collect();
    let statement = sqlx::query_file!(
        "src/store/queries/key_heads_in_window.sql",
        &scope.tenant_id,
        &scope.project_id,
        &scope.intent,
        &scope.actor_id,
        &scope.key,
    );
    let rows = metrics::timed(Query::KeyHead, statement.fetch_all(&mut **tx)).await?;
    let mut found = vec![None; scopes.len()];
    for row in rows {
        let state =
            row.job_state.as_deref().map(|state| StateName::from_name(state).ok_or_else(|| corrupt("jobs", "state")));
        found[row.ordinal as usize - 1] = Some(InWindow {
            ledger_id: row.ledger_id,
            generation: row.generation,
            payload_hash: row.payload_hash,
            window_end: row.window_end,
            is_open: row.is_open,
            job: row.job_id.map(JobId::from_uuid).zip(state.transpose()?),
        });
    }
    Ok(found)
}

/// Moves last_seen_at of replayed keys.
pub async fn ledger_touch(tx: &mut Tx, ledger_ids: &[Uuid], tenant_ids: &[String]) -> Result<(), StoreError> {
    sqlx::query_file!("src/store/queries/ledger_touch.sql", ledger_ids, tenant_ids).execute(&mut **tx).await?;
    Ok(())
}

/// How much a project has been given, after the insertion.
#[derive(Debug, Clone)]
pub struct Intake {
    pub tenant_id: String,
    pub project_id: String,
    pub project_depth: i64,
    /// False where the project was never seen by dispatch: its slots row has to be made.
    pub has_slots: bool,
}

/// A candidate whose window was opened, and how its job begins.
#[derive(Debug)]
pub struct New<'a> {
    pub candidate: Candidate<'a>,
    pub opened: Opened,
    pub submitted: (Transition, Cause),
    /// Where a worker has it at once.
    pub leased: Option<(Transition, Cause)>,
}

impl<'a> New<'a> {
    /// A job that waits: for other jobs, for what holds it, for people or for a worker; `awaited` where others wait for it.
    pub fn of(
        candidate: Candidate<'a>,
        opened: Opened,
        blocked_by: Vec<JobId>,
        held_by: Vec<Hold>,
        awaited: bool,
    ) -> Self {
        let submission = candidate.submission;
        let facts = Facts {
            job_id: candidate.job_id,
            tenant_id: submission.scope.tenant_id.clone(),
            project_id: submission.scope.project_id.clone(),
            intent: submission.scope.intent.clone(),
            queue: submission.queue,
            tier: submission.tier,
            priority: submission.priority,
            actor_id: submission.scope.actor_id.clone(),
            idempotency_key: submission.scope.key.clone(),
            max_attempts: submission.max_attempts,
            run_budget_ms: submission.run_budget_ms,
            total_budget_ms: Some(submission.total_budget_ms),
            run_after: submission.run_after,
            human: submission.human.map(|human| human.terms(opened.opened_at, submission.run_after)),
            resubmits: submission.resubmits,
            parent: submission.parent,
            labels: submission.labels,
            created_at: opened.opened_at,
            request_id: submission.request_id.clone(),
            traceparent: submission.traceparent.clone(),
        };
        let cause = Cause {
            actor_id: submission.scope.actor_id.clone(),
            worker_id: None,
            command: Some(Command {
                key: submission.scope.key.to_string(),
                hash: submission.payload_hash,
                idempotency_key: Some(submission.scope.key.clone()),
            }),
            request_id: submission.request_id.clone(),
            traceparent: submission.traceparent.clone(),
        };
        let mut submitted = transition::submit(facts, &submission.payload, blocked_by, held_by);
        submitted.after.progressed.awaited = awaited;
        Self { candidate, opened, submitted: (submitted, cause), leased: None }
    }

    /// The job as the transaction leaves it.
    pub fn job(&self) -> &Job {
        &self.leased.as_ref().unwrap_or(&self.submitted).0.after
    }

    fn lease(&self) -> Option<&Lease> {
        match &self.job().state {
            State::Running(lease) => Some(lease),
            _ => None,
        }
    }
}

/// Queues new jobs with their history, ledger rows and events.
pub async fn jobs_insert<'a>(
    tx: &mut Tx,
    news: impl Iterator<Item = &'a New<'a>>,
    encode: EncodeEvent,
) -> Result<Vec<Intake>, StoreError> {
    let news: Vec<&New<'_>> = news.collect();
    let news = news.as_slice();
    let scope: ScopeColumns = news.iter().map(|new| &new.candidate.submission.scope).collect();
    let column = |f: fn(&New<'_>) -> String| -> Vec<String> { news.iter().map(|new| f(new)).collect() };
    let queue = column(|new| new.candidate.submission.queue.as_str().to_owned());
    let tier = column(|new| new.candidate.submission.tier.as_str().to_owned());
    let content_type = column(|new| new.candidate.submission.payload.content_type.clone());
    let request_id = column(|new| new.candidate.submission.request_id.clone());
    let traceparent = column(|new| new.candidate.submission.traceparent.clone());
    let job_id: Vec<Uuid> = news.iter().map(|new| new.candidate.job_id.as_uuid()).collect();
    let priority: Vec<i16> = news.iter().map(|new| new.candidate.submission.priority).collect();
    let hash: Vec<Vec<u8>> = news.iter().map(|new| new.candidate.submission.payload_hash.to_vec()).collect();
    let payload: Vec<&[u8]> = news.iter().map(|new| new.candidate.submission.payload.data.as_ref()).collect();
    let max_attempts: Vec<i32> = news.iter().map(|new| new.candidate.submission.max_attempts).collect();
    let total_budget_ms: Vec<i64> = news.iter().map(|new| new.candidate.submission.total_budget_ms).collect();
    let run_budget_ms: Vec<i64> = news.iter().map(|new| new.candidate.submission.run_budget_ms).collect();
    let run_after: Vec<Option<Time>> = news.iter().map(|new| new.candidate.submission.run_after).collect();
    let ledger_id: Vec<Uuid> = news.iter().map(|new| new.candidate.ledger_id.as_uuid()).collect();
    let generation: Vec<i64> = news.iter().map(|new| new.opened.generation).collect();
    let window_end: Vec<Time> = news.iter().map(|new| new.opened.window_end).collect();
    let created_at: Vec<Time> = news.iter().map(|new| new.opened.opened_at).collect();
    let shard: Vec<i16> = job_id.iter().map(|job_id| holdfast_events::shard_of(&job_id.to_string()) as i16).collect();
    let event_id: Vec<Uuid> = news.iter().map(|_| Uuid::now_v7()).collect();
    let event = |(transition, cause): &(Transition, Cause), id: Uuid| encode(transition, cause, id);
    let event_payload: Vec<Vec<u8>> = news.iter().zip(&event_id).map(|(new, id)| event(&new.submitted, *id)).collect();
    let detail = column(|new| new.submitted.0.detail.clone());
    let resubmits: Vec<Option<Uuid>> =
        news.iter().map(|new| new.candidate.submission.resubmits.map(|job_id| job_id.as_uuid())).collect();
    let parents = || news.iter().map(|new| new.candidate.submission.parent);
    let parent_job_id: Vec<Option<Uuid>> = parents().map(|parent| Some(parent?.job_id.as_uuid())).collect();
    let depth: Vec<i16> = parents().map(|parent| parent.map_or(0, |parent| parent.depth)).collect();
    let dependencies = |text: fn(&Dependency) -> String| -> Vec<Option<String>> {
        let joined = |all: &[Dependency]| all.iter().map(text).collect::<Vec<_>>().join(",");
        let all = news.iter().map(|new| new.candidate.submission.dependencies.as_slice());
        all.map(|all| (!all.is_empty()).then(|| joined(all))).collect()
    };
    let depends_on = dependencies(|dependency| dependency.job_id.to_string());
    let on_dependency_failure = dependencies(|dependency| dependency.on_failure.as_str().to_owned());
    let first_state = column(|new| new.submitted.0.after.state.name().as_str().to_owned());
    let classification = column(|new| new.candidate.submission.labels.classification.as_str().to_owned());
    let residency = column(|new| new.candidate.submission.labels.residency.as_str().to_owned());
    let awaited: Vec<bool> = news.iter().map(|new| new.submitted.0.after.progressed.awaited).collect();
    let l = LeaseColumns::of(news, event);
    let rows = sqlx::query_file!(
        "src/store/queries/jobs_insert.sql",
        &job_id,
        &scope.tenant_id,
        &scope.project_id,
        &scope.intent,
        &queue,
        &tier,
        &priority,
        &scope.actor_id,
        &scope.key,
        &hash,
        &payload as _,
        &content_type,
        &max_attempts,
        &run_budget_ms,
        &run_after as _,
        &request_id,
        &traceparent,
        &ledger_id,
        &generation,
        &window_end,
        &created_at,
        &event_id,
        &shard,
        &event_payload,
        &detail,
        &l.state,
        &l.seq,
        &l.attempt,
        &l.fence,
        &l.lease_id as _,
        &l.worker_id as _,
        &l.started_at as _,
        &l.expires_at as _,
        &l.run_deadline as _,
        &l.event_id as _,
        &l.event_payload as _,
        &l.actor_id as _,
        &l.detail as _,
        &l.request_id as _,
        &resubmits as _,
        &first_state,
        &parent_job_id as _,
        &depth,
        &depends_on as _,
        &on_dependency_failure as _,
        &total_budget_ms,
        &classification,
        &residency,
        &awaited,
    )
    .fetch_all(&mut **tx)
    .await?;
    waits_put(tx, news.iter().map(|new| new.job())).await?;
    Ok(rows
        .into_iter()
        .map(|row| Intake {
            tenant_id: row.tenant_id,
            project_id: row.project_id,
            project_depth: row.submitted - row.dequeued.unwrap_or(0),
            has_slots: row.dequeued.is_some(),
        })
        .collect())
}

/// Where the jobs stand, and what the history and the outbox hold of their leases; NULL for one that waits.
#[derive(Default)]
struct LeaseColumns {
    state: Vec<String>,
    seq: Vec<i64>,
    attempt: Vec<i32>,
    fence: Vec<i64>,
    lease_id: Vec<Option<Uuid>>,
    worker_id: Vec<Option<String>>,
    started_at: Vec<Option<Time>>,
    expires_at: Vec<Option<Time>>,
    run_deadline: Vec<Option<Time>>,
    event_id: Vec<Option<Uuid>>,
    event_payload: Vec<Option<Vec<u8>>>,
    actor_id: Vec<Option<String>>,
    detail: Vec<Option<String>>,
    request_id: Vec<Option<String>>,
}

impl LeaseColumns {
    fn of(news: &[&New<'_>], event: impl Fn(&(Transition, Cause), Uuid) -> Vec<u8>) -> Self {
        let mut c = Self::default();
        for new in news {
            let (job, lease) = (new.job(), new.lease());
            c.state.push(job.state.name().as_str().to_owned());
            c.seq.push(job.progressed.seq);
            c.attempt.push(job.progressed.attempt);
            c.fence.push(job.progressed.fence);
            c.started_at.push(job.progressed.started_at);
            c.lease_id.push(lease.map(|lease| lease.lease_id.as_uuid()));
            c.worker_id.push(lease.map(|lease| lease.worker_id.clone()));
            c.expires_at.push(lease.map(|lease| lease.expires_at));
            c.run_deadline.push(lease.map(|lease| lease.run_deadline));
            let moved = new.leased.as_ref().map(|moved| (moved, Uuid::now_v7()));
            c.event_payload.push(moved.map(|(moved, id)| event(moved, id)));
            c.event_id.push(moved.map(|(_, id)| id));
            c.actor_id.push(moved.map(|((_, cause), _)| cause.actor_id.to_string()));
            c.detail.push(moved.map(|((transition, _), _)| transition.detail.clone()));
            c.request_id.push(moved.map(|((_, cause), _)| cause.request_id.clone()));
        }
        c
    }
}

/// Jobs of one project that could run at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomAsked {
    pub tenant_id: String,
    pub project_id: String,
    pub jobs: i32,
}

/// Takes room under the projects' limits of running jobs; answers the projects that gave it. A project gives all that is
/// asked or none, and none where jobs wait already.
pub async fn slots_take_if_free(
    tx: &mut Tx,
    asked: &[RoomAsked],
    limits: &RunningLimits,
) -> Result<HashSet<(String, String)>, StoreError> {
    let tenants: Vec<String> = asked.iter().map(|asked| asked.tenant_id.clone()).collect();
    let projects: Vec<String> = asked.iter().map(|asked| asked.project_id.clone()).collect();
    let jobs: Vec<i32> = asked.iter().map(|asked| asked.jobs).collect();
    let rows = sqlx::query_file!(
        "src/store/queries/slots_take.sql",
        &tenants,
        &projects,
        &jobs,
        limits.default,
        &limits.tenant_ids,
        &limits.project_ids,
        &limits.running_max,
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows.into_iter().map(|row| (row.tenant_id, row.project_id)).collect())
}

/// Makes the slots rows of projects that dispatch sees for the first time.
pub async fn project_slots_create(tx: &mut Tx, projects: &[&Intake]) -> Result<(), StoreError> {
    let tenants: Vec<String> = projects.iter().map(|project| project.tenant_id.clone()).collect();
    let names: Vec<String> = projects.iter().map(|project| project.project_id.clone()).collect();
    sqlx::query_file!("src/store/queries/project_slots_create.sql", &tenants, &names).execute(&mut **tx).await?;
    Ok(())
}

/// How many infra jobs wait in each of the tenants.
pub async fn infra_depths(tx: &mut Tx, tenant_ids: &[String]) -> Result<Vec<(String, i64)>, StoreError> {
    let rows = sqlx::query_file!("src/store/queries/infra_depths.sql", tenant_ids).fetch_all(&mut **tx).await?;
    Ok(rows.into_iter().map(|row| (row.tenant_id, row.depth)).collect())
}

/// Whether any of the submissions goes to the infra queue.
pub fn has_infra<'a>(mut news: impl Iterator<Item = &'a New<'a>>) -> bool {
    news.any(|new| new.candidate.submission.queue == Queue::Infra)
}
