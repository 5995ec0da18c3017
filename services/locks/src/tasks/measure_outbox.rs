//! Counts the events that wait for a relay.

use holdfast_fault::Fault;
use holdfast_runtime::tasks::Report;

use crate::app::Core;
use crate::metrics;
use crate::store::StoreError;
use crate::store::maintenance::outbox_pending;

/// Far above what an alert is about.
const COUNT_MAX: i64 = 50_000;

pub(super) async fn run_once(core: &Core) -> Result<Report, Fault> {
    metrics::outbox_pending(core.task_db.bounded(round(core)).await?);
    Ok(Report::default())
}

async fn round(core: &Core) -> Result<i64, StoreError> {
    let mut tx = core.task_db.begin().await?;
    let pending = outbox_pending(&mut tx, COUNT_MAX).await?;
    tx.rollback().await?;
    Ok(pending)
}
