//! Keeps partitions of the journal made ahead of time.

use holdfast_fault::Fault;
use holdfast_runtime::tasks::Report;

use crate::app::Core;
use crate::store::StoreError;
use crate::store::maintenance::partitions_ensure;

pub(super) async fn run_once(core: &Core, weeks_ahead: i32) -> Result<Report, Fault> {
    let made = core.task_db.bounded(round(core, weeks_ahead)).await?;
    if made > 0 {
        tracing::info!(made, "partitions made");
    }
    let mut report = Report::default();
    report.did(u64::try_from(made).unwrap_or(0));
    Ok(report)
}

async fn round(core: &Core, weeks_ahead: i32) -> Result<i32, StoreError> {
    let mut tx = core.task_db.begin().await?;
    let made = partitions_ensure(&mut tx, weeks_ahead).await?;
    tx.commit().await?;
    Ok(made)
}
