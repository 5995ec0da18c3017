//! Idempotency keys.

use std::{fmt, str::FromStr};

use uuid::Uuid;

use crate::Error;

const FROM_CONTENT: &str = "holdfast-client 2026 idempotency key from content";
const CHILD: &str = "holdfast-client 2026 idempotency key of a child";

/// What makes a repeated request the same request.
///
/// Make the key once, from what the request is about, before the first attempt. Made from content, it is the same after
/// a crash of the caller, and so the work is not submitted twice; a random one is lost with the process that made it.
///
/// ```
/// use holdfast_client::IdempotencyKey;
///
/// let nightly = IdempotencyKey::from_content("nightly-report", ["2026-11-21", "emea"]);
/// assert_eq!(nightly, IdempotencyKey::from_content("nightly-report", ["2026-11-21", "emea"]));
/// // One step of it: no other step and no other report has this key.
/// let render = nightly.child("render");
/// assert_ne!(render, nightly.child("send"));
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdempotencyKey(holdfast_ids::IdempotencyKey);

impl IdempotencyKey {
    /// A key that nobody else has. Keep it with the work it is for: a new one for each attempt protects from nothing.
    pub fn random() -> Self {
        Self::hex(Uuid::new_v4().simple().to_string())
    }

    /// The key of this content: the same for the same parts in the same order, on every machine and in every version.
    /// `domain` keeps apart what is made from equal parts for different ends.
    pub fn from_content<P: AsRef<[u8]>>(domain: &str, parts: impl IntoIterator<Item = P>) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(FROM_CONTENT);
        part(&mut hasher, domain.as_bytes());
        parts.into_iter().for_each(|content| part(&mut hasher, content.as_ref()));
        Self::hex(hasher.finalize().to_hex().to_string())
    }

    /// The key of one step of what this key stands for.
    pub fn child(&self, name: &str) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(CHILD);
        part(&mut hasher, self.as_str().as_bytes());
        part(&mut hasher, name.as_bytes());
        Self::hex(hasher.finalize().to_hex().to_string())
    }

    /// A key of the caller's own making: 1 to 256 printable ASCII characters without spaces.
    pub fn new(text: &str) -> Result<Self, Error> {
        holdfast_ids::IdempotencyKey::parse(text).map(Self).map_err(Error::invalid)
    }

    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    fn hex(digits: String) -> Self {
        Self(holdfast_ids::IdempotencyKey::parse(&digits).expect("hexadecimal digits are a key"))
    }
}

/// With its length in front: neither can one part flow into the next, nor be left out unnoticed.
fn part(hasher: &mut blake3::Hasher, content: &[u8]) {
    hasher.update(&(content.len() as u64).to_le_bytes());
    hasher.update(content);
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl FromStr for IdempotencyKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::new(text)
    }
}

impl From<&IdempotencyKey> for String {
    fn from(key: &IdempotencyKey) -> Self {
        key.as_str().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_from_content_never_changes() {
        // Kept by callers in every version: another value here would run their work twice.
        let key = IdempotencyKey::from_content("domain", ["a", "bc"]);
        assert_eq!(key.as_str(), "51c26bde02db444306ef1590564bb5bfb09a4724721191e37acfe53e44a1933e");
        assert_eq!(key.child("step").as_str(), "7b85b0f654dce76346e5d00671c3c6858bca1ecb63324477a29d78dbd7b2f8f3");
    }

    #[test]
    fn other_content_is_another_key() {
        let keys = [
            IdempotencyKey::from_content("d", ["a", "bc"]),
            IdempotencyKey::from_content("d", ["ab", "c"]),
            IdempotencyKey::from_content("d", ["abc"]),
            IdempotencyKey::from_content("d", ["abc", ""]),
            IdempotencyKey::from_content("da", ["bc"]),
            IdempotencyKey::from_content("d", ["bc", "a"]),
            IdempotencyKey::from_content("d", ["a", "bc"]).child(""),
            IdempotencyKey::from_content("d", ["a", "bc"]).child("x"),
            IdempotencyKey::random(),
            IdempotencyKey::random(),
        ];
        let distinct: std::collections::BTreeSet<&str> = keys.iter().map(IdempotencyKey::as_str).collect();
        assert_eq!(distinct.len(), keys.len());
    }

    #[test]
    fn a_key_of_ones_own_is_checked_here() {
        assert_eq!(IdempotencyKey::new("order-17").unwrap().to_string(), "order-17");
        for wrong in ["", "two words", "ключ", &"k".repeat(257)] {
            assert_eq!(IdempotencyKey::new(wrong).unwrap_err().kind, crate::ErrorKind::Invalid);
        }
    }
}
