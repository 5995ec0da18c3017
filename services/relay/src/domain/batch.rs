use std::collections::HashSet;

use bytes::Bytes;
use holdfast_events::{EnvelopeError, Signer, decode};
use uuid::Uuid;

/// An outbox row that waits for publication.
#[derive(Clone, Debug)]
pub struct Row {
    pub slot: i16,
    pub outbox_id: Uuid,
    pub position: i64,
    pub shard: u16,
    pub ordering_key: String,
    pub key_seq: i64,
    pub event_payload: Vec<u8>,
    pub retry_count: i16,
    /// Since the row's transaction read the clock, when the row was fetched.
    pub age_ms: f64,
}

/// Why a row cannot be published, whatever Redis does.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unpublishable {
    #[error("{bytes} bytes are more than an entry may hold, {bytes_max}")]
    TooLarge { bytes: usize, bytes_max: usize },
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    #[error("the envelope's {0} is not the row's")]
    OtherEvent(&'static str),
}

#[derive(Debug)]
pub struct Entry {
    pub envelope: Bytes,
    pub signature: [u8; 32],
}

/// What one publication of one shard carries: rows in order, and the entry of each.
#[derive(Debug)]
pub struct Batch {
    pub shard: u16,
    pub rows: Vec<Row>,
    pub entries: Vec<Entry>,
}

#[derive(Clone, Copy, Debug)]
pub struct BatchLimits {
    pub entry_bytes_max: usize,
    /// Of all entries together; one entry always fits.
    pub batch_bytes_max: usize,
}

/// The rows of one shard, sorted into those that go out and those that cannot.
#[derive(Debug)]
pub struct Sorted {
    pub batch: Batch,
    pub unpublishable: Vec<(Row, Unpublishable)>,
    /// Rows were left for the next round, for want of room.
    pub more: bool,
}

/// Takes rows in their order until the batch is full. Behind an unpublishable row nothing of its key is taken.
pub fn sort(shard: u16, stream: &str, rows: Vec<Row>, signer: &Signer, limits: BatchLimits) -> Sorted {
    let mut batch = Batch { shard, rows: Vec::with_capacity(rows.len()), entries: Vec::with_capacity(rows.len()) };
    let mut unpublishable = Vec::new();
    let mut stopped = HashSet::new();
    let mut bytes = 0;
    for mut row in rows {
        if stopped.contains(&row.ordering_key) {
            continue;
        }
        match checked(&row, limits.entry_bytes_max) {
            Ok(event_id) => {
                bytes += row.event_payload.len();
                if bytes > limits.batch_bytes_max && !batch.rows.is_empty() {
                    return Sorted { batch, unpublishable, more: true };
                }
                let signature = signer.sign(stream, &event_id, &row.event_payload);
                let envelope = std::mem::take(&mut row.event_payload).into();
                batch.entries.push(Entry { envelope, signature });
                batch.rows.push(row);
            }
            Err(reason) => {
                stopped.insert(row.ordering_key.clone());
                unpublishable.push((row, reason));
            }
        }
    }
    Sorted { batch, unpublishable, more: false }
}

/// The event id of a row whose envelope can be published.
fn checked(row: &Row, bytes_max: usize) -> Result<String, Unpublishable> {
    let bytes = row.event_payload.len();
    if bytes > bytes_max {
        return Err(Unpublishable::TooLarge { bytes, bytes_max });
    }
    let envelope = decode(&row.event_payload)?;
    // Recovery finds the row of an entry by the envelope's id, and consumers order by its key.
    if Uuid::parse_str(&envelope.event_id) != Ok(row.outbox_id) {
        return Err(Unpublishable::OtherEvent("event_id"));
    }
    if envelope.ordering_key != row.ordering_key {
        return Err(Unpublishable::OtherEvent("ordering_key"));
    }
    if i64::try_from(envelope.key_seq) != Ok(row.key_seq) {
        return Err(Unpublishable::OtherEvent("key_seq"));
    }
    Ok(envelope.event_id)
}

#[cfg(test)]
mod tests {
    use holdfast_events::{Envelope, encode};

    use super::*;

    const LIMITS: BatchLimits = BatchLimits { entry_bytes_max: 200, batch_bytes_max: 500 };

    fn row(key: &str, key_seq: i64) -> Row {
        let outbox_id = Uuid::now_v7();
        let envelope = Envelope {
            event_id: outbox_id.to_string(),
            event_name: "job.done".into(),
            ordering_key: key.into(),
            key_seq: key_seq as u64,
            ..Default::default()
        };
        Row {
            slot: 0,
            outbox_id,
            position: key_seq,
            shard: 1,
            ordering_key: key.into(),
            key_seq,
            event_payload: encode(&envelope),
            retry_count: 0,
            age_ms: 0.0,
        }
    }

    fn sorted(rows: Vec<Row>) -> Sorted {
        sort(1, "stream", rows, &Signer::new("k", &[1; 32]).unwrap(), LIMITS)
    }

    #[test]
    fn a_poison_row_stops_its_key_and_no_other() {
        let mut poison = row("a", 2);
        poison.event_payload = b"\xff".to_vec();
        let sorted = sorted(vec![row("a", 1), poison, row("b", 1), row("a", 3), row("b", 2)]);
        let out: Vec<_> = sorted.batch.rows.iter().map(|row| (row.ordering_key.as_str(), row.key_seq)).collect();
        assert_eq!(out, [("a", 1), ("b", 1), ("b", 2)]);
        assert_eq!(sorted.unpublishable.len(), 1);
        assert!(matches!(sorted.unpublishable[0].1, Unpublishable::Envelope(_)));
    }

    #[test]
    fn a_row_that_is_another_event_or_too_large_is_unpublishable() {
        let other = Row { outbox_id: Uuid::now_v7(), ..row("a", 1) };
        let moved = Row { key_seq: 7, ..row("b", 1) };
        let large = row(&"c".repeat(300), 1);
        let reasons: Vec<_> = sorted(vec![other, moved, large]).unpublishable.into_iter().map(|(_, why)| why).collect();
        assert_eq!(reasons[0], Unpublishable::OtherEvent("event_id"));
        assert_eq!(reasons[1], Unpublishable::OtherEvent("key_seq"));
        assert!(matches!(reasons[2], Unpublishable::TooLarge { bytes_max: 200, .. }));
    }

    #[test]
    fn a_full_batch_leaves_the_rest_in_order() {
        let sorted = sorted((1..=20).map(|seq| row("a", seq)).collect());
        assert!(sorted.more);
        assert!(sorted.batch.rows.iter().map(|row| row.key_seq).eq(1..=sorted.batch.rows.len() as i64));
        assert!(sorted.batch.rows.len() < 20);
    }
}
