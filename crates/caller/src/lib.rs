//! Who calls: tokens verified into a [`Caller`], and what a caller may touch.
//!
//! Owns the rules for tokens: which algorithms, which claims, how long-lived, in which order they are checked
//! (revocation, signature, claims). A [`Verifier`] holds the issuer's key set, follows its rotation, and pays for a
//! signature once per token. A refusal is AUTH_401_* where the token is not good, AUTH_403_* where it does not reach
//! far enough. Identity never comes from anywhere but a verified token.
//!
//! Bearer tokens are used for many calls, so that a repeated `jti` is no replay here; the replay store belongs to
//! single-use tokens, of which there are none yet.
#![forbid(unsafe_code)]

mod claims;
pub mod issuer;
mod keys;
mod principal;
mod revocation;
mod verifier;

pub use claims::TokenError;
pub use keys::{KeyError, KeySource};
pub use principal::{Caller, Kind, Projects, Role, Tier};
pub use revocation::{NoFeed, Revocations, Standing, TokenRef};
pub use verifier::{Verifier, VerifierConfig, bearer_token};
