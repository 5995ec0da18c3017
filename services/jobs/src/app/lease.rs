//! Leases: handing jobs out, renewing, taking back.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use holdfast_fault::Fault;
use holdfast_ids::{ActorId, JobId, LeaseId, WorkerId};
use holdfast_pg::TenantScope;
use holdfast_pg::coalescer::BatchJob;

use super::answer::{LeaseRef, scope_of};
use super::holds::stopped;
use super::turns::Turns;
use super::{App, Asking, Core, authorise, blames_an_item, latest, retrying};
use crate::domain::hold::Hold;
use crate::domain::job::{Job, Lease, State, Time};
use crate::domain::payload::Payload;
use crate::domain::transition::{self, Cause, Refusal, Take, Transition};
use crate::error::job_not_found;
use crate::store::StoreError;
use crate::store::claim::{Candidates, Wanted};
use crate::store::holds::{Held, holds_insert};
use crate::store::lease::{Extension, Looked, leases_extend_if_held, leases_look};
use crate::store::transitions::{Locked, Step, jobs_load, transitions_persist};

/// Who takes a lease: one element a job it has room for.
#[derive(Debug, Clone)]
pub struct Taker {
    pub worker_id: WorkerId,
    pub actor_id: ActorId,
    pub request_id: String,
    /// Of payloads that reach it in one message.
    pub bytes_max: usize,
}

impl Taker {
    /// The transition by which a queued job becomes this taker's.
    pub(super) fn lease(&self, job: Job, ttl: Duration, now: Time) -> Result<(Transition, Cause), Refusal> {
        let take = Take { lease_id: LeaseId::new(), worker_id: self.worker_id.to_string(), ttl };
        let cause = Cause {
            actor_id: self.actor_id.clone(),
            worker_id: Some(self.worker_id.to_string()),
            command: None,
            request_id: self.request_id.clone(),
            traceparent: job.facts.traceparent.clone(),
        };
        Ok((transition::lease(job, take, now)?, cause))
    }
}

/// A job handed to a worker.
#[derive(Debug, Clone)]
pub struct Leased {
    pub job: Job,
    pub lease: Lease,
    pub payload: Payload,
    /// Since when the job was ready.
    pub ready_at: Time,
}

impl Leased {
    /// A job that was moved to running; None where it was not.
    pub(super) fn of(job: Job, payload: Payload, ready_at: Option<Time>) -> Option<Self> {
        let State::Running(lease) = job.state.clone() else { return None };
        Some(Self { lease, payload, ready_at: ready_at?, job })
    }
}

/// What a claim came to.
#[derive(Debug, Default)]
pub struct Claimed {
    /// Each with the position of its taker.
    pub leased: Vec<(usize, Leased)>,
    /// There may be more at once.
    pub is_more: bool,
}

impl Core {
    /// Leases ready jobs, one to each taker, of those whose turn it is.
    pub(super) async fn claim(
        &self,
        wanted: &Wanted,
        turns: &mut Turns,
        takers: &[Arc<Taker>],
    ) -> Result<Claimed, StoreError> {
        let jobs_max = takers.len().min(self.limits.dispatch.claim_jobs_max);
        let (mut tx, found) = self.find(wanted, turns, jobs_max).await?;
        let Takes { mut steps, takers, left_over, stopped, held } =
            self.takes(&mut tx, found.candidates(), takers).await?;
        // Those who have room have not seen what comes behind what may not run.
        let (leased, left_over) = (steps.len(), left_over || !stopped.is_empty());
        steps.extend(stopped);
        if steps.is_empty() {
            tx.rollback().await?;
            return Ok(Claimed { leased: Vec::new(), is_more: turns.came_to(wanted, found, &steps) || left_over });
        }
        holds_insert(&mut tx, &held).await?;
        let handed = transitions_persist(&mut tx, &steps, self.encode).await?;
        tx.commit().await?;
        let is_more = turns.came_to(wanted, found, &steps) || left_over;
        self.after_holds(&steps.split_off(leased));
        let mut payloads: HashMap<JobId, Payload> =
            handed.into_iter().map(|handed| (handed.job_id, handed.payload)).collect();
        let leased = steps
            .into_iter()
            .zip(takers)
            .map(|(step, taker)| {
                let job_id = step.transition.after.facts.job_id;
                let payload = payloads.remove(&job_id).ok_or(StoreError::LostLock)?;
                let leased = Leased::of(step.transition.after, payload, step.queued_since);
                Ok((taker, leased.ok_or(StoreError::LostLock)?))
            })
            .collect::<Result<_, StoreError>>()?;
        Ok(Claimed { leased, is_more })
    }

