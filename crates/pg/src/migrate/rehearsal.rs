//! Every migration forth, back and forth again, over rows, in a database made for it.

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, postgres::PgConnectOptions};
use uuid::Uuid;

use super::{MigrateError, Passwords, Session, Set, bootstrap::bootstrap_with, snapshot::snapshot_on};
use crate::DatabaseUrl;

/// What a rehearsal went through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rehearsal {
    pub versions: Vec<i64>,
    /// The schema after all of them, as [`super::snapshot`] writes it.
    pub snapshot: String,
}

/// Applies every migration of the schema in a scratch database on the same server, fills it with its sample, goes down to
/// nothing and up again one step at a time, and compares the catalogue at each version on the way.
pub async fn rehearse(admin_url: &DatabaseUrl, schema: &str) -> Result<Rehearsal, MigrateError> {
    let set = Set::of(schema)?;
    let mut admin = PgConnection::connect_with(&admin_url.options()?).await?;
    let database = format!("holdfast_rehearsal_{}", Uuid::new_v4().simple());
    admin.execute(AssertSqlSafe(format!("CREATE DATABASE {database} TEMPLATE template0"))).await?;
    let rehearsal = rehearse_in(admin_url.options()?.database(&database), set).await;
    // Dropped also where the rehearsal failed; its error comes before that of the drop.
    let dropped = admin.execute(AssertSqlSafe(format!("DROP DATABASE {database} WITH (FORCE)"))).await;
    let rehearsal = rehearsal?;
    dropped?;
    admin.close().await?;
    Ok(rehearsal)
}

async fn rehearse_in(options: PgConnectOptions, set: &'static Set) -> Result<Rehearsal, MigrateError> {
    bootstrap_with(&options, &Passwords::new()).await?;
    let mut admin = PgConnection::connect_with(&options).await?;
    let mut session = Session::open(options, set).await?;

    let versions: Vec<i64> = set.ups().map(|migration| migration.version).collect();
    let mut snapshots = vec![snapshot_on(&mut admin, set.schema).await?];
    for version in &versions {
        session.up_to(*version).await?;
        snapshots.push(snapshot_on(&mut admin, set.schema).await?);
    }
    admin.execute(set.sample).await?;
    for (index, version) in versions.iter().enumerate().rev() {
        session.down(1).await?;
        compare(&mut admin, set, &snapshots[index], format!("down from {version}")).await?;
    }
    for (index, version) in versions.iter().enumerate() {
        session.up_to(*version).await?;
        compare(&mut admin, set, &snapshots[index + 1], format!("up to {version} again")).await?;
    }
    admin.execute(set.sample).await?;
    session.close().await?;
    admin.close().await?;
    let snapshot = snapshots.pop().unwrap_or_default();
    Ok(Rehearsal { versions, snapshot })
}

async fn compare(admin: &mut PgConnection, set: &Set, expected: &str, step: String) -> Result<(), MigrateError> {
    let found = snapshot_on(admin, set.schema).await?;
    if found == expected {
        return Ok(());
    }
    let missing = expected.lines().filter(|line| !found.contains(line)).map(|line| format!("- {line}"));
    let added = found.lines().filter(|line| !expected.contains(line)).map(|line| format!("+ {line}"));
    let difference = missing.chain(added).collect::<Vec<_>>().join("\n");
    Err(MigrateError::Rehearsal { schema: set.schema, step, difference })
}
