//! A few jobs of one project, in the tables and in their oracles.

use std::collections::HashMap;
use std::fmt::Debug;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use chrono::{SubsecRound as _, TimeDelta, Utc};
use holdfast_ids::{ActorId, IdempotencyKey, Intent, JobId, LeaseId, LedgerId, ProjectId, TenantId};
use holdfast_jobs::domain::dependency::{Dependency, OnFailure};
use holdfast_jobs::domain::job::{Facts, Job, Queue, State, StateName, Tier, Time};
use holdfast_jobs::domain::labels::{Classification, Labels, Residency};
use holdfast_jobs::domain::payload::Payload;
use holdfast_jobs::domain::submission::{HumanLimits, KeyScope, Submission};
use holdfast_jobs::domain::transition::{self, Cause, Command, Presented, Refusal, Take, Transition};
use holdfast_jobs::store::answers::{Asked as AskedBefore, answers_recorded};
use holdfast_jobs::store::approvals::{approval_insert, approvals_list};
use holdfast_jobs::store::claim::{RunningLimits, Wanted, candidates_scan};
use holdfast_jobs::store::dependencies::{Open, dependencies_insert};
use holdfast_jobs::store::lease::{Extension, leases_extend_if_held};
use holdfast_jobs::store::maintenance::{delayed_promote_if_due, leases_expired_lock};
use holdfast_jobs::store::submit::{
    Candidate, Intake, New, jobs_insert, key_heads_claim_if_free, project_slots_create,
};
use holdfast_jobs::store::transitions::{Locked, LockedIds, Step, jobs_load, jobs_lock, transitions_persist};
use holdfast_jobs::store::waits::waits_due_lock;
use holdfast_jobs::wire::event::encode;
use holdfast_pg::{AppDb, TaskDb, TenantScope, Tx};
use holdfast_testkit::Database;

use super::oracle::{Asked, Oracle, POLICY, Place};
use crate::support::{INTENT, PROJECT, fresh_key, rows, tenant};

const WORKER: &str = "worker-1";
const ROWS_MAX: i64 = 100_000;
pub const HUMAN_BUDGET: TimeDelta = TimeDelta::minutes(2);
const LABELS: Labels = Labels { classification: Classification::Public, residency: Residency::Eu };
const MAX_AGE: TimeDelta = TimeDelta::minutes(10);

/// The store's handles. One for each test: background work sees every tenant of its database.
pub struct Store {
    pub db: Database,
    app: AppDb,
    pub(super) task: TaskDb,
}

impl Store {
    pub async fn open() -> Result<Self> {
        let db = Database::create().await?;
        Ok(Self { app: db.app()?, task: db.task()?, db })
    }

    pub async fn clock(&self) -> Result<Time> {
        Ok(sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(self.db.admin()).await?)
    }
}

/// The terms of a job.
#[derive(Debug, Clone)]
pub struct Terms {
    pub queue: Queue,
    pub priority: i16,
    pub max_attempts: i32,
    pub run_budget_ms: i64,
    pub total_budget_ms: i64,
    /// Not before a minute from now.
    pub is_delayed: bool,
    /// It waits for a decision first.
    pub is_dangerous: bool,
    /// It waits for another job before anything else.
    pub is_blocked: bool,
}

pub struct Project<'s> {
    pub store: &'s Store,
    pub tenant: TenantId,
    pub jobs: Vec<Oracle>,
    running_max: i32,
}

/// Both decided, and said the same.
pub(super) fn agreed<T: Debug + PartialEq>(of_oracle: T, of_rows: T) -> Result<T> {
    ensure!(of_oracle == of_rows, "the oracle says {of_oracle:?}, the rows say {of_rows:?}");
    Ok(of_rows)
}

pub(super) fn by_id(locked: Vec<Locked>) -> HashMap<JobId, Locked> {
    locked.into_iter().map(|locked| (locked.job.facts.job_id, locked)).collect()
}

pub(super) fn cause(actor: &str, worker_id: Option<String>, command: Option<Command>) -> Result<Cause> {
    let actor_id = ActorId::parse(actor)?;
    Ok(Cause { actor_id, worker_id, command, request_id: "request-2".to_owned(), traceparent: String::new() })
}

