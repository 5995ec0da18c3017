//! Servers that are killed, paused, flushed and started again.

use anyhow::Result;
use holdfast_pg::Role;
use holdfast_testkit::{Database, Postgres, PostgresOptions, Redis};

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
