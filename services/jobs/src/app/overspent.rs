//! Jobs that enter the queue after they waited for people, for other jobs, or for what held them. Budgets end nothing that waits
//! in such a way, so that what was exceeded meanwhile is looked up as they enter: the sweep looks for those that were
//! in the queue when a budget was exceeded, and knows nothing of jobs' own budgets.

use std::collections::{BTreeSet, HashMap};

use holdfast_ids::{ActorId, JobId, TenantId};
use holdfast_pg::Tx;

use super::Core;
use crate::domain::budget::{BudgetKey, Count, ENDED_BY, Exceeded, Spent};
use crate::domain::job::{Job, State, StateName};
use crate::domain::transition::{self, Cause, Transition};
use crate::metrics;
use crate::store::StoreError;
use crate::store::transitions::{Step, transitions_persist};
use crate::store::usage::{budgets_get, job_usage_get};

/// Whether a transition lets a job go on towards a worker that waited for something else.
fn enters(transition: &Transition) -> bool {
    use StateName::{Blocked, ChangesRequested, Deferred, WaitingHumanDecision};
    let waited = matches!(transition.from, Some(Blocked | ChangesRequested | Deferred | WaitingHumanDecision));
    waited && transition.after.state == State::Queued
}

impl Core {
    /// Persists steps of locked jobs, and then the end of those that have entered the queue beyond a budget; answers the latter.
    pub(super) async fn persist_entering(&self, tx: &mut Tx, steps: &[Step]) -> Result<Vec<Step>, StoreError> {
        if steps.is_empty() {
            return Ok(Vec::new());
        }
        let ended = self.overspent(tx, steps).await?;
        transitions_persist(tx, steps, self.encode).await?;
        if !ended.is_empty() {
            transitions_persist(tx, &ended, self.encode).await?;
        }
        Ok(ended)
    }

    /// After the commit.
    pub(super) fn ended_entering(&self, ended: &[Step]) {
        metrics::ended_by_budgets(ended.iter().map(|step| &step.transition));
        self.settle_after(ended);
    }

    /// What is to follow these steps, persisted after them in their transaction: the end of jobs that have entered the queue and
    /// would spend on a budget that is exceeded. The jobs are locked, so their own usage stays what it is.
    async fn overspent(&self, tx: &mut Tx, steps: &[Step]) -> Result<Vec<Step>, StoreError> {
        let entering: Vec<&Transition> = match self.limits.budgets.enabled {
            true => steps.iter().map(|step| &step.transition).filter(|transition| enters(transition)).collect(),
            false => Vec::new(),
        };
        if entering.is_empty() {
            return Ok(Vec::new());
        }
        let facts = || entering.iter().map(|transition| &transition.after.facts);
        let jobs: Vec<(JobId, TenantId)> = facts().map(|facts| (facts.job_id, facts.tenant_id.clone())).collect();
        let spent = job_usage_get(tx, &jobs).await?;
        let keys: Vec<BudgetKey> =
            facts().flat_map(BudgetKey::shared_by).collect::<BTreeSet<_>>().into_iter().collect();
        let (counts, _) = budgets_get(tx, &keys).await?;
        let counts: HashMap<&BudgetKey, &Count> = counts.iter().flatten().map(|count| (&count.key, count)).collect();
        let actor_id = ActorId::parse(ENDED_BY).map_err(|_| StoreError::LostLock)?;
        Ok(entering
            .into_iter()
            .filter_map(|entered| {
                let job = &entered.after;
                let exceeded = self.drawn_over(job, spent.get(&job.facts.job_id).copied(), &counts)?;
                let cause = Cause::background(actor_id.clone(), &job.facts);
                let transition = transition::exceed_budget(job.clone(), exceeded, entered.occurred_at)?;
                // Where the step before puts it.
                Some(Step { transition, cause, queued_since: Some(entered.occurred_at) })
            })
            .collect())
    }

    /// The first of a job's budgets that is exceeded, its own before those that it would spend on before they reset.
    fn drawn_over(&self, job: &Job, spent: Option<Spent>, counts: &HashMap<&BudgetKey, &Count>) -> Option<Exceeded> {
        let facts = &job.facts;
        let allowance = self.budgets_of(&facts.tenant_id, Some(&facts.project_id)).job;
        let own = BudgetKey::of_job(&facts.tenant_id, facts.job_id);
        allowance.exceeded(&own, spent.unwrap_or_default(), None).or_else(|| {
            BudgetKey::shared_by(facts)
                .iter()
                .filter_map(|key| self.exceeded(counts.get(key)?))
                .find(|exceeded| exceeded.resets_at.is_none_or(|resets_at| job.may_run_before(resets_at)))
        })
    }
}