fn holder(job: &Job) -> Option<String> {
    match &job.state {
        State::Running(lease) => Some(lease.worker_id.clone()),
        _ => None,
    }
}

impl<'s> Project<'s> {
    pub fn new(store: &'s Store, running_max: i32) -> Self {
        Self { store, tenant: tenant(), jobs: Vec::new(), running_max }
    }

    fn scope(&self) -> TenantScope {
        TenantScope::one(&self.tenant)
    }

    fn index_of(&self, job_id: JobId) -> Result<usize> {
        self.jobs.iter().position(|oracle| oracle.job_id() == job_id).context("a job of another project")
    }

    pub async fn submit(&mut self, terms: &Terms) -> Result<()> {
        let submission = self.submission(terms)?;
        let candidate = Candidate { submission: &submission, job_id: JobId::new(), ledger_id: LedgerId::new() };
        let mut tx = self.store.app.begin(&self.scope(), None).await?;
        let opened = key_heads_claim_if_free(&mut tx, &[candidate]).await?.pop().context("a fresh key is free")?;
        let created_at = opened.opened_at;
        let blocked_by: Vec<JobId> = submission.dependencies.iter().map(|dependency| dependency.job_id).collect();
        let intakes =
            jobs_insert(&mut tx, [New::of(candidate, opened, blocked_by, Vec::new(), false)].iter(), encode).await?;
        let open = submission.dependencies.iter().map(|dependency| Open {
            job_id: candidate.job_id,
            tenant_id: self.tenant.clone(),
            dependency: *dependency,
        });
        dependencies_insert(&mut tx, &open.collect::<Vec<_>>()).await?;
        let unseen: Vec<&Intake> = intakes.iter().filter(|intake| !intake.has_slots).collect();
        if !unseen.is_empty() {
            project_slots_create(&mut tx, &unseen).await?;
        }
        tx.commit().await?;
        let payload = submission.payload.clone();
        self.jobs.push(Oracle::new(submitted(candidate.job_id, submission, created_at), payload));
        Ok(())
    }

    fn submission(&self, terms: &Terms) -> Result<Submission> {
        let later = || (Utc::now() + TimeDelta::minutes(1)).trunc_subsecs(6);
        Ok(Submission {
            deadline: None,
            scope: KeyScope {
                tenant_id: self.tenant.clone(),
                project_id: ProjectId::parse(PROJECT)?,
                intent: Intent::parse(INTENT)?,
                actor_id: ActorId::parse("alice")?,
                key: IdempotencyKey::parse(&fresh_key())?,
            },
            queue: terms.queue,
            tier: if terms.is_dangerous { Tier::C } else { Tier::A },
            priority: terms.priority,
            run_after: terms.is_delayed.then(later),
            human: terms
                .is_dangerous
                .then_some(HumanLimits { budget_ms: HUMAN_BUDGET.num_milliseconds(), max_age: MAX_AGE }),
            resubmits: None,
            parent: None,
            // On a job that nobody has ever heard of: how it stands is not what is tested here.
            dependencies: terms
                .is_blocked
                .then(|| Dependency { job_id: JobId::new(), on_failure: OnFailure::Block })
                .into_iter()
                .collect(),
            labels: LABELS,
            max_attempts: terms.max_attempts,
            run_budget_ms: terms.run_budget_ms,
            total_budget_ms: terms.total_budget_ms,
            payload: Payload { data: fresh_key().into(), content_type: "text/plain".to_owned() },
            payload_hash: [7; 32],
            window_ms: 60_000,
            request_id: "request-1".to_owned(),
            traceparent: String::new(),
        })
    }

