//! `holdfast doctor`: a sound stack, and one with faults.

use holdfast_testkit::{PgBouncer, Postgres, PostgresOptions, Redis, pgbouncer};
use serde_json::Value;

use crate::support::{Client, Ran, command, finish, run};

fn verdict(ran: &Ran, check: &str) -> Value {
    let findings = ran.json();
    let found = findings.as_array().unwrap().iter().find(|finding| finding["check"] == check);
    found.map_or(Value::Null, |finding| finding["verdict"].clone())
}

#[tokio::test]
async fn every_part_of_a_stack_is_looked_at() {
    let client = Client::start().await;
    let service = format!("http://127.0.0.1:{}", client.stack.jobs[0].process.http_port().unwrap());
    let mut command = command(["-o", "json", "doctor", "--service", &service]);
    command.env("HOLDFAST_ADMIN_URL", client.stack.database.admin_url().expose());
    command.env("HOLDFAST_REDIS_URL", client.stack.redis.url());
    let ran = finish(command).await;
    for check in ["PostgreSQL", "schema jobs", "schema locks", "schema relay", "Redis", &format!("service {service}")] {
        assert_eq!(verdict(&ran, check), "ok", "{check}: {}", ran.stdout);
    }
}

#[tokio::test]
async fn tables_that_grow_too_large_are_a_failure_and_old_partitions_a_note() {
    let client = Client::start().await;
    let database = &client.stack.database;
    let doctor = || {
        let mut command = command(["-o", "json", "doctor"]);
        command.env("HOLDFAST_ADMIN_URL", database.admin_url().expose());
        finish(command)
    };
    let ran = doctor().await;
    assert_eq!((verdict(&ran, "partitions"), verdict(&ran, "archive")), ("ok".into(), "ok".into()), "{}", ran.stdout);
    assert_eq!(verdict(&ran, "partitions of locks"), "ok", "{}", ran.stdout);
    // Of a later day than the service counts.
    let grown = "INSERT INTO jobs.table_row_counts (table_name, day, rows, mark, counted_at) \
                 VALUES ('jobs', current_date + 2, 90000000, 'activation', now()); \
                 INSERT INTO jobs.archive_queue (partition_name, table_name, covers_from, covers_to, rows, state, marked_at) \
                 VALUES ('job_events_p20200106', 'job_events', now() - interval '2 years', now() - interval '1 year', 1, 'ready', now())";
    sqlx::raw_sql(grown).execute(database.admin()).await.unwrap();
    let ran = doctor().await;
    assert_eq!((verdict(&ran, "largest table"), ran.code), ("FAILED".into(), 1), "{}", ran.stdout);
    assert_eq!(verdict(&ran, "archive"), "note", "{}", ran.stdout);
    sqlx::raw_sql("DO $$ DECLARE leaf text; BEGIN FOR leaf IN SELECT partition_name FROM jobs.time_partitions() WHERE covers_to > now() \
                   AND table_name = 'approvals' LOOP EXECUTE format('DROP TABLE jobs.%I', leaf); END LOOP; END $$")
        .execute(database.admin())
        .await
        .unwrap();
    assert_eq!(verdict(&doctor().await, "partitions"), "FAILED");
    sqlx::raw_sql("DO $$ DECLARE leaf regclass; BEGIN FOR leaf IN SELECT inhrelid::regclass FROM pg_inherits \
                   WHERE inhparent = 'locks.locks'::regclass AND inhrelid::regclass::text > 'locks.locks_p' || to_char(now() - interval '7 days', 'YYYYMMDD') \
                   LOOP EXECUTE format('DROP TABLE %s', leaf); END LOOP; END $$")
        .execute(database.admin())
        .await
        .unwrap();
    assert_eq!(verdict(&doctor().await, "partitions of locks"), "FAILED");
    sqlx::raw_sql("DO $$ DECLARE leaf regclass; BEGIN FOR leaf IN SELECT inhrelid::regclass FROM pg_inherits \
                   WHERE inhparent = 'locks.locks'::regclass LOOP EXECUTE format('DROP TABLE %s', leaf); END LOOP; END $$")
        .execute(database.admin())
        .await
        .unwrap();
    assert_eq!(verdict(&doctor().await, "partitions of locks"), "note", "nobody holds locks here");
}

