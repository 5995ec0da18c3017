//! What the migrations make is what was reviewed.
//!
//! `schema.sql` is also the record of who may do what: it holds every policy, and every role's privileges on the schema and its
//! tables, columns, sequences and functions. What it leaves out has a test of its own below.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use holdfast_pg::{Role, migrate};
use holdfast_testkit::Database;

#[tokio::test]
async fn replay_equals_the_committed_snapshot() -> Result<()> {
    let database = Database::create().await?;
    for schema in migrate::schemas() {
        let made = migrate::snapshot(database.admin_url(), schema).await?;
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../migrations").join(schema).join("schema.sql");
        if std::env::var_os("HOLDFAST_SCHEMA_WRITE").is_some() {
            std::fs::write(&path, &made)?;
            continue;
        }
        let committed = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let difference = difference(&committed, &made);
        assert!(made == committed, "run with HOLDFAST_SCHEMA_WRITE=1 and review schema.sql of {schema}:\n{difference}");
    }
    Ok(())
}

/// Lines that only one of the two has.
fn difference(before: &str, after: &str) -> String {
    let only = |text: &str, other: &str, sign| {
        let missing = text.lines().filter(|line| !other.lines().any(|known| known == *line));
        missing.map(|line| format!("{sign} {line}\n")).collect::<String>()
    };
    only(before, after, '-') + &only(after, before, '+')
}

#[tokio::test]
async fn a_snapshot_shows_what_matters() -> Result<()> {
    let database = Database::create().await?;
    let mut before = migrate::snapshot(database.admin_url(), "jobs").await?;
    assert!(!before.contains("schema_migrations (") && !before.contains("_p20"), "no record, no weekly partition");
    for change in [
        "ALTER TABLE jobs.job_queue NO FORCE ROW LEVEL SECURITY",
        "DROP POLICY background ON jobs.outbox",
        "ALTER POLICY tenant_scope ON jobs.jobs USING (true)",
        "GRANT DELETE ON jobs.jobs TO holdfast_jobs_app",
        "GRANT UPDATE (detail) ON jobs.job_events TO holdfast_jobs_app",
        "GRANT UPDATE ON SEQUENCE jobs.outbox_position TO holdfast_jobs_app",
        "ALTER TABLE jobs.jobs ALTER COLUMN priority SET DEFAULT 1",
        "ALTER TABLE jobs.jobs ADD CONSTRAINT extra CHECK (priority < 9)",
        "CREATE INDEX extra ON jobs.job_leases (worker_id)",
        "ALTER TABLE jobs.outbox_s03 DISABLE ROW LEVEL SECURITY",
        "DROP TRIGGER job_events_only_grow ON jobs.job_events",
        "ALTER FUNCTION jobs.ensure_partitions(integer) SECURITY INVOKER",
        "GRANT EXECUTE ON FUNCTION jobs.ensure_partitions(integer) TO PUBLIC",
        "GRANT CREATE ON SCHEMA jobs TO holdfast_jobs_app",
        "ALTER SEQUENCE jobs.outbox_position INCREMENT 2",
        "CREATE TYPE jobs.colour AS ENUM ('red')",
    ] {
        let mut tx = database.admin().begin().await?;
        sqlx::raw_sql(change).execute(&mut *tx).await?;
        tx.commit().await?;
        let after = migrate::snapshot(database.admin_url(), "jobs").await?;
        assert_ne!(before, after, "{change}");
        before = after;
    }
    Ok(())
}

/// Weekly partitions and schema_migrations are not in the snapshot: nobody but the owner may do anything there, except read
/// which migrations are applied.
#[tokio::test]
async fn what_the_snapshot_leaves_out_opens_nothing() -> Result<()> {
    let database = Database::create().await?;
    for (schema, readers) in [
        ("jobs", &[Role::JobsApp, Role::JobsTask, Role::Relay][..]),
        ("locks", &[Role::LocksApp, Role::LocksTask, Role::Relay][..]),
        ("relay", &[Role::Relay][..]),
    ] {
        let mut open: Vec<String> = sqlx::query_scalar(
            "WITH left_out AS (
                 SELECT oid, relname, relowner, relacl FROM pg_class
                 WHERE relnamespace = $1::regnamespace AND relkind IN ('r', 'p')
                   AND (relname = 'schema_migrations' OR relispartition AND relname ~ '_p[0-9]{8}$')
             ), grants AS (
                 SELECT relname, relowner, a.* FROM left_out, aclexplode(relacl) a
                 UNION ALL
                 SELECT relname, relowner, a.* FROM left_out JOIN pg_attribute t ON attrelid = left_out.oid, aclexplode(attacl) a
             )
             SELECT format('%s: %s to %s', relname, privilege_type, grantee::regrole) FROM grants WHERE grantee <> relowner
             UNION ALL
             SELECT format('%s: policy %s', relname, polname) FROM left_out JOIN pg_policy ON polrelid = left_out.oid",
        )
        .bind(schema)
        .fetch_all(database.admin())
        .await?;
        open.sort();
        let expected: Vec<String> =
            readers.iter().map(|role| format!("schema_migrations: SELECT to {}", role.name())).collect();
        assert_eq!(open, expected, "{schema}");
    }
    Ok(())
}