    /// Leases up to `jobs_max` jobs, which must be the first that are ready; answers how many.
    pub async fn claim(&mut self, jobs_max: usize, ttl: Duration) -> Result<usize> {
        let offered = self.ready(jobs_max);
        let wanted = Wanted {
            tenants: vec![self.tenant.clone()],
            queues: vec![Queue::Project, Queue::Infra],
            intents: Vec::new(),
            projects: Vec::new(),
        };
        let limits = RunningLimits { default: self.running_max, ..RunningLimits::default() };
        let mut tx = self.store.app.begin(&self.scope(), None).await?;
        let found = candidates_scan(&mut tx, &wanted, &limits, jobs_max as i64).await?;
        let found_ids = found.locked.job_ids.iter().copied().map(JobId::from_uuid);
        let found_ready: Vec<_> = found_ids.zip(found.queued_since.iter().copied()).collect();
        agreed(offered, found_ready.clone()).context("which jobs are ready")?;
        let mut loaded = by_id(jobs_load(&mut tx, &found.locked).await?);
        let mut steps = Vec::new();
        for (job_id, ready_at) in found_ready {
            let Locked { job, now, .. } = loaded.remove(&job_id).context("locked and not loaded")?;
            let take = Take { lease_id: LeaseId::new(), worker_id: WORKER.to_owned(), ttl };
            let oracle = self.jobs[self.index_of(job_id)?].job.clone();
            let transition = agreed(transition::lease(oracle, take.clone(), now), transition::lease(job, take, now))?;
            let cause = cause(WORKER, Some(WORKER.to_owned()), None)?;
            steps.push(Step { transition: transition?, cause, queued_since: Some(ready_at) });
        }
        let leased = steps.len();
        self.persist(tx, steps).await?;
        Ok(leased)
    }

    /// What a claim must find, in its order: by priority, then by age, as far as the project has room.
    fn ready(&self, jobs_max: usize) -> Vec<(JobId, Time)> {
        let running = self.jobs.iter().filter(|oracle| oracle.state() == StateName::Running).count();
        let room = usize::try_from(self.running_max).unwrap_or(0).saturating_sub(running);
        let ready_at = |oracle: &Oracle| match oracle.place {
            Place::Queue { ready_at } => Some((9 - oracle.job.facts.priority, ready_at, oracle.job_id())),
            _ => None,
        };
        let mut ready: Vec<_> = self.jobs.iter().filter_map(ready_at).collect();
        ready.sort_unstable();
        ready.into_iter().take(room.min(jobs_max)).map(|(_, ready_at, job_id)| (job_id, ready_at)).collect()
    }

    /// Commands for different jobs, in one transaction; answers what became of each.
    pub async fn ask(&mut self, asked: &[(usize, Asked)], chance: f64) -> Result<Vec<Result<StateName, Refusal>>> {
        let mut tx = self.store.app.begin(&self.scope(), None).await?;
        let job_ids: Vec<_> = asked.iter().map(|(index, _)| self.jobs[*index].job_id().as_uuid()).collect();
        let locked = jobs_lock(&mut tx, &job_ids, &vec![self.tenant.to_string(); job_ids.len()]).await?;
        let mut loaded = by_id(jobs_load(&mut tx, &locked).await?);
        let (mut outcomes, mut steps, mut records) = (Vec::new(), Vec::new(), Vec::new());
        for (index, command) in asked {
            let oracle = &self.jobs[*index];
            let Locked { job, now, .. } = loaded.remove(&oracle.job_id()).context("a job is not there")?;
            let worker_id = holder(&job);
            let earlier = approvals_list(&mut tx, oracle.job_id(), std::slice::from_ref(&self.tenant)).await?;
            let earlier = agreed(oracle.approvals.clone(), earlier)?;
            let before = oracle.state();
            let decided = command.decide(oracle.job.clone(), &earlier, now, chance);
            let decided =
                agreed(decided, command.decide(job, &earlier, now, chance)).context(format!("{command:?}"))?;
            if decided.is_err() && !matches!(command, Asked::Decide { .. }) {
                self.recorded(&mut tx, oracle, command).await?;
            }
            let state = |moves: &Vec<Transition>| moves.last().map_or(before, |last| last.after.state.name());
            outcomes.push(decided.as_ref().map(state).map_err(|refusal| *refusal));
            if decided.is_ok()
                && let Some(record) = command.record(earlier.len() + 1, now)
            {
                approval_insert(&mut tx, &oracle.job.facts, &record).await?;
                records.push((*index, record));
            }
            for transition in decided.unwrap_or_default() {
                let command = Command { key: command.command_key(), hash: command.hash(), idempotency_key: None };
                let cause = cause("alice", worker_id.clone(), Some(command))?;
                steps.push(Step { transition, cause, queued_since: None });
            }
        }
        self.persist(tx, steps).await?;
        for (index, record) in records {
            self.jobs[index].approvals.push(record);
        }
        for (index, command) in asked {
            self.jobs[*index].last_asked = Some(command.clone());
        }
        Ok(outcomes)
    }

