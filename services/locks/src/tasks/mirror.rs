//! Writes the mirror again where Redis has lost it, and keeps that of the order registry. While Redis is away there is nothing to do: readiness says
//! so.

use holdfast_fault::Fault;
use holdfast_ids::LeaseId;
use holdfast_runtime::tasks::Report;

use crate::app::Core;
use crate::metrics;
use crate::store::StoreError;
use crate::store::maintenance::leases_held;
use crate::store::renew::RenewedLease;

const LEASES_MAX: i64 = 500;

/// On every instance: one that could not write says so.
pub(super) async fn own_up(core: &Core) -> Result<Report, Fault> {
    if let Err(error) = core.mirror.own_up().await {
        tracing::debug!(%error, "the mirror cannot be said to have missed something");
    }
    Ok(Report::default())
}

pub(super) async fn run_once(core: &Core) -> Result<Report, Fault> {
    let mut report = Report::default();
    let order = core.order();
    match core.mirror.registry(&order).await {
        Ok(true) => tracing::info!("order registry mirrored"),
        Ok(false) => {}
        Err(error) => {
            tracing::debug!(%error, "order registry not mirrored");
            return Ok(report);
        }
    }
    match core.mirror.is_whole().await {
        Ok(false) => report.did(rebuild(core).await?),
        Ok(true) => {}
        Err(error) => tracing::debug!(%error, "the mirror could not be looked at"),
    }
    Ok(report)
}

/// Answers how many leases were written.
async fn rebuild(core: &Core) -> Result<u64, Fault> {
    let incarnation = match core.mirror.begin_rebuild().await {
        Ok(incarnation) => incarnation,
        Err(error) => {
            tracing::debug!(%error, "mirror not rebuilt");
            return Ok(0);
        }
    };
    let (mut written, mut after) = (0, None);
    loop {
        let leases = core.task_db.bounded(page(core, after)).await?;
        if let Err(error) = core.mirror.put_again(&leases).await {
            // Begun again at the next look.
            tracing::warn!(%error, written, "mirror not rebuilt as a whole");
            return Ok(written);
        }
        written += leases.len() as u64;
        after = leases.last().map(|lease| lease.lease_id);
        if leases.len() < LEASES_MAX as usize {
            break;
        }
    }
    core.mirror.rebuilt(incarnation).await;
    tracing::info!(leases = written, "mirror rebuilt");
    metrics::mirror_rebuilt(written as usize);
    Ok(written)
}

async fn page(core: &Core, after: Option<LeaseId>) -> Result<Vec<RenewedLease>, StoreError> {
    let mut tx = core.task_db.begin().await?;
    let leases = leases_held(&mut tx, after, LEASES_MAX).await?;
    tx.rollback().await?;
    Ok(leases)
}
