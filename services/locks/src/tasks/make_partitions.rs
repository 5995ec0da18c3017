//! Keeps partitions of the journal made ahead of time, and shows where some are missing all the same.

use holdfast_fault::Fault;
use holdfast_runtime::tasks::Report;

use crate::app::Core;
use crate::metrics;
use crate::store::StoreError;
use crate::store::maintenance::{partitions_ensure, partitions_missing};

pub(super) async fn run_once(core: &Core, weeks_ahead: i32) -> Result<Report, Fault> {
    let made = core.task_db.bounded(make(core, weeks_ahead)).await;
    let missing = core.task_db.bounded(look(core, weeks_ahead)).await?;
    metrics::partitions_missing(missing);
    if missing > 0 {
        tracing::warn!(missing, weeks_ahead, "partitions of the weeks to come are missing");
    }
    let made = made?;
    if made > 0 {
        tracing::info!(made, "partitions made");
    }
    let mut report = Report::default();
    report.did(u64::try_from(made).unwrap_or(0));
    Ok(report)
}

async fn make(core: &Core, weeks_ahead: i32) -> Result<i32, StoreError> {
    let mut tx = core.task_db.begin().await?;
    let made = partitions_ensure(&mut tx, weeks_ahead).await?;
    tx.commit().await?;
    Ok(made)
}

async fn look(core: &Core, weeks_ahead: i32) -> Result<i64, StoreError> {
    let mut tx = core.task_db.begin().await?;
    let missing = partitions_missing(&mut tx, weeks_ahead).await?;
    tx.rollback().await?;
    Ok(missing)
}