    /// What a refused command finds of the one that it may repeat.
    async fn recorded(&self, tx: &mut Tx, oracle: &Oracle, command: &Asked) -> Result<()> {
        let (job_id, command_key) = (oracle.job_id(), command.command_key());
        let first = oracle.caused_by(&command_key);
        let asked = AskedBefore { job_id, command_key, tenant_id: self.tenant.to_string() };
        let found = answers_recorded(tx, &[asked]).await?.pop().flatten();
        let hash = first.and_then(|(_, cause)| Some(cause.command.as_ref()?.hash)).unwrap_or_default();
        let found = found.map(|found| {
            let is_same = found.is_repeated_by(&hash) && !found.is_repeated_by(&[0; 32]);
            (found.to_state, is_same, found.actor_id, found.occurred_at, found.next_attempt_at)
        });
        let first = first.map(|(transition, cause)| {
            let is_latest = transition.after.progressed.seq == oracle.job.progressed.seq;
            let next_attempt_at = match oracle.job.state {
                State::Retrying { next_attempt_at } if is_latest => Some(next_attempt_at),
                _ => None,
            };
            (transition.after.state.name(), true, cause.actor_id.to_string(), transition.occurred_at, next_attempt_at)
        });
        agreed(first, found).context("what the command did the first time")?;
        Ok(())
    }

    /// Renews a lease; answers whether it was held.
    pub async fn extend(&mut self, index: usize, presented: Presented, ttl: Duration) -> Result<bool> {
        let extension = Extension {
            deadline: None,
            job_id: self.jobs[index].job_id(),
            lease_id: presented.lease_id,
            fence: presented.fence,
            tenants: self.tenant.to_string(),
            projects: String::new(),
            progress_percent: Some(50),
            progress_note: None,
        };
        let before = self.store.clock().await?;
        let mut tx = self.store.app.begin(&self.scope(), None).await?;
        let renewed = leases_extend_if_held(&mut tx, &[extension], ttl.as_millis() as i64).await?.pop();
        tx.commit().await?;
        let after = self.store.clock().await?;
        let oracle = &mut self.jobs[index];
        // The statement looked at some time between the two.
        let (was_held, is_held) = (oracle.is_held(presented, before), oracle.is_held(presented, after));
        let Some((renewed, expires_at)) = renewed else {
            ensure!(!is_held, "a lease that is held was not renewed");
            return Ok(false);
        };
        ensure!(was_held, "a lease that is not held was renewed");
        ensure!(renewed == (presented.lease_id, presented.fence), "another lease was renewed");
        let State::Running(lease) = &mut oracle.job.state else { unreachable!("only a running job is held") };
        let bounds = (before + ttl).min(lease.run_deadline)..=(after + ttl).min(lease.run_deadline);
        ensure!(bounds.contains(&expires_at), "renewed until {expires_at}, not within {bounds:?}");
        lease.expires_at = expires_at;
        Ok(true)
    }

