use holdfast_events::{EntryId, SHARDS};
use uuid::Uuid;

/// The right to publish one shard, as PostgreSQL granted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    pub shard: u16,
    /// Grows with every change of hands; travels with every publication.
    pub epoch: i64,
}

/// Where a shard's stream stands, as far as its holder knows: the other half of the compare-and-set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Which life of the stream this is.
    pub incarnation: Uuid,
    pub last: EntryId,
    /// New entry ids do not start below this; above zero only until the first publication after a loss.
    pub floor_ms: u64,
}

/// How many shards one of `members` relays may hold, so that together they can hold all.
pub fn fair_share(members: u64) -> usize {
    u64::from(SHARDS).div_ceil(members.max(1)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_cover_all_shards() {
        for (members, share) in [(0, 16), (1, 16), (2, 8), (3, 6), (5, 4), (16, 1), (40, 1)] {
            assert_eq!(fair_share(members), share, "{members} members");
        }
    }
}
