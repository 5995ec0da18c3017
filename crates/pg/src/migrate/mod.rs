//! The schemas' migrations, embedded: bootstrap, up, down, status, rehearsal, snapshot.
//!
//! Each schema has its owner, its scripts (`migrations/<schema>/NNNN_reason.{up,down}.sql`) and its own
//! `schema_migrations`, kept by sqlx's Migrator with checksums. A script and its record commit together. Migrators of one
//! schema take turns by an advisory lock, so the URL must be direct, not through a transaction pooler. A script waits
//! five seconds for a table lock and no longer: behind a waiting DDL statement everybody queues.
//!
//! Fails as a [`MigrateError`] and leaves the schema at the last version that committed.

mod bootstrap;
mod rehearsal;
mod scram;
mod set;
mod snapshot;

use std::collections::BTreeMap;

use sqlx::{
    AssertSqlSafe, Connection as _, Executor as _, PgConnection, PgPool, migrate::Migrate as _,
    postgres::PgConnectOptions,
};

pub use bootstrap::{Passwords, bootstrap};
pub use rehearsal::{Rehearsal, rehearse};
pub use snapshot::snapshot;

use crate::{DatabaseUrl, DbError, loan::Loan};
use set::Set;

/// A migration that was not done.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    #[error("there are no migrations for schema {0}")]
    UnknownSchema(String),
    #[error("environment prod only goes forward: write a migration that undoes the change")]
    DownInProd,
    #[error("migration {version} was applied with other contents than this build has")]
    Changed { version: i64 },
    #[error("migration {version} is applied but this build does not have it; use the build that applied it")]
    Unknown { version: i64 },
    #[error("migration {version} has no down script")]
    NoDownScript { version: i64 },
    #[error("migration {version} of schema {schema} failed")]
    Script { schema: &'static str, version: i64, source: Box<sqlx::Error> },
    #[error("a password holds characters outside printable ASCII")]
    Password,
    #[error("rehearsal of schema {schema}: {step} left another schema than expected:\n{difference}")]
    Rehearsal { schema: &'static str, step: String, difference: String },
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<sqlx::Error> for MigrateError {
    fn from(error: sqlx::Error) -> Self {
        Self::Db(error.into())
    }
}

/// One migration and whether it is applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub version: i64,
    pub description: String,
    pub state: StepState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepState {
    Pending,
    Applied,
    /// Applied with other contents than this build has.
    Changed,
    /// Applied by a newer build.
    Unknown,
}

/// The schemas that have migrations, in the order in which they are applied.
pub fn schemas() -> impl Iterator<Item = &'static str> {
    set::ALL.iter().map(|set| set.schema)
}

/// Applies what is pending and answers the versions it applied. `url` logs in as the schema's owner or as a role that may
/// become it.
pub async fn up(url: &DatabaseUrl, schema: &str) -> Result<Vec<i64>, MigrateError> {
    let mut session = Session::open(url.options()?, Set::of(schema)?).await?;
    let applied = session.up_to(i64::MAX).await?;
    session.close().await?;
    Ok(applied)
}

/// Reverts the latest `steps` migrations and answers their versions, the latest first.
pub async fn down(url: &DatabaseUrl, schema: &str, steps: usize, environment: &str) -> Result<Vec<i64>, MigrateError> {
    if environment == "prod" {
        return Err(MigrateError::DownInProd);
    }
    let mut session = Session::open(url.options()?, Set::of(schema)?).await?;
    let reverted = session.down(steps).await?;
    session.close().await?;
    Ok(reverted)
}

/// Every migration this build or the database knows, in order.
pub async fn status(url: &DatabaseUrl, schema: &str) -> Result<Vec<Step>, MigrateError> {
    let set = Set::of(schema)?;
    let mut connection = PgConnection::connect_with(&url.options()?).await?;
    let applied = applied(&mut connection, set).await?;
    connection.close().await?;
    Ok(steps(set, &applied))
}

/// Whether the schema is at the version that this build needs. A database that is ahead will do: migrations expand
/// before they contract, so that services of two versions can run at once.
pub async fn is_current(pool: &PgPool, schema: &str) -> Result<bool, MigrateError> {
    let set = Set::of(schema)?;
    let mut loan = Loan::new(pool.acquire().await?);
    let applied = applied(&mut loan, set).await?;
    loan.give_back();
    Ok(steps(set, &applied).iter().all(|step| matches!(step.state, StepState::Applied | StepState::Unknown)))
}

fn steps(set: &Set, applied: &BTreeMap<i64, Vec<u8>>) -> Vec<Step> {
    let known = set.ups().map(|migration| {
        let state = match applied.get(&migration.version) {
            None => StepState::Pending,
            Some(checksum) if checksum.as_slice() == migration.checksum.as_ref() => StepState::Applied,
            Some(_) => StepState::Changed,
        };
        Step { version: migration.version, description: migration.description.to_string(), state }
    });
    let unknown = applied.keys().filter(|version| !set.has(**version)).map(|version| Step {
        version: *version,
        description: "not in this build".to_owned(),
        state: StepState::Unknown,
    });
    let mut steps: Vec<Step> = known.chain(unknown).collect();
    steps.sort_by_key(|step| step.version);
    steps
}

/// Versions and checksums. A schema or table that is missing, or not yet granted, has had no migration.
async fn applied(connection: &mut PgConnection, set: &Set) -> Result<BTreeMap<i64, Vec<u8>>, MigrateError> {
    let table = set.table();
    let readable: bool = sqlx::query_scalar(
        "SELECT EXISTS (
             SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
             WHERE n.nspname = $1 AND c.relname = 'schema_migrations'
               AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT'))",
    )
    .bind(set.schema)
    .fetch_one(&mut *connection)
    .await?;
    if !readable {
        return Ok(BTreeMap::new());
    }
    let rows: Vec<(i64, Vec<u8>)> =
        sqlx::query_as(AssertSqlSafe(format!("SELECT version, checksum FROM {table} WHERE success")))
            .fetch_all(connection)
            .await?;
    Ok(rows.into_iter().collect())
}

/// A connection that is the owner of a schema and holds its migration lock until it closes.
struct Session {
    connection: PgConnection,
    set: &'static Set,
    table: String,
}

impl Session {
    async fn open(options: PgConnectOptions, set: &'static Set) -> Result<Self, MigrateError> {
        let options = options.application_name("holdfast migrate");
        let mut connection = PgConnection::connect_with(&options).await?;
        connection.execute(AssertSqlSafe(format!("SET ROLE {}", set.owner))).await?;
        // Another migrator may be at work for a while; it is waited for longer than a table is.
        connection.execute("SET lock_timeout = '60s'").await?;
        sqlx::query("SELECT pg_advisory_lock(hashtextextended('holdfast.migrate.' || $1, 0))")
            .bind(set.schema)
            .execute(&mut connection)
            .await?;
        connection.execute("SET lock_timeout = '5s'").await?;
        let table = set.table();
        connection.ensure_migrations_table(&table).await.map_err(|error| set.error(error, 0))?;
        Ok(Self { connection, set, table })
    }

    async fn up_to(&mut self, target: i64) -> Result<Vec<i64>, MigrateError> {
        let applied = self.applied().await?;
        let mut versions = Vec::new();
        for migration in self.set.ups().filter(|m| m.version <= target && !applied.contains_key(&m.version)) {
            self.connection
                .apply(&self.table, migration)
                .await
                .map_err(|error| self.set.error(error, migration.version))?;
            versions.push(migration.version);
        }
        let grant = format!("GRANT SELECT ON {} TO {}", self.table, self.set.readers.join(", "));
        self.connection.execute(AssertSqlSafe(grant)).await?;
        Ok(versions)
    }

    async fn down(&mut self, steps: usize) -> Result<Vec<i64>, MigrateError> {
        let applied = self.applied().await?;
        let mut versions = Vec::new();
        for version in applied.into_keys().rev().take(steps) {
            let migration = self.set.down(version).ok_or(MigrateError::NoDownScript { version })?;
            self.connection.revert(&self.table, migration).await.map_err(|error| self.set.error(error, version))?;
            versions.push(version);
        }
        Ok(versions)
    }

    /// What is applied, provided that this build knows it: nothing is built on a schema that another build made.
    async fn applied(&mut self) -> Result<BTreeMap<i64, Vec<u8>>, MigrateError> {
        let applied = applied(&mut self.connection, self.set).await?;
        for Step { version, state, .. } in steps(self.set, &applied) {
            match state {
                StepState::Changed => return Err(MigrateError::Changed { version }),
                StepState::Unknown => return Err(MigrateError::Unknown { version }),
                StepState::Applied | StepState::Pending => {}
            }
        }
        Ok(applied)
    }

    /// Gives the lock back: it ends with the session.
    async fn close(self) -> Result<(), MigrateError> {
        Ok(self.connection.close().await?)
    }
}
