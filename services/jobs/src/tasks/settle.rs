//! Lets jobs move on whose dependencies have ended, where the instance that ended them did not get to it.

use holdfast_fault::Fault;
use holdfast_runtime::tasks::Report;

use super::rounds;
use crate::app::Core;
use crate::app::settle::SETTLEMENTS_MAX;
use crate::store::StoreError;
use crate::store::dependencies::settlements_add_missing;

const JOBS_MAX: i64 = 500;

pub(super) async fn run_once(core: &Core) -> Result<Report, Fault> {
    rounds(SETTLEMENTS_MAX, || core.task_db.bounded(core.settle_round())).await
}

/// What an instance of a version without dependencies ended, nobody noted.
pub(super) async fn add_missing(core: &Core) -> Result<Report, Fault> {
    rounds(JOBS_MAX, || core.task_db.bounded(add(core))).await
}

async fn add(core: &Core) -> Result<u64, StoreError> {
    let mut tx = core.task_db.begin().await?;
    let added = settlements_add_missing(&mut tx, JOBS_MAX).await?;
    tx.commit().await?;
    Ok(added)
}
