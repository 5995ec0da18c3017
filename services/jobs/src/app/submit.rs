//! Submitting: one decision a key, whatever the number of callers, batches and instances.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use holdfast_fault::{Fault, Reason};
use holdfast_ids::{JobId, LedgerId};
use holdfast_pg::coalescer::BatchJob;
use holdfast_pg::{TenantScope, Tx};

use super::admit::{Identified, Requested};
use super::dependencies::{SeenJobs, Waiting};
use super::depth::{Over, QueueLimits, surplus};
use super::dispatch::Dispatcher;
use super::folded::{Decided, Folded};
use super::holds::Holding;
use super::lease::Leased;
use super::seats::Place;
use super::{App, Asking, Core, blames_an_item, latest, retrying};
use crate::domain::job::{Queue, StateName, Time};
use crate::domain::payload_hash::PayloadHash;
use crate::domain::submission::Submission;
use crate::metrics;
use crate::store::StoreError;
use crate::store::submit::{
    Candidate, InWindow, Intake, New, RoomAsked, has_infra, infra_depths, jobs_insert, key_heads_claim_if_free,
    key_heads_in_window, ledger_touch, project_slots_create, slots_take_if_free,
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submitted {
    pub job_id: JobId,
    pub state: StateName,
    pub replayed: bool,
    pub window_end: Time,
    pub generation: i64,
}

impl Submitted {
    /// What a submission comes to whose key is in a window that is open.
    pub(super) fn repeating(window: &InWindow, payload_hash: &PayloadHash) -> Result<Self, Refused> {
        let (job_id, state) = window.job.filter(|_| window.payload_hash == *payload_hash).ok_or(Refused::Conflict)?;
        let (window_end, generation) = (window.window_end, window.generation);
        Ok(Self { job_id, state, replayed: true, window_end, generation })
    }
}

/// Why a well-formed submission is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// The key was used in its window for another payload, or reserved by another service.
    Conflict,
    QueueFull {
        queue: Queue,
    },
}

impl From<Refused> for Fault {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Conflict => Self::new(
                Reason::Job409IdempotencyConflict,
                "the idempotency key was used in its window with another payload",
            ),
            Refused::QueueFull { queue } => Self::new(
                Reason::Job503QueueUnavailable,
                format!("the {} queue takes no more jobs now", queue.as_str()),
            )
            .retry_after(Duration::from_secs(5)),
        }
    }
}

impl App {
    pub async fn submit(&self, asking: &Asking, requested: Requested) -> Result<Submitted, Fault> {
        let identified = self.identify(asking, requested)?;
        let outcome = self.submit_side_by_side(asking, vec![identified]).await.pop();
        outcome.unwrap_or_else(|| Err(Fault::unexpected("a submission without an outcome")))
    }

    /// Submissions none of which waits for another one; an outcome each, in their order.
    pub(super) async fn submit_side_by_side(
        &self,
        asking: &Asking,
        items: Vec<Identified>,
    ) -> Vec<Result<Submitted, Fault>> {
        let answered = self.throttle(asking, &items).await;
        let seen = &self.named_jobs(asking, &items).await;
        let outcomes = items.into_iter().zip(answered).map(|(item, answered)| async move {
            match answered {
                Some(outcome) => outcome,
                None => self.submit_admitted(asking, item, seen).await,
            }
        });
        join_all(outcomes).await
    }

    async fn submit_admitted(
        &self,
        asking: &Asking,
        item: Identified,
        seen: &Result<SeenJobs, Fault>,
    ) -> Result<Submitted, Fault> {
        match self.admit(asking, &item, seen).await {
            Ok(admitted) => {
                let submission = item.under(admitted, asking, self.core.limits.max_age);
                Ok(self.submissions.submit(submission).await.map_err(Fault::from)??)
            }
            Err(unadmitted) => self.unless_repeated(asking, &item, unadmitted).await,
        }
    }
}

/// The batch job behind [`App::submit`].
pub struct Submissions {
    core: Arc<Core>,
    dispatcher: Dispatcher,
}

impl Submissions {
    pub(super) fn new(core: Arc<Core>, dispatcher: Dispatcher) -> Self {
        Self { core, dispatcher }
    }
}

#[async_trait::async_trait]
impl BatchJob for Submissions {
    type Item = Submission;
    type Output = Result<Submitted, Refused>;
    type Error = StoreError;

    fn weight(item: &Submission) -> usize {
        item.payload.data.len() + 512
    }

    fn blames_an_item(error: &StoreError) -> bool {
        blames_an_item(error)
    }

    async fn run(&self, items: &[Submission]) -> Result<Vec<Result<Self::Output, StoreError>>, StoreError> {
        let outcomes = retrying(&self.core.app_db, || self.run_once(items)).await?;
        let queued =
            outcomes.iter().filter(|outcome| outcome.as_ref().is_ok_and(|submitted| !submitted.replayed)).count();
        if queued > 0 {
            metrics::submitted(queued);
            self.core.wake_dispatch();
            self.core.hints.outbox();
        }
        Ok(outcomes.into_iter().map(Ok).collect())
    }
}

