//! Signatures of stream entries: HMAC-SHA256 over the stream's name, the event's id and the envelope's bytes, each behind
//! its length, so that no entry can be moved to another stream or be taken apart differently. Whoever can write to
//! Redis but does not hold the key can remove entries, not make them.

use std::{collections::BTreeMap, fmt, sync::Arc};

use aws_lc_rs::hmac;

use crate::{EntryFields, Envelope, EnvelopeError, envelope};

/// HMAC keys shorter than the digest weaken it.
pub const SIGNING_KEY_BYTES_MIN: usize = 32;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SigningKeyError {
    #[error("a stream signing key has at least {SIGNING_KEY_BYTES_MIN} bytes")]
    TooShort,
    #[error("a key id is 1 to 64 characters of [A-Za-z0-9._-]")]
    KeyId,
}

/// Signs stream entries under one key. Cheap to clone; never prints its key.
#[derive(Clone)]
pub struct Signer {
    key_id: Arc<str>,
    key: Arc<hmac::Key>,
}

impl Signer {
    pub fn new(key_id: &str, secret: &[u8]) -> Result<Self, SigningKeyError> {
        Ok(Self { key_id: checked_id(key_id)?.into(), key: Arc::new(hmac_key(secret)?) })
    }

    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    pub fn sign(&self, stream: &str, event_id: &str, envelope: &[u8]) -> [u8; 32] {
        let tag = signed(hmac::Context::with_key(&self.key), stream, event_id, envelope).sign();
        let mut signature = [0; 32];
        signature.copy_from_slice(tag.as_ref());
        signature
    }

    /// Keys that accept what this signer signs; more may be added for a rotation.
    pub fn verifying_keys(&self) -> VerifyingKeys {
        VerifyingKeys { keys: BTreeMap::from([(self.key_id.clone(), self.key.clone())]) }
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

/// Why an entry is not delivered as an event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the entry lacks the field {0:?}")]
    MissingField(&'static str),
    #[error("the entry names the unknown key {0:?}")]
    UnknownKey(String),
    #[error("the signature does not verify")]
    BadSignature,
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
}

/// The keys whose signatures a consumer accepts: the current one and, during a rotation, its neighbours.
#[derive(Clone, Default)]
pub struct VerifyingKeys {
    keys: BTreeMap<Arc<str>, Arc<hmac::Key>>,
}

impl VerifyingKeys {
    pub fn with(mut self, key_id: &str, secret: &[u8]) -> Result<Self, SigningKeyError> {
        self.keys.insert(checked_id(key_id)?.into(), Arc::new(hmac_key(secret)?));
        Ok(self)
    }

    /// The event of a stream entry, if its signature says that it was published to this stream. Compares in constant time.
    pub fn verify(&self, stream: &str, fields: &EntryFields) -> Result<Envelope, Refusal> {
        let Some(key) = self.keys.get(fields.key_id.as_str()) else {
            return Err(Refusal::UnknownKey(fields.key_id.clone()));
        };
        let decoded = envelope::decode(&fields.envelope)?;
        let tag = signed(hmac::Context::with_key(key), stream, &decoded.event_id, &fields.envelope).sign();
        aws_lc_rs::constant_time::verify_slices_are_equal(tag.as_ref(), &fields.signature)
            .map_err(|_| Refusal::BadSignature)?;
        Ok(decoded)
    }
}

impl fmt::Debug for VerifyingKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.keys.keys()).finish()
    }
}

fn signed(mut context: hmac::Context, stream: &str, event_id: &str, envelope: &[u8]) -> hmac::Context {
    for part in [stream.as_bytes(), event_id.as_bytes(), envelope] {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    context
}

fn hmac_key(secret: &[u8]) -> Result<hmac::Key, SigningKeyError> {
    if secret.len() < SIGNING_KEY_BYTES_MIN {
        return Err(SigningKeyError::TooShort);
    }
    Ok(hmac::Key::new(hmac::HMAC_SHA256, secret))
}

fn checked_id(key_id: &str) -> Result<&str, SigningKeyError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if key_id.is_empty() || key_id.len() > 64 || !key_id.bytes().all(allowed) {
        return Err(SigningKeyError::KeyId);
    }
    Ok(key_id)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use holdfast_ids::EventId;

    use super::*;

    const STREAM: &str = "{hf:test:jobs:3}:events";

    fn signer() -> Signer {
        Signer::new("k1", &[7; 32]).unwrap()
    }

    fn entry() -> EntryFields {
        let envelope = Envelope {
            event_id: EventId::new().to_string(),
            event_name: "job.done".into(),
            ordering_key: "job:1".into(),
            key_seq: 1,
            ..Default::default()
        };
        let bytes = envelope::encode(&envelope);
        let signature = signer().sign(STREAM, &envelope.event_id, &bytes);
        EntryFields { envelope: bytes.into(), signature: Bytes::copy_from_slice(&signature), key_id: "k1".into() }
    }

    #[test]
    fn what_was_signed_verifies() {
        signer().verifying_keys().verify(STREAM, &entry()).unwrap();
    }

    #[test]
    fn what_was_changed_or_moved_does_not() {
        let keys = signer().verifying_keys();
        let entry = entry();
        assert_eq!(keys.verify("{hf:test:jobs:4}:events", &entry), Err(Refusal::BadSignature));

        let mut bytes = entry.envelope.to_vec();
        let last = bytes.len() - 1;
        bytes[last] ^= 2;
        let changed = EntryFields { envelope: bytes.into(), ..entry.clone() };
        assert_eq!(keys.verify(STREAM, &changed), Err(Refusal::BadSignature));

        let short = EntryFields { signature: entry.signature.slice(..31), ..entry.clone() };
        assert_eq!(keys.verify(STREAM, &short), Err(Refusal::BadSignature));

        let other = VerifyingKeys::default().with("k1", &[8; 32]).unwrap();
        assert_eq!(other.verify(STREAM, &entry), Err(Refusal::BadSignature));
        let unknown = VerifyingKeys::default().with("k2", &[7; 32]).unwrap();
        assert_eq!(unknown.verify(STREAM, &entry), Err(Refusal::UnknownKey("k1".into())));
    }

    #[test]
    fn weak_keys_are_refused_and_none_is_printed() {
        assert_eq!(Signer::new("k1", &[7; 31]).unwrap_err(), SigningKeyError::TooShort);
        assert_eq!(Signer::new("", &[7; 32]).unwrap_err(), SigningKeyError::KeyId);
        assert_eq!(format!("{:?}", signer()), r#"Signer { key_id: "k1", .. }"#);
    }
}
