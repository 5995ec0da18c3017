//! Cancelling.

use holdfast_fault::Fault;
use holdfast_ids::{IdempotencyKey, JobId};
use holdfast_pg::TenantScope;

use super::{App, Asking, retrying};
use crate::domain::transition::{self, Cause, Command, Refusal};
use crate::error::job_not_found;
use crate::store::StoreError;
use crate::store::answers::{Asked, Recorded, answers_recorded};
use crate::store::read::{SeenJob, Sought, job_get};
use crate::store::transitions::{Step, jobs_load, jobs_lock, transitions_persist};

#[derive(Debug)]
pub struct Cancelled {
    pub job: SeenJob,
    pub replayed: bool,
}

enum Outcome {
    NotFound,
    Refused(Refusal),
    Done(Box<Cancelled>, Option<holdfast_ids::LeaseId>),
}

impl App {
    pub async fn cancel(
        &self,
        asking: &Asking,
        job_id: JobId,
        reason: String,
        key: IdempotencyKey,
    ) -> Result<Cancelled, Fault> {
        let outcome = retrying(&self.core.app_db, || self.cancel_once(asking, job_id, &reason, &key)).await?;
        match outcome {
            Outcome::NotFound => Err(job_not_found()),
            Outcome::Refused(refusal) => Err(refusal.into()),
            Outcome::Done(cancelled, ended_lease) => {
                if let Some(lease_id) = ended_lease {
                    self.core.revoke(job_id, lease_id);
                }
                if !cancelled.replayed {
                    // A running job made room in its project.
                    self.core.wake_dispatch();
                    self.core.hints.outbox();
                }
                Ok(*cancelled)
            }
        }
    }

    async fn cancel_once(
        &self,
        asking: &Asking,
        job_id: JobId,
        reason: &str,
        key: &IdempotencyKey,
    ) -> Result<Outcome, StoreError> {
        let caller = &asking.caller;
        let mut tx = self.core.app_db.begin(&TenantScope::new(&caller.tenants)?, asking.deadline).await?;
        let locked = jobs_lock(&mut tx, &[job_id.as_uuid()], &[asking.tenants()]).await?;
        let Some(locked) = jobs_load(&mut tx, &locked).await?.pop() else { return Ok(Outcome::NotFound) };
        if !caller.projects.contains(&locked.job.facts.project_id) {
            return Ok(Outcome::NotFound);
        }
        let command = Command {
            key: format!("cancel:{key}"),
            hash: *blake3::hash(reason.as_bytes()).as_bytes(),
            idempotency_key: Some(key.clone()),
        };
        let tenant_id = locked.job.facts.tenant_id.to_string();
        match transition::cancel(locked.job, reason, locked.now) {
            Ok(transition) => {
                let ended_lease = transition.ended_lease;
                let cause = Cause {
                    actor_id: caller.actor.clone(),
                    worker_id: None,
                    command: Some(command),
                    request_id: asking.request_id.clone(),
                    traceparent: asking.traceparent.clone(),
                };
                let steps = [Step { transition, cause, queued_since: None }];
                transitions_persist(&mut tx, &steps, self.core.encode).await?;
                let job = job_get(&mut tx, Sought { job_id, tenants: asking.tenants(), deadline: asking.deadline })
                    .await?
                    .ok_or(StoreError::LostLock)?;
                tx.commit().await?;
                self.core.settle_after(&steps);
                Ok(Outcome::Done(Box::new(Cancelled { job, replayed: false }), ended_lease))
            }
            Err(refusal) => {
                let asked = Asked { job_id, command_key: command.key, tenant_id };
                let recorded = answers_recorded(&mut tx, &[asked]).await?.pop().flatten();
                // Keys are their actors' own: another one's cancellation is not repeated by this.
                let is_own = |recorded: &Recorded| recorded.actor_id == caller.actor.as_str();
                if !recorded.is_some_and(|recorded| is_own(&recorded) && recorded.is_repeated_by(&command.hash)) {
                    return Ok(Outcome::Refused(refusal));
                }
                let job = job_get(&mut tx, Sought { job_id, tenants: asking.tenants(), deadline: asking.deadline })
                    .await?
                    .ok_or(StoreError::LostLock)?;
                Ok(Outcome::Done(Box::new(Cancelled { job, replayed: true }), None))
            }
        }
    }
}
