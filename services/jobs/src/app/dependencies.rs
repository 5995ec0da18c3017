//! What submissions wait for: whether they may, and how that stands as they are taken.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use holdfast_fault::{Fault, Reason, Violation};
use holdfast_ids::{JobId, TenantId};
use holdfast_pg::{TenantScope, Tx};

use super::admit::{Identified, Requested};
use super::submit::Submitted;
use super::{App, Asking};
use crate::domain::dependency::{Dependency, Effect, OnFailure, order};
use crate::domain::job::StateName;
use crate::store::StoreError;
use crate::store::dependencies::{
    Anew, Open, Placed, Seen, dependencies_await, dependencies_insert, dependencies_move, dependencies_seen,
    settlements_insert,
};
use crate::store::read::SeenJob;
use crate::store::submit::Candidate;

/// Jobs that are named as dependencies, as far as they are there.
pub(super) type SeenJobs = HashMap<Placed, Seen>;

/// A dependency as the caller named it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named {
    pub on: On,
    pub on_failure: OnFailure,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    Job(JobId),
    /// An item of the same batch.
    Item(usize),
}

impl App {
    /// Each by itself, in the order given; they travel together as far as the batch limits and their dependencies allow.
    pub async fn submit_all(
        &self,
        asking: &Asking,
        items: Vec<Result<Requested, Fault>>,
    ) -> Vec<Result<Submitted, Fault>> {
        let count = items.len();
        let mut items: Vec<_> = items.into_iter().map(|item| item.and_then(|item| within(item, count))).collect();
        let named: Vec<Vec<usize>> =
            items.iter().map(|item| item.as_ref().map(items_named).unwrap_or_default()).collect();
        let mut outcomes: Vec<Option<Result<Submitted, Fault>>> = vec![None; count];
        for round in order(&named) {
            let (mut indices, mut identified) = (Vec::new(), Vec::new());
            for index in round {
                let item = std::mem::replace(&mut items[index], Err(circle()));
                let item = item.and_then(|item| resolved(item, &outcomes));
                match item.and_then(|item| self.identify(asking, item)) {
                    Ok(item) => {
                        indices.push(index);
                        identified.push(item);
                    }
                    Err(fault) => outcomes[index] = Some(Err(fault)),
                }
            }
            let submitted = self.submit_side_by_side(asking, identified).await;
            for (index, outcome) in indices.into_iter().zip(submitted) {
                outcomes[index] = Some(outcome);
            }
        }
        outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(|| Err(circle()))).collect()
    }

    /// How all stand that the items name, in one look.
    pub(super) async fn named_jobs(&self, asking: &Asking, items: &[Identified]) -> Result<SeenJobs, Fault> {
        let named = items.iter().flat_map(|item| {
            let tenant_id = &item.scope.tenant_id;
            item.dependencies.iter().map(|dependency| (dependency.job_id, tenant_id.clone()))
        });
        let named: BTreeSet<Placed> = named.collect();
        self.look_at(asking, named.into_iter().collect()).await
    }

    async fn look_at(&self, asking: &Asking, named: Vec<Placed>) -> Result<SeenJobs, Fault> {
        if named.is_empty() {
            return Ok(SeenJobs::new());
        }
        let look = async {
            let scope = TenantScope::new(named.iter().map(|(_, tenant_id)| tenant_id))?;
            let mut tx = self.core.app_db.begin(&scope, asking.deadline).await?;
            let seen = dependencies_seen(&mut tx, &named).await?;
            tx.rollback().await?;
            Ok::<_, StoreError>(seen)
        };
        Ok(self.core.app_db.bounded(look).await?)
    }

    /// What a job was to wait for and that has not ended: who does it anew waits for it too, whether he may see it or not, as the
    /// old job did.
    pub(super) async fn unended(&self, asking: &Asking, old: &SeenJob) -> Result<Vec<Dependency>, Fault> {
        let placed = |dependency: &Dependency| (dependency.job_id, old.tenant_id.clone());
        let seen = self.look_at(asking, old.dependencies.iter().map(placed).collect()).await?;
        let goes_on = |dependency: &&Dependency| seen.get(&placed(dependency)).is_some_and(|job| !job.state.is_final());
        Ok(old.dependencies.iter().filter(goes_on).copied().collect())
    }

    /// Makes certain that the caller may see all that a submission waits for, and that none of it waits for the submission
    /// itself.
    pub(super) async fn require_dependencies(
        &self,
        asking: &Asking,
        item: &Identified,
        seen: &Result<SeenJobs, Fault>,
        parent: Option<&SeenJob>,
    ) -> Result<(), Fault> {
        if item.dependencies.is_empty() {
            return Ok(());
        }
        let seen = seen.as_ref().map_err(Fault::clone)?;
        let is_hidden = |job_id: JobId| {
            let seen = seen.get(&(job_id, item.scope.tenant_id.clone()));
            let project_id = seen.and_then(|seen| seen.project_id.parse().ok());
            !project_id.is_some_and(|project_id| asking.caller.projects.contains(&project_id))
        };
        let named = item.requested.dependencies.iter().enumerate();
        let hidden = named.filter(|(_, named)| matches!(named.on, On::Job(job_id) if is_hidden(job_id)));
        let violations: Vec<Violation> =
            hidden.map(|(index, _)| Violation::new(format!("dependencies[{index}].job_id"), "no such job")).collect();
        if !violations.is_empty() {
            let mut fault = Fault::new(Reason::Job404NotFound, "no such job to depend on");
            fault.violations = violations;
            return Err(fault);
        }
        self.refuse_ancestors(asking, &item.dependencies, parent).await
    }

    /// A parent waits for its child, so the child cannot wait for it, nor for whom that one is done.
    async fn refuse_ancestors(
        &self,
        asking: &Asking,
        dependencies: &[Dependency],
        parent: Option<&SeenJob>,
    ) -> Result<(), Fault> {
        let mut ancestor = parent.map(|parent| (parent.job_id, parent.parent));
        while let Some((job_id, above)) = ancestor {
            if dependencies.iter().any(|dependency| dependency.job_id == job_id) {
                let message = "the job would wait for the one on whose behalf it is done";
                return Err(Fault::new(Reason::Job422DependencyCycle, message));
            }
            ancestor = match above {
                // One that the caller may not see is none that he could name.
                Some(above) => self.get(asking, above.job_id).await.ok().map(|job| (job.job_id, job.parent)),
                None => None,
            };
        }
        Ok(())
    }
}

