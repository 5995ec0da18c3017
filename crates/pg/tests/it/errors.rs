//! Every class of failure, made by PostgreSQL itself.

use std::time::{Duration, Instant};

use anyhow::Result;
use holdfast_fault::{Fault, Reason};
use holdfast_pg::{DbError, PoolConfig, Role, TaskDb};
use holdfast_testkit::{Database, eventually};
use sqlx::PgPool;

async fn scratch() -> Result<Database> {
    let database = Database::create().await?;
    sqlx::raw_sql(
        "CREATE TABLE public.scratch (id int PRIMARY KEY, n int NOT NULL CONSTRAINT n_is_small CHECK (n < 10));
         INSERT INTO public.scratch VALUES (1, 1), (2, 2);",
    )
    .execute(database.admin())
    .await?;
    Ok(database)
}

async fn failure(pool: &PgPool, sql: &'static str) -> DbError {
    match sqlx::raw_sql(sql).execute(pool).await {
        Ok(_) => panic!("{sql} succeeded"),
        Err(error) => error.into(),
    }
}

#[tokio::test]
async fn statements_fail_by_class() -> Result<()> {
    let database = scratch().await?;
    let admin = database.admin();

    let duplicate = failure(admin, "INSERT INTO public.scratch VALUES (1, 1)").await;
    assert!(matches!(&duplicate, DbError::Constraint { name, .. } if name == "scratch_pkey"), "{duplicate:?}");
    let unchecked = failure(admin, "INSERT INTO public.scratch VALUES (3, 10)").await;
    assert!(matches!(&unchecked, DbError::Constraint { name, .. } if name == "n_is_small"), "{unchecked:?}");
    let null = failure(admin, "INSERT INTO public.scratch VALUES (3, NULL)").await;
    assert!(matches!(null, DbError::Data(_)), "{null:?}");
    let cast = failure(admin, "SELECT 'x'::int").await;
    assert!(matches!(cast, DbError::Data(_)), "{cast:?}");
    let syntax = failure(admin, "SELEC 1").await;
    assert!(matches!(syntax, DbError::Other(_)), "{syntax:?}");
    let timeout = failure(admin, "SET LOCAL statement_timeout = '10ms'; SELECT pg_sleep(10)").await;
    assert!(matches!(timeout, DbError::StatementTimeout(_)), "{timeout:?}");
    let read_only =
        failure(admin, "SET LOCAL transaction_read_only = on; INSERT INTO public.scratch VALUES (4, 4)").await;
    assert!(matches!(read_only, DbError::Unavailable(_)), "{read_only:?}");

    let denied = failure(database.task()?.pool(), "DELETE FROM jobs.jobs").await;
    assert!(matches!(denied, DbError::Insufficient(_)), "{denied:?}");
    Ok(())
}

#[tokio::test]
async fn a_row_without_a_partition_has_a_class_of_its_own() -> Result<()> {
    let database = scratch().await?;
    let sql = "INSERT INTO jobs.job_events (job_id, seq, tenant_id, project_id, event_id, to_state, attempt, fence, actor_id,
                   detail, occurred_at, request_id, traceparent)
               VALUES (jobs.uuid7_floor(now() + interval '2 years'), 1, 'a', 'p', gen_random_uuid(), 'queued', 0, 0, 'x', '', now(), '', '')";
    let error = failure(database.admin(), sql).await;
    assert!(matches!(error, DbError::NoPartition(_)), "{error:?}");
    assert!(error.is_transient(), "the partition may be made yet");
    Ok(())
}

