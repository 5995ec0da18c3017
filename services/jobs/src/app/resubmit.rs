//! Doing a job anew: final states are final, so recovery is a new job that names the old one.

use holdfast_fault::{Fault, Reason};
use holdfast_ids::{IdempotencyKey, JobId};

use super::submit::{Requested, Submitted};
use super::{App, Asking};

impl App {
    /// With the payload and the terms of the old job, as far as those of its intent still allow them.
    pub async fn resubmit(&self, asking: &Asking, job_id: JobId, key: IdempotencyKey) -> Result<Submitted, Fault> {
        let old = self.get(asking, job_id).await?;
        if !old.state.is_final() {
            return Err(Fault::new(Reason::Req422InvalidState, "the job has not ended"));
        }
        let Some(payload) = old.payload else { return Err(Fault::unexpected("a job without a payload")) };
        let terms = self.core.limits.intents.terms(&old.intent);
        let run_budget_ms = terms.run_budget(old.tier).as_millis() as i64;
        let requested = Requested {
            tenant_id: Some(old.tenant_id),
            project_id: old.project_id,
            intent: old.intent,
            queue: old.queue,
            tier: old.tier,
            priority: old.priority,
            run_after: None,
            run_budget_ms: Some(old.run_budget_ms.min(run_budget_ms)),
            max_attempts: Some(old.max_attempts.min(terms.attempts_max)),
            key,
            payload,
            resubmits: Some(job_id),
            parent_job_id: old.parent.map(|parent| parent.job_id),
        };
        self.submit(asking, requested).await
    }
}
