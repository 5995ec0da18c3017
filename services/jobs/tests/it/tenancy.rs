//! The catalogue keeps tenants apart, whatever the service does: a walk over every table, partition and role.

use anyhow::Result;
use holdfast_testkit::Database;
use sqlx::AssertSqlSafe;

use crate::support::*;

#[test]
fn every_tenant_table_and_partition_forces_row_security() -> Result<()> {
    run(async {
        let db = Database::create().await?;
        let open: Vec<String> = sqlx::query_scalar(
            "SELECT c.relname::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' \
             WHERE c.relnamespace = 'jobs'::regnamespace AND c.relkind IN ('r', 'p') \
             AND NOT (c.relrowsecurity AND c.relforcerowsecurity)",
        )
        .fetch_all(db.admin())
        .await?;
        assert!(open.is_empty(), "without forced row-level security: {open:?}");
        let granted: Vec<String> = sqlx::query_scalar(
            "SELECT DISTINCT c.relname || ' to ' || grantee::regrole FROM pg_class c, aclexplode(c.relacl) \
             WHERE c.relnamespace = 'jobs'::regnamespace AND c.relispartition AND c.relkind = 'r' AND grantee <> c.relowner",
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
            "SELECT p.proname::text FROM pg_proc p WHERE p.pronamespace = 'jobs'::regnamespace AND p.prosecdef \
             AND has_function_privilege('holdfast_jobs_app', p.oid, 'EXECUTE')",
        )
        .fetch_all(db.admin())
        .await?;
        assert!(definers.is_empty(), "callers' role may run {definers:?}");
        Ok(())
    })
}

#[test]
fn without_a_scope_there_is_nothing() -> Result<()> {
    run(async {
        let world = World::with(Settings::default()).await?;
        let tenant = tenant();
        world.user("alice", &tenant).submit_job(job()).await?;
        assert!(rows::counts(world.db.admin()).await?["jobs"] > 0);
        let pool = world.db.app()?;
        for scope in ["RESET ALL", "SET holdfast.tenants = ''", "SET holdfast.tenants = 'nobody'"] {
            let mut session = pool.pool().acquire().await?;
            sqlx::query(AssertSqlSafe(scope)).execute(&mut *session).await?;
            for table in rows::tables(world.db.admin()).await? {
                let seen: i64 = sqlx::query_scalar(AssertSqlSafe(format!("SELECT count(*) FROM jobs.{table}")))
                    .fetch_one(&mut *session)
                    .await?;
                assert_eq!(seen, 0, "{scope}: {table}");
            }
            let written =
                sqlx::query("INSERT INTO jobs.project_intake VALUES ('acme', 'p', 0, 0)").execute(&mut *session).await;
            assert!(written.is_err_and(|error| error.to_string().contains("row-level security")));
        }
        Ok(())
    })
}

/// Grants keep the services from changing history, triggers the owner: on the parent and on a leaf.
#[test]
fn history_only_grows() -> Result<()> {
    run(async {
        let db = Database::create().await?;
        let leaf: String = sqlx::query_scalar(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'jobs.job_events'::regclass LIMIT 1",
        )
        .fetch_one(db.admin())
        .await?;
        let (app, task) = (db.app()?, db.task()?);
        for table in ["jobs.job_events", leaf.as_str()] {
            for change in
                [format!("UPDATE {table} SET detail = ''"), format!("DELETE FROM {table}"), format!("TRUNCATE {table}")]
            {
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
