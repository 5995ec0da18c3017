//! Moves jobs whose back-off or run_after is over to where the claim finds them.

use holdfast_fault::Fault;
use holdfast_runtime::tasks::Report;

use crate::app::Core;
use crate::store::StoreError;
use crate::store::maintenance::delayed_promote_if_due;

const JOBS_MAX: i64 = 1000;
const ROUNDS_MAX: usize = 20;

pub(super) async fn run_once(core: &Core) -> Result<Report, Fault> {
    let mut report = Report::default();
    for _ in 0..ROUNDS_MAX {
        let promoted = core.task_db.bounded(round(core)).await?;
        report.did(promoted);
        if promoted > 0 {
            core.wake_dispatch();
        }
        if promoted < JOBS_MAX as u64 {
            break;
        }
    }
    Ok(report)
}

async fn round(core: &Core) -> Result<u64, StoreError> {
    let mut tx = core.task_db.begin().await?;
    let promoted = delayed_promote_if_due(&mut tx, JOBS_MAX).await?;
    tx.commit().await?;
    Ok(promoted)
}