impl Submissions {
    /// One transaction; where it would leave a queue over its hard limit it is undone, and done again without the
    /// submissions that were too many.
    async fn run_once(&self, items: &[Submission]) -> Result<Vec<Result<Submitted, Refused>>, StoreError> {
        let scope = TenantScope::new(items.iter().map(|item| &item.scope.tenant_id))?;
        let deadline = latest(items.iter().map(|item| item.deadline));
        let folded = Folded::of(items);
        // Given back, whatever happens, by those that do not come to be leased.
        let holding = Holding::of(&self.core.guard, items, &folded.leaders);
        let free = folded.leaders.iter().filter(|index| holding.is_free(**index));
        let mut places = self.dispatcher.match_with(free.map(|index| (*index, &items[*index])));
        let mut full: HashMap<usize, Queue> = HashMap::new();
        loop {
            let mut tx = self.core.app_db.begin(&scope, deadline).await?;
            match self.attempt(&mut tx, items, &folded, &full, (&places, &holding)).await? {
                Attempt::Fits { decided, leased, settles } => {
                    tx.commit().await?;
                    if settles {
                        self.core.settle.notify_one();
                    }
                    metrics::matched(leased.len());
                    let handed = leased.into_iter().filter_map(|(index, job)| Some((places.remove(&index)?, job)));
                    self.dispatcher.hand_out(handed);
                    return Ok(folded.outcomes(items, &decided, &full));
                }
                Attempt::TooMany(surplus) => {
                    tx.rollback().await?;
                    metrics::submissions_refused("depth", surplus.len());
                    full.extend(surplus);
                }
            }
        }
    }

