//! The catalogue keeps tenants apart, whatever the service does: a walk over every table, partition and role.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use holdfast_ids::TenantId;
use holdfast_pg::Role;
use holdfast_testkit::Database;
use sqlx::postgres::PgQueryResult;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, PgPool};

use crate::acquiring::queued;
use crate::asks::{Ask, release};
use crate::support::{Settings, World, rows, run, tenant};

#[test]
fn every_tenant_table_and_partition_forces_row_security() -> Result<()> {
    run(async {
        let db = Database::create().await?;
        let open: Vec<String> = sqlx::query_scalar(
            "SELECT c.relname::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' \
             WHERE c.relnamespace = 'locks'::regnamespace AND c.relkind IN ('r', 'p') \
             AND NOT (c.relrowsecurity AND c.relforcerowsecurity)",
        )
        .fetch_all(db.admin())
        .await?;
        assert!(open.is_empty(), "without forced row-level security: {open:?}");
        let granted: Vec<String> = sqlx::query_scalar(
            "SELECT DISTINCT c.relname || ' to ' || grantee::regrole FROM pg_class c, aclexplode(c.relacl) \
             WHERE c.relnamespace = 'locks'::regnamespace AND c.relispartition AND c.relkind = 'r' AND grantee <> c.relowner",
        )
        .fetch_all(db.admin())
        .await?;
        assert!(granted.is_empty(), "a partition read directly passes its parent's policy: {granted:?}");
        Ok(())
    })
}

#[test]
fn no_role_has_more_than_its_own() -> Result<()> {
    run(async {
        let db = Database::create().await?;
        let members: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_auth_members WHERE roleid::regrole::text LIKE 'holdfast%' AND member::regrole::text LIKE 'holdfast%'",
        )
        .fetch_one(db.admin())
        .await?;
        assert_eq!(members, 0, "a membership would open every tenant");
        let powers: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'holdfast%' AND (rolsuper OR rolbypassrls OR rolcreaterole)",
        )
        .fetch_one(db.admin())
        .await?;
        assert_eq!(powers, 0);
        let definers: Vec<String> = sqlx::query_scalar(
            "SELECT p.proname::text FROM pg_proc p WHERE p.pronamespace = 'locks'::regnamespace AND p.prosecdef \
             AND has_function_privilege('holdfast_locks_app', p.oid, 'EXECUTE')",
        )
        .fetch_all(db.admin())
        .await?;
        assert!(definers.is_empty(), "callers' role may run {definers:?}");
        Ok(())
    })
}

/// Rows that the service wrote are tried on a copy where nothing runs: without a scope they cannot be inserted, and once
/// they are there they cannot be seen, changed or deleted.
#[test]
fn without_a_scope_there_is_nothing() -> Result<()> {
    run(async {
        let tenant = tenant();
        let written = rows_of_every_table(&tenant).await?;
        let db = Database::create().await?;
        let tables = tenant_tables(db.admin()).await?;
        let scopes = scopes_of_nobody(&tenant);

        for scope in &scopes {
            let mut session = session(&db, scope).await?;
            for table in &tables {
                let refused = table.insert(&written[&table.name], &mut session).await;
                assert_eq!(refused, Err("42501".to_owned()), "{scope}: INSERT into {}", table.name);
            }
        }
        // The scope was all that they lacked.
        let mut scoped = session(&db, &format!("SET holdfast.tenants = '{tenant}'")).await?;
        for table in &tables {
            let inserted = table.insert(&written[&table.name], &mut scoped).await;
            if table.may_insert {
                assert!(inserted.as_ref().is_ok_and(|rows| *rows > 0), "{}: {inserted:?}", table.name);
            } else {
                // Written by background work alone.
                assert_eq!(inserted, Err("42501".to_owned()), "{}", table.name);
                let inserted = table.insert(&written[&table.name], &mut *db.admin().acquire().await?).await;
                assert!(inserted.as_ref().is_ok_and(|rows| *rows > 0), "{}: {inserted:?}", table.name);
            }
        }

        let before = rows::digests(db.admin()).await?;
        for scope in &scopes {
            let mut session = session(&db, scope).await?;
            for table in &tables {
                table.shows_and_gives_nothing(scope, &mut session).await?;
            }
        }
        assert_eq!(rows::digests(db.admin()).await?, before);
        Ok(())
    })
}

/// Statements that leave a fresh session without a scope, or with one that names no tenant.
fn scopes_of_nobody(tenant: &TenantId) -> Vec<String> {
    let (part, upper) = (&tenant.as_str()[1..], tenant.as_str().to_uppercase());
    let mut scopes = vec!["RESET ALL".to_owned(), format!("SET holdfast.tenants = '{tenant}'; RESET holdfast.tenants")];
    let values = ["", " ", ",", ",,", "*", "%", "_", "NULL", "true", "{}", "nobody", "nobody,%", part, &upper];
    scopes.extend(values.iter().map(|value| format!("SET holdfast.tenants = '{value}'")));
    let disguised =
        [format!(" {tenant}"), format!("{{{tenant}}}"), format!("\"{tenant}\""), format!("nobody;{tenant}")];
    scopes.extend(disguised.iter().map(|value| format!("SET holdfast.tenants = '{value}'")));
    scopes
}

/// As the callers' role.
async fn session(db: &Database, scope: &str) -> Result<PgConnection> {
    let mut session = PgConnection::connect(db.url(Role::LocksApp).expose()).await?;
    sqlx::raw_sql(AssertSqlSafe(scope)).execute(&mut session).await?;
    Ok(session)
}

