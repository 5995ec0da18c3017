//! Submitting: one decision a key, whatever the number of callers, batches and instances.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use holdfast_fault::{Fault, Reason};
use holdfast_ids::{IdempotencyKey, Intent, JobId, LedgerId, ProjectId, TenantId};
use holdfast_pg::coalescer::BatchJob;
use holdfast_pg::{TenantScope, Tx};

use super::{App, Asking, Core, authorise, blames_an_item, retrying};
use crate::domain::job::{Queue, StateName, Tier, Time};
use crate::domain::payload::Payload;
use crate::domain::payload_hash;
use crate::domain::submission::{KeyScope, Meaning, Submission};
use crate::error::bad_json;
use crate::metrics;
use crate::store::StoreError;
use crate::store::submit::{
    Candidate, InWindow, Intake, New, has_infra, infra_depths, jobs_insert, key_heads_claim_if_free,
    key_heads_in_window, ledger_touch, project_slots_create,
};

/// A submission as the caller sent it, well-formed.
#[derive(Debug, Clone)]
pub struct Requested {
    pub tenant_id: Option<TenantId>,
    pub project_id: ProjectId,
    pub intent: Intent,
    pub queue: Queue,
    pub tier: Tier,
    pub priority: i16,
    pub run_after: Option<Time>,
    pub run_budget_ms: Option<i64>,
    pub max_attempts: Option<i32>,
    pub key: IdempotencyKey,
    pub payload: Payload,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submitted {
    pub job_id: JobId,
    pub state: StateName,
    pub replayed: bool,
    pub window_end: Time,
    pub generation: i64,
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
            Refused::QueueFull { queue } => {
                Self::new(Reason::Job503QueueUnavailable, format!("the {} queue is at its hard limit", queue.as_str()))
                    .retry_after(Duration::from_secs(5))
            }
        }
    }
}

impl App {
    pub async fn submit(&self, asking: &Asking, requested: Requested) -> Result<Submitted, Fault> {
        let submission = self.admit(asking, requested)?;
        Ok(self.submissions.submit(submission).await.map_err(Fault::from)??)
    }

    /// Each by itself, in the order given; they travel together as far as the batch limits allow.
    pub async fn submit_all(
        &self,
        asking: &Asking,
        items: Vec<Result<Requested, Fault>>,
    ) -> Vec<Result<Submitted, Fault>> {
        futures::future::join_all(items.into_iter().map(|item| async { self.submit(asking, item?).await })).await
    }

    /// Authorises a submission and fills in the terms of its intent.
    fn admit(&self, asking: &Asking, requested: Requested) -> Result<Submission, Fault> {
        let caller = &asking.caller;
        let limits = &self.core.limits;
        let tenant_id = authorise::tenant(caller, requested.tenant_id)?;
        authorise::project(caller, &requested.project_id)?;
        authorise::agent_profile(caller, &requested.intent, requested.tier)?;
        if requested.tier == Tier::C {
            let message = "a tier C job needs a human decision before it runs, which this version does not take";
            return Err(Fault::new(Reason::Policy409RequiresApproval, message));
        }
        if self.core.outbox.pending().is_some_and(|pending| pending >= limits.outbox_hard) {
            metrics::submissions_refused("outbox", 1);
            return Err(Fault::new(Reason::Infra503DependencyDown, "too many events wait for the relay")
                .with("component", "outbox")
                .retry_after(Duration::from_secs(5)));
        }
        let meaning = Meaning {
            intent: &requested.intent,
            queue: requested.queue,
            tier: requested.tier,
            priority: requested.priority,
            run_after: requested.run_after,
            run_budget_ms: requested.run_budget_ms,
            max_attempts: requested.max_attempts,
        };
        let payload_hash = payload_hash::of_submission(&meaning, &requested.payload)
            .map_err(|error| bad_json("payload.data", error))?;
        let terms = limits.intents.terms(&requested.intent);
        let run_budget_ms = tightened(
            "constraints.run_budget",
            requested.run_budget_ms,
            terms.run_budget(requested.tier).as_millis() as i64,
            "ms",
        )?;
        let max_attempts = tightened(
            "constraints.max_attempts",
            requested.max_attempts.map(i64::from),
            i64::from(terms.attempts_max),
            "attempts",
        )?;
        Ok(Submission {
            scope: KeyScope {
                tenant_id,
                project_id: requested.project_id,
                intent: requested.intent,
                actor_id: caller.actor.clone(),
                key: requested.key,
            },
            queue: requested.queue,
            tier: requested.tier,
            priority: requested.priority,
            run_after: requested.run_after,
            max_attempts: max_attempts as i32,
            run_budget_ms,
            payload: requested.payload,
            payload_hash,
            window_ms: terms.key_window.as_millis() as i64,
            request_id: asking.request_id.clone(),
            traceparent: asking.traceparent.clone(),
        })
    }
}

/// A constraint may lower the limit of its intent, never raise it.
fn tightened(field: &str, asked: Option<i64>, limit: i64, unit: &str) -> Result<i64, Fault> {
    match asked {
        Some(asked) if asked > limit => {
            Err(Fault::invalid(field, format!("is more than the intent allows, {limit} {unit}")))
        }
        asked => Ok(asked.unwrap_or(limit)),
    }
}

/// The batch job behind [`App::submit`].
#[derive(Debug)]
pub struct Submissions {
    core: Arc<Core>,
}

