use holdfast_pg::{
    DbError,
    migrate::{self, MigrateError},
};

use super::Store;
use crate::domain::source::Source;

/// Why a source cannot be published yet, or any more.
#[derive(Debug, thiserror::Error)]
pub enum NotThere {
    #[error("schema relay lacks migrations of this version")]
    RelayIsBehind,
    #[error("the version of schema relay cannot be read")]
    Relay(#[source] MigrateError),
    #[error("the outbox of {of} cannot be read")]
    Outbox {
        of: Source,
        #[source]
        cause: DbError,
    },
}

impl Store {
    /// Looks at what this relay needs of its own schema and of the source's.
    pub async fn schema_is_there(&self) -> Result<(), NotThere> {
        let is_current = self.db.bounded(migrate::is_current(self.db.pool(), "relay"));
        if !is_current.await.map_err(NotThere::Relay)? {
            return Err(NotThere::RelayIsBehind);
        }
        let looked = self.outbox_backlog(1).await;
        looked.map(|_| ()).map_err(|cause| NotThere::Outbox { of: self.source, cause })
    }
}
