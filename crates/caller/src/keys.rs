//! The issuer's key set and its rotation.
//!
//! Each key is bound to one algorithm by the set itself; what a token's header claims is only compared. A set that
//! cannot be read leaves the last good one in place: an issuer that is away stops nobody whose key is known.

use std::{
    collections::HashMap,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse},
};
use serde::Deserialize;

const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
const KEY_SET_BYTES_MAX: usize = 1024 * 1024;

/// Where the issuer publishes its keys, as a JSON web key set.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeySource {
    File(PathBuf),
    Url(String),
}

impl KeySource {
    /// How often the source is looked at without cause.
    pub(crate) fn period(&self) -> Duration {
        match self {
            KeySource::File(_) => Duration::from_secs(1),
            KeySource::Url(_) => Duration::from_secs(60),
        }
    }

    /// How soon an unknown key id may make us look again: strangers can send as many of them as they like.
    pub(crate) fn pause_min(&self) -> Duration {
        match self {
            KeySource::File(_) => Duration::ZERO,
            KeySource::Url(_) => Duration::from_secs(10),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("key set file {path}: {error}")]
    File { path: PathBuf, error: std::io::Error },
    #[error("key set from {url}: {error}")]
    Fetch { url: String, error: reqwest::Error },
    #[error("the key set is larger than 1 MiB")]
    TooLarge,
    #[error("the key set is not a JSON web key set: {0}")]
    Json(serde_json::Error),
    #[error("the key set has two keys with the id {kid}")]
    Duplicate { kid: String },
    #[error("the key set has no key for signatures with RS256, RS384, RS512, ES256 or ES384")]
    Empty,
}

pub(crate) struct Key {
    pub(crate) algorithm: Algorithm,
    pub(crate) decoding: DecodingKey,
}

pub(crate) type KeySet = HashMap<String, Key>;

/// Reads the source, and says so only when there is something new.
pub(crate) struct Loader {
    source: KeySource,
    http: Option<reqwest::Client>,
    seen: Option<Seen>,
}

#[derive(PartialEq, Eq)]
enum Seen {
    File { modified: Option<SystemTime>, size: u64, inode: u64 },
    Body([u8; 32]),
}

impl Loader {
    pub(crate) fn new(source: KeySource) -> Self {
        Self { source, http: None, seen: None }
    }

    pub(crate) async fn load_if_new(&mut self) -> Result<Option<KeySet>, KeyError> {
        let (seen, body) = match self.source.clone() {
            KeySource::File(path) => {
                let seen = look(&path).map_err(|error| KeyError::File { path: path.clone(), error })?;
                if self.seen.as_ref() == Some(&seen) {
                    return Ok(None);
                }
                let body = std::fs::read(&path).map_err(|error| KeyError::File { path, error })?;
                (seen, body)
            }
            KeySource::Url(url) => {
                let body = self.fetch(&url).await?;
                (Seen::Body(*blake3::hash(&body).as_bytes()), body)
            }
        };
        if self.seen.as_ref() == Some(&seen) {
            return Ok(None);
        }
        let keys = parse(&body)?;
        self.seen = Some(seen);
        Ok(Some(keys))
    }

    async fn fetch(&mut self, url: &str) -> Result<Vec<u8>, KeyError> {
        let failed = |error| KeyError::Fetch { url: url.to_owned(), error };
        let client = match &self.http {
            Some(client) => client.clone(),
            None => reqwest::Client::builder().timeout(FETCH_TIMEOUT).build().map_err(failed)?,
        };
        self.http = Some(client.clone());
        let mut response = client.get(url).send().await.and_then(|r| r.error_for_status()).map_err(failed)?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            body.extend_from_slice(&chunk);
            if body.len() > KEY_SET_BYTES_MAX {
                return Err(KeyError::TooLarge);
            }
        }
        Ok(body)
    }
}

fn look(path: &Path) -> Result<Seen, std::io::Error> {
    let metadata = std::fs::metadata(path)?;
    Ok(Seen::File { modified: metadata.modified().ok(), size: metadata.size(), inode: metadata.ino() })
}

fn parse(body: &[u8]) -> Result<KeySet, KeyError> {
    let set: JwkSet = serde_json::from_slice(body).map_err(KeyError::Json)?;
    let mut keys = KeySet::new();
    for jwk in &set.keys {
        let Some((kid, key)) = usable(jwk) else {
            tracing::warn!(kid = jwk.common.key_id.as_deref(), "key of the set is not usable for signatures; left out");
            continue;
        };
        if keys.insert(kid.clone(), key).is_some() {
            return Err(KeyError::Duplicate { kid });
        }
    }
    if keys.is_empty() { Err(KeyError::Empty) } else { Ok(keys) }
}

fn usable(jwk: &Jwk) -> Option<(String, Key)> {
    let kid = jwk.common.key_id.clone().filter(|kid| !kid.is_empty())?;
    if jwk.common.public_key_use.as_ref().is_some_and(|usage| *usage != PublicKeyUse::Signature) {
        return None;
    }
    let algorithm = algorithm(jwk)?;
    let decoding = DecodingKey::from_jwk(jwk).ok()?;
    Some((kid, Key { algorithm, decoding }))
}

/// The one algorithm of a key. A curve names its own; an RSA key that names none could be used with three and is left
/// out. Shared secrets are never keys here.
fn algorithm(jwk: &Jwk) -> Option<Algorithm> {
    match (&jwk.algorithm, jwk.common.key_algorithm) {
        (AlgorithmParameters::EllipticCurve(curve), named) => match (&curve.curve, named) {
            (EllipticCurve::P256, None | Some(KeyAlgorithm::ES256)) => Some(Algorithm::ES256),
            (EllipticCurve::P384, None | Some(KeyAlgorithm::ES384)) => Some(Algorithm::ES384),
            _ => None,
        },
        (AlgorithmParameters::RSA(_), Some(KeyAlgorithm::RS256)) => Some(Algorithm::RS256),
        (AlgorithmParameters::RSA(_), Some(KeyAlgorithm::RS384)) => Some(Algorithm::RS384),
        (AlgorithmParameters::RSA(_), Some(KeyAlgorithm::RS512)) => Some(Algorithm::RS512),
        _ => None,
    }
}
