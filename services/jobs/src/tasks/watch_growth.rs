//! Counts the rows of every table once a day, says which have passed a mark, and marks the partitions that are old enough to
//! be archived. A second run finds nothing left to do until the next day.

use std::collections::HashSet;

use holdfast_fault::Fault;
use holdfast_runtime::tasks::Report;
use holdfast_telemetry::context::TraceContext;
use uuid::Uuid;

use crate::app::Core;
use crate::domain::growth::{Mark, MarkPassed};
use crate::store::StoreError;
use crate::store::growth::{
    Archivable, MarkEvent, RowCount, marks_passed_insert, partitions_mark_if_old, row_counts_due, row_counts_insert,
};

pub(super) async fn run_once(core: &Core) -> Result<Report, Fault> {
    let (events, archivable) = core.task_db.bounded(round(core)).await?;
    for MarkEvent { passed, .. } in &events {
        let MarkPassed { table, rows, mark_rows, .. } = passed;
        match passed.mark {
            Mark::Preparation => tracing::warn!(table, rows, mark_rows, "a table grows large: plan what to archive"),
            Mark::Activation => tracing::error!(table, rows, mark_rows, "a table is too large: archive it now"),
        }
    }
    for Archivable { partition, rows } in &archivable {
        tracing::info!(partition, rows, "ready for archive");
    }
    if !events.is_empty() {
        core.hints.outbox();
    }
    let mut report = Report::default();
    report.did((events.len() + archivable.len()) as u64);
    Ok(report)
}

async fn round(core: &Core) -> Result<(Vec<MarkEvent>, Vec<Archivable>), StoreError> {
    let mut tx = core.task_db.begin().await?;
    let marks = &core.limits.growth.marks;
    let due = row_counts_due(&mut tx).await?;
    let marked = |count: RowCount| {
        let mark = marks.passed(count.rows);
        (count, mark)
    };
    let counts: Vec<_> = due.into_iter().map(marked).collect();
    let kept: HashSet<String> = row_counts_insert(&mut tx, &counts).await?.into_iter().collect();
    let mine = counts.into_iter().filter(|(count, _)| kept.contains(&count.table));
    let events: Vec<MarkEvent> = mine.filter_map(|(count, mark)| Some(event(core, count, mark?))).flatten().collect();
    if !events.is_empty() {
        marks_passed_insert(&mut tx, core.limits.platform_tenant.as_str(), &events).await?;
    }
    let archivable = partitions_mark_if_old(&mut tx, &core.limits.growth.kept).await?;
    tx.commit().await?;
    Ok((events, archivable))
}

/// None where the table was past the mark before.
fn event(core: &Core, count: RowCount, mark: Mark) -> Option<MarkEvent> {
    if count.mark_before >= Some(mark) {
        return None;
    }
    let ordering_key = format!("table_row_count:jobs.{}:{}", count.table, count.day);
    let passed = MarkPassed {
        table: count.table,
        is_partitioned: count.is_partitioned,
        rows: count.rows,
        mark,
        mark_rows: core.limits.growth.marks.rows(mark),
        day: count.day,
        at: count.now,
    };
    let (event_id, traceparent) = (Uuid::now_v7(), TraceContext::fresh().to_string());
    let platform = &core.limits.platform_tenant;
    let payload = (core.encode_mark_passed)(&passed, platform, event_id, &ordering_key, &traceparent);
    Some(MarkEvent { passed, event_id, ordering_key, payload, traceparent })
}
