//! Takes rows of the clock of the queue away whose jobs have ended: ending a job leaves them where they are.

use holdfast_fault::Fault;
use holdfast_runtime::tasks::Report;
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::app::Core;
use crate::store::StoreError;
use crate::store::queue_clock::{Cleared, queue_clock_clear_if_ended};

const ROWS_MAX: i64 = 500;
const LOOKS_MAX: usize = 20;

/// `after`: behind which row the next look begins. The table is as small as what lives, and is gone through in turn.
pub(super) async fn run_once(core: &Core, after: &Mutex<Uuid>) -> Result<Report, Fault> {
    let (mut after, mut report) = (after.lock().await, Report::default());
    for _ in 0..LOOKS_MAX {
        let Cleared { seen, cleared, last } = core.task_db.bounded(round(core, *after)).await?;
        report.did(cleared.unsigned_abs());
        *after = last.filter(|_| seen == ROWS_MAX).unwrap_or_default();
        if after.is_nil() {
            break;
        }
    }
    Ok(report)
}

async fn round(core: &Core, after: Uuid) -> Result<Cleared, StoreError> {
    let mut tx = core.task_db.begin().await?;
    let cleared = queue_clock_clear_if_ended(&mut tx, after, ROWS_MAX).await?;
    tx.commit().await?;
    Ok(cleared)
}
