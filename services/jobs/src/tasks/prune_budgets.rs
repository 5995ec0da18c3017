//! Takes sums of usage away whose periods ended long ago. What they are the sums of stays, and so does every sum that counts.

use holdfast_fault::Fault;
use holdfast_runtime::tasks::Report;

use super::rounds;
use crate::app::Core;
use crate::store::StoreError;
use crate::store::usage::budgets_prune;

const COUNTS_MAX: i64 = 1000;

pub(super) async fn run_once(core: &Core) -> Result<Report, Fault> {
    rounds(COUNTS_MAX, || core.task_db.bounded(round(core))).await
}

async fn round(core: &Core) -> Result<u64, StoreError> {
    let mut tx = core.task_db.begin().await?;
    let pruned = budgets_prune(&mut tx, core.limits.growth.budget_usage_kept, COUNTS_MAX).await?;
    tx.commit().await?;
    Ok(pruned)
}
