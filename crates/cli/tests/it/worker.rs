//! `holdfast worker`: any command as a worker.

use std::{process::Stdio, time::Duration};

use holdfast_testkit::{Signal, eventually};
use nix::unistd::Pid;
use serde_json::Value;
use tokio::process::Child;

use crate::support::Client;

const SOON: Duration = Duration::from_secs(20);

fn start(client: &Client, flags: &[&str], script: &str) -> Child {
    let token = client.stack.tokens.worker("w", "acme").unwrap();
    let flags = ["worker", "--intent", "echo"].iter().chain(flags);
    let mut command = client.command_as(&token, flags.chain(&["--", "sh", "-c", script]));
    command.stderr(Stdio::null()).spawn().unwrap()
}

async fn until_state(client: &Client, job_id: &str, state: &str) -> Value {
    eventually(
        || async {
            let job = client.job(job_id).await;
            if job["state"] == state { Ok(job) } else { Err(anyhow::anyhow!("{job}")) }
        },
        SOON,
    )
    .await
    .unwrap()
}

async fn terminate(mut worker: Child) {
    let pid = Pid::from_raw(worker.id().unwrap().try_into().unwrap());
    nix::sys::signal::kill(pid, Signal::SIGTERM).unwrap();
    let status = tokio::time::timeout(SOON, worker.wait()).await.unwrap().unwrap();
    assert!(status.success(), "{status}");
}

#[tokio::test]
async fn a_command_turns_payloads_into_results() {
    let client = Client::start().await;
    let job_id = client.submitted("k").await;
    let worker = start(
        &client,
        &[],
        r#"printf '{"job":"%s","attempt":%s,"payload":%s}' "$HOLDFAST_JOB_ID" "$HOLDFAST_ATTEMPT" "$(cat)""#,
    );
    let job = until_state(&client, &job_id, "done").await;
    let result: Value = serde_json::from_str(job["result"]["text"].as_str().unwrap()).unwrap();
    assert_eq!(result, serde_json::json!({ "job": job_id, "attempt": 1, "payload": { "n": 1 } }));
    terminate(worker).await;
}

#[tokio::test]
async fn exit_65_fails_the_job_for_good_and_another_code_tries_again() {
    let client = Client::start().await;
    let job_id = client.submitted("k").await;
    let script = r#"if [ "$HOLDFAST_ATTEMPT" = 1 ]; then echo once more >&2; exit 1; fi; echo never >&2; exit 65"#;
    let worker = start(&client, &[], script);
    let job = until_state(&client, &job_id, "failed").await;
    assert_eq!((&job["attempt"], &job["last_failure"]["code"]), (&2.into(), &"exit_65".into()));
    assert_eq!(job["last_failure"]["message"], "never");
    terminate(worker).await;
}

#[tokio::test]
async fn a_worker_out_of_patience_gives_its_jobs_back_without_spending_an_attempt() {
    let client = Client::start().await;
    let job_id = client.submitted("k").await;
    let worker = start(&client, &["--drain-timeout", "0"], "exec sleep 600");
    until_state(&client, &job_id, "running").await;
    terminate(worker).await;
    let job = until_state(&client, &job_id, "queued").await;
    assert_eq!(job["attempt"], 0);
}
