//! What blocks the jobs of a project, and lets them go on.

use std::collections::HashMap;

use anyhow::{Context as _, Result};
use holdfast_ids::JobId;
use holdfast_jobs::domain::hold::{self, Hold};
use holdfast_jobs::domain::job::{State, StateName};
use holdfast_jobs::domain::transition;
use holdfast_jobs::store::holds::{Held, holds_insert, holds_queued};
use holdfast_jobs::store::transitions::{Locked, LockedIds, Step, jobs_load, jobs_lock};
use holdfast_pg::Tx;

use super::project::{Project, agreed, by_id, cause};

impl Project<'_> {
    /// What blocked jobs wait for has ended; answers what became of them.
    pub async fn unblock(&mut self) -> Result<Vec<StateName>> {
        let mut tx = self.store.task.begin().await?;
        let (mut loaded, _) = self.locked(&mut tx).await?;
        let mut steps = Vec::new();
        for oracle in &self.jobs {
            let Locked { job, now, .. } = loaded.remove(&oracle.job_id()).context("a job is not there")?;
            let moved = agreed(transition::unblock(oracle.job.clone(), now), transition::unblock(job, now))?;
            let cause = cause("system:dependencies", None, None)?;
            steps.extend(moved.map(|transition| Step { transition, cause, queued_since: None }));
        }
        let states = steps.iter().map(|step| step.transition.after.state.name()).collect();
        self.persist(tx, steps).await?;
        Ok(states)
    }

    /// The jobs may not go on for now; answers what became of those that did not stay as they were.
    pub async fn stop(&mut self, by: &Hold) -> Result<Vec<StateName>> {
        let holds = [by.clone()];
        let mut tx = self.store.task.begin().await?;
        let (mut loaded, _) = self.locked(&mut tx).await?;
        let (mut steps, mut held) = (Vec::new(), Vec::new());
        for oracle in &self.jobs {
            let Locked { job, now, .. } = loaded.remove(&oracle.job_id()).context("a job is not there")?;
            let moved = agreed(hold::stop(oracle.job.clone(), &holds, now), hold::stop(job, &holds, now))?;
            let Some(transition) = moved else { continue };
            if transition.after.state == State::Blocked {
                let (job_id, tenant_id) = (oracle.job_id(), self.tenant.clone());
                held.push(Held { job_id, tenant_id, holds: holds.to_vec(), was_queued: true });
            }
            steps.push(Step { transition, cause: cause(hold::actor(&holds), None, None)?, queued_since: None });
        }
        holds_insert(&mut tx, &held).await?;
        let states = steps.iter().map(|step| step.transition.after.state.name()).collect();
        self.persist(tx, steps).await?;
        Ok(states)
    }

    /// Nothing holds the jobs any more; answers what became of those that were blocked.
    pub async fn resume(&mut self) -> Result<Vec<StateName>> {
        let mut tx = self.store.task.begin().await?;
        let (mut loaded, locked) = self.locked(&mut tx).await?;
        let queued = holds_queued(&mut tx, &locked).await?;
        let mut steps = Vec::new();
        for oracle in &self.jobs {
            let Locked { job, now, .. } = loaded.remove(&oracle.job_id()).context("a job is not there")?;
            let was_queued = agreed(oracle.was_queued(), queued.contains(&oracle.job_id()))?;
            let resumed = hold::resume(oracle.job.clone(), was_queued, now);
            let cause = cause(hold::RESUMED_BY, None, None)?;
            let moved = agreed(resumed, hold::resume(job, was_queued, now))?;
            steps.extend(moved.map(|transition| Step { transition, cause, queued_since: None }));
        }
        let states = steps.iter().map(|step| step.transition.after.state.name()).collect();
        self.persist(tx, steps).await?;
        Ok(states)
    }

    async fn locked(&self, tx: &mut Tx) -> Result<(HashMap<JobId, Locked>, LockedIds)> {
        let job_ids: Vec<_> = self.jobs.iter().map(|oracle| oracle.job_id().as_uuid()).collect();
        let locked = jobs_lock(tx, &job_ids, &vec![self.tenant.to_string(); job_ids.len()]).await?;
        Ok((by_id(jobs_load(tx, &locked).await?), locked))
    }
}
