//! `holdfast doctor`: a sound stack, and one with faults.

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
    for check in ["PostgreSQL", "schema jobs", "schema relay", "Redis", &format!("service {service}")] {
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
}

#[tokio::test]
async fn a_part_that_does_not_answer_is_a_failure() {
    let port = holdfast_testkit::free_port().unwrap();
    let service = format!("http://127.0.0.1:{port}");
    let ran = run(["-o", "json", "doctor", "--service", &service]).await;
    assert_eq!(ran.code, 1);
    assert_eq!(verdict(&ran, &format!("service {service}")), "FAILED");
}
