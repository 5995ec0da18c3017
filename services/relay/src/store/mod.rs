//! The relay's SQL: one function a query. Everything runs as the relay's own role.

mod leases;
mod outbox;
mod recovery;

use holdfast_pg::TaskDb;

pub use outbox::{Acknowledged, Backlog};
pub use recovery::{Recorded, Recovery, Settlement};

/// The one outbox that there is. Its schema stands in the queries: a schema's name cannot be a parameter, and a checked
/// query names its tables.
pub const SOURCE: &str = "jobs";

/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    db: TaskDb,
}

impl Store {
    pub fn new(db: TaskDb) -> Self {
        Self { db }
    }

    pub fn db(&self) -> &TaskDb {
        &self.db
    }
}

/// Shards are 0 to 15.
fn smallint(shard: u16) -> i16 {
    shard as i16
}

fn shard(smallint: i16) -> u16 {
    smallint as u16
}
