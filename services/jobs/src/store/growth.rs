//! How large the tables are, and which of their partitions are old. As the task role, from the catalogue.

use chrono::NaiveDate;
use holdfast_pg::Tx;
use uuid::Uuid;

use super::StoreError;
use super::rows::corrupt;
use crate::domain::growth::{Mark, MarkPassed};
use crate::domain::job::Time;

/// A table that was not counted today.
#[derive(Debug, Clone)]
pub struct RowCount {
    pub table: String,
    pub is_partitioned: bool,
    pub rows: i64,
    pub day: NaiveDate,
    pub now: Time,
    /// That it was past when it was counted last.
    pub mark_before: Option<Mark>,
}

pub async fn row_counts_due(tx: &mut Tx) -> Result<Vec<RowCount>, StoreError> {
    let rows = sqlx::query_file!("src/store/queries/row_counts_due.sql").fetch_all(&mut **tx).await?;
    rows.into_iter()
        .map(|row| {
            let mark = |name: &str| Mark::from_name(name).ok_or_else(|| corrupt("table_row_counts", "mark"));
            Ok(RowCount {
                table: row.table_name,
                is_partitioned: row.is_partitioned,
                rows: row.rows,
                day: row.day,
                now: row.now,
                mark_before: row.mark_before.as_deref().map(mark).transpose()?,
            })
        })
        .collect()
}

/// Keeps counts with the marks that the tables are past; answers the tables that nobody else has counted meanwhile.
pub async fn row_counts_insert(tx: &mut Tx, counts: &[(RowCount, Option<Mark>)]) -> Result<Vec<String>, StoreError> {
    let tables: Vec<String> = counts.iter().map(|(count, _)| count.table.clone()).collect();
    let days: Vec<NaiveDate> = counts.iter().map(|(count, _)| count.day).collect();
    let rows: Vec<i64> = counts.iter().map(|(count, _)| count.rows).collect();
    let marks: Vec<Option<String>> = counts.iter().map(|(_, mark)| Some((*mark)?.as_str().to_owned())).collect();
    let times: Vec<Time> = counts.iter().map(|(count, _)| count.now).collect();
    Ok(sqlx::query_file_scalar!("src/store/queries/row_counts_insert.sql", &tables, &days, &rows, &marks as _, &times)
        .fetch_all(&mut **tx)
        .await?)
}

/// The event of a table that has passed a mark.
#[derive(Debug)]
pub struct MarkEvent {
    pub passed: MarkPassed,
    pub event_id: Uuid,
    pub ordering_key: String,
    pub payload: Vec<u8>,
    pub traceparent: String,
}

/// Puts events into the outbox, in the name of the platform's tenant.
pub async fn marks_passed_insert(tx: &mut Tx, tenant_id: &str, events: &[MarkEvent]) -> Result<(), StoreError> {
    let event_ids: Vec<Uuid> = events.iter().map(|event| event.event_id).collect();
    let shards: Vec<i16> = events.iter().map(|event| holdfast_events::shard_of(&event.ordering_key) as i16).collect();
    let keys: Vec<String> = events.iter().map(|event| event.ordering_key.clone()).collect();
    let payloads: Vec<Vec<u8>> = events.iter().map(|event| event.payload.clone()).collect();
    let traces: Vec<String> = events.iter().map(|event| event.traceparent.clone()).collect();
    let times: Vec<Time> = events.iter().map(|event| event.passed.at).collect();
    sqlx::query_file!(
        "src/store/queries/marks_passed_insert.sql",
        tenant_id,
        &event_ids,
        &shards,
        &keys,
        &payloads,
        &traces,
        &times,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// How long the rows of a table are kept at hand, counted from when the last id of a partition can have been made.
#[derive(Debug, Clone, Copy)]
pub struct Kept {
    pub table: &'static str,
    pub seconds: i64,
}

/// A partition that is ready for archive, and its estimated rows.
#[derive(Debug)]
pub struct Archivable {
    pub partition: String,
    pub rows: i64,
}

/// Marks the partitions that are older than their table keeps them; answers those that were not marked before.
pub async fn partitions_mark_if_old(tx: &mut Tx, kept: &[Kept]) -> Result<Vec<Archivable>, StoreError> {
    let tables: Vec<String> = kept.iter().map(|kept| kept.table.to_owned()).collect();
    let seconds: Vec<i64> = kept.iter().map(|kept| kept.seconds).collect();
    let marked =
        sqlx::query_file!("src/store/queries/archive_mark.sql", &tables, &seconds).fetch_all(&mut **tx).await?;
    Ok(marked.into_iter().map(|row| Archivable { partition: row.partition_name, rows: row.rows }).collect())
}

/// The latest count of each table.
pub async fn row_counts_latest(tx: &mut Tx) -> Result<Vec<(String, i64)>, StoreError> {
    let rows = sqlx::query_file!("src/store/queries/row_counts_latest.sql").fetch_all(&mut **tx).await?;
    Ok(rows.into_iter().map(|row| (row.table_name, row.rows)).collect())
}

/// How the partitions of one table stand.
#[derive(Debug)]
pub struct PartitionState {
    pub table: String,
    /// Weeks, this one included, that have none.
    pub missing: i64,
    /// Ready for archive.
    pub ready: i64,
}

pub async fn partitions_state(tx: &mut Tx, weeks_ahead: i32) -> Result<Vec<PartitionState>, StoreError> {
    let rows = sqlx::query_file!("src/store/queries/partitions_state.sql", weeks_ahead).fetch_all(&mut **tx).await?;
    let state =
        rows.into_iter().map(|row| PartitionState { table: row.table_name, missing: row.missing, ready: row.ready });
    Ok(state.collect())
}
