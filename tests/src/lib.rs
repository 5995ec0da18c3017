//! What the system tests share: a rig of real services, clients that keep logs, and checkers that read those logs, the
//! streams and the raw tables.
//!
//! Nothing here is shared with a service but the contracts. A checker says what it counted and every violation it found;
//! it decides from what clients were told and what is stored, never from what a service says of itself.
#![forbid(unsafe_code)]

pub mod check;
pub mod client;
pub mod journal;
pub mod locks;
pub mod proof;
pub mod rig;
pub mod submit;
pub mod worker;
