/// Shards of every domain: the bound on relays that work in parallel. Changing it needs an empty outbox.
pub const SHARDS: u16 = 16;

/// The shard of an ordering key: the first four bytes of its BLAKE3, big endian, modulo [`SHARDS`].
pub fn shard_of(ordering_key: &str) -> u16 {
    let digest = blake3::hash(ordering_key.as_bytes());
    let [a, b, c, d, ..] = *digest.as_bytes();
    (u32::from_be_bytes([a, b, c, d]) % u32::from(SHARDS)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The function is a contract between versions: a key that moved would lose its order.
    #[test]
    fn keys_stay_where_they_are() {
        let digest = blake3::hash(b"job:1");
        let head = u32::from_be_bytes(digest.as_bytes()[..4].try_into().unwrap());
        assert_eq!(u32::from(shard_of("job:1")), head % 16);
        assert_eq!((shard_of(""), shard_of("a"), shard_of("b")), (9, 13, 13));
    }

    #[test]
    fn keys_spread_over_all_shards() {
        let mut counts = [0u32; SHARDS as usize];
        for key in 0..16_000 {
            counts[usize::from(shard_of(&key.to_string()))] += 1;
        }
        assert!(counts.iter().all(|&count| (800..1200).contains(&count)), "{counts:?}");
    }
}
