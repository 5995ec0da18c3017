//! Locks that were taken and given back at once, as a client noted them: the same count for ours and for all others.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use super::Timing;
use crate::measure::percentiles::{Percentiles, histogram};

/// Locks that a client has for itself, in turn.
pub const OWN_KEYS: usize = 16;

/// How many clients there are, and which locks they take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Crowd {
    /// A connection each.
    pub clients: usize,
    /// Locks that they share, each client one of them; each has its own where absent.
    pub shared_keys: Option<usize>,
}

impl Crowd {
    pub const fn apart(clients: usize) -> Self {
        Self { clients, shared_keys: None }
    }

    pub const fn sharing(clients: usize, keys: usize) -> Self {
        Self { clients, shared_keys: Some(keys) }
    }

    /// The lock that a client takes in its turn.
    pub fn key(self, client: usize, turn: usize) -> usize {
        match self.shared_keys {
            Some(keys) => client % keys,
            None => client * OWN_KEYS + turn % OWN_KEYS,
        }
    }
}

/// In microseconds on one clock.
#[derive(Debug, Clone, Copy)]
pub struct Pair {
    pub key: u64,
    pub asked_us: u64,
    /// Answered; and given back in the same moment.
    pub granted_us: u64,
    /// That it was given back is answered.
    pub released_us: u64,
}

#[derive(Debug, Clone, Default)]
pub struct Pairs(pub Vec<Pair>);

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct PairTimes {
    pub pairs_per_s: f64,
    /// From the request to the answer that it is free again.
    pub pair: Percentiles,
    pub acquire: Percentiles,
    pub release: Percentiles,
    /// From the call that gives a lock back to the answer to the one who waited for it.
    pub hand_over: Percentiles,
}

impl Pairs {
    /// Four doubles a pair, in the order of [`Pair`].
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = fs::read(path)?;
        ensure!(!bytes.is_empty() && bytes.len() % 32 == 0, "{} bytes are no notes of locks", bytes.len());
        let number = |bytes: &[u8]| f64::from_le_bytes(bytes.try_into().expect("eight bytes of thirty-two")) as u64;
        let pair = |bytes: &[u8]| Pair {
            key: number(&bytes[..8]),
            asked_us: number(&bytes[8..16]),
            granted_us: number(&bytes[16..24]),
            released_us: number(&bytes[24..]),
        };
        Ok(Self(bytes.chunks_exact(32).map(pair).collect()))
    }

    /// The window counts from the clock's zero.
    pub fn seen(mut self, timing: Timing) -> PairTimes {
        let opens = timing.warm_up.as_micros() as u64;
        let closes = opens + timing.window.as_micros() as u64;
        let inside = |time_us: u64| (opens..closes).contains(&time_us);
        let (mut whole, mut acquire, mut release, mut hand_over) = (histogram(), histogram(), histogram(), histogram());
        // In the order of their grants, each lock's holder follows the one before.
        self.0.sort_unstable_by_key(|pair| pair.granted_us);
        let mut holders = BTreeMap::<u64, u64>::new();
        for pair in &self.0 {
            let given_back_us = holders.insert(pair.key, pair.granted_us);
            if inside(pair.released_us) {
                whole.saturating_record(pair.released_us.saturating_sub(pair.asked_us));
                release.saturating_record(pair.released_us.saturating_sub(pair.granted_us));
            }
            if inside(pair.granted_us) {
                acquire.saturating_record(pair.granted_us.saturating_sub(pair.asked_us));
                // Who came later did not wait for it.
                if let Some(given_back_us) = given_back_us.filter(|time_us| pair.asked_us <= *time_us) {
                    hand_over.saturating_record(pair.granted_us - given_back_us);
                }
            }
        }
        PairTimes {
            pairs_per_s: whole.len() as f64 / timing.window.as_secs_f64(),
            pair: (&whole).into(),
            acquire: (&acquire).into(),
            release: (&release).into(),
            hand_over: (&hand_over).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const MS: u64 = 1000;

    fn pair(key: u64, [asked_ms, granted_ms, released_ms]: [u64; 3]) -> Pair {
        Pair { key, asked_us: asked_ms * MS, granted_us: granted_ms * MS, released_us: released_ms * MS }
    }

    fn timing() -> Timing {
        Timing { warm_up: Duration::from_secs(1), window: Duration::from_secs(1) }
    }

    fn close(measured_ms: f64, ms: f64) -> bool {
        // To three digits, as the histogram has it.
        (measured_ms - ms).abs() < ms / 500.0
    }

    #[test]
    fn what_happened_inside_the_window_counts() {
        let pairs = Pairs(vec![
            // Warm-up, and free again inside.
            pair(1, [900, 950, 1010]),
            pair(1, [1100, 1110, 1130]),
            // Granted inside, free again beyond.
            pair(1, [1900, 1950, 2010]),
        ]);
        let seen = pairs.seen(timing());
        assert_eq!((seen.pairs_per_s, seen.acquire.count, seen.release.count), (2.0, 2, 2));
        assert!(close(seen.acquire.p50_ms, 10.0) && close(seen.acquire.max_ms, 50.0), "{seen:?}");
        assert!(close(seen.pair.max_ms, 110.0) && close(seen.release.p50_ms, 20.0), "{seen:?}");
        // Nobody waited.
        assert_eq!(seen.hand_over.count, 0);
    }

    #[test]
    fn a_lock_is_handed_to_who_waited_for_it() {
        let pairs = Pairs(vec![
            pair(1, [1000, 1100, 1104]),
            // Granted before its predecessor has its own answer.
            pair(1, [1050, 1103, 1110]),
            // Another lock, and a free one.
            pair(2, [1060, 1106, 1110]),
            pair(1, [1200, 1210, 1220]),
        ]);
        let seen = pairs.seen(timing());
        assert_eq!(seen.hand_over.count, 1);
        assert!(close(seen.hand_over.p50_ms, 3.0), "{seen:?}");
    }

    #[test]
    fn notes_are_read_as_they_were_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notes");
        fs::write(&path, [7.0, 1.0, 2.0, 3.0].map(f64::to_le_bytes).concat()).unwrap();
        let read = Pairs::read(&path).unwrap().0;
        assert_eq!((read[0].key, read[0].asked_us, read[0].granted_us, read[0].released_us), (7, 1, 2, 3));
        fs::write(&path, [0; 31]).unwrap();
        assert!(Pairs::read(&path).is_err());
    }

    #[test]
    fn clients_apart_share_no_lock() {
        let crowd = Crowd::apart(3);
        let keys = |client| (0..2 * OWN_KEYS).map(move |turn| crowd.key(client, turn));
        let all: std::collections::BTreeSet<_> = (0..3).flat_map(keys).collect();
        assert_eq!(all.len(), 3 * OWN_KEYS);
        assert_eq!(Crowd::sharing(32, 8).key(9, 5), 1);
    }
}
