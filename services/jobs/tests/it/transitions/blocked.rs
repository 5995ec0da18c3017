//! What blocked jobs wait for has ended.

use anyhow::{Context as _, Result};
use holdfast_jobs::domain::job::StateName;
use holdfast_jobs::domain::transition;
use holdfast_jobs::store::transitions::{Locked, Step, jobs_load, jobs_lock};

use super::project::{Project, agreed, by_id, cause};

impl Project<'_> {
    /// What blocked jobs wait for has ended; answers what became of them.
    pub async fn unblock(&mut self) -> Result<Vec<StateName>> {
        let mut tx = self.store.task.begin().await?;
        let job_ids: Vec<_> = self.jobs.iter().map(|oracle| oracle.job_id().as_uuid()).collect();
        let locked = jobs_lock(&mut tx, &job_ids, &vec![self.tenant.to_string(); job_ids.len()]).await?;
        let mut loaded = by_id(jobs_load(&mut tx, &locked).await?);
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
}
