//! Repetitions of what was accepted: where a submission is refused, by whatever was set since or is in short supply now, its key
//! is looked up first, and what has a job is answered with it.
//!
//! The look costs nothing where nothing is refused: whether a key is free is decided by the transaction that takes it. What the
//! token does not allow is refused without one.

use std::sync::Arc;
use std::time::Instant;

use holdfast_fault::Fault;
use holdfast_pg::TenantScope;
use holdfast_pg::coalescer::BatchJob;

use super::admit::Identified;
use super::submit::{Refused, Submitted};
use super::{App, Asking, Core, blames_an_item, latest, retrying};
use crate::domain::payload_hash::PayloadHash;
use crate::domain::submission::KeyScope;
use crate::metrics;
use crate::store::StoreError;
use crate::store::submit::{key_heads_in_window, ledger_touch};

/// Why a submission is not taken, unless it repeats one that was.
#[derive(Debug)]
pub(super) struct Unadmitted {
    fault: Fault,
    counted_as: Option<&'static str>,
}

impl Unadmitted {
    pub(super) fn counted(name: &'static str, fault: Fault) -> Self {
        Self { fault, counted_as: Some(name) }
    }
}

impl From<Fault> for Unadmitted {
    fn from(fault: Fault) -> Self {
        Self { fault, counted_as: None }
    }
}

impl App {
    /// The job that the key has in its window; refused where it stands for another request.
    pub(super) async fn repeated(&self, asking: &Asking, item: &Identified) -> Result<Option<Submitted>, Fault> {
        let key = Key { scope: item.scope.clone(), payload_hash: item.payload_hash, deadline: asking.deadline };
        Ok(self.repetitions.submit(key).await?.transpose()?)
    }

    /// How a submission that is not admitted is answered.
    pub(super) async fn unless_repeated(
        &self,
        asking: &Asking,
        item: &Identified,
        unadmitted: Unadmitted,
    ) -> Result<Submitted, Fault> {
        let Unadmitted { fault, counted_as } = unadmitted;
        match self.repeated(asking, item).await {
            Ok(Some(submitted)) => return Ok(submitted),
            Ok(None) => {}
            // Nobody knows. What is to be repeated anyway says so itself; what is final must not be said yet.
            Err(unknown) if unknown.retryable() && fault.retryable() => {}
            Err(refused) => return Err(refused),
        }
        if let Some(name) = counted_as {
            metrics::submissions_refused(name, 1);
        }
        Err(fault)
    }
}

/// What a key is asked for.
#[derive(Debug, Clone)]
pub struct Key {
    scope: KeyScope,
    payload_hash: PayloadHash,
    /// Past it nobody waits for the answer.
    deadline: Option<Instant>,
}

/// The batch job behind [`App::repeated`]: a batch that is refused as a whole is looked up as a whole.
#[derive(Debug)]
pub struct Repetitions {
    core: Arc<Core>,
}

impl Repetitions {
    pub(super) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    async fn look(&self, items: &[Key]) -> Result<Vec<Option<Result<Submitted, Refused>>>, StoreError> {
        let scope = TenantScope::new(items.iter().map(|item| &item.scope.tenant_id))?;
        let deadline = latest(items.iter().map(|item| item.deadline));
        let mut tx = self.core.app_db.begin(&scope, deadline).await?;
        let scopes: Vec<_> = items.iter().map(|item| &item.scope).collect();
        let (mut ledger_ids, mut tenant_ids) = (Vec::new(), Vec::new());
        let mut outcomes = Vec::with_capacity(items.len());
        for (item, window) in items.iter().zip(key_heads_in_window(&mut tx, &scopes).await?) {
            let Some(window) = window.filter(|window| window.is_open) else {
                outcomes.push(None);
                continue;
            };
            let outcome = Submitted::repeating(&window, &item.payload_hash);
            if outcome.is_ok() {
                ledger_ids.push(window.ledger_id);
                tenant_ids.push(item.scope.tenant_id.to_string());
            }
            outcomes.push(Some(outcome));
        }
        if ledger_ids.is_empty() {
            tx.rollback().await?;
        } else {
            ledger_touch(&mut tx, &ledger_ids, &tenant_ids).await?;
            tx.commit().await?;
        }
        Ok(outcomes)
    }
}

#[async_trait::async_trait]
impl BatchJob for Repetitions {
    type Item = Key;
    type Output = Option<Result<Submitted, Refused>>;
    type Error = StoreError;

    fn weight(_: &Key) -> usize {
        1
    }

    fn blames_an_item(error: &StoreError) -> bool {
        blames_an_item(error)
    }

    async fn run(&self, items: &[Key]) -> Result<Vec<Result<Self::Output, StoreError>>, StoreError> {
        let outcomes = retrying(&self.core.app_db, || self.look(items)).await?;
        Ok(outcomes.into_iter().map(Ok).collect())
    }
}
