//! Forth and back, over rows, and who may do what.

use std::collections::BTreeMap;

use anyhow::Result;
use holdfast_pg::{
    DbError, Role,
    migrate::{self, MigrateError, StepState},
};
use holdfast_testkit::{Database, Postgres};
use sqlx::{Connection as _, PgConnection};

async fn bootstrapped() -> Result<Database> {
    let database = Database::create_empty().await?;
    migrate::bootstrap(database.admin_url(), &migrate::Passwords::new()).await?;
    Ok(database)
}

#[tokio::test]
async fn every_migration_goes_up_down_and_up_again_over_rows() -> Result<()> {
    let admin = Postgres::shared().await?.admin_url("postgres")?;
    for schema in migrate::schemas() {
        let rehearsal = migrate::rehearse(&admin, schema).await?;
        assert!(!rehearsal.versions.is_empty());
    }
    Ok(())
}

#[tokio::test]
async fn the_rehearsals_sample_has_a_row_in_every_table() -> Result<()> {
    let database = Database::create().await?;
    for (schema, sample) in [
        ("jobs", include_str!("../../../../migrations/jobs/sample.sql")),
        ("locks", include_str!("../../../../migrations/locks/sample.sql")),
        ("relay", include_str!("../../../../migrations/relay/sample.sql")),
    ] {
        sqlx::raw_sql(sample).execute(database.admin()).await?;
        let tables: Vec<String> = sqlx::query_scalar(
            "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND NOT c.relispartition",
        )
        .bind(schema)
        .fetch_all(database.admin())
        .await?;
        for table in tables {
            let exists = sqlx::AssertSqlSafe(format!("SELECT EXISTS (SELECT FROM {table})"));
            assert!(sqlx::query_scalar::<_, bool>(exists).fetch_one(database.admin()).await?, "{table} has no sample");
        }
    }
    Ok(())
}

#[tokio::test]
async fn up_is_done_by_the_owner_and_twice_is_once() -> Result<()> {
    let database = bootstrapped().await?;
    let owner = database.url(Role::JobsOwner);
    let applied = migrate::up(owner, "jobs").await?;
    assert!(applied.len() >= 4, "{applied:?}");
    assert_eq!(migrate::up(owner, "jobs").await?, Vec::<i64>::new());
    let states = migrate::status(owner, "jobs").await?;
    assert!(states.iter().all(|step| step.state == StepState::Applied), "{states:?}");

    let refused = migrate::up(database.url(Role::JobsApp), "jobs").await;
    assert!(matches!(refused, Err(MigrateError::Db(DbError::Insufficient(_)))), "{refused:?}");
    Ok(())
}

#[tokio::test]
async fn migrators_that_come_at_once_take_turns() -> Result<()> {
    let database = bootstrapped().await?;
    let url = database.admin_url();
    let applied = tokio::try_join!(migrate::up(url, "jobs"), migrate::up(url, "jobs"), migrate::up(url, "jobs"))?;
    let total: usize = [applied.0, applied.1, applied.2].iter().map(Vec::len).sum();
    assert_eq!(total, migrate::status(url, "jobs").await?.len());
    Ok(())
}

#[tokio::test]
async fn down_goes_back_step_by_step_and_never_in_prod() -> Result<()> {
    let database = bootstrapped().await?;
    let owner = database.url(Role::JobsOwner);
    let mut applied = migrate::up(owner, "jobs").await?;

    let refused = migrate::down(owner, "jobs", 1, "prod").await;
    assert!(matches!(refused, Err(MigrateError::DownInProd)), "{refused:?}");
    assert_eq!(migrate::down(owner, "jobs", 1, "dev").await?, [applied.pop().expect("a version")]);
    applied.reverse();
    assert_eq!(migrate::down(owner, "jobs", 100, "dev").await?, applied);
    assert!(migrate::status(owner, "jobs").await?.iter().all(|step| step.state == StepState::Pending));
    Ok(())
}

#[tokio::test]
async fn services_can_tell_whether_the_schema_is_theirs_and_change_nothing() -> Result<()> {
    let database = bootstrapped().await?;
    let (owner, app) = (database.url(Role::JobsOwner), database.app()?);
    assert!(!migrate::is_current(app.pool(), "jobs").await?, "before the first migration");
    migrate::up(owner, "jobs").await?;
    for handle in [app.pool(), database.task()?.pool(), database.relay()?.pool()] {
        assert!(migrate::is_current(handle, "jobs").await?);
        let refused = sqlx::query("DELETE FROM jobs.schema_migrations").execute(handle).await.map_err(DbError::from);
        assert!(matches!(refused, Err(DbError::Insufficient(_))), "{refused:?}");
    }

    migrate::down(owner, "jobs", 1, "dev").await?;
    assert!(!migrate::is_current(app.pool(), "jobs").await?, "behind");
    migrate::up(owner, "jobs").await?;

    sqlx::query("INSERT INTO jobs.schema_migrations VALUES (9999, 'of a newer build', now(), true, '', 0)")
        .execute(database.admin())
        .await?;
    assert!(migrate::is_current(app.pool(), "jobs").await?, "ahead");
    let refused = migrate::up(owner, "jobs").await;
    assert!(matches!(refused, Err(MigrateError::Unknown { version: 9999 })), "{refused:?}");
    Ok(())
}

#[tokio::test]
async fn a_script_that_changed_after_it_was_applied_is_refused() -> Result<()> {
    let database = bootstrapped().await?;
    let owner = database.url(Role::RelayOwner);
    migrate::up(owner, "relay").await?;
    sqlx::query("UPDATE relay.schema_migrations SET checksum = 'another' WHERE version = 1")
        .execute(database.admin())
        .await?;
    assert_eq!(migrate::status(owner, "relay").await?[0].state, StepState::Changed);
    assert!(!migrate::is_current(database.relay()?.pool(), "relay").await?);
    let refused = migrate::up(owner, "relay").await;
    assert!(matches!(refused, Err(MigrateError::Changed { version: 1 })), "{refused:?}");
    Ok(())
}

#[tokio::test]
async fn an_unknown_schema_is_named() -> Result<()> {
    let refused = migrate::up(&"postgres://nobody@127.0.0.1:1/none".parse()?, "none").await;
    assert!(matches!(&refused, Err(MigrateError::UnknownSchema(name)) if name == "none"), "{refused:?}");
    Ok(())
}

#[tokio::test]
async fn passwords_are_set_as_verifiers_and_log_in() -> Result<()> {
    // A server of its own: roles belong to the whole server, and this one asks for passwords.
    let postgres = Postgres::start(holdfast_testkit::PostgresOptions::default()).await?;
    let admin = postgres.admin_url("postgres")?;
    let passwords = BTreeMap::from([(Role::JobsApp, "a 'quoted' pass%word".to_owned())]);
    migrate::bootstrap(&admin, &passwords).await?;
    postgres.require_passwords(Role::JobsApp.name()).await?;

    let login = |password: &str| {
        let url = format!("postgres://{}:{password}@127.0.0.1:{}/postgres", Role::JobsApp, postgres.port());
        async move { PgConnection::connect(&url).await }
    };
    login("a%20%27quoted%27%20pass%25word").await?.close().await?;
    assert!(login("another").await.is_err());

    let refused = migrate::bootstrap(&admin, &BTreeMap::from([(Role::JobsApp, "pässword".to_owned())])).await;
    assert!(matches!(refused, Err(MigrateError::Password)), "{refused:?}");
    Ok(())
}
