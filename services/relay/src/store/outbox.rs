use std::collections::BTreeMap;

use holdfast_events::{EntryId, SHARDS};
use holdfast_pg::DbError;
use sqlx::{FromRow, PgExecutor};
use uuid::Uuid;

use super::{Store, shard, smallint};
use crate::domain::{batch::Row, lease::Lease};

/// Rows of one shard that Redis acknowledged, each with its entry's id, in the order of both.
#[derive(Debug)]
pub struct Acknowledged {
    pub lease: Lease,
    pub rows: Vec<(Row, EntryId)>,
}

/// What waits in the outbox, over all shards.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backlog {
    /// At least this many, where it equals the bound of the count.
    pub pending: u64,
    pub oldest_age_seconds: f64,
}

impl Store {
    /// The first unpublished rows of each shard, in order within the shard, without those of the keys left out.
    pub async fn outbox_unpublished(
        &self,
        shards: &[u16],
        rows_per_shard: usize,
        keys_left_out: &[String],
    ) -> Result<Vec<Row>, DbError> {
        let shards: Vec<i16> = shards.iter().copied().map(smallint).collect();
        let limit = rows_per_shard as i64;
        let query =
            sqlx::query_as::<_, Found>(self.on_outbox.unpublished()).bind(&shards).bind(limit).bind(keys_left_out);
        let found = self.db.run(async |connection| query.fetch_all(connection).await).await?;
        let rows = found.into_iter().map(|found| Row {
            slot: found.slot,
            outbox_id: found.outbox_id,
            position: found.position,
            shard: shard(found.shard),
            ordering_key: found.ordering_key,
            key_seq: found.key_seq,
            event_payload: found.event_payload,
            retry_count: found.retry_count,
            age_ms: found.age_ms,
        });
        Ok(rows.collect())
    }

    /// Marks rows published and moves what their shards acknowledged, at one moment: of a shard's entries, those that are
    /// recorded always come before those that are not. Answers the shards for which this was still ours to do; the rows
    /// of the others were left as they are.
    pub async fn outbox_mark_published(&self, acknowledged: &[Acknowledged]) -> Result<Vec<u16>, DbError> {
        let shards = ShardColumns::of(acknowledged);
        let mut by_slot: BTreeMap<i16, RowColumns> = BTreeMap::new();
        for (row, entry) in acknowledged.iter().flat_map(|of_shard| &of_shard.rows) {
            by_slot.entry(row.slot).or_default().0.push((row, *entry));
        }
        let slots: Vec<(i16, RowColumns)> = by_slot.into_iter().collect();
        if let [(slot, rows)] = slots.as_slice() {
            return self.db.run(async |connection| self.mark(connection, &shards, *slot, rows).await).await;
        }
        // Rarely, while the ring turns: the rows of one batch lie in two slots.
        self.db.bounded(self.mark_slots(&shards, &slots)).await
    }

    async fn mark_slots(&self, shards: &ShardColumns, slots: &[(i16, RowColumns<'_>)]) -> Result<Vec<u16>, DbError> {
        let mut tx = self.db.begin().await?;
        let mut held = Vec::new();
        for (slot, rows) in slots {
            held = self.mark(&mut *tx, shards, *slot, rows).await?;
        }
        tx.commit().await?;
        Ok(held)
    }

    pub async fn outbox_count_failure(&self, rows: &[&Row]) -> Result<(), DbError> {
        let slots: Vec<i16> = rows.iter().map(|row| row.slot).collect();
        let ids: Vec<Uuid> = rows.iter().map(|row| row.outbox_id).collect();
        let query = sqlx::query(self.on_outbox.count_failure()).bind(slots).bind(ids);
        self.db.run(async |connection| query.execute(connection).await).await?;
        Ok(())
    }

    /// Counts at most `pending_max` rows.
    pub async fn outbox_backlog(&self, pending_max: i64) -> Result<Backlog, DbError> {
        let every: Vec<i16> = (0..SHARDS).map(smallint).collect();
        let query = sqlx::query_as(self.on_outbox.backlog()).bind(pending_max).bind(every);
        let (pending, oldest_age_seconds): (i64, f64) =
            self.db.run(async |connection| query.fetch_one(connection).await).await?;
        Ok(Backlog { pending: pending as u64, oldest_age_seconds })
    }

    async fn mark(
        &self,
        db: impl PgExecutor<'_>,
        shards: &ShardColumns,
        slot: i16,
        rows: &RowColumns<'_>,
    ) -> Result<Vec<u16>, DbError> {
        let RowArrays { ids, positions, ms, seq } = rows.arrays();
        let held: Vec<i16> = sqlx::query_scalar(self.on_outbox.mark_published())
            .bind(&shards.shards)
            .bind(&shards.epochs)
            .bind(&shards.last_ms)
            .bind(&shards.last_seq)
            .bind(slot)
            .bind(ids)
            .bind(positions)
            .bind(ms)
            .bind(seq)
            .fetch_all(db)
            .await?;
        Ok(held.into_iter().map(shard).collect())
    }
}

/// A row of the outbox as it is fetched.
#[derive(FromRow)]
struct Found {
    slot: i16,
    outbox_id: Uuid,
    position: i64,
    shard: i16,
    ordering_key: String,
    key_seq: i64,
    event_payload: Vec<u8>,
    retry_count: i16,
    age_ms: f64,
}

/// What the marking statement writes to the shards' rows.
#[derive(Default)]
struct ShardColumns {
    shards: Vec<i16>,
    epochs: Vec<i64>,
    last_ms: Vec<i64>,
    last_seq: Vec<i64>,
}

impl ShardColumns {
    fn of(acknowledged: &[Acknowledged]) -> Self {
        let mut columns = Self::default();
        for of_shard in acknowledged {
            let Some((_, last)) = of_shard.rows.last() else { continue };
            columns.shards.push(smallint(of_shard.lease.shard));
            columns.epochs.push(of_shard.lease.epoch);
            columns.last_ms.push(last.ms as i64);
            columns.last_seq.push(last.seq as i64);
        }
        columns
    }
}

/// The marked rows of one slot, of all shards.
#[derive(Default)]
struct RowColumns<'a>(Vec<(&'a Row, EntryId)>);

struct RowArrays {
    ids: Vec<Uuid>,
    positions: Vec<i64>,
    ms: Vec<i64>,
    seq: Vec<i64>,
}

impl RowColumns<'_> {
    /// In ascending order of position, for the statement's binary search.
    fn arrays(&self) -> RowArrays {
        let mut rows = self.0.clone();
        rows.sort_unstable_by_key(|(row, _)| row.position);
        RowArrays {
            ids: rows.iter().map(|(row, _)| row.outbox_id).collect(),
            positions: rows.iter().map(|(row, _)| row.position).collect(),
            ms: rows.iter().map(|(_, entry)| entry.ms as i64).collect(),
            seq: rows.iter().map(|(_, entry)| entry.seq as i64).collect(),
        }
    }
}