    /// Takes back what ran out; answers what became of it.
    pub async fn sweep(&mut self, chance: f64) -> Result<Vec<StateName>> {
        let before = self.store.clock().await?;
        let mut tx = self.store.task.begin().await?;
        let expired = leases_expired_lock(&mut tx, ROWS_MAX).await?;
        let of_tenant = |(_, tenant): &(_, String)| *tenant == self.tenant.as_str();
        let (job_ids, tenant_ids) = expired.job_ids.into_iter().zip(expired.tenant_ids).filter(of_tenant).unzip();
        let mut loaded = by_id(jobs_load(&mut tx, &LockedIds { job_ids, tenant_ids }).await?);
        let mut steps = Vec::new();
        for oracle in &self.jobs {
            let Some(Locked { job, now, .. }) = loaded.remove(&oracle.job_id()) else {
                let expired = transition::expire(oracle.job.clone(), &POLICY, before, chance);
                ensure!(expired.is_none(), "a lease that had run out was left: {expired:?}");
                continue;
            };
            let expired = transition::expire(oracle.job.clone(), &POLICY, now, chance);
            let transition = agreed(expired, transition::expire(job, &POLICY, now, chance))?;
            let transition = transition.context("a lease that holds was taken back")?;
            steps.push(Step { transition, cause: cause("system:lease_expiry", None, None)?, queued_since: None });
        }
        let states = steps.iter().map(|step| step.transition.after.state.name()).collect();
        self.persist(tx, steps).await?;
        Ok(states)
    }

    /// Ends what people did not decide in time; answers what became of it.
    pub async fn run_out(&mut self) -> Result<Vec<StateName>> {
        let before = self.store.clock().await?;
        let mut tx = self.store.task.begin().await?;
        let due = waits_due_lock(&mut tx, ROWS_MAX).await?;
        let of_tenant = |(_, tenant): &(_, String)| *tenant == self.tenant.as_str();
        let (job_ids, tenant_ids) = due.job_ids.into_iter().zip(due.tenant_ids).filter(of_tenant).unzip();
        let mut loaded = by_id(jobs_load(&mut tx, &LockedIds { job_ids, tenant_ids }).await?);
        let mut steps = Vec::new();
        for oracle in &self.jobs {
            let Some(Locked { job, now, .. }) = loaded.remove(&oracle.job_id()) else {
                let over = transition::run_out(oracle.job.clone(), before);
                ensure!(over.is_none(), "a wait that was over was left: {over:?}");
                continue;
            };
            let transition = agreed(transition::run_out(oracle.job.clone(), now), transition::run_out(job, now))?;
            let transition = transition.context("a wait that is not over was ended")?;
            steps.push(Step { transition, cause: cause("system:decision_clock", None, None)?, queued_since: None });
        }
        let states = steps.iter().map(|step| step.transition.after.state.name()).collect();
        self.persist(tx, steps).await?;
        Ok(states)
    }

    /// Queues what is due; answers how many.
    pub async fn promote(&mut self) -> Result<usize> {
        let before = self.store.clock().await?;
        let mut tx = self.store.task.begin().await?;
        delayed_promote_if_due(&mut tx, ROWS_MAX).await?;
        tx.commit().await?;
        let after = self.store.clock().await?;
        let mut promoted = 0;
        for oracle in &mut self.jobs {
            let Place::Delayed { due_at } = oracle.place else { continue };
            // Due while the statement ran: it saw it or it did not.
            let is_due = due_at <= before || due_at <= after && is_queued(self.store, oracle.job_id()).await?;
            if is_due {
                oracle.promote();
                promoted += 1;
            }
        }
        Ok(promoted)
    }

    /// Moves everything that the jobs remember into the past.
    pub async fn age(&mut self, by: TimeDelta) -> Result<()> {
        for (table, columns) in [
            ("jobs", &["retry_since", "failed_at", "started_at", "next_attempt_at"][..]),
            ("job_queue", &["ready_at"]),
            ("job_delayed", &["due_at"]),
            ("job_leases", &["leased_at", "expires_at", "run_deadline"]),
            ("job_waits", &["since", "due_at", "ends_at"]),
        ] {
            let columns: Vec<String> =
                columns.iter().map(|column| format!("{column} = {column} - $2 * interval '1 ms'")).collect();
            let live = if table == "jobs" { "AND finished_at IS NULL" } else { "" };
            let statement = format!("UPDATE jobs.{table} SET {} WHERE tenant_id = $1 {live}", columns.join(", "));
            let query = sqlx::query(sqlx::AssertSqlSafe(statement)).bind(self.tenant.as_str());
            query.bind(by.num_milliseconds() as f64).execute(self.store.db.admin()).await?;
        }
        self.jobs.iter_mut().for_each(|oracle| oracle.age(by));
        Ok(())
    }

