//! What a job's idempotency key says: run, number, time of submission.

use std::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag {
    /// So that no two runs share a key.
    pub run: u64,
    pub number: u64,
    /// Microseconds on the board's clock.
    pub sent_us: u64,
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{}-{}", self.run, self.number, self.sent_us)
    }
}

impl Tag {
    pub fn parse(key: &str) -> Option<Self> {
        let mut parts = key.split('-');
        let run = u64::from_str_radix(parts.next()?, 16).ok()?;
        let number = parts.next()?.parse().ok()?;
        let sent_us = parts.next()?.parse().ok()?;
        parts.next().is_none().then_some(Self { run, number, sent_us })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_survives_the_way() {
        let tag = Tag { run: 0xfeed, number: 7, sent_us: 12_345 };
        assert_eq!(Tag::parse(&tag.to_string()), Some(tag));
        assert_eq!(Tag::parse("user-key"), None);
    }
}
