//! Tokens to callers.

use std::{
    sync::{Arc, Weak},
    time::{Duration, Instant, SystemTime},
};

use arc_swap::ArcSwap;
use jsonwebtoken::{Validation, dangerous, decode, decode_header};
use moka::{Expiry, sync::Cache};
use serde::Deserialize;
use tokio::sync::Mutex;

use holdfast_fault::Fault;

use crate::{
    claims::{Claims, TokenError},
    keys::{KeyError, KeySet, KeySource, Loader},
    principal::Caller,
    revocation::{NoFeed, Revocations, Standing, TokenRef},
};

const TOKEN_BYTES_MAX: usize = 16 * 1024;
/// Verified tokens kept in memory; each is below a kilobyte in the usual case.
const CACHED_MAX: u64 = 10_000;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerifierConfig {
    /// What `iss` must be.
    pub issuer: String,
    /// What `aud` must hold.
    pub audience: String,
    /// `keys.file` or `keys.url`: the issuer's JSON web key set.
    pub keys: KeySource,
}

/// Verifies bearer tokens. Clones share keys and cache.
#[derive(Clone)]
pub struct Verifier(Arc<Inner>);

struct Inner {
    issuer: String,
    audience: String,
    source: KeySource,
    keys: ArcSwap<KeySet>,
    loading: Mutex<Loading>,
    revocations: Box<dyn Revocations>,
    /// By BLAKE3 of the token: what is kept in memory is not what opens doors.
    verified: Cache<[u8; 32], Arc<Caller>>,
}

struct Loading {
    loader: Loader,
    attempted_at: Instant,
}

impl Verifier {
    /// Loads the keys and follows their rotation until the last clone is gone. Fails where there are no keys to start
    /// with.
    pub async fn new(config: VerifierConfig) -> Result<Self, KeyError> {
        Self::with_revocations(config, NoFeed).await
    }

    pub async fn with_revocations(config: VerifierConfig, revocations: impl Revocations) -> Result<Self, KeyError> {
        let mut loader = Loader::new(config.keys.clone());
        let keys = loader.load_if_new().await?.ok_or(KeyError::Empty)?;
        let inner = Arc::new(Inner {
            issuer: config.issuer,
            audience: config.audience,
            source: config.keys,
            keys: ArcSwap::from_pointee(keys),
            loading: Mutex::new(Loading { loader, attempted_at: Instant::now() }),
            revocations: Box::new(revocations),
            verified: Cache::builder().max_capacity(CACHED_MAX).expire_after(UntilExpiry).build(),
        });
        tokio::spawn(follow(Arc::downgrade(&inner), inner.source.period()));
        Ok(Self(inner))
    }

    /// The caller behind a token. Waits only where the token names a key that is not known yet and the issuer is asked.
    pub async fn verify(&self, token: &str) -> Result<Arc<Caller>, Fault> {
        Ok(self.verify_at(token, SystemTime::now()).await?)
    }

    /// As [`verify`](Self::verify), at a given time.
    pub async fn verify_at(&self, token: &str, now: SystemTime) -> Result<Arc<Caller>, TokenError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenError::TooLarge);
        }
        let digest = *blake3::hash(token.as_bytes()).as_bytes();
        if let Some(caller) = self.0.verified.get(&digest) {
            self.0.standing(TokenRef {
                jti: &caller.jti,
                session_id: &caller.session_id,
                subject: caller.actor.as_str(),
            })?;
            return if caller.expires_at > now { Ok(caller) } else { Err(TokenError::Expired) };
        }
        // Taken before the check, so that a token checked against keys that have since been replaced is not kept.
        let mut keys = self.0.keys.load_full();
        let kid = key_id(token)?;
        if !keys.contains_key(&kid) {
            self.0.refresh(self.0.source.pause_min()).await;
            keys = self.0.keys.load_full();
        }
        let caller = Arc::new(self.0.check(token, &kid, &keys, now)?);
        self.0.verified.insert(digest, caller.clone());
        if !Arc::ptr_eq(&keys, &self.0.keys.load()) {
            self.0.verified.invalidate(&digest);
        }
        Ok(caller)
    }
}

impl Inner {
    fn check(&self, token: &str, kid: &str, keys: &KeySet, now: SystemTime) -> Result<Caller, TokenError> {
        let unverified: Claims = dangerous::insecure_decode_claims(token).map_err(|_| TokenError::Malformed)?;
        self.standing(unverified.token_ref()?)?;

        let key = keys.get(kid).ok_or(TokenError::UnknownKey)?;
        let header = decode_header(token).map_err(|_| TokenError::Malformed)?;
        if header.alg != key.algorithm {
            return Err(TokenError::Algorithm);
        }
        let claims: Claims =
            decode(token, &key.decoding, &signature_only(key.algorithm)).map_err(|_| TokenError::Signature)?.claims;
        claims.into_caller(&self.issuer, &self.audience, now)
    }

    fn standing(&self, token: TokenRef<'_>) -> Result<(), TokenError> {
        match self.revocations.standing(token) {
            Standing::Good => Ok(()),
            Standing::Revoked => Err(TokenError::Revoked),
            Standing::Unknown => Err(TokenError::RevocationUnknown),
        }
    }

    /// Looks at the source again, unless that was done within `pause`. Whoever comes meanwhile waits for that look.
    async fn refresh(&self, pause: Duration) {
        let mut loading = self.loading.lock().await;
        if !pause.is_zero() && loading.attempted_at.elapsed() < pause {
            return;
        }
        loading.attempted_at = Instant::now();
        match loading.loader.load_if_new().await {
            Ok(Some(keys)) => {
                tracing::info!(keys = keys.len(), "key set replaced");
                self.keys.store(Arc::new(keys));
                // A key that is gone takes the tokens it signed with it.
                self.verified.invalidate_all();
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "key set could not be read; the last good one stays"),
        }
    }
}

async fn follow(verifier: Weak<Inner>, period: Duration) {
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let Some(inner) = verifier.upgrade() else { return };
        inner.refresh(Duration::ZERO).await;
    }
}

fn key_id(token: &str) -> Result<String, TokenError> {
    let header = decode_header(token).map_err(|_| TokenError::Malformed)?;
    header.kid.ok_or(TokenError::UnknownKey)
}

/// The claims are checked by our own rules, which name what is wrong.
fn signature_only(algorithm: jsonwebtoken::Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation
}

/// The token in an `authorization` header.
pub fn bearer_token(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

struct UntilExpiry;

impl Expiry<[u8; 32], Arc<Caller>> for UntilExpiry {
    fn expire_after_create(&self, _: &[u8; 32], caller: &Arc<Caller>, _: Instant) -> Option<Duration> {
        Some(caller.expires_at.duration_since(SystemTime::now()).unwrap_or(Duration::ZERO))
    }
}
