//! Ends jobs that draw on exceeded budgets: those that were queued, retrying or running when somebody else's usage exceeded one,
//! and those that were approved or queued since.

use holdfast_fault::Fault;
use holdfast_ids::{ActorId, TenantId};
use holdfast_runtime::tasks::Report;

use super::rounds;
use super::sweep::persist;
use crate::app::Core;
use crate::domain::budget::Exceeded;
use crate::domain::transition::{self, Cause};
use crate::metrics;
use crate::store::StoreError;
use crate::store::transitions::{Locked, Step, jobs_load};
use crate::store::usage::{budgets_breached, jobs_over_budget_lock};

const ACTOR: &str = "system:budgets";
const JOBS_MAX: i64 = 500;
const BUDGETS_MAX: i64 = 10_000;

pub(super) async fn run_once(core: &Core) -> Result<Report, Fault> {
    if !core.limits.budgets.enabled {
        return Ok(Report::default());
    }
    rounds(JOBS_MAX, || core.task_db.bounded(round(core))).await
}

async fn round(core: &Core) -> Result<u64, StoreError> {
    let mut tx = core.task_db.begin().await?;
    // What was marked counts only while it is over the limits of today.
    let exceeded: Vec<(TenantId, Exceeded)> = budgets_breached(&mut tx, BUDGETS_MAX)
        .await?
        .into_iter()
        .filter_map(|count| Some((count.key.tenant_id.clone(), core.exceeded(&count)?)))
        .collect();
    if exceeded.is_empty() {
        tx.rollback().await?;
        return Ok(0);
    }
    let (locked, places) = jobs_over_budget_lock(&mut tx, &exceeded, JOBS_MAX).await?;
    let actor_id = ActorId::parse(ACTOR).map_err(|_| StoreError::LostLock)?;
    let mut steps = Vec::with_capacity(locked.job_ids.len());
    for Locked { job, now, .. } in jobs_load(&mut tx, &locked).await? {
        let cause = Cause::background(actor_id.clone(), &job.facts);
        let Some((_, exceeded)) = places.get(&job.facts.job_id).and_then(|place| exceeded.get(*place)) else {
            continue;
        };
        let scope = exceeded.scope;
        if let Some(transition) = transition::exceed_budget(job, exceeded.clone(), now) {
            metrics::budget_exceeded(scope);
            steps.push(Step { transition, cause, queued_since: None });
        }
    }
    persist(core, tx, &steps, ACTOR).await
}