    /// Decides over the locked candidates, in their order.
    async fn takes(
        &self,
        tx: &mut holdfast_pg::Tx,
        candidates: &Candidates,
        takers: &[Arc<Taker>],
    ) -> Result<Takes, StoreError> {
        let mut loaded: HashMap<_, _> = jobs_load(tx, &candidates.locked)
            .await?
            .into_iter()
            .map(|locked| (locked.job.facts.job_id.as_uuid(), locked))
            .collect();
        let (mut takers, mut hands) = (takers.iter().enumerate(), Hands::default());
        let (mut takes, mut bytes) = (Takes::default(), 0);
        for (job_id, queued_since) in candidates.locked.job_ids.iter().zip(&candidates.queued_since) {
            let Some(locked) = loaded.remove(job_id) else { continue };
            let holds = self.guard.view().holds(&locked.job.facts);
            if !holds.is_empty() {
                takes.stop(locked, holds, *queued_since)?;
                continue;
            }
            bytes += locked.payload_bytes;
            if bytes > self.limits.dispatch.claim_bytes_max && !takes.steps.is_empty() {
                // The rest stays queued: only what is persisted is moved.
                takes.left_over = true;
                break;
            }
            // Whose hands are full is passed over, with all its further room.
            let Some((position, taker)) = takers.find(|(_, taker)| hands.take(taker, locked.payload_bytes)) else {
                takes.left_over = true;
                break;
            };
            let Ok((transition, cause)) = taker.lease(locked.job, self.limits.lease_ttl, locked.now) else { continue };
            takes.steps.push(Step { transition, cause, queued_since: Some(*queued_since) });
            takes.takers.push(position);
        }
        Ok(takes)
    }
}

/// What was decided over the candidates of a claim.
#[derive(Default)]
struct Takes {
    steps: Vec<Step>,
    /// The position of each step's taker.
    takers: Vec<usize>,
    left_over: bool,
    /// What may not run is moved out of the way.
    stopped: Vec<Step>,
    held: Vec<Held>,
}

impl Takes {
    fn stop(&mut self, locked: Locked, holds: Vec<Hold>, queued_since: Time) -> Result<(), StoreError> {
        if let Some((step, held)) = stopped(locked, holds)? {
            self.stopped.push(Step { queued_since: Some(queued_since), ..step });
            self.held.extend(held);
        }
        Ok(())
    }
}

/// How many bytes each taker was given.
#[derive(Default)]
struct Hands(HashMap<*const Taker, usize>);

impl Hands {
    /// Whether a taker can be given this much more; the first job it can always be given.
    fn take(&mut self, taker: &Arc<Taker>, payload_bytes: usize) -> bool {
        /// The rest of a leased job, generously.
        const JOB_BYTES: usize = 1024;
        let taken = self.0.entry(Arc::as_ptr(taker)).or_insert(0);
        let would_be = taken.saturating_add(payload_bytes + JOB_BYTES);
        let fits = *taken == 0 || would_be <= taker.bytes_max;
        // Full once and for all: a smaller job does not overtake the one that did not fit.
        *taken = if fits { would_be } else { usize::MAX };
        fits
    }
}

/// One lease to renew.
#[derive(Debug, Clone)]
pub struct Renewal {
    pub lease: LeaseRef,
    pub progress_percent: Option<i16>,
    pub progress_note: Option<String>,
}

impl App {
    /// Renews leases, each by itself; answers the new expiries, in order.
    pub async fn extend(&self, asking: &Asking, renewals: Vec<Renewal>) -> Result<Vec<Result<Time, Fault>>, Fault> {
        self.extend_each(asking, renewals.into_iter().map(Ok).collect()).await
    }

