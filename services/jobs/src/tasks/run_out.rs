//! Ends what nobody decided or ran in time: decisions that were not taken, and jobs that are as old as a job may become.

use chrono::TimeDelta;
use holdfast_fault::Fault;
use holdfast_ids::ActorId;
use holdfast_runtime::tasks::Report;

use crate::app::Core;
use crate::app::decide::DECISION_CLOCK;
use crate::domain::transition::{self, Cause, Transition};
use crate::metrics;
use crate::store::StoreError;
use crate::store::maintenance::jobs_outlived_lock;
use crate::store::transitions::{Locked, LockedIds, Step, jobs_load, transitions_persist};
use crate::store::waits::waits_due_lock;

const JOBS_MAX: i64 = 500;
/// Rounds of one run: what is left after them waits for the next.
const ROUNDS_MAX: usize = 20;

/// Times out jobs that wait for people longer than they may.
pub(super) async fn decisions(core: &Core) -> Result<Report, Fault> {
    rounds(core, DECISION_CLOCK, Which::Undecided).await
}

/// Times out jobs that nobody has run by the maximum age.
pub(super) async fn aged(core: &Core) -> Result<Report, Fault> {
    rounds(core, "system:max_age", Which::Outlived).await
}

#[derive(Clone, Copy)]
enum Which {
    Undecided,
    Outlived,
}

async fn rounds(core: &Core, actor: &'static str, which: Which) -> Result<Report, Fault> {
    let mut report = Report::default();
    for _ in 0..ROUNDS_MAX {
        let ended = core.task_db.bounded(round(core, actor, which)).await?;
        report.did(ended as u64);
        if (ended as i64) < JOBS_MAX {
            break;
        }
    }
    Ok(report)
}

async fn round(core: &Core, actor: &'static str, which: Which) -> Result<usize, StoreError> {
    let mut tx = core.task_db.begin().await?;
    let max_age = core.limits.max_age;
    let locked: LockedIds = match which {
        Which::Undecided => waits_due_lock(&mut tx, JOBS_MAX).await?,
        Which::Outlived => jobs_outlived_lock(&mut tx, max_age, JOBS_MAX).await?,
    };
    let max_age = TimeDelta::milliseconds(max_age.as_millis() as i64);
    let mut steps = Vec::with_capacity(locked.job_ids.len());
    for Locked { job, now, .. } in jobs_load(&mut tx, &locked).await? {
        let cause = Cause {
            actor_id: ActorId::parse(actor).map_err(|_| StoreError::LostLock)?,
            worker_id: None,
            command: None,
            request_id: job.facts.request_id.clone(),
            traceparent: job.facts.traceparent.clone(),
        };
        let moved: Option<Transition> = match which {
            Which::Undecided => transition::run_out(job, now),
            Which::Outlived => transition::outlive(job, max_age, now),
        };
        steps.extend(moved.map(|transition| Step { transition, cause, queued_since: None }));
    }
    if steps.is_empty() {
        tx.rollback().await?;
        return Ok(0);
    }
    transitions_persist(&mut tx, &steps, core.encode).await?;
    tx.commit().await?;
    metrics::timed_out(steps.len());
    core.hints.outbox();
    Ok(steps.len())
}
