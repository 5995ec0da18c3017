//! Decisions of people about jobs of tier C.

use holdfast_caller::{Caller, Role};
use holdfast_fault::{Fault, Reason};
use holdfast_ids::{ActorId, ApprovalId, IdempotencyKey, JobId};
use holdfast_pg::{TenantScope, Tx};

use super::limits::ApprovalLimits;
use super::{App, Asking, retrying};
use crate::domain::approval::{self, Approval, Deciding, Decision};
use crate::domain::job::Queue;
use crate::domain::payload_hash::of_fields;
use crate::domain::transition::{self, Cause, Command, Refusal, Transition};
use crate::error::job_not_found;
use crate::metrics;
use crate::store::StoreError;
use crate::store::approvals::{approval_insert, approvals_list};
use crate::store::read::{SeenJob, Sought, job_get};
use crate::store::transitions::{Locked, Step, jobs_load, jobs_lock, transitions_persist};

/// A decision as the caller sent it, well-formed.
#[derive(Debug, Clone)]
pub struct Ordered {
    pub job_id: JobId,
    pub decision: Decision,
    pub reason: String,
    pub corrects: Option<ApprovalId>,
    pub key: IdempotencyKey,
}

impl Ordered {
    /// What tells one decision from another under the same key.
    fn hash(&self) -> [u8; 32] {
        let corrects = self.corrects.map(|corrects| corrects.to_string()).unwrap_or_default();
        of_fields([self.decision.as_str(), &self.reason, &corrects].map(str::as_bytes))
    }
}

#[derive(Debug)]
pub struct Decided {
    pub job: SeenJob,
    pub approval: Approval,
    pub replayed: bool,
}

/// Why a decision is not taken.
#[derive(Debug)]
enum NotTaken {
    NotFound,
    NotApprover,
    KeyConflict,
    Refused(Refusal),
}

impl From<NotTaken> for Fault {
    fn from(not: NotTaken) -> Self {
        match not {
            NotTaken::NotFound => job_not_found(),
            NotTaken::NotApprover => {
                Self::new(Reason::Approval403NotApprover, "the caller's roles do not decide about this job")
            }
            NotTaken::KeyConflict => {
                Self::new(Reason::Job409IdempotencyConflict, "the idempotency key was used for another decision")
            }
            NotTaken::Refused(refusal) => refusal.into(),
        }
    }
}

impl App {
    pub async fn decide(&self, asking: &Asking, ordered: Ordered) -> Result<Decided, Fault> {
        let decided = retrying(&self.core.app_db, || self.decide_once(asking, &ordered)).await??;
        if !decided.replayed {
            metrics::decided(decided.approval.decision);
            self.core.wake_dispatch();
            self.core.hints.outbox();
        }
        Ok(decided)
    }

