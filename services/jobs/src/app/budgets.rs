//! Budgets: what configuration allows, which are exceeded, and whether a new job may draw on them.
//!
//! PostgreSQL decides: usage is counted there and breaches are found there (`app/usage.rs`). What submissions are held against
//! is this instance's picture of the exceeded budgets, so that they cost no statement; a submission that the picture would
//! refuse is looked at in PostgreSQL before it is.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use holdfast_fault::{Fault, Reason};
use holdfast_ids::{ActorId, JobId, ProjectId, TenantId};
use holdfast_pg::{ReadTx, TenantScope};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::repeated::Unadmitted;
use super::{App, Asking, Core, authorise};
use crate::domain::budget::{Allowance, BudgetKey, BudgetScope, Count, Exceeded, Spent};
use crate::domain::job::Time;
use crate::domain::project::Settings;
use crate::domain::submission::KeyScope;
use crate::store::StoreError;
use crate::store::read::SeenJob;
use crate::store::usage::{budgets_breached, budgets_get, job_usage_get};

/// Counts of one page.
const PAGE: i64 = 10_000;

/// What may be used by the jobs of a project.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProjectBudgets {
    pub job: Allowance,
    pub user: Allowance,
    pub project: Allowance,
    pub tenant: Allowance,
}

impl ProjectBudgets {
    pub fn of(&self, scope: BudgetScope) -> &Allowance {
        match scope {
            BudgetScope::Job => &self.job,
            BudgetScope::User => &self.user,
            BudgetScope::Project => &self.project,
            BudgetScope::Tenant => &self.tenant,
        }
    }
}

#[derive(Debug, Clone)]
pub struct BudgetLimits {
    /// Off: usage is recorded and counted, and nothing is exceeded.
    pub enabled: bool,
    pub default: ProjectBudgets,
    pub tenants: HashMap<TenantId, ProjectBudgets>,
    /// How often the picture of the exceeded budgets is looked at anew, unless a hint comes.
    pub refresh: Duration,
    /// How old that picture may be before submissions are refused.
    pub freshness_max: Duration,
}

impl BudgetLimits {
    /// What the jobs of a project may use: its owner's word goes before that of configuration. Without settings: what holds for
    /// all of a tenant's.
    pub fn of_project(&self, tenant_id: &TenantId, own: Option<&Settings>) -> ProjectBudgets {
        if !self.enabled {
            return ProjectBudgets::default();
        }
        let mut budgets = self.tenants.get(tenant_id).copied().unwrap_or(self.default);
        if let Some(own) = own {
            let Allowance { tokens, cost_micro_usd } = &mut budgets.project;
            *tokens = own.tokens_per_day_max.or(*tokens);
            *cost_micro_usd = own.cost_micros_per_day_max.or(*cost_micro_usd);
        }
        budgets
    }
}

impl Core {
    /// As this instance knows the project's settings.
    pub fn budgets_of(&self, tenant_id: &TenantId, project_id: Option<&ProjectId>) -> ProjectBudgets {
        let own = project_id.and_then(|project_id| self.in_force.of(tenant_id.as_str(), project_id.as_str()));
        self.limits.budgets.of_project(tenant_id, own.as_deref().map(|own| &own.settings))
    }

    /// Whether more is counted than may be used.
    pub fn exceeded(&self, count: &Count) -> Option<Exceeded> {
        let Count { key, spent, period } = count;
        let project_id = (key.scope == BudgetScope::Project).then(|| ProjectId::parse(&key.scope_id).ok()).flatten();
        self.budgets_of(&key.tenant_id, project_id.as_ref()).of(key.scope).exceeded(key, *spent, Some(period.ends_at))
    }
}

/// This instance's picture of the exceeded budgets.
#[derive(Debug)]
pub struct Board {
    seen: RwLock<Seen>,
    /// Look at it now.
    wake: Arc<Notify>,
}

#[derive(Debug)]
struct Seen {
    exceeded: HashSet<BudgetKey>,
    at: Instant,
}

impl Default for Board {
    fn default() -> Self {
        let seen = RwLock::new(Seen { exceeded: HashSet::new(), at: Instant::now() });
        Self { seen, wake: Arc::new(Notify::new()) }
    }
}

impl Board {
    fn set(&self, exceeded: HashSet<BudgetKey>, at: Instant) {
        *self.seen.write().unwrap_or_else(PoisonError::into_inner) = Seen { exceeded, at };
    }

    /// What this instance has just found out itself.
    pub(super) fn add(&self, exceeded: impl IntoIterator<Item = BudgetKey>) {
        self.seen.write().unwrap_or_else(PoisonError::into_inner).exceeded.extend(exceeded);
    }

