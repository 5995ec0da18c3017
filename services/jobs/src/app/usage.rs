//! Recording what jobs use of models.
//!
//! One transaction: the jobs are locked, what is new is recorded, the sums that it counts into are raised, and a job whose usage
//! exceeds a budget is ended. So no usage is lost or counted twice, whatever is retried or killed, and of two reports that
//! together exceed a job's budget exactly one ends it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use holdfast_caller::{Caller, Kind};
use holdfast_fault::{Fault, Reason};
use holdfast_ids::{IdempotencyKey, JobId, TenantId};
use holdfast_pg::coalescer::BatchJob;
use holdfast_pg::{TenantScope, Tx};

use super::answer::{LeaseRef, scope_of};
use super::budgets::Standing;
use super::{App, Asking, Core, authorise, blames_an_item, is_same_trace, latest, retrying};
use crate::domain::budget::{BudgetKey, Count, Period, Spent, Usage};
use crate::domain::job::{StateName, Time};
use crate::domain::payload_hash::of_fields;
use crate::domain::transition::{self, Cause, Command, Refusal};
use crate::error::job_not_found;
use crate::metrics;
use crate::store::StoreError;
use crate::store::transitions::{Locked, Step, jobs_load, jobs_lock, transitions_persist};
use crate::store::usage::{
    NewUsage, UsageAsked, UsageKnown, budgets_add, budgets_get, budgets_mark, job_usage_get, usage_insert, usage_known,
};

/// A report as the caller sent it, well-formed.
#[derive(Debug, Clone)]
pub struct Reported {
    pub job_id: JobId,
    pub lease: Option<LeaseRef>,
    pub key: IdempotencyKey,
    pub usage: Usage,
}

/// A report and who makes it.
#[derive(Debug, Clone)]
pub struct Report {
    reported: Reported,
    caller: Arc<Caller>,
    tenants: String,
    request_id: String,
    traceparent: String,
    deadline: Option<Instant>,
}

#[derive(Debug, Clone)]
pub struct Recorded {
    pub replayed: bool,
    pub recorded_at: Time,
    pub job_state: StateName,
    /// The budgets that the job draws on.
    pub budgets: Vec<Standing>,
}

/// Why a report is not recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotRecorded {
    NotFound,
    /// The lease named was never the job's.
    NeverHeld,
    /// An agent that may not submit such jobs.
    OtherIntent,
    /// The key was used for other usage of the job.
    Conflict,
}

impl From<NotRecorded> for Fault {
    fn from(not: NotRecorded) -> Self {
        match not {
            NotRecorded::NotFound => job_not_found(),
            NotRecorded::NeverHeld => Refusal::StaleFence.into(),
            NotRecorded::OtherIntent => Self::new(Reason::Auth403Scope, "the token is not for this intent"),
            NotRecorded::Conflict => {
                Self::new(Reason::Job409IdempotencyConflict, "the idempotency key was used for other usage of the job")
            }
        }
    }
}

impl App {
    /// Each by itself, in the order given; they travel together as far as the batch limits allow.
    pub async fn record_usage(
        &self,
        asking: &Asking,
        reports: Vec<Result<Reported, Fault>>,
    ) -> Result<Vec<Result<Recorded, Fault>>, Fault> {
        let caller = &asking.caller;
        let is_worker = caller.kind == Kind::Worker;
        let tenants = match is_worker {
            true => authorise::worker_tenants(caller, &self.core.limits)?,
            false => caller.tenants.clone(),
        };
        let tenants = tenants.iter().map(|tenant| tenant.as_str()).collect::<Vec<_>>().join(",");
        let recorded = reports.into_iter().enumerate().map(|(index, reported)| {
            let tenants = tenants.clone();
            async move {
                let reported = reported?;
                if is_worker && reported.lease.is_none() {
                    return Err(Fault::missing(format!("usages[{index}].lease")));
                }
                let report = Report {
                    reported,
                    caller: caller.clone(),
                    tenants,
                    request_id: asking.request_id.clone(),
                    traceparent: asking.traceparent.clone(),
                    deadline: asking.deadline,
                };
                Ok(self.usage.submit(report).await.map_err(Fault::from)??)
            }
        });
        Ok(futures::future::join_all(recorded).await)
    }
}

/// The batch job behind [`App::record_usage`].
#[derive(Debug)]
pub struct Recordings {
    core: Arc<Core>,
}

impl Recordings {
    pub(super) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }
}

type Outcome = Result<Recorded, NotRecorded>;

#[async_trait::async_trait]
impl BatchJob for Recordings {
    type Item = Report;
    type Output = Outcome;
    type Error = StoreError;

