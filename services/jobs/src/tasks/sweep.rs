//! Moves jobs whose time is over: each sweep finds those of one clock, locks them, and decides by the database's time.

use chrono::TimeDelta;
use holdfast_fault::Fault;
use holdfast_ids::ActorId;
use holdfast_pg::Tx;
use holdfast_runtime::tasks::Report;

use super::rounds;
use crate::app::Core;
use crate::domain::transition::{self, Cause, Transition};
use crate::metrics;
use crate::store::StoreError;
use crate::store::maintenance::{jobs_outlived_lock, leases_expired_lock};
use crate::store::transitions::{Locked, LockedIds, Step, jobs_load, transitions_persist};
use crate::store::waits::waits_due_lock;

const JOBS_MAX: i64 = 500;

#[derive(Debug, Clone, Copy)]
pub(super) enum Sweep {
    /// Leases that ran out: the job is retried, fails for good, or has used up its run budget.
    Leases,
    /// Decisions that people did not take in time.
    Decisions,
    /// Jobs that nobody has run by the maximum age.
    Age,
}

impl Sweep {
    fn actor(self) -> &'static str {
        match self {
            Self::Leases => "system:lease_expiry",
            Self::Decisions => transition::DECISION_CLOCK,
            Self::Age => "system:max_age",
        }
    }

    async fn lock(self, core: &Core, tx: &mut Tx) -> Result<LockedIds, StoreError> {
        match self {
            Self::Leases => leases_expired_lock(tx, JOBS_MAX).await,
            Self::Decisions => waits_due_lock(tx, JOBS_MAX).await,
            Self::Age => jobs_outlived_lock(tx, core.limits.max_age, JOBS_MAX).await,
        }
    }

    /// None where the time is not over after all.
    fn decide(self, core: &Core, Locked { job, now, .. }: Locked) -> Option<Transition> {
        match self {
            Self::Leases => {
                let policy = core.terms_of(&job.facts).retry;
                transition::expire(job, &policy, now, rand::random())
            }
            Self::Decisions => transition::run_out(job, now),
            Self::Age => transition::outlive(job, TimeDelta::milliseconds(core.limits.max_age.as_millis() as i64), now),
        }
    }

    pub(super) async fn run_once(self, core: &Core) -> Result<Report, Fault> {
        rounds(JOBS_MAX, || core.task_db.bounded(self.round(core))).await
    }

    async fn round(self, core: &Core) -> Result<u64, StoreError> {
        let mut tx = core.task_db.begin().await?;
        let locked = self.lock(core, &mut tx).await?;
        let actor_id = ActorId::parse(self.actor()).map_err(|_| StoreError::LostLock)?;
        let mut steps = Vec::with_capacity(locked.job_ids.len());
        for locked in jobs_load(&mut tx, &locked).await? {
            let cause = Cause::background(actor_id.clone(), &locked.job.facts);
            let moved = self.decide(core, locked);
            steps.extend(moved.map(|transition| Step { transition, cause, queued_since: None }));
        }
        persist(core, tx, &steps, self.actor()).await
    }
}

/// Persists what a round has decided, and says so; answers how many moved.
pub(super) async fn persist(core: &Core, mut tx: Tx, steps: &[Step], by: &'static str) -> Result<u64, StoreError> {
    if steps.is_empty() {
        tx.rollback().await?;
        return Ok(0);
    }
    transitions_persist(&mut tx, steps, core.encode).await?;
    tx.commit().await?;
    for Step { transition, .. } in steps {
        metrics::swept(by);
        if let Some(lease_id) = transition.ended_lease {
            core.revoke(transition.after.facts.job_id, lease_id);
        }
    }
    core.wake_dispatch();
    core.hints.outbox();
    core.settle_after(steps);
    Ok(steps.len() as u64)
}
