//! PostgreSQL as Holdfast uses it.
//!
//! Owns how a service reaches its database and nothing of what it asks there: handles with one pool and one login each
//! ([`AppDb`] sees the tenants that a transaction names, [`TaskDb`] what its policies allow, [`ReadDb`] what may be a
//! little old, from a replica while that is within its declared lag), transactions that begin with their scope and deadline in one trip ([`Tx`]), the classes of failure
//! ([`DbError`]), calls gathered into one commit ([`coalescer`]), leadership of background tasks ([`leadership`]) and
//! the schemas' migrations ([`migrate`]).
//!
//! Promises: no statement of a tenant-scoped handle runs outside a transaction that has a scope, but the functions of
//! the database that set one themselves ([`AppDb::look`], [`AppDb::write`]); a scope ends with its transaction; a caller
//! that goes away leaves no transaction open; a lost connection is noticed when a transaction or a look begins and
//! replaced there, so that a restart of PostgreSQL is seen only by the calls that were running, and by a write without a
//! look, which cannot tell whether it was done and says so; a server that goes silent without closing its connections
//! costs each call a bounded time and no pool a connection.
//!
//! Fails as a [`DbError`], which says whether the work may be tried again. A connection lost during COMMIT is a class of
//! its own: the transaction may have happened, and only a repetition that recognises its own effect converges.
#![forbid(unsafe_code)]

pub mod coalescer;
mod config;
mod error;
mod handle;
pub mod leadership;
mod loan;
pub mod migrate;
mod read;
mod role;
mod scope;
mod tx;

pub use config::{DatabaseUrl, PoolConfig};
pub use error::DbError;
pub use handle::{AppDb, Looked, Statement, TaskDb};
pub use read::{ReadDb, ReadTx};
pub use role::Role;
pub use scope::{EmptyScope, TenantScope};
pub use tx::Tx;
