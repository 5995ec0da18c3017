//! Moves the outbox ring on: the oldest slot whose events are all published, and old enough, is emptied and written to next.

use std::time::Duration;

use holdfast_fault::Fault;
use holdfast_runtime::tasks::Report;

use crate::app::Core;
use crate::metrics;
use crate::store::StoreError;
use crate::store::maintenance::outbox_ring_advance;

pub(super) async fn run_once(core: &Core, slot_age: Duration, keep: Duration) -> Result<Report, Fault> {
    let slot = core.task_db.bounded(round(core, slot_age, keep)).await?;
    metrics::outbox_ring_stuck(slot.is_none());
    if slot.is_none() {
        tracing::warn!("no slot of the outbox can be emptied; the current one grows");
    }
    Ok(Report::default())
}

async fn round(core: &Core, slot_age: Duration, keep: Duration) -> Result<Option<i16>, StoreError> {
    let mut tx = core.task_db.begin().await?;
    let slot = outbox_ring_advance(&mut tx, slot_age, keep).await?;
    tx.commit().await?;
    Ok(slot)
}
