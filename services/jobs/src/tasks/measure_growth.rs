//! Shows, on every instance, how large the tables are, how many partitions are ready for archive, and whether those of the
//! weeks to come are there.

use holdfast_fault::Fault;
use holdfast_runtime::tasks::Report;

use crate::app::Core;
use crate::metrics;
use crate::store::StoreError;
use crate::store::growth::{PartitionState, partitions_state, row_counts_latest};

pub(super) async fn run_once(core: &Core, weeks_ahead: i32) -> Result<Report, Fault> {
    let (counts, partitions) = core.task_db.bounded(round(core, weeks_ahead)).await?;
    for (table, rows) in counts {
        metrics::table_row_count(table, rows);
    }
    for PartitionState { table, missing, ready } in partitions {
        if missing > 0 {
            tracing::warn!(table, missing, weeks_ahead, "partitions of the weeks to come are missing");
        }
        metrics::partitions(table, missing, ready);
    }
    Ok(Report::default())
}

async fn round(core: &Core, weeks_ahead: i32) -> Result<(Vec<(String, i64)>, Vec<PartitionState>), StoreError> {
    let mut tx = core.task_db.begin().await?;
    let counts = row_counts_latest(&mut tx).await?;
    let partitions = partitions_state(&mut tx, weeks_ahead).await?;
    tx.rollback().await?;
    Ok((counts, partitions))
}
