//! What workers answer: complete, fail, release. An answer counts only under the current lease; repeated under the same
//! lease it is answered the same.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use holdfast_caller::Caller;
use holdfast_fault::Fault;
use holdfast_ids::{JobId, LeaseId};
use holdfast_pg::coalescer::{BatchJob, Coalescer};
use holdfast_pg::{TenantScope, Tx};

use super::lease::Leased;
use super::{Asking, Core, authorise, blames_an_item, is_same_trace, latest, retrying};
use crate::domain::job::{Job, State, StateName, Time};
use crate::domain::payload::Payload;
use crate::domain::payload_hash::{check_json, of_fields};
use crate::domain::transition::{self, Cause, Command, Presented, Refusal, Reported, Transition};
use crate::error::{bad_json, job_not_found};
use crate::metrics;
use crate::store::StoreError;
use crate::store::answers::{Asked, answers_recorded};
use crate::store::transitions::{Locked, Step, jobs_load, jobs_lock, transitions_persist};

/// What a worker names in every answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LeaseRef {
    pub job_id: JobId,
    pub lease_id: LeaseId,
    pub fence: i64,
}

#[derive(Debug, Clone)]
pub enum Verdict {
    Complete(Payload),
    Fail(Reported),
    /// Given back unfinished.
    Release,
}

impl Verdict {
    /// What tells one answer from another under the same lease.
    fn hash(&self) -> [u8; 32] {
        match self {
            Self::Complete(result) => of_fields([&b"complete"[..], result.content_type.as_bytes(), &result.data]),
            Self::Fail(reported) => {
                let retryable = [u8::from(reported.retryable)];
                of_fields([&b"fail"[..], &retryable, reported.code.as_bytes(), reported.message.as_bytes()])
            }
            Self::Release => of_fields([&b"release"[..]]),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Complete(result) => result.data.len(),
            Self::Fail(reported) => reported.message.len(),
            Self::Release => 0,
        }
    }
}

#[derive(Debug, Clone)]
pub struct Answer {
    lease: LeaseRef,
    verdict: Verdict,
    hash: [u8; 32],
    caller: Arc<Caller>,
    tenants: String,
    request_id: String,
    traceparent: String,
    deadline: Option<Instant>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    pub state: StateName,
    pub at: Time,
    pub next_attempt_at: Option<Time>,
    pub replayed: bool,
}

/// Why an answer does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotCounted {
    NotFound,
    Refused(Refusal),
}

impl From<NotCounted> for Fault {
    fn from(not: NotCounted) -> Self {
        match not {
            NotCounted::NotFound => job_not_found(),
            NotCounted::Refused(refusal) => refusal.into(),
        }
    }
}

/// Where answers are given. Cheap to clone.
#[derive(Clone)]
pub struct Answering {
    core: Arc<Core>,
    batches: Arc<Coalescer<Answers>>,
}

impl Answering {
    pub(super) fn new(core: Arc<Core>) -> Self {
        let batches = Arc::new(Coalescer::new(Answers { core: core.clone() }, core.limits.batches.answers));
        Self { core, batches }
    }

    pub async fn answer(&self, asking: &Asking, lease: LeaseRef, verdict: Verdict) -> Result<Answered, Fault> {
        if let Verdict::Complete(result) = &verdict {
            check_json(&result.data, &result.content_type).map_err(|error| bad_json("result.data", error))?;
        }
        let tenants = authorise::worker_tenants(&asking.caller, &self.core.limits)?;
        let answer = Answer {
            lease,
            hash: verdict.hash(),
            verdict,
            caller: asking.caller.clone(),
            tenants: tenants.iter().map(|tenant| tenant.as_str()).collect::<Vec<_>>().join(","),
            request_id: asking.request_id.clone(),
            traceparent: asking.traceparent.clone(),
            deadline: asking.deadline,
        };
        Ok(self.batches.submit(answer).await.map_err(Fault::from)??)
    }

    /// Releases leases that nobody took note of, at no cost of an attempt.
    pub fn give_back(&self, asking: &Asking, jobs: &[Leased]) {
        for job in jobs {
            let lease = LeaseRef { job_id: job.job.facts.job_id, lease_id: job.lease.lease_id, fence: job.lease.fence };
            let (answering, asking) = (self.clone(), asking.clone());
            tokio::spawn(async move {
                if let Err(fault) = answering.answer(&asking, lease, Verdict::Release).await {
                    // It runs out by itself.
                    tracing::info!(reason = fault.wire_name(), "a lease that nobody took could not be given back");
                }
            });
        }
    }

    pub(super) async fn close(&self) {
        self.batches.close().await;
    }
}

/// The batch job behind [`Answering::answer`].
#[derive(Debug)]
pub struct Answers {
    core: Arc<Core>,
}

#[async_trait::async_trait]
impl BatchJob for Answers {
    type Item = Answer;
    type Output = Result<Answered, NotCounted>;
    type Error = StoreError;

    fn weight(item: &Answer) -> usize {
        item.verdict.bytes() + 256
    }

    fn blames_an_item(error: &StoreError) -> bool {
        blames_an_item(error)
    }

    async fn run(&self, items: &[Answer]) -> Result<Vec<Result<Self::Output, StoreError>>, StoreError> {
        // Two answers for one job cannot share a statement: the second is decided over what the first left.
        let mut outcomes: Vec<Option<Self::Output>> = vec![None; items.len()];
        let mut open: Vec<usize> = (0..items.len()).collect();
        while !open.is_empty() {
            let mut seen = std::collections::HashSet::new();
            let (round, later): (Vec<usize>, Vec<usize>) =
                open.iter().partition(|index| seen.insert(items[**index].lease.job_id));
            for (index, outcome) in round.iter().zip(retrying(&self.core.app_db, || self.round(items, &round)).await?) {
                outcomes[*index] = Some(outcome);
            }
            open = later;
        }
        self.core.wake_dispatch();
        self.core.hints.outbox();
        Ok(outcomes.into_iter().flatten().map(Ok).collect())
    }
}

