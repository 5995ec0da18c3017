//! Ends jobs that draw on exceeded budgets: those that were queued, retrying or running when a budget was found over its limit,
//! and what was in flight then.
//!
//! A look goes once through all that lives of the tenants whose budgets are due, page by page, whatever their number. A budget is
//! due as soon as it is marked, then after as long again as it has been exceeded, and every five minutes: between the looks
//! it costs nothing. What enters the queue later on is ended by whoever lets it (`app/overspent.rs`).

use std::collections::{BTreeSet, HashMap};

use holdfast_fault::Fault;
use holdfast_ids::{ActorId, TenantId};
use holdfast_runtime::tasks::Report;

use super::sweep::persist;
use crate::app::Core;
use crate::domain::budget::{BudgetKey, BudgetScope, Count, ENDED_BY, Exceeded};
use crate::domain::job::Time;
use crate::domain::transition::{self, Cause};
use crate::metrics;
use crate::store::StoreError;
use crate::store::live::{Cursor, Live, Place, live_page};
use crate::store::transitions::{Locked, Step, jobs_load, jobs_lock};
use crate::store::usage::{budgets_due, budgets_swept};

/// Budgets of one look.
const BUDGETS_MAX: i64 = 1000;
/// Jobs of one page, and as many are ended in one transaction.
const PAGE: i64 = 500;

pub(super) async fn run_once(core: &Core) -> Result<Report, Fault> {
    let mut report = Report::default();
    if !core.limits.budgets.enabled {
        return Ok(report);
    }
    let (due, now) = core.task_db.bounded(due(core)).await?;
    if due.is_empty() {
        return Ok(report);
    }
    // What was marked counts only while it is over the limits of today.
    let exceeded: Vec<Option<Exceeded>> =
        due.iter().map(|count| core.exceeded(count).filter(|_| count.period.ends_at > now)).collect();
    let swept: Vec<(Count, bool)> = due.iter().cloned().zip(exceeded.iter().map(Option::is_some)).collect();
    let look = Look::of(due.into_iter().zip(exceeded));
    if !look.by_key.is_empty() {
        for place in look.places() {
            report.did(look.through(core, &place).await?);
        }
    }
    // Not before: a look that was cut off is begun anew.
    core.task_db.bounded(rest(core, &swept, now)).await?;
    Ok(report)
}

async fn due(core: &Core) -> Result<(Vec<Count>, Time), StoreError> {
    let mut tx = core.task_db.begin().await?;
    let due = budgets_due(&mut tx, BUDGETS_MAX).await?;
    tx.rollback().await?;
    Ok(due)
}

async fn rest(core: &Core, swept: &[(Count, bool)], now: Time) -> Result<(), StoreError> {
    let mut tx = core.task_db.begin().await?;
    budgets_swept(&mut tx, swept, now).await?;
    tx.commit().await?;
    Ok(())
}

/// What one look is for.
struct Look {
    by_key: HashMap<BudgetKey, Exceeded>,
    tenants: BTreeSet<TenantId>,
}

impl Look {
    fn of(due: impl Iterator<Item = (Count, Option<Exceeded>)>) -> Self {
        let by_key: HashMap<_, _> = due.filter_map(|(count, exceeded)| Some((count.key, exceeded?))).collect();
        let tenants = by_key.keys().map(|key| key.tenant_id.clone()).collect();
        Self { by_key, tenants }
    }

    /// In the order in which jobs go through them: one that moves on during the look is met further on.
    fn places(&self) -> Vec<Place> {
        let queues = self.tenants.iter().cloned().map(Place::Queue);
        std::iter::once(Place::Delayed).chain(queues).chain([Place::Leases]).collect()
    }

    /// The budget by which a job ends that would run before it resets.
    fn over(&self, live: &Live) -> Option<&Exceeded> {
        let Live { tenant_id, project_id, actor_id, .. } = live;
        let ids = [
            (BudgetScope::User, actor_id.as_str()),
            (BudgetScope::Project, project_id.as_str()),
            (BudgetScope::Tenant, tenant_id.as_str()),
        ];
        let mut exceeded = ids.into_iter().filter_map(|(scope, scope_id)| {
            let key = BudgetKey { tenant_id: tenant_id.clone(), scope, scope_id: scope_id.to_owned() };
            self.by_key.get(&key)
        });
        exceeded.find(|exceeded| live.due_at.zip(exceeded.resets_at).is_none_or(|(due, resets)| due < resets))
    }

    async fn through(&self, core: &Core, place: &Place) -> Result<u64, Fault> {
        let tenants: Vec<String> = self.tenants.iter().map(ToString::to_string).collect();
        let (mut ended, mut after) = (0, Some(Cursor::default()));
        while let Some(cursor) = after {
            let (found, next) = core.task_db.bounded(self.page(core, place, &tenants, &cursor)).await?;
            if !found.is_empty() {
                ended += core.task_db.bounded(self.end(core, &found)).await?;
            }
            after = next;
        }
        Ok(ended)
    }

    /// Those of a page that are to end.
    async fn page(
        &self,
        core: &Core,
        place: &Place,
        tenants: &[String],
        cursor: &Cursor,
    ) -> Result<(Vec<Live>, Option<Cursor>), StoreError> {
        let mut tx = core.task_db.begin().await?;
        let (mut live, next) = live_page(&mut tx, place, tenants, cursor, PAGE).await?;
        tx.rollback().await?;
        live.retain(|live| self.over(live).is_some());
        Ok((live, next))
    }

    async fn end(&self, core: &Core, found: &[Live]) -> Result<u64, StoreError> {
        let job_ids: Vec<_> = found.iter().map(|live| live.job_id.as_uuid()).collect();
        let tenants: Vec<String> = found.iter().map(|live| live.tenant_id.to_string()).collect();
        let found: HashMap<_, &Live> = found.iter().map(|live| (live.job_id, live)).collect();
        let actor_id = ActorId::parse(ENDED_BY).map_err(|_| StoreError::LostLock)?;
        let mut tx = core.task_db.begin().await?;
        let locked = jobs_lock(&mut tx, &job_ids, &tenants).await?;
        let mut steps = Vec::with_capacity(locked.job_ids.len());
        for Locked { job, now, .. } in jobs_load(&mut tx, &locked).await? {
            let Some(live) = found.get(&job.facts.job_id) else { continue };
            let Some(exceeded) = self.over(live).filter(|over| over.resets_at.is_none_or(|at| job.may_run_before(at)))
            else {
                continue;
            };
            // It stands where it was found unless it has moved since.
            let queued_since = live.queued_since.filter(|_| job.progressed.seq == live.seq);
            let cause = Cause::background(actor_id.clone(), &job.facts);
            let moved = transition::exceed_budget(job, exceeded.clone(), now);
            steps.extend(moved.map(|transition| Step { transition, cause, queued_since }));
        }
        let ended = persist(core, tx, &steps, ENDED_BY).await?;
        metrics::ended_by_budgets(steps.iter().map(|step| &step.transition));
        Ok(ended)
    }
}