    /// As [`Self::extend`], where some may be malformed: those are answered so, in their places.
    pub async fn extend_each(
        &self,
        asking: &Asking,
        renewals: Vec<Result<Renewal, Fault>>,
    ) -> Result<Vec<Result<Time, Fault>>, Fault> {
        let tenants = authorise::worker_tenants(&asking.caller, &self.core.limits)?;
        let tenants = tenants.iter().map(|tenant| tenant.as_str()).collect::<Vec<_>>().join(",");
        let projects = authorise::projects(&asking.caller).join(",");
        let renewed = renewals.into_iter().map(|renewal| {
            let extension = renewal.map(|renewal| Extension {
                job_id: renewal.lease.job_id,
                lease_id: renewal.lease.lease_id,
                fence: renewal.lease.fence,
                tenants: tenants.clone(),
                projects: projects.clone(),
                progress_percent: renewal.progress_percent,
                progress_note: renewal.progress_note,
                deadline: asking.deadline,
            });
            async move {
                let lost = self.extensions.submit(extension?).await.map_err(Fault::from)?;
                lost.map_err(|lost| lost.map_or_else(job_not_found, Fault::from))
            }
        });
        Ok(futures::future::join_all(renewed).await)
    }
}

/// The batch job behind [`App::extend`].
#[derive(Debug)]
pub struct Extensions {
    core: Arc<Core>,
}

impl Extensions {
    pub fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// None for a lease that holds, and that somebody else has locked at this moment.
    async fn extend_once(&self, items: &[Extension]) -> Result<Vec<Option<Renewed>>, StoreError> {
        let tenants: Vec<_> = items.iter().flat_map(|item| scope_of(&item.tenants)).collect();
        let deadline = latest(items.iter().map(|item| item.deadline));
        let mut tx = self.core.app_db.begin(&TenantScope::new(&tenants)?, deadline).await?;
        let ttl_ms = self.core.limits.lease_ttl.as_millis() as i64;
        let renewed: HashMap<(LeaseId, i64), Time> =
            leases_extend_if_held(&mut tx, items, ttl_ms).await?.into_iter().collect();
        let is_renewed = |item: &Extension| renewed.get(&(item.lease_id, item.fence)).copied();
        let lost: Vec<&Extension> = items.iter().filter(|item| is_renewed(item).is_none()).collect();
        let mut looked = leases_look(&mut tx, &lost).await?.into_iter();
        tx.commit().await?;
        let outcome = |item| match is_renewed(item) {
            Some(expires_at) => Some(Ok(expires_at)),
            None => match looked.next().flatten() {
                None => Some(Err(None)),
                Some(Looked { holds: true, .. }) => None,
                Some(Looked { state, .. }) if state.is_final() => Some(Err(Some(Refusal::AlreadyTerminal))),
                Some(_) => Some(Err(Some(Refusal::StaleFence))),
            },
        };
        Ok(items.iter().map(outcome).collect())
    }
}

/// The new expiry of a lease, or why it was not renewed: nothing where its job does not exist for the caller.
type Renewed = Result<Time, Option<Refusal>>;

#[async_trait::async_trait]
impl BatchJob for Extensions {
    type Item = Extension;
    type Output = Renewed;
    type Error = StoreError;

    fn weight(_: &Extension) -> usize {
        512
    }

    fn blames_an_item(error: &StoreError) -> bool {
        blames_an_item(error)
    }

    async fn run(&self, items: &[Extension]) -> Result<Vec<Result<Self::Output, StoreError>>, StoreError> {
        /// Who has a lease locked is about to renew or to end it.
        const TRIES: usize = 50;
        const PAUSE: Duration = Duration::from_millis(10);
        let mut outcomes: Vec<Option<Renewed>> = vec![None; items.len()];
        for number in 0..TRIES {
            let open: Vec<usize> = (0..items.len()).filter(|index| outcomes[*index].is_none()).collect();
            if open.is_empty() {
                break;
            }
            if number > 0 {
                tokio::time::sleep(PAUSE).await;
            }
            let again: Vec<Extension> = open.iter().map(|index| items[*index].clone()).collect();
            let renewed = retrying(&self.core.app_db, || self.extend_once(&again)).await?;
            for (index, outcome) in open.into_iter().zip(renewed) {
                outcomes[index] = outcome;
            }
        }
        Ok(outcomes.into_iter().map(|outcome| outcome.ok_or(StoreError::Raced)).collect())
    }
}
