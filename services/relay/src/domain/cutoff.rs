use std::collections::BTreeMap;

use holdfast_events::{EntryId, SHARDS};

const BUCKET_MS: u64 = 10_000;

/// From where on the rows of each shard are published again: behind the last surviving entry, and no further back than
/// the stream could hold. What lies before would be trimmed again at once.
///
/// Rows are counted by ten seconds, so a shard comes back with up to ten seconds of rows more than its stream holds.
#[derive(Debug)]
pub struct Cutoff {
    survivors: BTreeMap<u16, EntryId>,
    rows: BTreeMap<(u16, u64), u64>,
}

impl Cutoff {
    /// `survivors`: the newest surviving entry of each shard that lost some.
    pub fn behind(survivors: BTreeMap<u16, EntryId>) -> Self {
        Self { survivors, rows: BTreeMap::new() }
    }

    pub fn count(&mut self, shard: u16, ten_seconds: u64, rows: u64) {
        *self.rows.entry((shard, ten_seconds)).or_default() += rows;
    }

    /// Limits each shard to its newest `rows_max` rows, as counted.
    pub fn limit(mut self, rows_max: u64) -> Self {
        for (&shard, survivor) in &mut self.survivors {
            let mut newer = 0;
            for (&(_, ten_seconds), rows) in self.rows.range((shard, 0)..=(shard, u64::MAX)).rev() {
                if newer >= rows_max {
                    let end = EntryId { ms: (ten_seconds + 1) * BUCKET_MS - 1, seq: i64::MAX as u64 };
                    *survivor = (*survivor).max(end);
                    break;
                }
                newer += rows;
            }
        }
        self
    }

    /// Milliseconds and sequences for the queries, indexed by shard; NULL for a shard that lost nothing.
    pub fn columns(&self) -> (Vec<Option<i64>>, Vec<Option<i64>>) {
        (0..SHARDS)
            .map(|shard| {
                let boundary = self.survivors.get(&shard);
                (boundary.map(|entry| entry.ms as i64), boundary.map(|entry| entry.seq as i64))
            })
            .unzip()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_stream_can_hold_comes_back() {
        let mut cutoff = Cutoff::behind(BTreeMap::from([(2, EntryId::START), (5, EntryId { ms: 95_000, seq: 1 })]));
        for (shard, ten_seconds, rows) in [(2, 7, 100), (2, 8, 60), (2, 9, 50), (5, 9, 400)] {
            cutoff.count(shard, ten_seconds, rows);
        }
        let (ms, seq) = cutoff.limit(100).columns();
        // 110 rows of shard 2 since 80 s cover its stream; what came before stays published.
        assert_eq!((ms[2], seq[2]), (Some(79_999), Some(i64::MAX)));
        assert_eq!((ms[5], seq[5]), (Some(95_000), Some(1)));
        assert_eq!(ms.iter().flatten().count(), 2);
    }
}
