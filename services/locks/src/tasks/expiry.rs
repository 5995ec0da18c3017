//! Ends leases that are stale. Whoever waits for one does not wait for this: their own instance ends it. This is for the journal, the events and
//! the holder's session.

use futures::future::try_join_all;
use holdfast_fault::Fault;
use holdfast_ids::{LeaseId, TenantId};
use holdfast_runtime::tasks::Report;

use crate::app::App;
use crate::domain::command::Outcome;
use crate::store::StoreError;
use crate::store::maintenance::leases_stale;

/// Of one round; those that are left wait for the next.
const LEASES_MAX: i64 = 1000;

pub(super) async fn run_once(app: &App) -> Result<Report, Fault> {
    let mut report = Report::default();
    let stale = app.core.task_db.bounded(round(app)).await?;
    // Together, so that they share transactions. Each is looked at again under lock.
    let ended = try_join_all(stale.into_iter().map(|(lease_id, tenant_id)| app.expire(lease_id, tenant_id))).await?;
    report.did(ended.iter().filter(|outcome| matches!(outcome, Outcome::Ended { .. })).count() as u64);
    Ok(report)
}

async fn round(app: &App) -> Result<Vec<(LeaseId, TenantId)>, StoreError> {
    let mut tx = app.core.task_db.begin().await?;
    let stale = leases_stale(&mut tx, LEASES_MAX).await?;
    tx.rollback().await?;
    Ok(stale)
}
