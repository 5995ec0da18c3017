//! Stops what may not go on, and lets go on what may again, where the instances that heard of it did not get to it.

use holdfast_fault::Fault;
use holdfast_runtime::tasks::Report;

use super::rounds;
use crate::app::Core;
use crate::app::holds::JOBS_MAX;

pub(super) async fn run_once(core: &Core) -> Result<Report, Fault> {
    rounds(JOBS_MAX, || core.task_db.bounded(core.holds_round())).await
}
