//! Real servers and real processes for tests: nothing here stands in for anything.
//!
//! [`Postgres`] and [`Redis`], and what keeps them running ([`PgBouncer`], [`Patroni`], [`Sentinels`]), run from the machine's own packages in directories of their own, can be killed, paused and
//! started again, and leave nothing behind however the test process ends. [`Database`] is a copy of a migrated template,
//! one for each test. [`Process`] is a binary of this workspace under its operating system's signals. [`Stack`] is all of
//! it together. [`eventually`] awaits a condition; no test sleeps.
//!
//! Fails with what a reader of the test's output needs: the package to install, the end of the log.
#![forbid(unsafe_code)]

mod binary;
mod daemon;
mod database;
mod eventually;
mod http;
mod janitor;
mod patroni;
pub mod pgbouncer;
mod port;
mod postgres;
mod process;
mod proxy;
mod redis;
mod sentinel;
mod stack;
mod tokens;

pub use database::Database;
pub use eventually::{Probe, eventually};
pub use http::{Reply, http_get};
pub use nix::sys::signal::Signal;
pub use patroni::Patroni;
pub use pgbouncer::PgBouncer;
pub use port::free_port;
pub use postgres::{Backup, Frozen, Postgres, PostgresOptions};
pub use process::{Process, ProcessSpec};
pub use proxy::{Loss, Proxy};
pub use redis::Redis;
pub use sentinel::Sentinels;
pub use stack::{JobsInstance, LocksInstance, Stack, StackBuilder};
pub use tokens::{BrokenToken, Tokens};
