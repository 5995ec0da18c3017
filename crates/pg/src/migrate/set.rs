//! What is embedded: the scripts of each schema, who owns it and who may read its version.

use sqlx::migrate::{MigrateError as SqlxMigrateError, Migration, Migrator};

use super::MigrateError;
use crate::Role;

/// The migrations of one schema.
pub(super) struct Set {
    pub(super) schema: &'static str,
    pub(super) owner: Role,
    /// Roles that may read `schema_migrations`, and nothing else of it, so that a service can check the version at start.
    pub(super) readers: &'static [&'static str],
    /// Rows for the rehearsal: going back and forth over an empty schema proves little.
    pub(super) sample: &'static str,
    migrator: Migrator,
}

pub(super) static ALL: [Set; 3] = [
    Set {
        schema: "jobs",
        owner: Role::JobsOwner,
        readers: &[Role::JobsApp.name(), Role::JobsTask.name(), Role::Relay.name()],
        sample: include_str!("../../../../migrations/jobs/sample.sql"),
        migrator: sqlx::migrate!("../../migrations/jobs"),
    },
    Set {
        schema: "locks",
        owner: Role::LocksOwner,
        readers: &[Role::LocksApp.name(), Role::LocksTask.name(), Role::Relay.name()],
        sample: include_str!("../../../../migrations/locks/sample.sql"),
        migrator: sqlx::migrate!("../../migrations/locks"),
    },
    Set {
        schema: "relay",
        owner: Role::RelayOwner,
        readers: &[Role::Relay.name()],
        sample: include_str!("../../../../migrations/relay/sample.sql"),
        migrator: sqlx::migrate!("../../migrations/relay"),
    },
];

impl Set {
    pub(super) fn of(schema: &str) -> Result<&'static Self, MigrateError> {
        ALL.iter().find(|set| set.schema == schema).ok_or_else(|| MigrateError::UnknownSchema(schema.to_owned()))
    }

    pub(super) fn table(&self) -> String {
        format!("{}.schema_migrations", self.schema)
    }

    pub(super) fn ups(&self) -> impl Iterator<Item = &Migration> {
        self.migrator.iter().filter(|migration| migration.migration_type.is_up_migration())
    }

    pub(super) fn down(&self, version: i64) -> Option<&Migration> {
        self.migrator.iter().find(|m| m.version == version && m.migration_type.is_down_migration())
    }

    pub(super) fn has(&self, version: i64) -> bool {
        self.migrator.version_exists(version)
    }

    pub(super) fn error(&self, error: SqlxMigrateError, version: i64) -> MigrateError {
        match error {
            SqlxMigrateError::ExecuteMigration(source, version) => {
                MigrateError::Script { schema: self.schema, version, source: Box::new(source) }
            }
            SqlxMigrateError::Execute(source) => MigrateError::Db(source.into()),
            other => MigrateError::Script {
                schema: self.schema,
                version,
                source: Box::new(sqlx::Error::Migrate(Box::new(other))),
            },
        }
    }
}