    pub(super) async fn persist(&mut self, mut tx: Tx, steps: Vec<Step>) -> Result<()> {
        if steps.is_empty() {
            return Ok(tx.commit().await?);
        }
        // A job's second move is persisted over what its first left.
        let mut handed = Vec::new();
        let (mut open, mut rounds) = (steps, Vec::new());
        while !open.is_empty() {
            let mut seen = std::collections::HashSet::new();
            let (round, later): (Vec<Step>, Vec<Step>) =
                open.into_iter().partition(|step| seen.insert(step.transition.after.facts.job_id));
            handed.extend(transitions_persist(&mut tx, &round, encode).await?);
            rounds.extend(round);
            open = later;
        }
        let steps = rounds;
        tx.commit().await?;
        let leased = steps.iter().filter(|step| step.transition.after.state.name() == StateName::Running).count();
        ensure!(handed.len() == leased, "{} payloads were handed out for {leased} leases", handed.len());
        for handed in handed {
            agreed(&self.jobs[self.index_of(handed.job_id)?].payload, &handed.payload)?;
        }
        for Step { transition, cause, .. } in steps {
            let index = self.index_of(transition.after.facts.job_id)?;
            self.jobs[index].apply(transition, cause);
        }
        Ok(())
    }

    /// As the service loads them.
    pub async fn loaded(&self) -> Result<HashMap<JobId, Locked>> {
        let job_ids: Vec<_> = self.jobs.iter().map(|oracle| oracle.job_id().as_uuid()).collect();
        let mut tx = self.store.app.begin(&self.scope(), None).await?;
        let locked = jobs_lock(&mut tx, &job_ids, &vec![self.tenant.to_string(); job_ids.len()]).await?;
        let loaded = by_id(jobs_load(&mut tx, &locked).await?);
        tx.rollback().await?;
        Ok(loaded)
    }

    /// Persists a move that was decided over a row as it no longer is.
    pub async fn persist_late(&self, transition: Transition) -> Result<()> {
        let mut tx = self.store.app.begin(&self.scope(), None).await?;
        let step = Step { transition, cause: cause("alice", None, None)?, queued_since: None };
        transitions_persist(&mut tx, &[step], encode).await?;
        Ok(tx.commit().await?)
    }

    pub async fn events_stored(&self) -> Result<(i64, i64)> {
        let admin = self.store.db.admin();
        let history = rows::of_tenant(admin, "job_events", &self.tenant).await?;
        Ok((history, rows::of_tenant(admin, "outbox", &self.tenant).await?))
    }
}

/// The job as its submission makes it.
fn submitted(job_id: JobId, submission: Submission, created_at: Time) -> Job {
    let KeyScope { tenant_id, project_id, intent, actor_id, key } = submission.scope;
    let facts = Facts {
        job_id,
        tenant_id,
        project_id,
        intent,
        queue: submission.queue,
        tier: submission.tier,
        priority: submission.priority,
        actor_id,
        idempotency_key: key,
        max_attempts: submission.max_attempts,
        run_budget_ms: submission.run_budget_ms,
        total_budget_ms: Some(submission.total_budget_ms),
        run_after: submission.run_after,
        human: submission.human.map(|human| human.terms(created_at, submission.run_after)),
        resubmits: None,
        parent: None,
        labels: submission.labels,
        created_at,
        request_id: submission.request_id,
        traceparent: submission.traceparent,
    };
    let blocked_by = submission.dependencies.iter().map(|dependency| dependency.job_id).collect();
    transition::submit(facts, &submission.payload, blocked_by, Vec::new()).after
}

async fn is_queued(store: &Store, job_id: JobId) -> Result<bool> {
    let query = sqlx::query_scalar("SELECT EXISTS (SELECT FROM jobs.job_queue WHERE job_id = $1)");
    Ok(query.bind(job_id.as_uuid()).fetch_one(store.db.admin()).await?)
}
