//! A budget of the project is exceeded.

use anyhow::{Context as _, Result, ensure};
use chrono::TimeDelta;
use holdfast_jobs::domain::budget::{BudgetScope, Exceeded, Measure};
use holdfast_jobs::domain::job::StateName;
use holdfast_jobs::domain::transition;
use holdfast_jobs::store::transitions::{Locked, Step, jobs_load};
use holdfast_jobs::store::usage::jobs_over_budget_lock;

use super::project::{Project, agreed, by_id, cause};
use crate::support::PROJECT;

impl Project<'_> {
    /// More is used of the project's budget than there is; answers what became of the jobs, `jobs_max` at most.
    pub async fn exceed_budget(&mut self, jobs_max: usize) -> Result<Vec<StateName>> {
        let resets_at = self.store.clock().await? + TimeDelta::days(1);
        let exceeded = Exceeded {
            scope: BudgetScope::Project,
            scope_id: PROJECT.to_owned(),
            measure: Measure::Tokens,
            limit: 10,
            used: 11,
            resets_at: Some(resets_at),
        };
        let mut tx = self.store.task.begin().await?;
        let draws = [(self.tenant.clone(), exceeded.clone())];
        let (locked, places) = jobs_over_budget_lock(&mut tx, &draws, jobs_max as i64).await?;
        ensure!(places.values().all(|place| *place == 0), "{places:?}");
        let mut loaded = by_id(jobs_load(&mut tx, &locked).await?);
        let (mut steps, mut left) = (Vec::new(), 0);
        for oracle in &self.jobs {
            let Some(Locked { job, now, .. }) = loaded.remove(&oracle.job_id()) else {
                left +=
                    usize::from(transition::exceed_budget(oracle.job.clone(), exceeded.clone(), resets_at).is_some());
                continue;
            };
            let of_oracle = transition::exceed_budget(oracle.job.clone(), exceeded.clone(), now);
            let transition = agreed(of_oracle, transition::exceed_budget(job, exceeded.clone(), now))?;
            let transition = transition.context("a job that spends nothing was ended")?;
            steps.push(Step { transition, cause: cause("system:budgets", None, None)?, queued_since: None });
        }
        ensure!(left == 0 || steps.len() == jobs_max, "{left} jobs go on spending");
        let states = steps.iter().map(|step| step.transition.after.state.name()).collect();
        self.persist(tx, steps).await?;
        Ok(states)
    }
}