    /// Whether one of the budgets that a job would draw on is exceeded, as far as is known; None where the picture is too
    /// old to say.
    fn names_one_of(&self, scope: &KeyScope, freshness_max: Duration) -> Option<bool> {
        let seen = self.seen.read().unwrap_or_else(PoisonError::into_inner);
        if seen.at.elapsed() > freshness_max {
            return None;
        }
        // Mostly there is none, and then no keys are made.
        Some(!seen.exceeded.is_empty() && drawn_on(scope).iter().any(|key| seen.exceeded.contains(key)))
    }

    pub(crate) fn wake(&self) -> Arc<Notify> {
        self.wake.clone()
    }
}

impl Core {
    /// Keeps the picture of the exceeded budgets, until shutdown.
    pub async fn watch_budgets(self: Arc<Self>, shutdown: CancellationToken) {
        let limits = &self.limits.budgets;
        if !limits.enabled {
            return;
        }
        let wake = self.budgets.wake();
        loop {
            match self.exceeded_budgets().await {
                Ok((exceeded, at)) => self.budgets.set(exceeded, at),
                // Said when it begins to matter, by the calls that are refused.
                Err(fault) => {
                    tracing::debug!(error_code = fault.wire_name(), "the exceeded budgets cannot be looked at")
                }
            }
            tokio::select! {
                () = tokio::time::sleep(limits.refresh) => {}
                () = wake.notified() => {}
                () = shutdown.cancelled() => return,
            }
        }
    }

    /// From Redis; from PostgreSQL where Redis is away or does not know them all. And since when nothing more may be known.
    async fn exceeded_budgets(&self) -> Result<(HashSet<BudgetKey>, Instant), Fault> {
        let mut at = Instant::now();
        let counts = match self.counters.exceeded().await {
            Ok(Some(counts)) => counts,
            Ok(None) | Err(_) => {
                at = Instant::now();
                self.task_db.bounded(self.exceeded_in_postgres()).await?
            }
        };
        let exceeded = counts.iter().filter(|count| self.exceeded(count).is_some());
        Ok((exceeded.map(|count| count.key.clone()).collect(), at))
    }

    /// All counts that were found over a limit once, page by page: none is left out, however many there are.
    pub(crate) async fn exceeded_in_postgres(&self) -> Result<Vec<Count>, StoreError> {
        let mut tx = self.task_db.begin().await?;
        let mut counts = Vec::new();
        loop {
            let page = budgets_breached(&mut tx, counts.last(), PAGE).await?;
            let is_last = (page.len() as i64) < PAGE;
            counts.extend(page);
            if is_last {
                break;
            }
        }
        tx.rollback().await?;
        Ok(counts)
    }
}

fn drawn_on(scope: &KeyScope) -> [BudgetKey; 3] {
    BudgetKey::shared(&scope.tenant_id, &scope.project_id, &scope.actor_id)
}

impl App {
    /// Holds a submission against the budgets that its job would draw on; `stopped`: the parent ended because it exceeded one.
    pub(super) async fn within_budgets(
        &self,
        asking: &Asking,
        scope: &KeyScope,
        stopped: bool,
    ) -> Result<(), Unadmitted> {
        if stopped {
            let fault = Fault::new(Reason::Budget409Exceeded, "the parent has exceeded a budget");
            return Err(Unadmitted::counted("budget", fault));
        }
        let limits = &self.core.limits.budgets;
        if !limits.enabled {
            return Ok(());
        }
        match self.core.budgets.names_one_of(scope, limits.freshness_max) {
            Some(false) => return Ok(()),
            Some(true) => {}
            None => {
                let fault = Fault::new(Reason::Infra503DependencyDown, "the budgets cannot be looked at now")
                    .with("component", "budgets")
                    .retry_after(Duration::from_secs(1));
                return Err(Unadmitted::counted("budgets_unknown", fault));
            }
        }
        let look = self.exceeded_one_of(asking, scope);
        let Some((exceeded, now)) = self.core.app_db.bounded(look).await.map_err(Fault::from)? else { return Ok(()) };
        let resets_in = exceeded.resets_at.map_or(TimeDelta::zero(), |at| at - now);
        let message = format!("the {}'s budget is exceeded until it resets", exceeded.scope.as_str());
        let fault = Fault::new(Reason::Budget429Limit, message)
            .with("budget", exceeded.name())
            .retry_after(resets_in.to_std().unwrap_or_default().max(Duration::from_secs(1)));
        Err(Unadmitted::counted("budget", fault))
    }