    fn weight(_: &Report) -> usize {
        1024
    }

    fn blames_an_item(error: &StoreError) -> bool {
        blames_an_item(error)
    }

    async fn run(&self, items: &[Report]) -> Result<Vec<Result<Outcome, StoreError>>, StoreError> {
        let (outcomes, effects) = retrying(&self.core.app_db, || self.run_once(items)).await?;
        self.tell(effects);
        Ok(outcomes.into_iter().map(Ok).collect())
    }
}

/// What others are told of once it is committed.
#[derive(Default)]
struct Effects {
    recorded: usize,
    /// What is counted now, and whether it is over its limit.
    counts: Vec<(Count, bool)>,
    ended: Vec<Step>,
}

/// The jobs of a batch, locked, and what becomes known of them on the way.
struct Batch<'a> {
    items: &'a [Report],
    jobs: HashMap<JobId, Locked>,
    spent: HashMap<JobId, Spent>,
    counts: HashMap<BudgetKey, Count>,
}

/// What a report comes to.
enum Decided {
    Not(NotRecorded),
    Replayed(Time),
    New(Time),
}

impl Recordings {
    fn tell(&self, effects: Effects) {
        let core = &self.core;
        metrics::usage_recorded(effects.recorded);
        let exceeded: Vec<BudgetKey> =
            effects.counts.iter().filter(|(_, exceeded)| *exceeded).map(|(count, _)| count.key.clone()).collect();
        if !exceeded.is_empty() {
            core.budgets.add(exceeded);
            core.hints.budgets();
        }
        core.counters.raise_soon(effects.counts);
        if effects.ended.is_empty() {
            return;
        }
        metrics::ended_by_budgets(effects.ended.iter().map(|step| &step.transition));
        for Step { transition, .. } in &effects.ended {
            if let Some(lease_id) = transition.ended_lease {
                core.revoke(transition.after.facts.job_id, lease_id);
            }
        }
        // A running job made room in its project.
        core.wake_dispatch();
        core.hints.outbox();
        core.settle_after(&effects.ended);
    }

    async fn run_once(&self, items: &[Report]) -> Result<(Vec<Outcome>, Effects), StoreError> {
        let tenants: Vec<TenantId> = items.iter().flat_map(|item| scope_of(&item.tenants)).collect();
        let deadline = latest(items.iter().map(|item| item.deadline));
        let mut tx = self.core.app_db.begin(&TenantScope::new(&tenants)?, deadline).await?;
        let mut batch = Batch::lock(&mut tx, items).await?;
        let decided = batch.decide(&mut tx).await?;
        let news: Vec<usize> = (0..items.len()).filter(|index| matches!(decided[*index], Decided::New(_))).collect();
        let mut effects = Effects { recorded: news.len(), ..Effects::default() };
        if !news.is_empty() {
            effects.counts = self.count(&mut tx, &mut batch, &news).await?;
        }
        batch.look_up_the_rest(&mut tx, &decided).await?;
        effects.ended = self.exceeding(&batch, &news);
        if news.is_empty() {
            tx.rollback().await?;
        } else {
            if !effects.ended.is_empty() {
                transitions_persist(&mut tx, &effects.ended, self.core.encode).await?;
            }
            tx.commit().await?;
        }
        for Step { transition, .. } in &effects.ended {
            let after = &transition.after;
            batch.jobs.entry(after.facts.job_id).and_modify(|locked| locked.job = after.clone());
        }
        let outcomes = items.iter().zip(decided).map(|(item, decided)| self.outcome(&batch, item, decided)).collect();
        Ok((outcomes, effects))
    }

    /// Records what is new and raises the sums; answers those that several jobs draw on, each with whether it is exceeded.
    async fn count(
        &self,
        tx: &mut Tx,
        batch: &mut Batch<'_>,
        news: &[usize],
    ) -> Result<Vec<(Count, bool)>, StoreError> {
        let (mut rows, mut added) = (Vec::new(), BTreeMap::<(BudgetKey, Period), (Spent, i64)>::new());
        for item in news.iter().map(|index| &batch.items[*index]) {
            let Locked { job, now, .. } = &batch.jobs[&item.reported.job_id];
            rows.push(NewUsage {
                job: &job.facts,
                key: &item.reported.key,
                usage: &item.reported.usage,
                lease_id: item.reported.lease.map(|lease| lease.lease_id),
                actor_id: &item.caller.actor,
                recorded_at: *now,
                request_id: &item.request_id,
                traceparent: &item.traceparent,
            });
            for key in BudgetKey::shared_by(&job.facts) {
                let Some(period) = key.scope.period(*now) else { continue };
                let (spent, entries) = added.entry((key, period)).or_default();
                *spent += item.reported.usage.spent();
                *entries += 1;
            }
        }
        batch.spent = usage_insert(tx, &rows).await?;
        let mut counts = Vec::with_capacity(added.len());
        let mut unmarked = Vec::new();
        for (count, is_marked) in budgets_add(tx, added.iter()).await? {
            let is_exceeded = self.core.exceeded(&count).is_some();
            if is_exceeded && !is_marked {
                unmarked.push(count.clone());
            }
            batch.counts.insert(count.key.clone(), count.clone());
            counts.push((count, is_exceeded));
        }
        if !unmarked.is_empty() {
            budgets_mark(tx, &unmarked).await?;
        }
        Ok(counts)
    }

