//! Stopping what may no longer go on, and letting go on what may again: what waits is blocked, what runs is cancelled; a job
//! that nothing holds any more moves on if nothing else blocks it.
//!
//! Every instance does so at once when what it knows of policy changes, in rounds that pass over what another one holds; a
//! task under leadership comes by. The claim and the hand-out look by themselves, so that nothing that is to be stopped
//! is given to a worker meanwhile.

use std::collections::HashMap;
use std::sync::Arc;

use holdfast_ids::ActorId;
use holdfast_pg::Tx;
use tokio_util::sync::CancellationToken;

use super::Core;
use super::guard::Guard;
use super::settle::{Next, next};
use crate::domain::hold::{self, Hold, RESUMED_BY};
use crate::domain::job::StateName;
use crate::domain::submission::Submission;
use crate::domain::transition::Cause;
use crate::metrics;
use crate::store::StoreError;
use crate::store::dependencies::dependencies_of;
use crate::store::holds::{Among, Held, holds_delete, holds_insert, holds_queued, jobs_freed_lock, jobs_in_scope_lock};
use crate::store::submit::{Candidate, New};
use crate::store::transitions::{Locked, Step, jobs_load};

/// Jobs of one round.
pub const JOBS_MAX: i64 = 500;

/// Follows every change of what is known, as soon as it comes.
pub async fn run(core: Arc<Core>, shutdown: CancellationToken) {
    loop {
        tokio::select! {
            () = core.guard.changed.notified() => {}
            () = shutdown.cancelled() => return,
        }
        loop {
            match core.task_db.bounded(core.holds_round()).await {
                Ok(moved) if moved >= JOBS_MAX as u64 => {}
                Ok(_) => break,
                Err(error) => {
                    // The task comes by.
                    tracing::warn!(%error, "what may go on was not followed at once");
                    break;
                }
            }
        }
    }
}

/// What held new jobs as they were submitted, by their numbers.
pub(super) struct Holding(HashMap<usize, Vec<Hold>>);

impl Holding {
    pub(super) fn of(guard: &Guard, items: &[Submission], leaders: &[usize]) -> Self {
        let view = guard.view();
        let held = leaders.iter().map(|index| (*index, view.holds(&items[*index])));
        Self(held.filter(|(_, holds)| !holds.is_empty()).collect())
    }

    pub(super) fn is_free(&self, index: usize) -> bool {
        !self.0.contains_key(&index)
    }

    pub(super) fn holds(&self, index: usize) -> Vec<Hold> {
        self.0.get(&index).cloned().unwrap_or_default()
    }

