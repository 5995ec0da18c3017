//! What submissions wait for: whether they may, and how that stands as they are taken.

use std::collections::{BTreeMap, HashMap, HashSet};

use holdfast_fault::{Fault, Reason, Violation};
use holdfast_ids::{JobId, TenantId};
use holdfast_pg::{TenantScope, Tx};

use super::admit::Requested;
use super::submit::Submitted;
use super::{App, Asking};
use crate::domain::dependency::{Dependency, Effect, OnFailure, order};
use crate::domain::job::StateName;
use crate::store::StoreError;
use crate::store::dependencies::{
    Anew, Open, Placed, dependencies_await, dependencies_insert, dependencies_move, dependencies_seen,
    settlements_insert,
};
use crate::store::read::SeenJob;
use crate::store::submit::Candidate;

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
            let round = round.into_iter().map(|index| {
                let item = std::mem::replace(&mut items[index], Err(circle()));
                let item = item.and_then(|item| resolved(item, &outcomes));
                async move { (index, self.submit_item(asking, item).await) }
            });
            for (index, outcome) in futures::future::join_all(round.collect::<Vec<_>>()).await {
                outcomes[index] = Some(outcome);
            }
        }
        outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(|| Err(circle()))).collect()
    }

    async fn submit_item(&self, asking: &Asking, item: Result<Requested, Fault>) -> Result<Submitted, Fault> {
        self.submit(asking, item?).await
    }

    /// What a submission waits for, in the order of ids, once it is certain that the caller may see all of it and that none of
    /// it waits for the submission itself.
    pub(super) async fn dependencies(
        &self,
        asking: &Asking,
        tenant_id: &TenantId,
        named: &[Named],
        parent: Option<&SeenJob>,
    ) -> Result<Vec<Dependency>, Fault> {
        if named.is_empty() {
            return Ok(Vec::new());
        }
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
        let seen = self.core.app_db.bounded(self.projects_of(asking, tenant_id, &dependencies)).await?;
        let hidden = dependencies.iter().enumerate().filter(|(_, dependency)| {
            let project_id = seen.get(&dependency.job_id).and_then(|project_id| project_id.parse().ok());
            !project_id.is_some_and(|project_id| asking.caller.projects.contains(&project_id))
        });
        let violations: Vec<Violation> =
            hidden.map(|(index, _)| Violation::new(format!("dependencies[{index}].job_id"), "no such job")).collect();
        if !violations.is_empty() {
            let mut fault = Fault::new(Reason::Job404NotFound, "no such job to depend on");
            fault.violations = violations;
            return Err(fault);
        }
        self.refuse_ancestors(asking, &dependencies, parent).await?;
        dependencies.sort_unstable();
        Ok(dependencies)
    }

    async fn projects_of(
        &self,
        asking: &Asking,
        tenant_id: &TenantId,
        dependencies: &[Dependency],
    ) -> Result<HashMap<JobId, String>, StoreError> {
        let mut tx = self.core.app_db.begin(&TenantScope::new([tenant_id])?, asking.deadline).await?;
        let seen = dependencies_seen(&mut tx, tenant_id, dependencies).await?;
        tx.rollback().await?;
        Ok(seen)
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
    ended: Vec<Placed>,
    anew: Vec<Anew>,
}

impl Waiting {
    /// Locks what the new jobs wait for, and what they do anew.
    pub(super) async fn of(
        tx: &mut Tx,
        candidates: impl Iterator<Item = Candidate<'_>> + Clone,
    ) -> Result<Self, StoreError> {
        let mut waiting = Self::default();
        let mut locks: Vec<Placed> = Vec::new();
        for Candidate { submission, job_id, .. } in candidates.clone() {
            let tenant_id = &submission.scope.tenant_id;
            locks.extend(submission.dependencies.iter().map(|dependency| (dependency.job_id, tenant_id.clone())));
            if let Some(old) = submission.resubmits {
                locks.push((old, tenant_id.clone()));
                waiting.anew.push(Anew { old, anew: job_id, tenant_id: tenant_id.clone() });
            }
        }
        if locks.is_empty() {
            return Ok(waiting);
        }
        let states = dependencies_await(tx, &locks).await?;
        for Candidate { submission, job_id, .. } in candidates {
            waiting.add(&states, job_id, &submission.scope.tenant_id, &submission.dependencies);
        }
        Ok(waiting)
    }

    fn add(&mut self, states: &HashMap<JobId, StateName>, job_id: JobId, tenant_id: &TenantId, all: &[Dependency]) {
        for dependency in all {
            match dependency.on_failure.effect(states.get(&dependency.job_id).copied()) {
                Effect::Clears => continue,
                Effect::Blocks => {}
                Effect::Cancels => self.ended.push((dependency.job_id, tenant_id.clone())),
            }
            let open = Open { job_id, tenant_id: tenant_id.clone(), dependency: *dependency };
            self.open.entry(job_id).or_default().push(open);
        }
    }

    /// What a new job waits for; nothing where it is free.
    pub(super) fn blocks(&self, job_id: JobId) -> Vec<JobId> {
        self.open.get(&job_id).into_iter().flatten().map(|open| open.dependency.job_id).collect()
    }

    /// Keeps what there is to wait for, once the jobs are inserted.
    pub(super) async fn keep(&self, tx: &mut Tx) -> Result<(), StoreError> {
        let open: Vec<Open> = self.open.values().flatten().cloned().collect();
        if !open.is_empty() {
            dependencies_insert(tx, &open).await?;
        }
        if !self.ended.is_empty() {
            settlements_insert(tx, &self.ended).await?;
        }
        if !self.anew.is_empty() {
            dependencies_move(tx, &self.anew).await?;
        }
        Ok(())
    }

    /// Whether something is to be settled at once.
    pub(super) fn settles(&self) -> bool {
        !self.ended.is_empty()
    }
}
