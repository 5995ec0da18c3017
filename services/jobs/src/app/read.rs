//! Reading.

use std::sync::Arc;

use holdfast_fault::Fault;
use holdfast_ids::{JobId, TenantId};
use holdfast_pg::coalescer::BatchJob;
use holdfast_pg::{ReadTx, TenantScope};

use super::answer::scope_of;
use super::{App, Asking, Core, blames_an_item, latest};
use crate::error::job_not_found;
use crate::store::StoreError;
use crate::store::read::{Listing, SeenEvent, SeenJob, Sought, job_events_list, jobs_get, jobs_list};

impl App {
    /// From the primary: who was told that a job is queued finds it.
    pub async fn get(&self, asking: &Asking, job_id: JobId) -> Result<SeenJob, Fault> {
        let caller = &asking.caller;
        let job = self.reads.submit(Sought { job_id, tenants: asking.tenants(), deadline: asking.deadline }).await?;
        let mut job = job.filter(|job| caller.projects.contains(&job.project_id)).ok_or_else(job_not_found)?;
        if job.queue_waited_ms.is_some() {
            let terms = self.core.terms(&job.tenant_id, &job.project_id, &job.intent);
            job.queue_budget = Some(terms.queue_budget(job.tier));
        }
        Ok(job)
    }

    pub async fn list(&self, asking: &Asking, listing: Listing) -> Result<Vec<SeenJob>, Fault> {
        asking.caller.require_project(&listing.project_id)?;
        let scope = TenantScope::one(&listing.tenant_id);
        let list = |tx| list_once(tx, &listing);
        Ok(self.core.read_db.read(&scope, asking.deadline, list).await?)
    }

    pub async fn events(
        &self,
        asking: &Asking,
        job_id: JobId,
        after_seq: i64,
        events_max: i64,
    ) -> Result<Vec<SeenEvent>, Fault> {
        let caller = &asking.caller;
        let scope = TenantScope::new(&caller.tenants).map_err(StoreError::from)?;
        let list = |tx| events_once(tx, job_id, &caller.tenants, after_seq, events_max);
        let (mut events, exists) = self.core.read_db.read(&scope, asking.deadline, list).await?;
        if events.is_empty() && exists {
            return Ok(events);
        }
        events.retain(|event| event.project_id.parse().is_ok_and(|project| caller.projects.contains(&project)));
        if events.is_empty() { Err(job_not_found()) } else { Ok(events) }
    }
}

async fn list_once(mut tx: ReadTx, listing: &Listing) -> Result<Vec<SeenJob>, StoreError> {
    let jobs = jobs_list(&mut tx, listing).await?;
    tx.commit().await?;
    Ok(jobs)
}

/// The events, and whether the job has any at all.
async fn events_once(
    mut tx: ReadTx,
    job_id: JobId,
    tenants: &[TenantId],
    after_seq: i64,
    events_max: i64,
) -> Result<(Vec<SeenEvent>, bool), StoreError> {
    let events = job_events_list(&mut tx, job_id, tenants, after_seq, events_max).await?;
    // Past the last page, or no such job: only the first row can tell.
    let exists =
        !events.is_empty() || (after_seq > 0 && !job_events_list(&mut tx, job_id, tenants, 0, 1).await?.is_empty());
    tx.commit().await?;
    Ok((events, exists))
}

/// The batch job behind [`App::get`]: callers that look at the same time share a trip.
#[derive(Debug)]
pub struct Reads {
    core: Arc<Core>,
}

impl Reads {
    pub fn new(core: Arc<Core>) -> Self {
        Self { core }
    }
}

#[async_trait::async_trait]
impl BatchJob for Reads {
    type Item = Sought;
    type Output = Option<SeenJob>;
    type Error = StoreError;

    fn weight(_: &Sought) -> usize {
        1
    }

    fn blames_an_item(error: &StoreError) -> bool {
        blames_an_item(error)
    }

    async fn run(&self, items: &[Sought]) -> Result<Vec<Result<Option<SeenJob>, StoreError>>, StoreError> {
        self.core.app_db.bounded(self.get_all(items)).await
    }
}

impl Reads {
    async fn get_all(&self, items: &[Sought]) -> Result<Vec<Result<Option<SeenJob>, StoreError>>, StoreError> {
        let tenants: Vec<_> = items.iter().flat_map(|item| scope_of(&item.tenants)).collect();
        let deadline = latest(items.iter().map(|item| item.deadline));
        let mut tx = self.core.app_db.begin(&TenantScope::new(&tenants)?, deadline).await?;
        let jobs = jobs_get(&mut tx, items).await?;
        tx.commit().await?;
        Ok(jobs.into_iter().map(Ok).collect())
    }
}