    /// Keeps what holds the jobs, once they are inserted.
    pub(super) async fn keep(&self, tx: &mut Tx, news: &[(usize, New<'_>)]) -> Result<(), StoreError> {
        let held = news.iter().filter(|(index, _)| !self.is_free(*index)).map(|(index, new)| {
            let Candidate { submission, job_id, .. } = new.candidate;
            let tenant_id = submission.scope.tenant_id.clone();
            Held { job_id, tenant_id, holds: self.holds(*index), was_queued: false }
        });
        holds_insert(tx, &held.collect::<Vec<_>>()).await
    }
}

/// What becomes of a job that may not go on, with what it is told about itself.
pub(super) fn stopped(locked: Locked, holds: Vec<Hold>) -> Result<Option<(Step, Option<Held>)>, StoreError> {
    let Locked { job, now, .. } = locked;
    let actor_id = ActorId::parse(hold::actor(&holds)).map_err(|_| StoreError::LostLock)?;
    let cause = Cause::background(actor_id, &job.facts);
    let (job_id, tenant_id) = (job.facts.job_id, job.facts.tenant_id.clone());
    let Some(transition) = hold::stop(job, &holds, now) else { return Ok(None) };
    let is_held = transition.after.state.name() == StateName::Blocked;
    let held = is_held.then_some(Held { job_id, tenant_id, holds, was_queued: true });
    Ok(Some((Step { transition, cause, queued_since: None }, held)))
}

impl Core {
    /// Stops some of what runs or waits in scope, and frees some of what is no longer held; answers how many jobs the fuller
    /// of the rounds looked at.
    pub(crate) async fn holds_round(&self) -> Result<u64, StoreError> {
        let running = self.stop_round(Among::Running).await?;
        let waiting = self.stop_round(Among::Waiting).await?;
        Ok(running.max(waiting).max(self.free_round().await?))
    }

    async fn stop_round(&self, among: Among) -> Result<u64, StoreError> {
        let stops = self.guard.stops();
        if stops.switches.is_empty() && (among == Among::Running || stops.is_empty()) {
            return Ok(0);
        }
        let mut tx = self.task_db.begin().await?;
        let locked = jobs_in_scope_lock(&mut tx, &stops, among, JOBS_MAX).await?;
        let (mut steps, mut held) = (Vec::new(), Vec::new());
        for locked in jobs_load(&mut tx, &locked).await? {
            let holds = self.guard.view().holds(&locked.job.facts);
            if let Some((step, hold)) = stopped(locked, holds)? {
                steps.push(step);
                held.extend(hold);
            }
        }
        let looked_at = locked.job_ids.len() as u64;
        if steps.is_empty() {
            tx.rollback().await?;
            return Ok(0);
        }
        holds_insert(&mut tx, &held).await?;
        self.persist(tx, &steps).await?;
        Ok(looked_at)
    }

    async fn free_round(&self) -> Result<u64, StoreError> {
        let mut tx = self.task_db.begin().await?;
        let locked = jobs_freed_lock(&mut tx, &self.guard.stops(), JOBS_MAX).await?;
        let looked_at = locked.job_ids.len() as u64;
        if looked_at == 0 {
            tx.rollback().await?;
            return Ok(0);
        }
        let mut open = dependencies_of(&mut tx, &locked).await?;
        let queued = holds_queued(&mut tx, &locked).await?;
        let actor_id = ActorId::parse(RESUMED_BY).map_err(|_| StoreError::LostLock)?;
        let (mut steps, mut outdated, mut held) = (Vec::new(), Vec::new(), Vec::new());
        for Locked { job, now, .. } in jobs_load(&mut tx, &locked).await? {
            let (job_id, tenant_id) = (job.facts.job_id, job.facts.tenant_id.clone());
            let cause = Cause::background(actor_id.clone(), &job.facts);
            let waits_for = open.remove(&job_id).unwrap_or_default();
            let was_queued = queued.contains(&job_id);
            outdated.push((job_id, tenant_id.clone()));
            match next(&self.guard, job, &waits_for, was_queued, now) {
                Next::Stays => {}
                Next::Held(holds) => held.push(Held { job_id, tenant_id, holds, was_queued }),
                Next::Moves(transition) => steps.push(Step { transition: *transition, cause, queued_since: None }),
            }
        }
        holds_delete(&mut tx, &outdated).await?;
        holds_insert(&mut tx, &held).await?;
        self.persist(tx, &steps).await?;
        Ok(looked_at)
    }

    async fn persist(&self, mut tx: Tx, steps: &[Step]) -> Result<(), StoreError> {
        let ended = self.persist_entering(&mut tx, steps).await?;
        tx.commit().await?;
        self.after_holds(steps);
        self.ended_entering(&ended);
        Ok(())
    }

    /// After a commit: tells of jobs that were stopped or freed.
    pub(super) fn after_holds(&self, steps: &[Step]) {
        if steps.is_empty() {
            return;
        }
        for Step { transition, .. } in steps {
            metrics::held(transition.after.state.name());
            if let Some(lease_id) = transition.ended_lease {
                self.revoke(transition.after.facts.job_id, lease_id);
            }
        }
        self.wake_dispatch();
        self.hints.outbox();
        self.settle_after(steps);
    }
}