impl Answers {
    /// One transaction over answers for different jobs.
    async fn round(&self, items: &[Answer], round: &[usize]) -> Result<Vec<Result<Answered, NotCounted>>, StoreError> {
        let tenants: Vec<_> = round.iter().flat_map(|index| scope_of(&items[*index].tenants)).collect();
        let deadline = latest(round.iter().map(|index| items[*index].deadline));
        let mut tx = self.core.app_db.begin(&TenantScope::new(&tenants)?, deadline).await?;
        let job_ids: Vec<_> = round.iter().map(|index| items[*index].lease.job_id.as_uuid()).collect();
        let own_tenants: Vec<_> = round.iter().map(|index| items[*index].tenants.clone()).collect();
        let locked = jobs_lock(&mut tx, &job_ids, &own_tenants).await?;
        let mut loaded: HashMap<JobId, Locked> =
            jobs_load(&mut tx, &locked).await?.into_iter().map(|locked| (locked.job.facts.job_id, locked)).collect();

        let (mut steps, mut outcomes, mut refused) = (Vec::new(), Vec::new(), Vec::new());
        for index in round {
            let item = &items[*index];
            let decided = match loaded.remove(&item.lease.job_id) {
                Some(locked) if item.caller.projects.contains(&locked.job.facts.project_id) => {
                    let tenant_id = locked.job.facts.tenant_id.to_string();
                    let worker_id = holder(&locked.job);
                    self.decide(item, locked)
                        .map(|transition| (transition, worker_id))
                        .map_err(|refusal| (refusal, tenant_id))
                }
                _ => {
                    outcomes.push(Err(NotCounted::NotFound));
                    continue;
                }
            };
            match decided {
                Ok((transition, worker_id)) => {
                    outcomes.push(Ok(answered(&transition)));
                    steps.push(Step { cause: cause(item, &transition, worker_id), transition, queued_since: None });
                }
                Err((refusal, tenant_id)) => {
                    let command_key = item.lease.lease_id.to_string();
                    refused.push((
                        outcomes.len(),
                        item.hash,
                        Asked { job_id: item.lease.job_id, command_key, tenant_id },
                    ));
                    outcomes.push(Err(NotCounted::Refused(refusal)));
                }
            }
        }
        self.replay(&mut tx, refused, &mut outcomes).await?;
        if steps.is_empty() {
            tx.rollback().await?;
        } else {
            transitions_persist(&mut tx, &steps, self.core.encode).await?;
            tx.commit().await?;
            self.core.settle_after(&steps);
        }
        Ok(outcomes)
    }

    fn decide(&self, item: &Answer, Locked { job, now, .. }: Locked) -> Result<Transition, Refusal> {
        let presented = Presented { lease_id: item.lease.lease_id, fence: item.lease.fence };
        match &item.verdict {
            Verdict::Complete(result) => transition::complete(job, presented, result.clone(), now),
            Verdict::Release => transition::release(job, presented, now),
            Verdict::Fail(reported) => {
                let policy = self.core.terms_of(&job.facts).retry;
                transition::fail(job, presented, reported.clone(), &policy, now, rand::random())
            }
        }
    }

    /// A refused answer may be the repetition of one that counted.
    async fn replay(
        &self,
        tx: &mut Tx,
        refused: Vec<(usize, [u8; 32], Asked)>,
        outcomes: &mut [Result<Answered, NotCounted>],
    ) -> Result<(), StoreError> {
        if refused.is_empty() {
            return Ok(());
        }
        let asked: Vec<Asked> = refused.iter().map(|(_, _, asked)| asked.clone()).collect();
        for ((position, hash, _), recorded) in refused.into_iter().zip(answers_recorded(tx, &asked).await?) {
            match recorded {
                Some(recorded) if recorded.is_repeated_by(&hash) => {
                    outcomes[position] = Ok(Answered {
                        state: recorded.to_state,
                        at: recorded.occurred_at,
                        next_attempt_at: recorded.next_attempt_at,
                        replayed: true,
                    });
                }
                _ => metrics::stale_answer_refused(),
            }
        }
        Ok(())
    }
}

/// The tenants of a comma-separated list that this service made.
pub(super) fn scope_of(tenants: &str) -> impl Iterator<Item = holdfast_ids::TenantId> + '_ {
    tenants.split(',').filter_map(|tenant| holdfast_ids::TenantId::parse(tenant).ok())
}

fn answered(transition: &Transition) -> Answered {
    let next_attempt_at = match transition.after.state {
        State::Retrying { next_attempt_at } => Some(next_attempt_at),
        _ => None,
    };
    Answered { state: transition.after.state.name(), at: transition.occurred_at, next_attempt_at, replayed: false }
}

fn holder(job: &Job) -> Option<String> {
    match &job.state {
        State::Running(lease) => Some(lease.worker_id.clone()),
        _ => None,
    }
}

fn cause(item: &Answer, transition: &Transition, worker_id: Option<String>) -> Cause {
    // The job's trace goes on: an answer's own only where it is a part of it, which that of a worker's session is not.
    let submitted = &transition.after.facts.traceparent;
    let traceparent = if is_same_trace(submitted, &item.traceparent) { &item.traceparent } else { submitted };
    Cause {
        actor_id: item.caller.actor.clone(),
        worker_id,
        command: Some(Command { key: item.lease.lease_id.to_string(), hash: item.hash, idempotency_key: None }),
        request_id: item.request_id.clone(),
        traceparent: traceparent.clone(),
    }
}
