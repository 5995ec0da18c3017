//! Roles and schemas: the part that needs an administrator.

use std::collections::BTreeMap;

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, postgres::PgConnectOptions};

use super::{MigrateError, scram};
use crate::{DatabaseUrl, Role};

/// Passwords by role; a role without one keeps what it has.
pub type Passwords = BTreeMap<Role, String>;

/// Runs `migrations/bootstrap.sql`, which is safe to repeat, and sets the given passwords. `admin_url` logs in as a role
/// that may create roles and schemas.
pub async fn bootstrap(admin_url: &DatabaseUrl, passwords: &Passwords) -> Result<(), MigrateError> {
    bootstrap_with(&admin_url.options()?, passwords).await
}

pub(super) async fn bootstrap_with(admin: &PgConnectOptions, passwords: &Passwords) -> Result<(), MigrateError> {
    /// Roles are the server's, and the lock is the database's: another database of the server may be made at the same time.
    const TRIES: usize = 10;
    let mut tries = 1;
    while let Err(error) = attempt(admin, passwords).await {
        if tries == TRIES || !is_concurrent(&error) {
            return Err(error);
        }
        tries += 1;
    }
    Ok(())
}

/// Somebody else changed the same row of the catalogue, or made the same role.
fn is_concurrent(error: &MigrateError) -> bool {
    const SIGNS: [&str; 2] = ["tuple concurrently updated", "pg_authid_rolname_index"];
    let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    SIGNS.into_iter().any(|sign| error.to_string().contains(sign) || cause.contains(sign))
}

async fn attempt(admin: &PgConnectOptions, passwords: &Passwords) -> Result<(), MigrateError> {
    let mut connection = PgConnection::connect_with(admin).await?;
    let mut tx = connection.begin().await?;
    tx.execute("SELECT pg_advisory_xact_lock(hashtextextended('holdfast.bootstrap', 0))").await?;
    tx.execute(include_str!("../../../../migrations/bootstrap.sql")).await?;
    for (role, password) in passwords {
        let verifier = scram::verifier(password).ok_or(MigrateError::Password)?;
        // A verifier is base64 with a few signs, and no quote is among them.
        tx.execute(AssertSqlSafe(format!("ALTER ROLE {role} PASSWORD '{verifier}'"))).await?;
    }
    tx.commit().await?;
    Ok(connection.close().await?)
}