    /// The jobs that end because what is new exceeds a budget of theirs.
    fn exceeding(&self, batch: &Batch<'_>, news: &[usize]) -> Vec<Step> {
        let mut seen = BTreeSet::new();
        let mut steps = Vec::new();
        // The last report of a job is the one that is named as the cause.
        for item in news.iter().rev().map(|index| &batch.items[*index]) {
            let job_id = item.reported.job_id;
            let Locked { job, now, .. } = &batch.jobs[&job_id];
            if !seen.insert(job_id) {
                continue;
            }
            let exceeded = self
                .standings(batch, job_id)
                .into_iter()
                .find_map(|standing| standing.allowance.exceeded(&standing.key, standing.spent, standing.resets_at));
            let moved = exceeded.and_then(|exceeded| transition::exceed_budget(job.clone(), exceeded, *now));
            let cause = cause(item, &job.facts.traceparent);
            steps.extend(moved.map(|transition| Step { transition, cause, queued_since: None }));
        }
        steps
    }

    /// The four budgets that a job draws on, its own first.
    fn standings(&self, batch: &Batch<'_>, job_id: JobId) -> Vec<Standing> {
        let Locked { job, now, .. } = &batch.jobs[&job_id];
        let facts = &job.facts;
        let limits = self.core.budgets_of(&facts.tenant_id, Some(&facts.project_id));
        let own = Standing {
            key: BudgetKey::of_job(&facts.tenant_id, job_id),
            allowance: limits.job,
            spent: batch.spent.get(&job_id).copied().unwrap_or_default(),
            resets_at: None,
        };
        let shared = BudgetKey::shared_by(facts).map(|key| {
            let count = batch.counts.get(&key);
            let period = count.map(|count| count.period).or_else(|| key.scope.period(*now));
            Standing {
                allowance: *limits.of(key.scope),
                spent: count.map(|count| count.spent).unwrap_or_default(),
                resets_at: period.map(|period| period.ends_at),
                key,
            }
        });
        std::iter::once(own).chain(shared).collect()
    }

    fn outcome(&self, batch: &Batch<'_>, item: &Report, decided: Decided) -> Outcome {
        let (replayed, recorded_at) = match decided {
            Decided::Not(not) => return Err(not),
            Decided::Replayed(at) => (true, at),
            Decided::New(at) => (false, at),
        };
        let job_id = item.reported.job_id;
        let job_state = batch.jobs[&job_id].job.state.name();
        Ok(Recorded { replayed, recorded_at, job_state, budgets: self.standings(batch, job_id) })
    }
}

impl<'a> Batch<'a> {
    async fn lock(tx: &mut Tx, items: &'a [Report]) -> Result<Self, StoreError> {
        let mut tenants_of: BTreeMap<JobId, BTreeSet<&str>> = BTreeMap::new();
        for item in items {
            tenants_of.entry(item.reported.job_id).or_default().extend(item.tenants.split(','));
        }
        let job_ids: Vec<_> = tenants_of.keys().map(|job_id| job_id.as_uuid()).collect();
        let tenants: Vec<String> = tenants_of.into_values().map(|tenants| Vec::from_iter(tenants).join(",")).collect();
        let locked = jobs_lock(tx, &job_ids, &tenants).await?;
        let loaded = jobs_load(tx, &locked).await?;
        let jobs = loaded.into_iter().map(|locked| (locked.job.facts.job_id, locked)).collect();
        Ok(Self { items, jobs, spent: HashMap::new(), counts: HashMap::new() })
    }