#[tokio::test]
async fn a_part_that_does_not_answer_is_a_failure() {
    let port = holdfast_testkit::free_port().unwrap();
    let service = format!("http://127.0.0.1:{port}");
    let ran = run(["-o", "json", "doctor", "--service", &service]).await;
    assert_eq!(ran.code, 1);
    assert_eq!(verdict(&ran, &format!("service {service}")), "FAILED");
}

/// What `doctor` says of a server that is set up badly, by check.
async fn verdicts(arguments: &[&str], checks: &[&str]) -> (i32, Vec<String>) {
    let ran = run([&["-o", "json", "doctor"], arguments].concat()).await;
    let of = |check: &&str| verdict(&ran, check).as_str().unwrap_or("not looked at").to_owned();
    (ran.code, checks.iter().map(of).collect())
}

#[tokio::test]
async fn a_postgresql_that_forgets_is_found() {
    let checks = ["fsync", "full_page_writes", "synchronous_commit", "max_connections", "PostgreSQL"];
    let settings = ["full_page_writes=off", "synchronous_commit=off", "max_connections=49"];
    // Leaked, once: settings of a server are static everywhere else.
    let options = PostgresOptions { fsync: false, settings: Box::leak(Box::new(settings)), ..Default::default() };
    let postgres = Postgres::start(options).await.unwrap();
    let admin_url = postgres.admin_url("postgres").unwrap();
    let found = verdicts(&["--admin-url", admin_url.expose()], &checks).await;
    assert_eq!(found, (1, ["FAILED", "FAILED", "FAILED", "warning", "ok"].map(str::to_owned).into()));
}

#[tokio::test]
async fn a_redis_that_evicts_or_only_follows_is_found() {
    let (redis, primary) = tokio::try_join!(Redis::start(), Redis::start()).unwrap();
    redis.command("CONFIG SET maxmemory-policy allkeys-lru").await.unwrap();
    redis.command("CONFIG SET appendonly no").await.unwrap();
    let checks = ["Redis", "role", "maxmemory-policy", "appendonly"];
    let found = verdicts(&["--redis-url", &redis.url()], &checks).await;
    assert_eq!(found, (1, ["ok", "ok", "FAILED", "warning"].map(str::to_owned).into()));

    redis.command("CONFIG SET maxmemory-policy noeviction").await.unwrap();
    redis.command(&format!("REPLICAOF 127.0.0.1 {}", primary.port())).await.unwrap();
    let found = verdicts(&["--redis-url", &redis.url()], &checks).await;
    assert_eq!(found, (1, ["ok", "FAILED", "ok", "warning"].map(str::to_owned).into()));
}

#[tokio::test]
async fn a_pgbouncer_that_breaks_statements_is_found() {
    if !pgbouncer::is_installed() {
        return;
    }
    let postgres = Postgres::start(PostgresOptions { fsync: false, ..Default::default() }).await.unwrap();
    let checks = ["PgBouncer", "pool_mode", "max_prepared_statements", "query_wait_timeout", "server_login_retry"];
    let poor = "pool_mode = statement\nmax_prepared_statements = 0\nquery_wait_timeout = 120\nserver_login_retry = 15";
    for (settings, code, expected) in [
        ("", 0, ["ok", "ok", "ok", "ok", "ok"]),
        ("pool_mode = session\nquery_wait_timeout = 0", 0, ["ok", "warning", "ok", "warning", "ok"]),
        (poor, 1, ["ok", "FAILED", "FAILED", "warning", "warning"]),
    ] {
        let pgbouncer = PgBouncer::start(&postgres, settings).await.unwrap();
        let found = verdicts(&["--pool-url", pgbouncer.console_url().unwrap().expose()], &checks).await;
        assert_eq!(found, (code, expected.map(str::to_owned).into()), "{settings}");
    }
}
