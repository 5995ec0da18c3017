//! The end of a lease: by its holder, or by a person.

use holdfast_fault::Fault;
use holdfast_ids::{LeaseId, TenantId};
use holdfast_pg::TenantScope;

use super::{App, Asking, authorise};
use crate::domain::Time;
use crate::domain::command::{Command, Outcome};
use crate::domain::lease::Reach;
use crate::error;
use crate::store::StoreError;
pub use crate::store::read::Ending;
use crate::store::read::lease_ending;

/// When a lease ended, and whether it had before.
#[derive(Debug, Clone, Copy)]
pub struct Ended {
    pub at: Time,
    pub replayed: bool,
}

impl App {
    pub async fn release(
        &self,
        asking: &Asking,
        tenant_id: Option<TenantId>,
        lease_id: LeaseId,
    ) -> Result<Ended, Fault> {
        let reach = authorise::reach(&asking.caller, tenant_id)?;
        let command = Command::Release { reach: reach.clone(), lease_id, cause: asking.cause() };
        let mut outcome = self.command(command.clone()).await?;
        if matches!(outcome, Outcome::Stale { .. }) {
            // Whoever is told that it was released takes it that the lease held until then. A heartbeat may still have been in time.
            self.expire(lease_id, reach.tenant_id.clone()).await?;
            outcome = self.command(command).await?;
        }
        if let Outcome::Ended { at } = outcome {
            return Ok(Ended { at, replayed: false });
        }
        match self.ending(&reach, asking, lease_id).await? {
            Some(ending) if ending.what == "released" => Ok(Ended { at: ending.at, replayed: true }),
            _ => Err(self.lost(&reach, asking, lease_id).await),
        }
    }

    /// Ends somebody's lease. The access table lets only owners and infra-approvers through.
    pub async fn force_release(
        &self,
        asking: &Asking,
        tenant_id: Option<TenantId>,
        lease_id: LeaseId,
        reason: String,
    ) -> Result<Ended, Fault> {
        let reach = authorise::reach(&asking.caller, tenant_id)?;
        let command = Command::Force { reach: reach.clone(), lease_id, reason, cause: asking.cause() };
        if let Outcome::Ended { at } = self.command(command).await? {
            return Ok(Ended { at, replayed: false });
        }
        let ending = self.journal(&reach, asking, lease_id).await?.ok_or_else(error::no_such_lease)?;
        Ok(Ended { at: ending.at, replayed: true })
    }

    /// How a lease of this caller ended, as the journal has it.
    pub(super) async fn ending(
        &self,
        reach: &Reach,
        asking: &Asking,
        lease_id: LeaseId,
    ) -> Result<Option<Ending>, Fault> {
        let ending = self.journal(reach, asking, lease_id).await?;
        Ok(ending.filter(|ending| ending.holder == asking.caller.actor.as_str()))
    }

    async fn journal(&self, reach: &Reach, asking: &Asking, lease_id: LeaseId) -> Result<Option<Ending>, Fault> {
        let db = &self.core.app_db;
        let look = async {
            let mut tx = db.begin(&TenantScope::one(&reach.tenant_id), asking.deadline).await?;
            let ending = lease_ending(&mut tx, reach, lease_id).await?;
            tx.rollback().await?;
            Ok::<_, StoreError>(ending)
        };
        Ok(db.bounded(look).await?)
    }
}
