//! What the migrations make is what was reviewed.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use holdfast_pg::migrate;
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
    let before = migrate::snapshot(database.admin_url(), "jobs").await?;
    assert!(!before.contains("schema_migrations (") && !before.contains("_p20"), "no record, no weekly partition");
    for change in [
        "ALTER TABLE jobs.job_queue NO FORCE ROW LEVEL SECURITY",
        "DROP POLICY background ON jobs.outbox",
        "GRANT DELETE ON jobs.jobs TO holdfast_jobs_app",
        "GRANT UPDATE (detail) ON jobs.job_events TO holdfast_jobs_app",
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
    }
    let after = migrate::snapshot(database.admin_url(), "jobs").await?;
    let changed = difference(&before, &after).lines().count();
    assert!(changed >= 14, "only {changed} lines differ");
    Ok(())
}