    async fn attempt(
        &self,
        tx: &mut Tx,
        items: &[Submission],
        folded: &Folded,
        full: &HashMap<usize, Queue>,
        (places, holding): (&HashMap<usize, Place>, &Holding),
    ) -> Result<Attempt, StoreError> {
        let mut decided: HashMap<usize, Decided> = HashMap::new();
        let candidates: Vec<(usize, Candidate<'_>)> = folded
            .leaders
            .iter()
            .filter(|index| !full.contains_key(index))
            .map(|index| {
                let candidate =
                    Candidate { submission: &items[*index], job_id: JobId::new(), ledger_id: LedgerId::new() };
                (*index, candidate)
            })
            .collect();
        let mut opened = HashMap::new();
        if !candidates.is_empty() {
            let free: Vec<_> = candidates.iter().map(|(_, candidate)| *candidate).collect();
            for window in key_heads_claim_if_free(tx, &free).await? {
                opened.insert(window.ledger_id, window);
            }
        }
        // A submission that found its queue full is still answered as a replay where its key has a job.
        let (mut taken, mut free) = (full.keys().copied().collect::<Vec<_>>(), Vec::new());
        for (index, candidate) in candidates {
            match opened.remove(&candidate.ledger_id) {
                Some(opened) => free.push((index, candidate, opened)),
                None => taken.push(index),
            }
        }
        self.read_taken(tx, items, taken, full, &mut decided).await?;
        if free.is_empty() {
            return Ok(Attempt::Fits { decided, leased: Vec::new(), settles: false });
        }
        // Every lock of a job, and of what jobs wait for, is taken before those of the projects.
        let waiting = Waiting::of(tx, free.iter().map(|(_, candidate, _)| *candidate)).await?;
        let mut news: Vec<_> = free
            .into_iter()
            .map(|(index, candidate, opened)| {
                let job_id = candidate.job_id;
                let (blocked_by, held_by) = (waiting.blocks(job_id), holding.holds(index));
                (index, New::of(candidate, opened, blocked_by, held_by, waiting.awaits(job_id)))
            })
            .collect();
        self.lease_matched(tx, &mut news, places).await?;
        if let Some(surplus) = self.insert(tx, &news).await? {
            return Ok(Attempt::TooMany(surplus));
        }
        waiting.keep(tx).await?;
        holding.keep(tx, &news).await?;
        let mut leased = Vec::new();
        for (index, New { candidate, opened, submitted, leased: moved }) in news {
            let job = moved.unwrap_or(submitted).0.after;
            let (job_id, state) = (candidate.job_id, job.state.name());
            let (payload, ready_at) = (candidate.submission.payload.clone(), opened.opened_at);
            leased.extend(Leased::of(job, payload, Some(ready_at)).map(|job| (index, job)));
            decided.insert(index, Decided::New { job_id, state, opened });
        }
        Ok(Attempt::Fits { decided, leased, settles: waiting.settles() })
    }

    /// Leases the new jobs that have a place at once, as far as their projects have room for them.
    async fn lease_matched(
        &self,
        tx: &mut Tx,
        news: &mut [(usize, New<'_>)],
        places: &HashMap<usize, Place>,
    ) -> Result<(), StoreError> {
        let mut asked: BTreeMap<(String, String), i32> = BTreeMap::new();
        for (index, new) in news.iter() {
            if places.contains_key(index) {
                *asked.entry(project_of(new)).or_default() += 1;
            }
        }
        if asked.is_empty() {
            return Ok(());
        }
        let asked: Vec<RoomAsked> = asked
            .into_iter()
            .map(|((tenant_id, project_id), jobs)| RoomAsked { tenant_id, project_id, jobs })
            .collect();
        let given = slots_take_if_free(tx, &asked, &self.core.limits.running).await?;
        for (index, new) in news.iter_mut() {
            let Some(place) = places.get(index).filter(|_| given.contains(&project_of(new))) else { continue };
            let queued = new.submitted.0.after.clone();
            // A new job is queued, and what is queued can be leased.
            new.leased = place.taker.lease(queued, self.core.limits.lease_ttl, new.opened.opened_at).ok();
        }
        Ok(())
    }

    /// Reads the windows that were open already, and notes that their keys were seen again.
    async fn read_taken(
        &self,
        tx: &mut Tx,
        items: &[Submission],
        taken: Vec<usize>,
        full: &HashMap<usize, Queue>,
        decided: &mut HashMap<usize, Decided>,
    ) -> Result<(), StoreError> {
        if taken.is_empty() {
            return Ok(());
        }
        let scopes: Vec<_> = taken.iter().map(|index| &items[*index].scope).collect();
        let (mut ledger_ids, mut tenant_ids) = (Vec::new(), Vec::new());
        for (index, found) in taken.iter().zip(key_heads_in_window(tx, &scopes).await?) {
            match found {
                // What the claim passed over was open when it held the row's lock, and is answered so.
                Some(window) if window.is_open || !full.contains_key(index) => {
                    ledger_ids.push(window.ledger_id);
                    tenant_ids.push(items[*index].scope.tenant_id.to_string());
                    decided.insert(*index, Decided::Taken(window));
                }
                _ if full.contains_key(index) => {}
                // A key that the claim neither took nor left: its row is hidden.
                _ => return Err(StoreError::Raced),
            }
        }
        if !ledger_ids.is_empty() {
            ledger_touch(tx, &ledger_ids, &tenant_ids).await?;
        }
        Ok(())
    }

    /// Inserts the new jobs; answers which of them are too many for their queue, if any.
    async fn insert(
        &self,
        tx: &mut Tx,
        news: &[(usize, New<'_>)],
    ) -> Result<Option<HashMap<usize, Queue>>, StoreError> {
        let intakes = jobs_insert(tx, news.iter().map(|(_, new)| new), self.core.encode).await?;
        let unseen: Vec<&Intake> = intakes.iter().filter(|intake| !intake.has_slots).collect();
        if !unseen.is_empty() {
            project_slots_create(tx, &unseen).await?;
        }
        let limits = &self.core.limits;
        // While the outbox is over its soft limit those of the queues are held to.
        let is_pressed = self.core.outbox.pending().is_some_and(|pending| pending >= limits.outbox_soft);
        let mut over: HashMap<(Queue, String, String), Over> = HashMap::new();
        for intake in &intakes {
            let own = self.core.in_force.of(&intake.tenant_id, &intake.project_id);
            let depth = QueueLimits::of_project(limits.depth, own.as_deref());
            let key = (Queue::Project, intake.tenant_id.clone(), intake.project_id.clone());
            over.extend(Over::by(intake.project_depth, depth, is_pressed).map(|by| (key, by)));
        }
        if has_infra(news.iter().map(|(_, new)| new)) {
            let tenants: HashSet<String> =
                news.iter().map(|(_, new)| new.candidate.submission.scope.tenant_id.to_string()).collect();
            for (tenant_id, waiting) in infra_depths(tx, &tenants.into_iter().collect::<Vec<_>>()).await? {
                let depth = QueueLimits { soft: limits.depth.infra_soft, hard: limits.depth.infra_hard };
                let key = (Queue::Infra, tenant_id, String::new());
                over.extend(Over::by(waiting, depth, is_pressed).map(|by| (key, by)));
            }
        }
        Ok(surplus(news, over, &limits.safety_critical))
    }
}

fn project_of(new: &New<'_>) -> (String, String) {
    let scope = &new.candidate.submission.scope;
    (scope.tenant_id.to_string(), scope.project_id.to_string())
}

enum Attempt {
    Fits { decided: HashMap<usize, Decided>, leased: Vec<(usize, Leased)>, settles: bool },
    TooMany(HashMap<usize, Queue>),
}
