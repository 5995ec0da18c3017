//! Reading.

use holdfast_fault::Fault;
use holdfast_ids::JobId;
use holdfast_pg::TenantScope;

use super::{App, Asking, authorise};
use crate::error::job_not_found;
use crate::store::StoreError;
use crate::store::read::{Listing, SeenEvent, SeenJob, job_events_list, job_get, jobs_list};

impl App {
    /// From the primary: who was told that a job is queued finds it.
    pub async fn get(&self, asking: &Asking, job_id: JobId) -> Result<SeenJob, Fault> {
        let caller = &asking.caller;
        let scope = TenantScope::new(&caller.tenants).map_err(StoreError::from)?;
        let mut tx = self.core.app_db.begin(&scope, asking.deadline).await.map_err(StoreError::from)?;
        let job = job_get(&mut tx, job_id, &caller.tenants).await?;
        tx.commit().await.map_err(StoreError::from)?;
        job.filter(|job| authorise::has_project(caller, &job.project_id)).ok_or_else(job_not_found)
    }

    pub async fn list(&self, asking: &Asking, listing: Listing) -> Result<Vec<SeenJob>, Fault> {
        authorise::project(&asking.caller, &listing.project_id)?;
        let scope = TenantScope::one(&listing.tenant_id);
        let mut tx = self.core.read_db.begin(&scope, asking.deadline).await.map_err(StoreError::from)?;
        let jobs = jobs_list(&mut tx, &listing).await?;
        tx.commit().await.map_err(StoreError::from)?;
        Ok(jobs)
    }

    pub async fn events(&self, asking: &Asking, job_id: JobId, after_seq: i64, events_max: i64) -> Result<Vec<SeenEvent>, Fault> {
        let caller = &asking.caller;
        let scope = TenantScope::new(&caller.tenants).map_err(StoreError::from)?;
        let mut tx = self.core.read_db.begin(&scope, asking.deadline).await.map_err(StoreError::from)?;
        let mut events = job_events_list(&mut tx, job_id, &caller.tenants, after_seq, events_max).await?;
        if events.is_empty() && after_seq > 0 {
            // Past the last page, or no such job: only the first row can tell.
            let first = job_events_list(&mut tx, job_id, &caller.tenants, 0, 1).await?;
            return if first.is_empty() { Err(job_not_found()) } else { Ok(events) };
        }
        tx.commit().await.map_err(StoreError::from)?;
        events.retain(|event| event.project_id.parse().is_ok_and(|project| authorise::has_project(caller, &project)));
        if events.is_empty() { Err(job_not_found()) } else { Ok(events) }
    }
}
