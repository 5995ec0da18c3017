//! Whether a token is the current one: for resources that cannot keep the highest that they have seen.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use holdfast_fault::Fault;
use holdfast_ids::TenantId;
use holdfast_pg::TenantScope;

use super::{App, Asking};
use crate::domain::command::Command;
use crate::domain::resource::{Name, Resource};
use crate::metrics;
use crate::store::StoreError;
use crate::store::read::{Fences, fence_look};

/// Between two events about one resource; the board holds to it across instances.
const APART: Duration = Duration::from_secs(1);
/// Resources that are remembered to have been told of; past it those are forgotten that may be told of again.
const REMEMBERED_MAX: usize = 10_000;

#[derive(Debug, Clone, Copy)]
pub struct Checked {
    pub is_current: bool,
    pub highest: i64,
}

/// What this instance told of within the last second, so that a flood of stale tokens is not one of transactions.
#[derive(Debug, Default)]
pub struct Rejections(Mutex<HashMap<Name, Instant>>);

impl Rejections {
    /// Whether it is time to tell of this resource; taken for told.
    fn is_due(&self, name: &Name) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.get(name).is_some_and(|at| at.elapsed() < APART) {
            return false;
        }
        if told.len() >= REMEMBERED_MAX {
            told.retain(|_, at| at.elapsed() < APART);
        }
        // Past the bound, the board alone keeps them apart.
        if told.len() < REMEMBERED_MAX {
            told.insert(name.clone(), Instant::now());
        }
        true
    }
}

impl App {
    pub async fn check_fence(
        &self,
        asking: &Asking,
        tenant_id: Option<TenantId>,
        resource: Resource,
        token: i64,
    ) -> Result<Checked, Fault> {
        let name = self.name(asking, tenant_id, resource)?;
        let fences = self.fences(asking, &name).await?;
        let Fences { highest, current } = fences.unwrap_or_default();
        if current == Some(token) {
            return Ok(Checked { is_current: true, highest });
        }
        metrics::fence_rejected(&name.resource.class);
        // A resource that was never locked has no tokens to be stale, and nothing is kept of it because somebody asks.
        if fences.is_some() && self.rejections.is_due(&name) {
            let reject = Command::Reject { name, presented: token, cause: asking.cause() };
            if let Err(fault) = self.command(reject).await {
                tracing::warn!(%fault, "a rejected token was not told of");
            }
        }
        Ok(Checked { is_current: false, highest })
    }

    async fn fences(&self, asking: &Asking, name: &Name) -> Result<Option<Fences>, Fault> {
        let db = &self.core.app_db;
        let look = async {
            let mut tx = db.begin(&TenantScope::one(&name.tenant_id), asking.deadline).await?;
            let fences = fence_look(&mut tx, name).await?;
            tx.rollback().await?;
            Ok::<_, StoreError>(fences)
        };
        Ok(db.bounded(look).await?)
    }
}
