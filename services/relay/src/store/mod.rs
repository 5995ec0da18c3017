//! The relay's SQL: one function a query. Everything runs as the relay's own role.

mod leases;
mod outbox;
mod recovery;
mod schema;
mod statements;

use std::sync::Arc;

use holdfast_pg::TaskDb;

pub use outbox::{Acknowledged, Backlog};
pub use recovery::{Recorded, Recovery, Settlement};
pub use schema::NotThere;

use self::statements::Statements;
use crate::domain::source::Source;

/// One source's outbox, and the leases of its shards. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    db: TaskDb,
    source: Source,
    on_outbox: Arc<Statements>,
}

impl Store {
    pub fn new(db: TaskDb, source: Source) -> Self {
        Self { db, source, on_outbox: Arc::new(Statements::on(source)) }
    }

    pub fn source(&self) -> Source {
        self.source
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
