//! Moves jobs whose back-off or run_after is over to where the claim finds them.

use holdfast_fault::Fault;
use holdfast_runtime::tasks::Report;

use super::rounds;
use crate::app::Core;
use crate::store::StoreError;
use crate::store::maintenance::delayed_promote_if_due;

const JOBS_MAX: i64 = 1000;

pub(super) async fn run_once(core: &Core) -> Result<Report, Fault> {
    rounds(JOBS_MAX, || core.task_db.bounded(round(core))).await
}

async fn round(core: &Core) -> Result<u64, StoreError> {
    let mut tx = core.task_db.begin().await?;
    let promoted = delayed_promote_if_due(&mut tx, JOBS_MAX).await?;
    tx.commit().await?;
    if promoted > 0 {
        core.wake_dispatch();
    }
    Ok(promoted)
}
