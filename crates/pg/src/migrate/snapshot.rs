//! A schema as text, read from the catalogue.
//!
//! Stable across servers, databases and dates: partitions named after a week are left out, fixed ones are in.
//! `migrations/<schema>/schema.sql` is this text, and a test compares the two, so that a change of the schema can be
//! reviewed as one difference.

use std::fmt::Write as _;

use sqlx::{Connection as _, PgConnection};

use super::{MigrateError, Set};
use crate::DatabaseUrl;

const QUERY: &str = include_str!("snapshot.sql");

/// The catalogue of one schema, without `schema_migrations`.
pub async fn snapshot(url: &DatabaseUrl, schema: &str) -> Result<String, MigrateError> {
    let set = Set::of(schema)?;
    let mut connection = PgConnection::connect_with(&url.options()?).await?;
    let text = snapshot_on(&mut connection, set.schema).await?;
    connection.close().await?;
    Ok(text)
}

pub(super) async fn snapshot_on(connection: &mut PgConnection, schema: &'static str) -> Result<String, MigrateError> {
    let lines: Vec<(String, String)> = sqlx::query_as(QUERY).bind(schema).fetch_all(connection).await?;
    let mut text = format!(
        "-- Schema {schema} as its migrations leave it, read from the catalogue: a record to review, not a script to run.\n\
         -- Made by `HOLDFAST_SCHEMA_WRITE=1 cargo test -p holdfast-pg --test it snapshot`; the same test without the variable\n\
         -- compares. Weekly partitions and schema_migrations are left out.\n"
    );
    let mut object = String::new();
    for (of, line) in lines {
        if of != object {
            text.push('\n');
            object = of;
        }
        // Writing to a String does not fail.
        let _ = writeln!(text, "{line}");
    }
    Ok(text)
}
