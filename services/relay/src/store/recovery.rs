use futures::TryFutureExt as _;
use holdfast_events::EntryId;
use holdfast_pg::{DbError, Tx};
use uuid::Uuid;

use super::{Store, shard, smallint};
use crate::domain::cutoff::Cutoff;

const SLOTS: i16 = 16;
/// Looking up an adopted entry is linear in this.
const ADOPTED_PER_STATEMENT: usize = 256;

/// What the outbox last wrote down of a shard's stream.
#[derive(Clone, Copy, Debug)]
pub struct Recorded {
    pub shard: u16,
    pub epoch: i64,
    pub acknowledged: EntryId,
}

/// What the outbox shall write down, before the holder of `epoch` goes on.
#[derive(Clone, Copy, Debug)]
pub struct Settlement {
    pub shard: u16,
    pub epoch: i64,
    pub incarnation: Uuid,
    /// The highest entry id ever acknowledged; it never goes back, even where the entry is lost.
    pub acknowledged: EntryId,
}

/// A transaction under whose locks nobody else marks rows of these shards published. It may scan the whole outbox, so that
/// each of its statements has the time that elsewhere a whole transaction has.
pub struct Recovery {
    store: Store,
    tx: Tx,
    pub recorded: Vec<Recorded>,
}

impl Store {
    /// Which of these entries, by index, the outbox does not know under that id.
    pub async fn entries_unrecorded(&self, entries: &[(Uuid, EntryId)]) -> Result<Vec<usize>, DbError> {
        let (ids, ms, seq) = entry_columns(entries);
        let query = sqlx::query_scalar(self.on_outbox.entries_unrecorded()).bind(ids).bind(ms).bind(seq);
        let unrecorded: Vec<i64> = self.db.run(async |connection| query.fetch_all(connection).await).await?;
        // WITH ORDINALITY counts from 1.
        Ok(unrecorded.into_iter().map(|n| n as usize - 1).collect())
    }

    pub async fn recover(&self, shards: &[u16]) -> Result<Recovery, DbError> {
        self.db.bounded(self.lock(shards)).await
    }

    async fn lock(&self, shards: &[u16]) -> Result<Recovery, DbError> {
        let shards: Vec<i16> = shards.iter().copied().map(smallint).collect();
        let mut tx = self.db.begin().await?;
        let locked: Vec<(i16, i64, i64, i64)> =
            sqlx::query_as(self.on_outbox.shards_lock()).bind(shards).fetch_all(&mut *tx).await?;
        let recorded = locked.into_iter().map(|(number, epoch, ms, seq)| Recorded {
            shard: shard(number),
            epoch,
            acknowledged: EntryId { ms: ms as u64, seq: seq as u64 },
        });
        Ok(Recovery { recorded: recorded.collect(), store: self.clone(), tx })
    }
}

impl Recovery {
    /// Makes the rows behind each shard's last surviving entry unpublished again, the newest `rows_max` of a shard and
    /// some. Answers how many. Scans the outbox: losses are rare, and an index for them would burden every publication.
    pub async fn unpublish(&mut self, lost: Cutoff, rows_max: u64) -> Result<u64, DbError> {
        let outbox = &self.store.on_outbox;
        let mut lost = lost;
        let (ms, seq) = lost.columns();
        for slot in 0..SLOTS {
            let query = sqlx::query_as(outbox.lost_density()).bind(slot).bind(&ms).bind(&seq);
            let density: Vec<(i16, i64, i64)> =
                self.store.db.bounded(query.fetch_all(&mut *self.tx).err_into::<DbError>()).await?;
            for (number, ten_seconds, rows) in density {
                lost.count(shard(number), ten_seconds as u64, rows as u64);
            }
        }
        let (ms, seq) = lost.limit(rows_max).columns();
        let mut rows = 0;
        for slot in 0..SLOTS {
            let query = sqlx::query(outbox.unpublish()).bind(slot).bind(&ms).bind(&seq);
            rows += self.store.db.bounded(query.execute(&mut *self.tx).err_into::<DbError>()).await?.rows_affected();
        }
        Ok(rows)
    }

    /// Marks the rows of entries that are in the stream and were never recorded. Answers how many.
    pub async fn adopt(&mut self, entries: &[(Uuid, EntryId)]) -> Result<u64, DbError> {
        let mut rows = 0;
        for some in entries.chunks(ADOPTED_PER_STATEMENT) {
            let (ids, ms, seq) = entry_columns(some);
            let query = sqlx::query(self.store.on_outbox.adopt()).bind(ids).bind(ms).bind(seq);
            rows += self.store.db.bounded(query.execute(&mut *self.tx).err_into::<DbError>()).await?.rows_affected();
        }
        Ok(rows)
    }

    /// Writes down the new epochs and ends the transaction: from here on earlier holders mark nothing.
    pub async fn settle(mut self, settlements: &[Settlement]) -> Result<(), DbError> {
        let shards: Vec<i16> = settlements.iter().map(|settled| smallint(settled.shard)).collect();
        let epochs: Vec<i64> = settlements.iter().map(|settled| settled.epoch).collect();
        let incarnations: Vec<Uuid> = settlements.iter().map(|settled| settled.incarnation).collect();
        let ms: Vec<i64> = settlements.iter().map(|settled| settled.acknowledged.ms as i64).collect();
        let seq: Vec<i64> = settlements.iter().map(|settled| settled.acknowledged.seq as i64).collect();
        let statement = sqlx::query(self.store.on_outbox.shards_settle());
        let query = statement.bind(shards).bind(epochs).bind(incarnations).bind(ms).bind(seq);
        self.store.db.bounded(query.execute(&mut *self.tx).err_into::<DbError>()).await?;
        self.tx.commit().await
    }
}

fn entry_columns(entries: &[(Uuid, EntryId)]) -> (Vec<Uuid>, Vec<i64>, Vec<i64>) {
    let ids = entries.iter().map(|(id, _)| *id).collect();
    let ms = entries.iter().map(|(_, entry)| entry.ms as i64).collect();
    let seq = entries.iter().map(|(_, entry)| entry.seq as i64).collect();
    (ids, ms, seq)
}
