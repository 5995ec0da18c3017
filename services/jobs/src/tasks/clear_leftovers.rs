//! Takes rows of small tables away whose jobs have ended: of the clock of the queue, which ending a job leaves where it is, and
//! of the time of people, where there are none but by accident.

use holdfast_fault::Fault;
use holdfast_runtime::tasks::Report;
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::app::Core;
use crate::store::StoreError;
use crate::store::maintenance::Cleared;
use crate::store::queue_clock::queue_clock_clear_if_ended;
use crate::store::waits::waits_clear_if_ended;

const ROWS_MAX: i64 = 500;
const LOOKS_MAX: usize = 20;

#[derive(Debug, Clone, Copy)]
enum Table {
    QueueClock,
    Waits,
}

/// Behind which row of each table the next look begins. The tables are as small as what lives, and are gone through in turn.
#[derive(Debug, Default)]
pub(super) struct Walk {
    queue_clock: Uuid,
    waits: Uuid,
}

pub(super) async fn run_once(core: &Core, walk: &Mutex<Walk>) -> Result<Report, Fault> {
    let (mut walk, mut report) = (walk.lock().await, Report::default());
    clear(core, Table::QueueClock, &mut walk.queue_clock, &mut report).await?;
    clear(core, Table::Waits, &mut walk.waits, &mut report).await?;
    Ok(report)
}

async fn clear(core: &Core, table: Table, after: &mut Uuid, report: &mut Report) -> Result<(), Fault> {
    for _ in 0..LOOKS_MAX {
        let Cleared { seen, cleared, last } = core.task_db.bounded(round(core, table, *after)).await?;
        report.did(cleared.unsigned_abs());
        if let Table::Waits = table
            && cleared > 0
        {
            tracing::warn!(cleared, "jobs had ended, and people still had time for them");
        }
        match last {
            Some(last) if seen == ROWS_MAX => *after = last,
            _ => {
                *after = Uuid::nil();
                break;
            }
        }
    }
    Ok(())
}

async fn round(core: &Core, table: Table, after: Uuid) -> Result<Cleared, StoreError> {
    let mut tx = core.task_db.begin().await?;
    let cleared = match table {
        Table::QueueClock => queue_clock_clear_if_ended(&mut tx, after, ROWS_MAX).await?,
        Table::Waits => waits_clear_if_ended(&mut tx, after, ROWS_MAX).await?,
    };
    tx.commit().await?;
    Ok(cleared)
}
