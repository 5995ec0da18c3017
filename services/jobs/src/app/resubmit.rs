//! Doing a job anew: final states are final, so recovery is a new job that names the old one.

use holdfast_fault::{Fault, Reason};
use holdfast_ids::{IdempotencyKey, JobId};

use super::admit::{Old, Requested};
use super::submit::Submitted;
use super::{App, Asking};
use crate::domain::labels::AskedLabels;

impl App {
    /// With the payload and the terms of the old job, as far as those of its intent still allow them, behind what it was to
    /// wait for and that goes on.
    pub async fn resubmit(&self, asking: &Asking, job_id: JobId, key: IdempotencyKey) -> Result<Submitted, Fault> {
        let old = self.get(asking, job_id).await?;
        if !old.state.is_final() {
            return Err(Fault::new(Reason::Req422InvalidState, "the job has not ended"));
        }
        let waits_for = self.unended(asking, &old).await?;
        let Some(payload) = old.payload else { return Err(Fault::unexpected("a job without a payload")) };
        let requested = Requested {
            tenant_id: Some(old.tenant_id),
            project_id: old.project_id,
            intent: old.intent,
            queue: old.queue,
            tier: old.tier,
            priority: old.priority,
            run_after: None,
            // The old job stands for them: what configuration makes of them may change between a call and its repetition.
            run_budget_ms: None,
            max_attempts: None,
            key,
            payload,
            resubmits: Some(Old {
                job_id,
                run_budget_ms: old.run_budget_ms,
                max_attempts: old.max_attempts,
                parent: old.parent,
                waits_for,
                labels: old.labels,
                traceparent: old.traceparent,
            }),
            parent_job_id: None,
            // The key stands for the old job, whichever of its dependencies have ended by now.
            dependencies: Vec::new(),
            labels: AskedLabels::default(),
        };
        self.submit(asking, requested).await
    }
}
