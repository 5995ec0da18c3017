//! Takes back leases that ran out: the job is retried, fails for good, or has used up its run budget.

use holdfast_fault::Fault;
use holdfast_ids::ActorId;
use holdfast_runtime::tasks::Report;

use crate::app::Core;
use crate::domain::transition::{self, Cause};
use crate::metrics;
use crate::store::StoreError;
use crate::store::maintenance::leases_expired_lock;
use crate::store::transitions::{Step, jobs_load, transitions_persist};

const ACTOR: &str = "system:lease_expiry";
const JOBS_MAX: i64 = 500;
/// Rounds of one run: what is left after them waits for the next.
const ROUNDS_MAX: usize = 20;

pub(super) async fn run_once(core: &Core) -> Result<Report, Fault> {
    let mut report = Report::default();
    for _ in 0..ROUNDS_MAX {
        let expired = core.task_db.bounded(round(core)).await?;
        report.did(expired as u64);
        if (expired as i64) < JOBS_MAX {
            break;
        }
    }
    Ok(report)
}

async fn round(core: &Core) -> Result<usize, StoreError> {
    let mut tx = core.task_db.begin().await?;
    let locked = leases_expired_lock(&mut tx, JOBS_MAX).await?;
    let found = locked.job_ids.len();
    let mut steps = Vec::with_capacity(found);
    for locked in jobs_load(&mut tx, &locked).await? {
        let policy = core.limits.intents.terms(&locked.job.facts.intent).retry;
        let cause = Cause {
            actor_id: ActorId::parse(ACTOR).map_err(|_| StoreError::LostLock)?,
            worker_id: None,
            command: None,
            request_id: locked.job.facts.request_id.clone(),
            traceparent: locked.job.facts.traceparent.clone(),
        };
        if let Some(transition) = transition::expire(locked.job, &policy, locked.now, rand::random()) {
            steps.push(Step { transition, cause, queued_since: None });
        }
    }
    if steps.is_empty() {
        tx.rollback().await?;
        return Ok(0);
    }
    transitions_persist(&mut tx, &steps, core.encode).await?;
    tx.commit().await?;
    for step in &steps {
        metrics::lease_expired();
        if let Some(lease_id) = step.transition.ended_lease {
            core.revoke(step.transition.after.facts.job_id, lease_id);
        }
    }
    core.wake_dispatch();
    core.hints.outbox();
    Ok(found)
}