#[tokio::test]
async fn a_lock_and_a_conflict() -> Result<()> {
    let database = scratch().await?;
    let admin = database.admin();

    let mut holder = admin.begin().await?;
    sqlx::query("UPDATE public.scratch SET n = 3 WHERE id = 1").execute(&mut *holder).await?;
    let waited = failure(admin, "SET LOCAL lock_timeout = '10ms'; UPDATE public.scratch SET n = 4 WHERE id = 1").await;
    assert!(matches!(waited, DbError::LockTimeout(_)), "{waited:?}");
    drop(holder);

    let mut first = admin.begin_with("BEGIN ISOLATION LEVEL SERIALIZABLE").await?;
    let mut second = admin.begin_with("BEGIN ISOLATION LEVEL SERIALIZABLE").await?;
    for (tx, id) in [(&mut first, 1), (&mut second, 2)] {
        sqlx::query("SELECT sum(n) FROM public.scratch").execute(&mut **tx).await?;
        sqlx::query("UPDATE public.scratch SET n = n + 1 WHERE id = $1").bind(id).execute(&mut **tx).await?;
    }
    first.commit().await?;
    let conflict = DbError::from(second.commit().await.expect_err("write skew"));
    assert!(matches!(conflict, DbError::Conflict(_)), "{conflict:?}");
    Ok(())
}

#[tokio::test]
async fn a_commit_whose_connection_is_cut_is_ambiguous() -> Result<()> {
    let database = scratch().await?;
    let task = database.task()?;
    let mut tx = task.begin().await?;
    let pid: i32 = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut *tx).await?;
    sqlx::query("SELECT pg_terminate_backend($1)").bind(pid).execute(database.admin()).await?;
    let gone = || async {
        let sessions: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_stat_activity WHERE pid = $1")
            .bind(pid)
            .fetch_one(database.admin())
            .await?;
        anyhow::ensure!(sessions == 0, "the session is still there");
        anyhow::Ok(())
    };
    eventually(gone, Duration::from_secs(5)).await?;

    let committed = tx.commit().await;
    assert!(matches!(committed, Err(DbError::AmbiguousCommit(_))), "{committed:?}");
    // The pool does not hand the broken connection out again.
    task.begin().await?.commit().await?;
    Ok(())
}

#[tokio::test]
async fn a_pool_that_is_used_up_or_closed_is_unavailable() -> Result<()> {
    let database = scratch().await?;
    let mut config = PoolConfig::new(database.url(Role::JobsTask).clone()).with_connections_max(1);
    config.acquire_timeout_ms = 50;
    let task = TaskDb::open(&config, "test")?;
    let holder = task.begin().await?;
    assert!(matches!(task.begin().await, Err(DbError::Unavailable(_))));
    drop(holder);
    task.close().await;
    assert!(matches!(task.begin().await, Err(DbError::Unavailable(_))));
    Ok(())
}

#[tokio::test]
async fn nobody_listening_is_unavailable_within_the_acquire_timeout() -> Result<()> {
    let url = format!("postgres://nobody@127.0.0.1:{}/none", holdfast_testkit::free_port()?);
    let mut config = PoolConfig::new(url.parse()?);
    config.acquire_timeout_ms = 200;
    let began = Instant::now();
    let error = TaskDb::open(&config, "test")?.begin().await.err();
    assert!(matches!(error, Some(DbError::Unavailable(_))), "{error:?}");
    assert!(began.elapsed() < Duration::from_secs(5));
    Ok(())
}

#[tokio::test]
async fn what_a_client_is_told() -> Result<()> {
    let database = scratch().await?;
    let ours = Fault::from(failure(database.admin(), "SELEC 1").await);
    assert_eq!(ours.reason, Reason::Internal500Unexpected);
    assert!(!ours.message.contains("SELEC"), "the statement stays inside");

    let theirs = Fault::from(DbError::DeadlinePassed);
    assert_eq!(theirs.reason, Reason::Infra503DependencyDown);
    assert!(theirs.retryable() && theirs.retry_after.is_some());
    assert_eq!(theirs.metadata.get("component").map(String::as_str), Some("postgres"));
    Ok(())
}

#[test]
fn a_url_never_shows_its_password() {
    let url: holdfast_pg::DatabaseUrl = "postgres://app:secret@db/holdfast".parse().expect("a URL");
    assert!(!format!("{:?}", PoolConfig::new(url)).contains("secret"));
    let refused = "mysql://app:secret@db/holdfast".parse::<holdfast_pg::DatabaseUrl>().expect_err("not PostgreSQL");
    assert!(!format!("{refused:?} {refused}").contains("secret"), "{refused:?}");
}