impl Submissions {
    pub fn new(core: Arc<Core>) -> Self {
        Self { core }
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
        let outcomes = retrying(|| self.run_once(items)).await?;
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
        let folded = Folded::of(items);
        let mut full: HashMap<usize, Queue> = HashMap::new();
        loop {
            let mut tx = self.core.app_db.begin(&scope, None).await?;
            match self.attempt(&mut tx, items, &folded, &full).await? {
                Attempt::Fits(decided) => {
                    tx.commit().await?;
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
        let (mut taken, mut news) = (full.keys().copied().collect::<Vec<_>>(), Vec::new());
        for (index, candidate) in candidates {
            match opened.remove(&candidate.ledger_id) {
                Some(opened) => {
                    decided.insert(index, Decided::New { job_id: candidate.job_id, opened: opened.clone() });
                    news.push((index, New { candidate, opened }));
                }
                None => taken.push(index),
            }
        }
        self.read_taken(tx, items, taken, full, &mut decided).await?;
        if !news.is_empty()
            && let Some(surplus) = self.insert(tx, &news).await?
        {
            return Ok(Attempt::TooMany(surplus));
        }
        Ok(Attempt::Fits(decided))
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
        let (indices, rows): (Vec<usize>, Vec<New<'_>>) = news
            .iter()
            .map(|(index, new)| (*index, New { candidate: new.candidate, opened: new.opened.clone() }))
            .unzip();
        let intakes = jobs_insert(tx, &rows, self.core.encode).await?;
        let unseen: Vec<&Intake> = intakes.iter().filter(|intake| !intake.has_slots).collect();
        if !unseen.is_empty() {
            project_slots_create(tx, &unseen).await?;
        }
        let depth = self.core.limits.depth;
        let mut over: HashMap<(Queue, String, String), i64> = HashMap::new();
        for intake in &intakes {
            if intake.project_depth > depth.project_soft {
                metrics::over_soft_limit();
            }
            if intake.project_depth > depth.project_hard {
                let key = (Queue::Project, intake.tenant_id.clone(), intake.project_id.clone());
                over.insert(key, intake.project_depth - depth.project_hard);
            }
        }
        if has_infra(&rows) {
            let tenants: HashSet<String> =
                rows.iter().map(|new| new.candidate.submission.scope.tenant_id.to_string()).collect();
            for (tenant_id, waiting) in infra_depths(tx, &tenants.into_iter().collect::<Vec<_>>()).await? {
                if waiting > depth.infra_hard {
                    over.insert((Queue::Infra, tenant_id, String::new()), waiting - depth.infra_hard);
                }
            }
        }
        Ok(surplus(&indices, &rows, over))
    }
}

/// The last submissions of each queue that is over, as many as it is over by.
fn surplus(
    indices: &[usize],
    news: &[New<'_>],
    mut over: HashMap<(Queue, String, String), i64>,
) -> Option<HashMap<usize, Queue>> {
    let mut surplus = HashMap::new();
    for (index, new) in indices.iter().zip(news).rev() {
        let submission = new.candidate.submission;
        let project = match submission.queue {
            Queue::Project => submission.scope.project_id.to_string(),
            Queue::Infra => String::new(),
        };
        let key = (submission.queue, submission.scope.tenant_id.to_string(), project);
        if let Some(left) = over.get_mut(&key).filter(|left| **left > 0) {
            *left -= 1;
            surplus.insert(*index, submission.queue);
        }
    }
    // Over by more than this batch brought: others fill the queue too, and nothing of it is this batch's to undo.
    (!surplus.is_empty()).then_some(surplus)
}

enum Attempt {
    Fits(HashMap<usize, Decided>),
    TooMany(HashMap<usize, Queue>),
}

/// What became of a key.
enum Decided {
    New { job_id: JobId, opened: crate::store::submit::Opened },
    Taken(InWindow),
}

/// Submissions under one key within a batch: the first leads, the others are answered as if they had come later.
struct Folded {
    leaders: Vec<usize>,
    leader_of: Vec<usize>,
}

impl Folded {
    fn of(items: &[Submission]) -> Self {
        let mut first: HashMap<&KeyScope, usize> = HashMap::new();
        let leader_of: Vec<usize> =
            items.iter().enumerate().map(|(index, item)| *first.entry(&item.scope).or_insert(index)).collect();
        let mut leaders: Vec<usize> = first.into_values().collect();
        leaders.sort_unstable();
        Self { leaders, leader_of }
    }

    fn outcomes(
        &self,
        items: &[Submission],
        decided: &HashMap<usize, Decided>,
        full: &HashMap<usize, Queue>,
    ) -> Vec<Result<Submitted, Refused>> {
        items
            .iter()
            .enumerate()
            .map(|(index, item)| {
                let leader = self.leader_of[index];
                match decided.get(&leader) {
                    Some(Decided::New { job_id, opened }) if item.payload_hash == items[leader].payload_hash => {
                        Ok(Submitted {
                            job_id: *job_id,
                            state: StateName::Queued,
                            replayed: index != leader,
                            window_end: opened.window_end,
                            generation: opened.generation,
                        })
                    }
                    Some(Decided::Taken(window)) if window.payload_hash == item.payload_hash => match window.job {
                        Some((job_id, state)) => Ok(Submitted {
                            job_id,
                            state,
                            replayed: true,
                            window_end: window.window_end,
                            generation: window.generation,
                        }),
                        None => Err(Refused::Conflict),
                    },
                    Some(_) => Err(Refused::Conflict),
                    None => Err(Refused::QueueFull { queue: full.get(&leader).copied().unwrap_or(item.queue) }),
                }
            })
            .collect()
    }
}
