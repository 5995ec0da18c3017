//! Redis as Holdfast uses it: transport and hints, never the truth.
//!
//! This crate owns how a client is wired (single server, Sentinel or Cluster, by the scheme of the URL), the grammar of
//! every key and channel ([`Keys`]), how scripts are run ([`Script`]), how replicas confirm what they wrote ([`Confirming`])
//! and how processes wake each other ([`Waker`], [`Messenger`], [`Listener`]).
//!
//! It promises that Redis being away never blocks a caller: a command is answered or refused within
//! [`COMMAND_TIMEOUT`], is sent at most once (nothing is replayed behind the caller's back after a reconnect), and a hint
//! costs its sender nothing. A refused command says nothing about whether it took effect; callers that care compare.
//!
//! It fails by [`RedisError`], which is retryable where Redis cannot be reached.
#![forbid(unsafe_code)]

mod client;
mod config;
mod confirming;
mod error;
mod hints;
mod keys;
mod script;

pub use client::{COMMAND_TIMEOUT, Redis};
pub use config::RedisConfig;
pub use confirming::{Confirmation, Confirmed, Confirming};
pub use error::RedisError;
/// The client library, for the one module of a service that speaks commands of its own.
pub use fred;
pub use hints::{Heard, Listener, Messenger, Waker};
pub use keys::{Keys, KeysError, StreamKeys};
pub use script::Script;
