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
async fn a_part_that_does_not_answer_is_a_failure() {
    let port = holdfast_testkit::free_port().unwrap();
    let service = format!("http://127.0.0.1:{port}");
    let ran = run(["-o", "json", "doctor", "--service", &service]).await;
    assert_eq!(ran.code, 1);
    assert_eq!(verdict(&ran, &format!("service {service}")), "FAILED");
}
