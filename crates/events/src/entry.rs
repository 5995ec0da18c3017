use std::{collections::HashMap, fmt, str::FromStr};

use bytes::Bytes;

use crate::Refusal;

/// The id of a stream entry, `<milliseconds>-<sequence>`; ordered as the stream is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId {
    pub ms: u64,
    pub seq: u64,
}

impl EntryId {
    /// Before every entry.
    pub const START: Self = Self { ms: 0, seq: 0 };
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a stream entry id")]
pub struct EntryIdError;

impl FromStr for EntryId {
    type Err = EntryIdError;

    fn from_str(text: &str) -> Result<Self, EntryIdError> {
        let (ms, seq) = text.split_once('-').ok_or(EntryIdError)?;
        Ok(Self { ms: ms.parse().map_err(|_| EntryIdError)?, seq: seq.parse().map_err(|_| EntryIdError)? })
    }
}

/// What a stream entry holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryFields {
    /// Field `e`: the bytes of the envelope, exactly as the outbox held them.
    pub envelope: Bytes,
    /// Field `s`: the signature.
    pub signature: Bytes,
    /// Field `k`: the id of the key that signed.
    pub key_id: String,
}

impl EntryFields {
    pub const ENVELOPE: &'static str = "e";
    pub const SIGNATURE: &'static str = "s";
    pub const KEY_ID: &'static str = "k";
}

impl TryFrom<HashMap<String, Bytes>> for EntryFields {
    type Error = Refusal;

    fn try_from(mut fields: HashMap<String, Bytes>) -> Result<Self, Refusal> {
        let mut take = |name| fields.remove(name).ok_or(Refusal::MissingField(name));
        Ok(Self {
            envelope: take(Self::ENVELOPE)?,
            signature: take(Self::SIGNATURE)?,
            key_id: String::from_utf8_lossy(&take(Self::KEY_ID)?).into_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_order_by_number_not_by_text() {
        let ids = ["9-0", "10-0", "10-2", "10-10"].map(|text| text.parse::<EntryId>().unwrap());
        assert!(ids.is_sorted());
        assert_eq!(ids[3].to_string(), "10-10");
        for text in ["", "1", "-", "1-", "a-1", "1-1-1"] {
            assert_eq!(text.parse::<EntryId>(), Err(EntryIdError), "{text:?}");
        }
    }
}
