//! `holdfast jobs`: what is printed, and how it ends.

use crate::support::Client;

#[tokio::test]
async fn a_job_is_submitted_shown_listed_and_cancelled() {
    let client = Client::start().await;
    let submitted = client.submit("k", r#"{"n":1}"#).await;
    assert_eq!((submitted.code, &submitted.json()["replayed"]), (0, &false.into()));
    let job_id = submitted.json()["job_id"].as_str().unwrap().to_owned();

    let again = client.submit("k", r#"{"n":1}"#).await;
    assert_eq!((again.code, &again.json()["replayed"]), (0, &true.into()));
    assert_eq!(again.json()["job_id"], job_id.as_str());

    let job = client.job(&job_id).await;
    assert_eq!((&job["state"], &job["tenant_id"]), (&"queued".into(), &"acme".into()));
    assert_eq!(job["payload"]["text"], r#"{"n":1}"#);

    let listed = client.run(["-o", "json", "jobs", "list", "--project", "p", "--state", "queued"]).await.json();
    assert_eq!(listed["jobs"][0]["job_id"], job_id.as_str());
    assert_eq!(listed["more"], false);

    let cancelled = client.run(["jobs", "cancel", &job_id, "--reason", "not needed"]).await;
    assert!(cancelled.code == 0 && cancelled.stdout.contains("cancelled"), "{}", cancelled.stderr);

    let events = client.run(["-o", "json", "jobs", "events", &job_id]).await.json();
    let states: Vec<&str> =
        events.as_array().unwrap().iter().map(|event| event["to_state"].as_str().unwrap()).collect();
    assert_eq!(states, ["queued", "cancelled"]);
}

#[tokio::test]
async fn a_watch_prints_what_happens_and_where_to_resume_it() {
    let client = Client::start().await;
    let begun = client.run(["-o", "json", "jobs", "watch", "--project", "p", "--once"]).await;
    assert_eq!((begun.code, &begun.json()["events"]), (0, &serde_json::json!([])), "{}", begun.stderr);
    let token = begun.json()["resume_token"].as_str().unwrap().to_owned();
    let job_id = client.submitted("k").await;
    let cancelled = client.run(["jobs", "cancel", &job_id]).await;
    assert_eq!(cancelled.code, 0, "{}", cancelled.stderr);

    let resumed = client.run(["-o", "json", "jobs", "watch", "--project", "p", "--once", "--resume", &token]).await;
    let lines = resumed.stdout.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let states: Vec<_> = lines
        .flat_map(|line| line["events"].as_array().unwrap().clone())
        .map(|event| event["to_state"].clone())
        .collect();
    assert_eq!(states, ["queued", "cancelled"]);
    let table = client.run(["jobs", "watch", "--job", &job_id]).await;
    assert_eq!((table.code, table.stdout.lines().count()), (0, 2), "it ends with its job: {}", table.stderr);
    let undone = client.run(["jobs", "watch", "--job", &job_id, "--until-done"]).await;
    assert!(undone.code == 1 && undone.stderr.contains("cancelled"), "{}", undone.stderr);
    let bent = client.run(["-o", "json", "jobs", "watch", "--project", "p", "--resume", "bent"]).await;
    assert_eq!((bent.code, &bent.error()["reason"]), (2, &"REQ_400_INVALID_SCHEMA".into()));
}

#[tokio::test]
async fn a_list_goes_on_over_pages_up_to_its_limit() {
    let client = Client::start().await;
    for key in ["a", "b", "c"] {
        client.submitted(key).await;
    }
    let listed = client.run(["-o", "json", "jobs", "list", "--project", "p", "--limit", "2"]).await.json();
    assert_eq!((listed["jobs"].as_array().unwrap().len(), &listed["more"]), (2, &true.into()));
    let table = client.run(["jobs", "list", "--project", "p"]).await.stdout;
    assert_eq!(table.lines().count(), 4, "a header and three jobs:\n{table}");
}

#[tokio::test]
async fn a_payload_comes_from_a_file_to_the_byte() {
    let client = Client::start().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), b"{ \"n\" :1}\n").unwrap();
    let path = file.path().to_str().unwrap();
    let ran = client
        .run(["-o", "json", "jobs", "submit", "--project", "p", "--intent", "echo", "--payload-file", path])
        .await;
    let job = client.job(ran.json()["job_id"].as_str().unwrap()).await;
    assert_eq!(job["payload"]["text"], "{ \"n\" :1}\n");
}

#[tokio::test]
async fn each_refusal_ends_with_its_code_and_says_where_to_read_on() {
    let client = Client::start().await;
    client.submitted("k").await;

    let conflict = client.submit("k", r#"{"n":2}"#).await;
    assert_eq!((conflict.code, &conflict.error()["reason"]), (5, &"JOB_409_IDEMPOTENCY_CONFLICT".into()));
    assert_eq!(conflict.error()["help"], "docs/errors/JOB_409_IDEMPOTENCY_CONFLICT.md");
    assert!(conflict.error()["request_id"].is_string());

    let unknown = client.run(["jobs", "get", "01900000-0000-7000-8000-000000000000"]).await;
    assert_eq!(unknown.code, 3, "{}", unknown.stderr);

    let malformed = client.run(["-o", "json", "jobs", "get", "nonsense"]).await;
    assert_eq!(malformed.code, 2);
    assert_eq!(malformed.error()["violations"][0]["field"], "job_id");

    let worker = client.stack.tokens.worker("w", "acme").unwrap();
    let refused = crate::support::finish(client.command_as(&worker, ["jobs", "list", "--project", "p"])).await;
    assert_eq!(refused.code, 4, "{}", refused.stderr);
    assert!(refused.stderr.contains("AUTH_403") && refused.stderr.contains("docs/errors/"), "{}", refused.stderr);
}