    async fn decide_once(&self, asking: &Asking, ordered: &Ordered) -> Result<Result<Decided, NotTaken>, StoreError> {
        let caller = &asking.caller;
        let mut tx = self.core.app_db.begin(&TenantScope::new(&caller.tenants)?, asking.deadline).await?;
        let locked = jobs_lock(&mut tx, &[ordered.job_id.as_uuid()], &[asking.tenants()]).await?;
        let Some(Locked { job, now, .. }) = jobs_load(&mut tx, &locked).await?.pop() else {
            return Ok(Err(NotTaken::NotFound));
        };
        if !caller.projects.contains(&job.facts.project_id) {
            return Ok(Err(NotTaken::NotFound));
        }
        let Some(role) = approver(caller, job.facts.queue, self.core.limits.approvals) else {
            return Ok(Err(NotTaken::NotApprover));
        };
        let earlier = approvals_list(&mut tx, ordered.job_id, &caller.tenants).await?;
        let hash = ordered.hash();
        let is_repeated = |one: &&Approval| one.command.key == ordered.key.as_str() && one.actor_id == caller.actor;
        if let Some(first) = earlier.iter().find(is_repeated) {
            return if first.command.hash == hash {
                self.replayed(&mut tx, asking, ordered.job_id, first.clone()).await.map(Ok)
            } else {
                Ok(Err(NotTaken::KeyConflict))
            };
        }
        let deciding = Deciding {
            approval_id: ApprovalId::new(),
            decision: ordered.decision,
            reason: ordered.reason.clone(),
            corrects: ordered.corrects,
        };
        let facts = job.facts.clone();
        let transitions = match approval::decide(job.clone(), &earlier, &deciding, now) {
            Ok(transitions) => transitions,
            Err(refusal) => {
                // What the sweep would have done a moment later.
                if let Some(transition) = transition::run_out(job, now) {
                    let actor_id = ActorId::parse(transition::DECISION_CLOCK).map_err(|_| StoreError::LostLock)?;
                    let cause = Cause::background(actor_id, &facts);
                    let step = Step { transition, cause, queued_since: None };
                    let steps = [step];
                    transitions_persist(&mut tx, &steps, self.core.encode).await?;
                    tx.commit().await?;
                    self.core.settle_after(&steps);
                }
                return Ok(Err(NotTaken::Refused(refusal)));
            }
        };
        let approval = Approval {
            approval_id: deciding.approval_id,
            number: earlier.len() as i32 + 1,
            decision: ordered.decision,
            reason: ordered.reason.clone(),
            actor_id: caller.actor.clone(),
            role: role.as_str().to_owned(),
            corrects: ordered.corrects,
            command: Command { key: ordered.key.to_string(), hash, idempotency_key: Some(ordered.key.clone()) },
            decided_at: now,
            request_id: asking.request_id.clone(),
            traceparent: asking.traceparent.clone(),
        };
        approval_insert(&mut tx, &facts, &approval).await?;
        let steps: Vec<Step> = transitions.into_iter().map(|transition| step(asking, &approval, transition)).collect();
        // One by one: the second move is persisted over what the first left.
        let mut ended = Vec::new();
        for step in &steps {
            ended.extend(self.core.persist_entering(&mut tx, std::slice::from_ref(step)).await?);
        }
        let job = self.seen(&mut tx, asking, ordered.job_id).await?;
        tx.commit().await?;
        self.core.settle_after(&steps);
        self.core.ended_entering(&ended);
        Ok(Ok(Decided { job, approval, replayed: false }))
    }

    async fn replayed(
        &self,
        tx: &mut Tx,
        asking: &Asking,
        job_id: JobId,
        approval: Approval,
    ) -> Result<Decided, StoreError> {
        Ok(Decided { job: self.seen(tx, asking, job_id).await?, approval, replayed: true })
    }

    async fn seen(&self, tx: &mut Tx, asking: &Asking, job_id: JobId) -> Result<SeenJob, StoreError> {
        let sought = Sought { job_id, tenants: asking.tenants(), deadline: asking.deadline };
        job_get(tx, sought).await?.ok_or(StoreError::LostLock)
    }

    pub async fn approvals(&self, asking: &Asking, job_id: JobId) -> Result<Vec<Approval>, Fault> {
        // Whether the caller may see the job decides about its approvals too.
        self.get(asking, job_id).await?;
        // From the primary: who is refused for what stands finds it.
        Ok(self.core.app_db.bounded(self.approvals_once(asking, job_id)).await?)
    }

    async fn approvals_once(&self, asking: &Asking, job_id: JobId) -> Result<Vec<Approval>, StoreError> {
        let tenants = &asking.caller.tenants;
        let mut tx = self.core.app_db.begin(&TenantScope::new(tenants)?, asking.deadline).await?;
        let approvals = approvals_list(&mut tx, job_id, tenants).await?;
        tx.commit().await?;
        Ok(approvals)
    }
}

/// The role under which a caller decides about jobs of a queue, if there is one.
fn approver(caller: &Caller, queue: Queue, limits: ApprovalLimits) -> Option<Role> {
    let infra_approver = queue == Queue::Infra || limits.production;
    [Role::Owner, Role::InfraApprover]
        .into_iter()
        .find(|role| caller.has_any_role(&[*role]) && (*role == Role::Owner || infra_approver))
}

fn step(asking: &Asking, approval: &Approval, transition: Transition) -> Step {
    let key = format!("decide:{}", approval.command.key);
    let cause = Cause {
        actor_id: approval.actor_id.clone(),
        worker_id: None,
        command: Some(Command { key, ..approval.command.clone() }),
        request_id: asking.request_id.clone(),
        traceparent: asking.traceparent.clone(),
    };
    Step { transition, cause, queued_since: None }
}
