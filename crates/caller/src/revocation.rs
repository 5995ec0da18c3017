//! The place of the revocation feed.
//!
//! Revocations come with the identity service: a set in memory, fed by a stream and by a snapshot, asked on every call,
//! before the signature. Until that feed exists [`NoFeed`] stands here, and a token lives until it expires.

/// What a revocation can name.
#[derive(Debug, Clone, Copy)]
pub struct TokenRef<'a> {
    pub jti: &'a str,
    pub session_id: &'a str,
    pub subject: &'a str,
}

/// What the feed knows of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Good,
    Revoked,
    /// The feed is too old to know: no call is let through on its word.
    Unknown,
}

pub trait Revocations: Send + Sync + 'static {
    fn standing(&self, token: TokenRef<'_>) -> Standing;
}

/// Nothing is ever revoked.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoFeed;

impl Revocations for NoFeed {
    fn standing(&self, _token: TokenRef<'_>) -> Standing {
        Standing::Good
    }
}