    /// Reports of one batch under one key: the first is recorded, the others are held against it.
    async fn decide(&self, tx: &mut Tx) -> Result<Vec<Decided>, StoreError> {
        let seen: Vec<_> = self.items.iter().map(|item| self.visible(item)).collect();
        let asked: Vec<UsageAsked> = self
            .items
            .iter()
            .zip(&seen)
            .filter_map(|(item, seen)| {
                let reported = &item.reported;
                Some(UsageAsked {
                    job_id: reported.job_id,
                    tenant_id: seen.as_ref().ok()?.job.facts.tenant_id.to_string(),
                    key: reported.key.clone(),
                    lease: reported.lease.map(|lease| (lease.lease_id, lease.fence)),
                })
            })
            .collect();
        let mut known = match asked.is_empty() {
            true => Vec::new(),
            false => usage_known(tx, &asked).await?,
        }
        .into_iter();
        let mut firsts: HashMap<(JobId, &IdempotencyKey), (&Usage, Time)> = HashMap::new();
        let mut decided = Vec::with_capacity(seen.len());
        for (item, seen) in self.items.iter().zip(seen) {
            let Reported { job_id, key, usage, .. } = &item.reported;
            decided.push(match seen {
                Err(not) => Decided::Not(not),
                Ok(locked) => {
                    let UsageKnown { recorded, was_held } = known.next().unwrap_or_default();
                    let first = firsts.get(&(*job_id, key)).map(|(usage, at)| ((*usage).clone(), *at));
                    match recorded.or(first) {
                        _ if !was_held => Decided::Not(NotRecorded::NeverHeld),
                        Some((recorded, at)) if recorded == *usage => Decided::Replayed(at),
                        Some(_) => Decided::Not(NotRecorded::Conflict),
                        None => {
                            firsts.insert((*job_id, key), (usage, locked.now));
                            Decided::New(locked.now)
                        }
                    }
                }
            });
        }
        Ok(decided)
    }

    /// The job of a report, where its caller may see it and may report on it.
    fn visible(&self, item: &Report) -> Result<&Locked, NotRecorded> {
        let locked = self.jobs.get(&item.reported.job_id).ok_or(NotRecorded::NotFound)?;
        let facts = &locked.job.facts;
        // The batch's scope is that of all its callers together.
        let is_own = item.tenants.split(',').any(|tenant| tenant == facts.tenant_id.as_str());
        if !is_own || !item.caller.projects.contains(&facts.project_id) {
            return Err(NotRecorded::NotFound);
        }
        item.caller.require_intent(&facts.intent).map_err(|_| NotRecorded::OtherIntent)?;
        Ok(locked)
    }

    /// What jobs have used, and what is counted, where nothing new was: for those who repeat themselves.
    async fn look_up_the_rest(&mut self, tx: &mut Tx, decided: &[Decided]) -> Result<(), StoreError> {
        let (mut jobs, mut keys) = (BTreeMap::new(), BTreeSet::new());
        for (item, _) in self.items.iter().zip(decided).filter(|(_, decided)| matches!(decided, Decided::Replayed(_))) {
            let facts = &self.jobs[&item.reported.job_id].job.facts;
            if !self.spent.contains_key(&facts.job_id) {
                jobs.insert(facts.job_id, facts.tenant_id.clone());
            }
            keys.extend(BudgetKey::shared_by(facts).into_iter().filter(|key| !self.counts.contains_key(key)));
        }
        if !jobs.is_empty() {
            self.spent.extend(job_usage_get(tx, &Vec::from_iter(jobs)).await?);
        }
        if !keys.is_empty() {
            let (counts, _) = budgets_get(tx, &Vec::from_iter(keys)).await?;
            self.counts.extend(counts.into_iter().flatten().map(|count| (count.key.clone(), count)));
        }
        Ok(())
    }
}

fn cause(item: &Report, submitted: &str) -> Cause {
    let Reported { key, usage, .. } = &item.reported;
    let numbers = [usage.input_tokens, usage.output_tokens, usage.cost_micro_usd].map(i64::to_le_bytes);
    let texts = [&b"usage"[..], usage.provider.as_bytes(), usage.model.as_bytes()];
    let hash = of_fields(texts.into_iter().chain(numbers.iter().map(|number| &number[..])));
    // The job's trace goes on: a report's own only where it is a part of it.
    let traceparent = if is_same_trace(submitted, &item.traceparent) { &item.traceparent } else { submitted };
    Cause {
        actor_id: item.caller.actor.clone(),
        worker_id: None,
        command: Some(Command { key: format!("usage:{key}"), hash, idempotency_key: Some(key.clone()) }),
        request_id: item.request_id.clone(),
        traceparent: traceparent.to_owned(),
    }
}
