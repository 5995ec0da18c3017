//! What is on the streams, read entry by entry, against the outbox.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context as _, Result};
use holdfast_proto::events::v1::Envelope;
use holdfast_redis::fred::{
    clients::Client,
    interfaces::{ClientLike as _, StreamsInterface as _},
    types::config::Config,
};
use prost::Message as _;

// Written out here: a wrong name in the crate that builds keys must not hide a wrong name.
const PREFIX: &str = "hf:test";
const SHARDS: u16 = 16;
const ENTRIES_PER_READ: u64 = 1000;

/// One entry, in the order of its stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub shard: u16,
    pub id: String,
    pub envelope: Vec<u8>,
    pub event_id: String,
    pub ordering_key: String,
    pub key_seq: u64,
}

/// Every entry of every stream of a domain.
pub async fn read_all(redis_url: &str, domain: &str) -> Result<Vec<Entry>> {
    let client = Client::new(Config::from_url(redis_url)?, None, None, None);
    client.init().await?;
    let mut entries = Vec::new();
    for shard in 0..SHARDS {
        let stream = format!("{{{PREFIX}:{domain}:{shard}}}:events");
        let mut after = "-".to_owned();
        loop {
            let page: Vec<(String, HashMap<String, Vec<u8>>)> =
                client.xrange_values(stream.as_str(), after.as_str(), "+", Some(ENTRIES_PER_READ)).await?;
            let Some((last, _)) = page.last() else { break };
            after = format!("({last}");
            for (id, fields) in page {
                entries.push(entry(shard, id, fields)?);
            }
        }
    }
    client.quit().await?;
    Ok(entries)
}

fn entry(shard: u16, id: String, mut fields: HashMap<String, Vec<u8>>) -> Result<Entry> {
    let envelope = fields.remove("e").with_context(|| format!("entry {id} of shard {shard} has no envelope"))?;
    let Envelope { event_id, ordering_key, key_seq, .. } = Envelope::decode(envelope.as_slice())?;
    Ok(Entry { shard, id, envelope, event_id, ordering_key, key_seq })
}

/// Every event of the history is on a stream, with the bytes that the outbox held, and nothing else is.
pub fn complete<'a>(
    entries: &[Entry],
    outbox: &BTreeMap<String, Vec<u8>>,
    events: impl Iterator<Item = &'a str>,
) -> Vec<String> {
    let mut violations = Vec::new();
    let published: HashMap<&str, &Entry> = entries.iter().map(|entry| (entry.event_id.as_str(), entry)).collect();
    for event_id in events {
        if !published.contains_key(event_id) {
            violations.push(format!("missing: event {event_id} of the history is on no stream"));
        }
        if !outbox.contains_key(event_id) {
            violations.push(format!("missing: event {event_id} of the history is not in the outbox"));
        }
    }
    for event_id in outbox.keys().filter(|event_id| !published.contains_key(event_id.as_str())) {
        violations.push(format!("missing: event {event_id} of the outbox is on no stream"));
    }
    for entry in entries {
        match outbox.get(&entry.event_id) {
            None => violations.push(format!("invented: {} of shard {} is not in the outbox", entry.id, entry.shard)),
            Some(bytes) if *bytes != entry.envelope => {
                violations.push(format!("altered: event {} is not what the outbox held", entry.event_id));
            }
            Some(_) => {}
        }
    }
    violations
}

/// What may come again on a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redelivery {
    /// Nothing: no process crashed and no stream was lost.
    None,
    /// An event that was there before, to the byte, at most this many: what could have been between its publication and its
    /// record when a process crashed.
    AtMost(usize),
}

/// Each key is on one stream; on its first appearance each of its events follows its predecessor; whatever comes later
/// than a newer one is the same event again. Answers the violations and how many came again.
pub fn ordered(entries: &[Entry], redelivery: Redelivery) -> (Vec<String>, usize) {
    struct Key<'a> {
        shard: u16,
        seen: Vec<&'a [u8]>,
    }
    let (mut keys, mut again) = (HashMap::<&str, Key<'_>>::new(), 0);
    let mut violations = Vec::new();
    for entry in entries {
        let name = format!("{} of shard {}: {} number {}", entry.id, entry.shard, entry.ordering_key, entry.key_seq);
        let key = keys.entry(&entry.ordering_key).or_insert(Key { shard: entry.shard, seen: Vec::new() });
        if key.shard != entry.shard {
            violations.push(format!("astray: {name} belongs to shard {}", key.shard));
        }
        let number = usize::try_from(entry.key_seq).unwrap_or(usize::MAX);
        match number.cmp(&(key.seen.len() + 1)) {
            std::cmp::Ordering::Equal => key.seen.push(&entry.envelope),
            std::cmp::Ordering::Greater => {
                violations.push(format!("order: {name} came when {} were seen", key.seen.len()));
            }
            std::cmp::Ordering::Less => {
                again += 1;
                if number == 0 || key.seen[number - 1] != entry.envelope {
                    violations.push(format!("stale: {name} is not what was delivered before"));
                }
            }
        }
    }
    let allowed = match redelivery {
        Redelivery::None => 0,
        Redelivery::AtMost(events) => events,
    };
    if again > allowed {
        violations.push(format!("redelivered: {again} entries came again, {allowed} may"));
    }
    (violations, again)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: &str, key_seq: u64) -> Entry {
        Entry {
            shard: 3,
            id: format!("{key_seq}-0"),
            envelope: format!("{key}{key_seq}").into_bytes(),
            event_id: format!("{key}{key_seq}"),
            ordering_key: key.into(),
            key_seq,
        }
    }

    #[test]
    fn order_is_of_the_key_and_a_redelivery_is_the_same_event() {
        let honest = [entry("a", 1), entry("b", 1), entry("a", 2), entry("b", 2)];
        assert_eq!(ordered(&honest, Redelivery::None), (vec![], 0));
        let again = [entry("a", 1), entry("a", 2), entry("a", 1), entry("a", 2), entry("a", 3)];
        assert_eq!(ordered(&again, Redelivery::AtMost(2)), (vec![], 2));
        assert_eq!(ordered(&again, Redelivery::None).0.len(), 1);
        assert_eq!(ordered(&again, Redelivery::AtMost(1)).0.len(), 1);
    }

    #[test]
    fn gaps_swaps_strays_and_forgeries_are_found() {
        let any = Redelivery::AtMost(usize::MAX);
        assert_eq!(ordered(&[entry("a", 2), entry("a", 1)], any).0.len(), 1);
        assert_eq!(ordered(&[entry("a", 1), Entry { shard: 4, ..entry("a", 2) }], any).0.len(), 1);
        let forged = Entry { envelope: b"other".to_vec(), ..entry("a", 1) };
        assert_eq!(ordered(&[entry("a", 1), forged], any).0.len(), 1);
    }

    #[test]
    fn what_is_missing_invented_or_altered_is_found() {
        let outbox = BTreeMap::from([("a1".to_owned(), b"a1".to_vec()), ("a2".to_owned(), b"a2".to_vec())]);
        assert_eq!(complete(&[entry("a", 1), entry("a", 2)], &outbox, ["a1", "a2"].into_iter()), [""; 0]);
        assert_eq!(complete(&[entry("a", 1)], &outbox, ["a1", "a2"].into_iter()).len(), 2);
        let altered = Entry { envelope: vec![], ..entry("a", 2) };
        assert_eq!(complete(&[entry("a", 1), altered], &outbox, std::iter::empty()).len(), 1);
        assert_eq!(complete(&[entry("a", 1), entry("a", 2), entry("a", 3)], &outbox, std::iter::empty()).len(), 1);
    }
}
