//! A budget of the project is exceeded.

use std::collections::HashMap;

use anyhow::{Context as _, Result, ensure};
use chrono::TimeDelta;
use holdfast_jobs::domain::budget::{BudgetScope, Exceeded, Measure};
use holdfast_jobs::domain::job::StateName;
use holdfast_jobs::domain::transition;
use holdfast_jobs::store::live::{Cursor, Place, live_page};
use holdfast_jobs::store::transitions::{Locked, Step, jobs_load, jobs_lock};

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
        let mut found = HashMap::new();
        for place in [Place::Delayed, Place::Queue(self.tenant.clone()), Place::Leases] {
            let tenants = [self.tenant.to_string()];
            let mut after = Some(Cursor::default());
            while let Some(cursor) = after {
                let (live, next) = live_page(&mut tx, &place, &tenants, &cursor, 2).await?;
                after = next;
                for live in live {
                    ensure!((&live.tenant_id, live.project_id.as_str()) == (&self.tenant, PROJECT), "{live:?}");
                    ensure!(live.due_at.is_some() == (place == Place::Delayed), "{live:?}");
                    ensure!(found.insert(live.job_id, live).is_none(), "a job stands in two places");
                }
            }
        }
        found.retain(|_, live| live.due_at.is_none_or(|due_at| due_at < resets_at));
        let job_ids: Vec<_> = found.keys().take(jobs_max).map(|job_id| job_id.as_uuid()).collect();
        let locked = jobs_lock(&mut tx, &job_ids, &vec![self.tenant.to_string(); job_ids.len()]).await?;
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
            let live = &found[&oracle.job_id()];
            ensure!(live.seq + 1 == transition.after.progressed.seq, "{live:?}");
            let cause = cause("system:budgets", None, None)?;
            steps.push(Step { transition, cause, queued_since: live.queued_since });
        }
        ensure!(left == 0 || steps.len() == jobs_max, "{left} jobs go on spending");
        let states = steps.iter().map(|step| step.transition.after.state.name()).collect();
        self.persist(tx, steps).await?;
        Ok(states)
    }
}
