//! Counts the events that wait for a relay, for the limit on new submissions.

use holdfast_fault::Fault;
use holdfast_runtime::tasks::Report;

use crate::app::Core;
use crate::metrics;
use crate::store::StoreError;
use crate::store::maintenance::outbox_pending;

pub(super) async fn run_once(core: &Core) -> Result<Report, Fault> {
    let pending = core.task_db.bounded(round(core)).await?;
    let is_over = |pending| pending >= core.limits.outbox_soft;
    // Said when it begins and when it ends: this runs twice a second.
    match (core.outbox.pending().is_some_and(is_over), is_over(pending)) {
        (false, true) => tracing::warn!(pending, "many events wait for a relay"),
        (true, false) => tracing::info!(pending, "no longer do many events wait for a relay"),
        (false, false) | (true, true) => {}
    }
    core.outbox.set(pending);
    metrics::outbox_pending(pending);
    Ok(Report::default())
}

async fn round(core: &Core) -> Result<i64, StoreError> {
    let mut tx = core.task_db.begin().await?;
    let pending = outbox_pending(&mut tx, core.limits.outbox_hard).await?;
    tx.rollback().await?;
    Ok(pending)
}
