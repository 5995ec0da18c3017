//! Servers that are killed, paused, flushed and started again.

use anyhow::Result;
use holdfast_pg::Role;
use holdfast_testkit::{Database, PgBouncer, Postgres, PostgresOptions, Redis, pgbouncer};

#[tokio::test]
async fn redis_comes_back_with_its_data_and_can_lose_it() -> Result<()> {
    let redis = Redis::start().await?;
    assert_eq!(redis.command("SET key value").await?, "+OK");
    redis.stop().await?;
    assert!(redis.command("PING").await.is_err());
    redis.restart().await?;
    assert_eq!(redis.command("EXISTS key").await?, ":1", "an orderly end keeps everything");
    redis.flush().await?;
    assert_eq!(redis.command("EXISTS key").await?, ":0");
    redis.kill().await?;
    redis.restart().await?;
    assert_eq!(redis.command("CONFIG GET appendfsync").await?, "*2");
    Ok(())
}

#[tokio::test]
async fn postgres_keeps_what_was_committed_through_a_crash() -> Result<()> {
    let postgres = Postgres::start(PostgresOptions::default()).await?;
    let database = Database::create_on(&postgres).await?;
    sqlx::query("CREATE TABLE public.kept AS SELECT 42 AS n").execute(database.admin()).await?;
    postgres.kill().await?;
    postgres.restart().await?;
    let n: i32 = sqlx::query_scalar("SELECT n FROM public.kept").fetch_one(database.admin()).await?;
    assert_eq!(n, 42);
    for setting in ["fsync", "synchronous_commit", "full_page_writes"] {
        let value: String =
            sqlx::query_scalar("SELECT current_setting($1)").bind(setting).fetch_one(database.admin()).await?;
        assert_eq!(value, "on", "{setting}");
    }
    Ok(())
}

#[tokio::test]
async fn databases_are_ones_own_and_migrated() -> Result<()> {
    let (first, second) = tokio::try_join!(Database::create(), Database::create())?;
    assert_ne!(first.name(), second.name());
    sqlx::query("INSERT INTO jobs.project_intake VALUES ('a', 'p', 0, 0)").execute(first.admin()).await?;
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM jobs.project_intake").fetch_one(second.admin()).await?;
    assert_eq!(rows, 0);
    let weeks: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_inherits WHERE inhparent = 'jobs.jobs'::regclass")
        .fetch_one(first.admin())
        .await?;
    assert!(weeks >= 5, "last week, this one and some ahead");
    for role in Role::ALL {
        use sqlx::Connection as _;
        let mut connection = sqlx::PgConnection::connect(first.url(role).expose()).await?;
        let user: String = sqlx::query_scalar("SELECT current_user::text").fetch_one(&mut connection).await?;
        assert_eq!(user, role.name());
    }
    Ok(())
}

/// Where `HOLDFAST_TEST_PGBOUNCER` is set: every role of a service goes through it, each by its own password, and past it
/// there is no way.
#[tokio::test]
async fn services_go_through_pgbouncer_where_it_was_asked_for() -> Result<()> {
    let postgres = Postgres::shared().await?;
    let Some(pgbouncer) = postgres.pgbouncer() else {
        assert!(std::env::var_os("HOLDFAST_TEST_PGBOUNCER").is_none_or(|value| value.is_empty()));
        return Ok(());
    };
    let database = Database::create().await?;
    for role in [Role::JobsApp, Role::JobsTask, Role::Relay] {
        assert!(login(&postgres.url(role.name(), database.name())?).await.is_err(), "{role} got in without it");
        let before = pgbouncer.transactions(database.name()).await?;
        assert_eq!(login(database.url(role)).await?, role.name());
        assert!(pgbouncer.transactions(database.name()).await? > before, "{role} went another way");
    }
    Ok(())
}

#[tokio::test]
async fn pgbouncer_passes_on_what_a_password_proves() -> Result<()> {
    if !pgbouncer::is_installed() {
        return Ok(());
    }
    let postgres = Postgres::start(PostgresOptions { fsync: false, ..Default::default() }).await?;
    let database = Database::create_on(&postgres).await?;
    pgbouncer::set_passwords(&postgres.admin_url("postgres")?).await?;
    let pgbouncer = PgBouncer::start(&postgres, "").await?;
    for role in [Role::JobsApp, Role::Relay] {
        let url = pgbouncer.url(role.name(), database.name())?;
        assert_eq!(login(&url).await?, role.name());
        let wrong = url.expose().replace("holdfast-test", "guessed");
        assert!(login(&wrong.parse()?).await.is_err(), "{role} got in by a wrong password");
    }
    // Nobody but services: neither those who own schemas nor the superuser.
    for role in [Role::JobsOwner.name(), "postgres"] {
        assert!(login(&pgbouncer.url(role, database.name())?).await.is_err(), "{role} got in");
    }
    Ok(())
}

async fn login(url: &holdfast_pg::DatabaseUrl) -> Result<String> {
    use sqlx::Connection as _;
    let mut connection = sqlx::PgConnection::connect(url.expose()).await?;
    let user = sqlx::query_scalar("SELECT current_user::text").fetch_one(&mut connection).await?;
    connection.close().await?;
    Ok(user)
}
