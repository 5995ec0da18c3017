//! Heartbeats: many in one transaction, on the rows of their leases alone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use holdfast_fault::Fault;
use holdfast_ids::{LeaseId, TenantId};
use holdfast_pg::TenantScope;
use holdfast_pg::coalescer::BatchJob;

use super::end::Ending;
use super::{App, Asking, Core, authorise, blames_an_item, retrying};
use crate::domain::Time;
use crate::domain::lease::Reach;
use crate::store::StoreError;
use crate::store::renew::{Renewal, Renewing, leases_renew_if_held};
use crate::{error, metrics};

/// A renewed lease.
#[derive(Debug, Clone)]
pub struct Renewed {
    pub expires_at: Time,
    pub stale_at: Time,
    /// How long it holds from now on, at least.
    pub expires_in: Duration,
    pub renewals: i32,
    pub renewals_max: i32,
}

impl App {
    /// `renewal`: which one it is, from 1; None where the caller does not count.
    pub async fn renew(
        &self,
        asking: &Asking,
        tenant_id: Option<TenantId>,
        lease_id: LeaseId,
        renewal: Option<i32>,
    ) -> Result<Renewed, Fault> {
        let reach = authorise::reach(&asking.caller, tenant_id)?;
        let asked = Instant::now();
        let item = Renewing { lease_id, reach: reach.clone(), actor_id: asking.caller.actor.clone(), renewal };
        match self.renewals.submit(item).await? {
            Renewal::Renewed { lease, now } => {
                let holds_for = (lease.expires_at - now).to_std().unwrap_or_default();
                Ok(Renewed {
                    expires_at: lease.expires_at,
                    stale_at: lease.stale_at,
                    expires_in: holds_for.saturating_sub(asked.elapsed()),
                    renewals: lease.renewals,
                    renewals_max: lease.renewals_max,
                })
            }
            Renewal::Exhausted { renewals_max } => Err(error::renewals_exhausted(renewals_max)),
            Renewal::Over => Err(self.lost(&reach, asking, lease_id).await),
        }
    }

    /// What became of a lease that its holder takes to be its own.
    pub(super) async fn lost(&self, reach: &Reach, asking: &Asking, lease_id: LeaseId) -> Fault {
        match self.ending(reach, asking, lease_id).await {
            Ok(Some(Ending { what, class, .. })) => {
                metrics::fence_rejected(&class);
                error::lease_over(Some(&what))
            }
            Ok(None) => error::no_such_lease(),
            Err(fault) => fault,
        }
    }
}

/// The batch job behind [`App::renew`].
pub struct Renewals {
    core: Arc<Core>,
}

impl Renewals {
    pub(super) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    async fn run_once(&self, items: &[Renewing]) -> Result<Vec<Renewal>, StoreError> {
        let scope = TenantScope::new(items.iter().map(|item| &item.reach.tenant_id))?;
        let mut tx = self.core.app_db.begin(&scope, None).await?;
        let renewals = leases_renew_if_held(&mut tx, items).await?;
        tx.commit().await?;
        Ok(renewals)
    }
}

#[async_trait::async_trait]
impl BatchJob for Renewals {
    type Item = Renewing;
    type Output = Renewal;
    type Error = StoreError;

    fn weight(_: &Renewing) -> usize {
        256
    }

    fn blames_an_item(error: &StoreError) -> bool {
        blames_an_item(error)
    }

    async fn run(&self, items: &[Renewing]) -> Result<Vec<Result<Renewal, StoreError>>, StoreError> {
        let transaction = retrying(&self.core.app_db, || self.run_once(items));
        let renewals = metrics::batch("renew", transaction).await?;
        for renewal in &renewals {
            if let Renewal::Renewed { lease, .. } = renewal {
                self.core.mirror.renewed(lease);
            }
        }
        Ok(renewals.into_iter().map(Ok).collect())
    }
}
