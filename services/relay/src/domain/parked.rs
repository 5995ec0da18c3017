use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

const BACK_OFF_FIRST: Duration = Duration::from_secs(1);
const BACK_OFF_MAX: Duration = Duration::from_secs(300);

/// Keys whose next row cannot be published. Nothing of such a key goes out, or its order would break; the rest of its
/// shard does. Kept in memory: a new holder tries a key once and parks it again.
#[derive(Debug, Default)]
pub struct Parked {
    keys: HashMap<String, Parking>,
}

#[derive(Debug)]
struct Parking {
    shard: u16,
    until: Instant,
    failures: u32,
}

impl Parked {
    /// Parks a key for twice as long as last time, from one second to five minutes.
    pub fn park(&mut self, key: &str, shard: u16, now: Instant) -> Duration {
        let failures = self.keys.get(key).map_or(0, |parking| parking.failures);
        let back_off = BACK_OFF_FIRST.saturating_mul(1 << failures.min(16)).min(BACK_OFF_MAX);
        self.keys.insert(key.to_owned(), Parking { shard, until: now + back_off, failures: failures + 1 });
        back_off
    }

    /// The keys to leave out now. A key whose time is over is tried again, and forgotten once it went through.
    pub fn active(&self, now: Instant) -> Vec<String> {
        self.keys.iter().filter(|(_, parking)| parking.until > now).map(|(key, _)| key.clone()).collect()
    }

    pub fn released(&mut self, key: &str) {
        self.keys.remove(key);
    }

    /// Forgets the keys of shards that are no longer held.
    pub fn keep_shards(&mut self, held: impl Fn(u16) -> bool) {
        self.keys.retain(|_, parking| held(parking.shard));
    }

    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub fn len(&self) -> usize {
        self.keys.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_parked_longer_each_time_and_tried_in_between() {
        let mut parked = Parked::default();
        let start = Instant::now();
        assert_eq!(parked.park("job:1", 3, start), Duration::from_secs(1));
        assert_eq!(parked.active(start), ["job:1"]);
        let later = start + Duration::from_secs(1);
        assert!(parked.active(later).is_empty());
        assert_eq!(parked.park("job:1", 3, later), Duration::from_secs(2));
        for _ in 0..20 {
            parked.park("job:1", 3, later);
        }
        assert_eq!(parked.park("job:1", 3, later), BACK_OFF_MAX);
        parked.keep_shards(|shard| shard != 3);
        assert_eq!(parked.len(), 0);
    }
}