/// Refuses an item that names what is no item.
fn within(item: Requested, count: usize) -> Result<Requested, Fault> {
    for (index, named) in item.dependencies.iter().enumerate() {
        if matches!(named.on, On::Item(other) if other >= count) {
            return Err(Fault::invalid(format!("dependencies[{index}].batch_item"), "is no item of the batch"));
        }
    }
    Ok(item)
}

/// The dependencies that name jobs, in the order of ids.
pub(super) fn jobs_named(named: &[Named]) -> Result<Vec<Dependency>, Fault> {
    let (mut dependencies, mut seen) = (Vec::with_capacity(named.len()), HashSet::new());
    for (index, named) in named.iter().enumerate() {
        let On::Job(job_id) = named.on else {
            let field = format!("dependencies[{index}].batch_item");
            return Err(Fault::invalid(field, "names an item, but there is no batch"));
        };
        // Two items of a batch under one key are one job, too.
        if !seen.insert(job_id) {
            return Err(Fault::invalid(format!("dependencies[{index}]"), "names a job that is named before"));
        }
        dependencies.push(Dependency { job_id, on_failure: named.on_failure });
    }
    dependencies.sort_unstable();
    Ok(dependencies)
}

fn items_named(item: &Requested) -> Vec<usize> {
    let items = item.dependencies.iter().filter_map(|named| match named.on {
        On::Item(other) => Some(other),
        On::Job(_) => None,
    });
    items.collect()
}

