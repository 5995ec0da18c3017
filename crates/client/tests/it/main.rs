//! The SDK against real services; its timing against a peer that answers by a script.

mod calls;
mod contract;
mod errors;
mod guards;
mod jobs;
mod keys;
mod locks;
mod locks_peer;
mod peer;
mod proxy;
mod support;
mod usage;
mod waits;
mod worker;