    /// What PostgreSQL says: the picture may be wrong.
    async fn exceeded_one_of(&self, asking: &Asking, scope: &KeyScope) -> Result<Option<(Exceeded, Time)>, StoreError> {
        let mut tx = self.core.app_db.begin(&TenantScope::one(&scope.tenant_id), asking.deadline).await?;
        let (counts, now) = budgets_get(&mut tx, &drawn_on(scope)).await?;
        tx.rollback().await?;
        let mut exceeded = counts.iter().flatten().filter_map(|count| self.core.exceeded(count));
        Ok(exceeded.next().map(|exceeded| (exceeded, now)))
    }
}

/// A budget as its callers see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    pub key: BudgetKey,
    pub allowance: Allowance,
    pub spent: Spent,
    pub resets_at: Option<Time>,
}

impl Standing {
    pub fn is_exceeded(&self) -> bool {
        self.allowance.exceeded(&self.key, self.spent, self.resets_at).is_some()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    Redis,
    Postgres,
}

/// Whose budget is asked for, beside the tenant.
#[derive(Debug, Clone)]
pub enum Sought {
    Job(JobId),
    /// None: the caller's own.
    User(Option<ActorId>),
    Project(ProjectId),
    Tenant,
}

impl App {
    /// A report: nothing is decided by it, so it may come from a replica. Who may have it is the primary's word.
    pub async fn budget(
        &self,
        asking: &Asking,
        tenant_id: Option<TenantId>,
        sought: Sought,
    ) -> Result<(Standing, Source), Fault> {
        let caller = &asking.caller;
        let tenant_id = authorise::tenant(caller, tenant_id)?;
        let (scope, scope_id, project_id) = match sought {
            Sought::Job(job_id) => return self.job_budget(asking, &tenant_id, job_id).await,
            Sought::Project(project_id) => {
                caller.require_project(&project_id)?;
                (BudgetScope::Project, project_id.to_string(), Some(project_id))
            }
            Sought::User(user_id) => {
                let user_id = user_id.unwrap_or_else(|| caller.actor.clone());
                if user_id != caller.actor {
                    authorise::all_projects(caller)?;
                }
                (BudgetScope::User, user_id.to_string(), None)
            }
            Sought::Tenant => {
                authorise::all_projects(caller)?;
                (BudgetScope::Tenant, tenant_id.to_string(), None)
            }
        };
        let allowance = *self.core.budgets_of(&tenant_id, project_id.as_ref()).of(scope);
        let key = BudgetKey { tenant_id, scope, scope_id };
        // Which day it is need not be the database's word here: nothing is decided by it.
        let period = scope.period(chrono::Utc::now());
        if let Some(period) = period
            && let Ok(Some(spent)) = self.core.counters.read(&key, period).await
        {
            return Ok((Standing { key, allowance, spent, resets_at: Some(period.ends_at) }, Source::Redis));
        }
        let one = TenantScope::one(&key.tenant_id);
        let (count, now) = self.core.read_db.read(&one, asking.deadline, |tx| counted(tx, &key)).await?;
        let resets_at = match &count {
            Some(count) => Some(count.period.ends_at),
            None => scope.period(now).map(|period| period.ends_at),
        };
        let spent = count.map(|count| count.spent).unwrap_or_default();
        Ok((Standing { key, allowance, spent, resets_at }, Source::Postgres))
    }

    async fn job_budget(
        &self,
        asking: &Asking,
        tenant_id: &TenantId,
        job_id: JobId,
    ) -> Result<(Standing, Source), Fault> {
        let job = self.get(asking, job_id).await?;
        if job.tenant_id != *tenant_id {
            return Err(crate::error::job_not_found());
        }
        let one = TenantScope::one(tenant_id);
        let spent = self.core.read_db.read(&one, asking.deadline, |tx| job_spent(tx, &job)).await?;
        let allowance = self.core.budgets_of(&job.tenant_id, Some(&job.project_id)).job;
        let key = BudgetKey::of_job(&job.tenant_id, job_id);
        Ok((Standing { key, allowance, spent, resets_at: None }, Source::Postgres))
    }
}

async fn counted(mut tx: ReadTx, key: &BudgetKey) -> Result<(Option<Count>, Time), StoreError> {
    let (mut counts, now) = budgets_get(&mut tx, std::slice::from_ref(key)).await?;
    tx.commit().await?;
    Ok((counts.pop().flatten(), now))
}

async fn job_spent(mut tx: ReadTx, job: &SeenJob) -> Result<Spent, StoreError> {
    let spent = job_usage_get(&mut tx, &[(job.job_id, job.tenant_id.clone())]).await?;
    tx.commit().await?;
    Ok(spent.get(&job.job_id).copied().unwrap_or_default())
}