/// What the service has in each table of a tenant that it has done everything for, as JSON.
async fn rows_of_every_table(tenant: &TenantId) -> Result<BTreeMap<String, String>> {
    let world = World::with(Settings::default()).await?;
    let api = world.service("agent", tenant);
    let released = Ask::for_one("released").lease(&api).await?;
    release(&api, &released).await?;
    Ask::for_one("main").key("once").lease(&api).await?;
    let caller = api.clone();
    let waiting = tokio::spawn(async move { Ask::for_one("main").wait_s(60).lease(&caller).await });
    queued(&api, "main", 1).await?;
    let mut written = BTreeMap::new();
    for table in tenant_tables(world.db.admin()).await? {
        let rows = format!("SELECT jsonb_agg(to_jsonb(whole))::text FROM locks.{} AS whole", table.name);
        let rows: Option<String> = sqlx::query_scalar(AssertSqlSafe(rows)).fetch_one(world.db.admin()).await?;
        written.insert(table.name.clone(), rows.with_context(|| format!("nothing wrote to {}", table.name))?);
    }
    waiting.abort();
    Ok(written)
}

/// A table that tenants own, and what the callers' role may do there.
struct TenantTable {
    name: String,
    /// All that may be given a value.
    columns: String,
    /// A column that it may update.
    updatable: Option<String>,
    may_select: bool,
    may_insert: bool,
    may_delete: bool,
}

/// By the catalogue, and not by a list that someone forgets to extend.
async fn tenant_tables(admin: &PgPool) -> Result<Vec<TenantTable>> {
    let tables: Vec<(String, String, Option<String>, bool, bool, bool)> = sqlx::query_as(
        "SELECT c.relname::text, \
             (SELECT string_agg(quote_ident(w.attname), ', ' ORDER BY w.attnum) FROM pg_attribute w \
              WHERE w.attrelid = c.oid AND w.attnum > 0 AND NOT w.attisdropped AND w.attgenerated = ''), \
             (SELECT min(u.attname::text) FROM pg_attribute u WHERE u.attrelid = c.oid AND u.attnum > 0 \
              AND has_column_privilege('holdfast_locks_app', c.oid, u.attnum, 'UPDATE')), \
             has_table_privilege('holdfast_locks_app', c.oid, 'SELECT'), \
             has_table_privilege('holdfast_locks_app', c.oid, 'INSERT'), \
             has_table_privilege('holdfast_locks_app', c.oid, 'DELETE') \
         FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' \
         WHERE c.relnamespace = 'locks'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY 1",
    )
    .fetch_all(admin)
    .await?;
    let table = |(name, columns, updatable, may_select, may_insert, may_delete)| TenantTable {
        name,
        columns,
        updatable,
        may_select,
        may_insert,
        may_delete,
    };
    Ok(tables.into_iter().map(table).collect())
}

/// Rows affected, or the code of the refusal.
type Changed = Result<u64, String>;

impl TenantTable {
    async fn insert(&self, rows: &str, session: &mut PgConnection) -> Changed {
        let (table, columns) = (&self.name, &self.columns);
        let insert = format!(
            "INSERT INTO locks.{table} ({columns}) \
             SELECT {columns} FROM jsonb_populate_recordset(NULL::locks.{table}, $1::jsonb)"
        );
        changed(sqlx::query(AssertSqlSafe(insert)).bind(rows).execute(session).await)
    }

    async fn shows_and_gives_nothing(&self, scope: &str, session: &mut PgConnection) -> Result<()> {
        let table = &self.name;
        let untouched = |granted: bool| if granted { Ok(0) } else { Err("42501".to_owned()) };
        let select = format!("SELECT FROM locks.{table}");
        let seen = changed(sqlx::query(AssertSqlSafe(select)).execute(&mut *session).await);
        assert_eq!(seen, untouched(self.may_select), "{scope}: SELECT from {table}");
        let column = self.updatable.as_deref().unwrap_or("tenant_id");
        let update = format!("UPDATE locks.{table} SET {column} = {column}");
        let updated = changed(sqlx::query(AssertSqlSafe(update)).execute(&mut *session).await);
        assert_eq!(updated, untouched(self.updatable.is_some()), "{scope}: UPDATE of {table}");
        let delete = format!("DELETE FROM locks.{table}");
        let deleted = changed(sqlx::query(AssertSqlSafe(delete)).execute(session).await);
        assert_eq!(deleted, untouched(self.may_delete), "{scope}: DELETE from {table}");
        Ok(())
    }
}

fn changed(done: Result<PgQueryResult, sqlx::Error>) -> Changed {
    let code = |error: &sqlx::Error| Some(error.as_database_error()?.code()?.into_owned());
    done.map(|done| done.rows_affected()).map_err(|error| code(&error).unwrap_or_else(|| error.to_string()))
}

/// Grants keep the services from changing history, triggers the owner: on the parent and on a leaf.
#[test]
fn history_only_grows() -> Result<()> {
    run(async {
        let db = Database::create().await?;
        let leaf: String = sqlx::query_scalar(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'locks.locks'::regclass LIMIT 1",
        )
        .fetch_one(db.admin())
        .await?;
        let (app, task) = (db.app()?, db.task()?);
        for (table, column) in
            [("locks.locks", "detail"), (leaf.as_str(), "detail"), ("locks.lock_class_changes", "what")]
        {
            for change in [
                format!("UPDATE {table} SET {column} = ''"),
                format!("DELETE FROM {table}"),
                format!("TRUNCATE {table}"),
            ] {
                for pool in [db.admin(), app.pool(), task.pool()] {
                    let refused = sqlx::query(AssertSqlSafe(change.clone())).execute(pool).await;
                    let code = refused.err().and_then(|error| Some(error.as_database_error()?.code()?.into_owned()));
                    assert_eq!(code.as_deref(), Some("42501"), "{change}");
                }
            }
        }
        Ok(())
    })
}
