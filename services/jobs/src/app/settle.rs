//! Settling: when a job has ended for which others wait, each of those is looked at, under its lock, and moves on if what it
//! waited for lets it.
//!
//! The transaction that ends an awaited job leaves a settlement; whoever wrote it settles at once, and a sweep finds what
//! a crash left. Settling twice changes nothing: what counts is how the dependencies stand when the dependent is locked. Of a
//! dependent that stays, what no longer blocks it is taken away, so that what is left is either to come or a failed job.

use std::sync::Arc;

use holdfast_ids::ActorId;
use tokio_util::sync::CancellationToken;

use super::Core;
use super::guard::Guard;
use crate::domain::dependency::{Dependency, Settled, settle};
use crate::domain::hold::{self, Hold};
use crate::domain::job::{Job, State, StateName, Time};
use crate::domain::transition::{self, Cause, Transition};
use crate::metrics;
use crate::store::StoreError;
use crate::store::dependencies::{Open, dependencies_clear, dependencies_of, settlements_close, settlements_take};
use crate::store::holds::{Held, holds_insert};
use crate::store::transitions::{Step, jobs_load, jobs_lock};

const ACTOR: &str = "system:dependencies";
/// Settlements of one round, and the dependents of each that it looks at.
pub const SETTLEMENTS_MAX: i64 = 16;
const DEPENDENTS_MAX: i64 = 64;

/// Settles what this instance ended, as soon as it did.
pub async fn run(core: Arc<Core>, shutdown: CancellationToken) {
    loop {
        tokio::select! {
            () = core.settle.notified() => {}
            () = shutdown.cancelled() => return,
        }
        loop {
            match core.task_db.bounded(core.settle_round()).await {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) => {
                    // The sweep comes by.
                    tracing::warn!(%error, "dependents were not settled at once");
                    break;
                }
            }
        }
    }
}

impl Core {
    /// Settles some of what has ended; answers how many settlements it took.
    pub(crate) async fn settle_round(&self) -> Result<u64, StoreError> {
        let mut tx = self.task_db.begin().await?;
        let settlements = settlements_take(&mut tx, SETTLEMENTS_MAX, DEPENDENTS_MAX).await?;
        if settlements.count() == 0 {
            tx.rollback().await?;
            return Ok(0);
        }
        let dependents = &settlements.dependents;
        let locked = jobs_lock(&mut tx, &dependents.job_ids, &dependents.tenant_ids).await?;
        let mut open = dependencies_of(&mut tx, &locked).await?;
        let actor_id = ActorId::parse(ACTOR).map_err(|_| StoreError::LostLock)?;
        let (mut steps, mut held, mut cleared) = (Vec::new(), Vec::new(), Vec::new());
        for locked in jobs_load(&mut tx, &locked).await? {
            let cause = Cause::background(actor_id.clone(), &locked.job.facts);
            let waits_for = open.remove(&locked.job.facts.job_id).unwrap_or_default();
            let (job_id, tenant_id) = (locked.job.facts.job_id, locked.job.facts.tenant_id.clone());
            match next(&self.guard, locked.job, &waits_for, false, locked.now) {
                Next::Moves(transition) => {
                    steps.push(Step { transition: *transition, cause, queued_since: None });
                    continue;
                }
                Next::Stays => {}
                Next::Held(holds) => {
                    held.push(Held { job_id, tenant_id: tenant_id.clone(), holds, was_queued: false });
                }
            }
            // What is final stays so, and need not be looked at again.
            let clears = waits_for.into_iter().filter(|(dependency, state)| dependency.clears(*state));
            cleared.extend(clears.map(|(dependency, _)| Open { job_id, tenant_id: tenant_id.clone(), dependency }));
        }
        dependencies_clear(&mut tx, &cleared).await?;
        holds_insert(&mut tx, &held).await?;
        let ended = self.persist_entering(&mut tx, &steps).await?;
        settlements_close(&mut tx, &settlements).await?;
        tx.commit().await?;
        if !steps.is_empty() {
            steps.iter().for_each(|step| metrics::settled(step.transition.after.state.name()));
            self.wake_dispatch();
            self.hints.outbox();
            self.settle_after(&steps);
            self.ended_entering(&ended);
        }
        Ok(settlements.count() as u64)
    }

    /// After a commit: there may be jobs that waited for what has ended.
    pub(crate) fn settle_after(&self, steps: &[Step]) {
        if steps.iter().any(Step::ends_what_is_awaited) {
            self.settle.notify_one();
        }
    }
}

/// What becomes of a blocked job.
#[derive(Debug)]
pub(super) enum Next {
    /// It waits for other jobs, or is not blocked after all.
    Stays,
    Held(Vec<Hold>),
    Moves(Box<Transition>),
}

/// How a locked job goes on that was blocked: it is free once no other job is in its way, and nothing holds it. One that waits
/// for others was never queued.
pub(super) fn next(
    guard: &Guard,
    job: Job,
    waits_for: &[(Dependency, Option<StateName>)],
    was_queued: bool,
    now: Time,
) -> Next {
    let effects = waits_for.iter().map(|(dependency, state)| (dependency.job_id, dependency.on_failure.effect(*state)));
    let moved = match settle(effects) {
        Settled::StaysBlocked => None,
        Settled::Cancelled(by) => transition::cancel_with(job, by, now),
        Settled::Free => match guard.view().holds(&job.facts) {
            holds if !holds.is_empty() && job.state == State::Blocked => return Next::Held(holds),
            _ if waits_for.is_empty() => hold::resume(job, was_queued, now),
            _ => transition::unblock(job, now),
        },
    };
    moved.map_or(Next::Stays, |transition| Next::Moves(Box::new(transition)))
}