/// The item with the jobs of the items that it names. It fails as they failed: what makes them succeed later may make it.
fn resolved(mut item: Requested, outcomes: &[Option<Result<Submitted, Fault>>]) -> Result<Requested, Fault> {
    for named in &mut item.dependencies {
        if let On::Item(other) = named.on {
            match &outcomes[other] {
                Some(Ok(submitted)) => named.on = On::Job(submitted.job_id),
                Some(Err(fault)) => {
                    let mut own =
                        Fault::new(fault.reason, format!("jobs[{other}], on which it depends, was not taken"));
                    own.retry_after = fault.retry_after;
                    return Err(own);
                }
                None => return Err(circle()),
            }
        }
    }
    Ok(item)
}

fn circle() -> Fault {
    Fault::new(Reason::Job422DependencyCycle, "the items depend on each other in a circle")
}

/// How the dependencies of new jobs stood as they were locked.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    open: BTreeMap<JobId, Vec<Open>>,
    /// What has ended already, and cancels a new job.
    ended: BTreeSet<Placed>,
    /// New jobs in the place of failed ones, for which others wait.
    awaited: HashSet<JobId>,
}

impl Waiting {
    /// Locks what the new jobs wait for and what they do anew, and lets those whom a failed one blocks wait for its new one.
    pub(super) async fn of(
        tx: &mut Tx,
        candidates: impl Iterator<Item = Candidate<'_>> + Clone,
    ) -> Result<Self, StoreError> {
        let mut waiting = Self::default();
        let mut locks: Vec<Placed> = Vec::new();
        for Candidate { submission, .. } in candidates.clone() {
            let named = submission.dependencies.iter().map(|dependency| dependency.job_id).chain(submission.resubmits);
            locks.extend(named.map(|job_id| (job_id, submission.scope.tenant_id.clone())));
        }
        if locks.is_empty() {
            return Ok(waiting);
        }
        let states = dependencies_await(tx, &locks).await?;
        // One that is done blocks nobody. Of several that do one job anew the first takes its place.
        let mut anew: BTreeMap<JobId, Anew> = BTreeMap::new();
        for Candidate { submission, job_id, .. } in candidates {
            let tenant_id = &submission.scope.tenant_id;
            waiting.add(&states, job_id, tenant_id, &submission.dependencies);
            let failed = submission.resubmits.filter(|old| states.get(old).is_some_and(|state| state.has_failed()));
            if let Some(old) = failed {
                anew.entry(old).or_insert(Anew { old, anew: job_id, tenant_id: tenant_id.clone() });
            }
        }
        if !anew.is_empty() {
            waiting.awaited = dependencies_move(tx, anew.values()).await?;
        }
        Ok(waiting)
    }

    fn add(&mut self, states: &HashMap<JobId, StateName>, job_id: JobId, tenant_id: &TenantId, all: &[Dependency]) {
        for dependency in all {
            match dependency.on_failure.effect(states.get(&dependency.job_id).copied()) {
                Effect::Clears => continue,
                Effect::Blocks => {}
                Effect::Cancels => {
                    self.ended.insert((dependency.job_id, tenant_id.clone()));
                }
            }
            let open = Open { job_id, tenant_id: tenant_id.clone(), dependency: *dependency };
            self.open.entry(job_id).or_default().push(open);
        }
    }

    /// What a new job waits for; nothing where it is free.
    pub(super) fn blocks(&self, job_id: JobId) -> Vec<JobId> {
        self.open.get(&job_id).into_iter().flatten().map(|open| open.dependency.job_id).collect()
    }

    /// Whether others wait for a new job.
    pub(super) fn awaits(&self, job_id: JobId) -> bool {
        self.awaited.contains(&job_id)
    }

    /// Keeps what there is to wait for, once the jobs are inserted. These are new rows, for which nobody has to wait.
    pub(super) async fn keep(&self, tx: &mut Tx) -> Result<(), StoreError> {
        let open: Vec<Open> = self.open.values().flatten().cloned().collect();
        if !open.is_empty() {
            dependencies_insert(tx, &open).await?;
        }
        if !self.ended.is_empty() {
            settlements_insert(tx, &self.ended).await?;
        }
        Ok(())
    }

    /// Whether something is to be settled at once.
    pub(super) fn settles(&self) -> bool {
        !self.ended.is_empty()
    }
}
