//! `holdfast worker`: any command as a worker.

use std::{fs, process::Stdio, time::Duration};

use holdfast_testkit::{Signal, eventually};
use nix::unistd::Pid;
use serde_json::Value;
use tokio::process::Child;

use crate::support::Client;

const SOON: Duration = Duration::from_secs(60);

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
async fn what_a_command_writes_needs_not_be_json() {
    let client = Client::start().await;
    let worker = start(
        &client,
        &[],
        r#"case "$HOLDFAST_IDEMPOTENCY_KEY" in text) echo done ;; bytes) printf '\377' ;; silence) ;; esac"#,
    );
    for (key, result) in [
        ("text", serde_json::json!({ "content_type": "text/plain; charset=utf-8", "text": "done\n" })),
        ("bytes", serde_json::json!({ "content_type": "application/octet-stream", "base64": "/w==" })),
        ("silence", serde_json::json!({ "content_type": "text/plain; charset=utf-8", "text": "" })),
    ] {
        let job_id = client.submitted(key).await;
        let job = until_state(&client, &job_id, "done").await;
        assert_eq!((&job["result"], &job["attempt"]), (&result, &1.into()), "{key}");
    }
    terminate(worker).await;
}

#[tokio::test]
async fn a_result_that_the_service_refuses_fails_the_job_for_good() {
    let client = Client::start().await;
    let job_id = client.submitted("k").await;
    let worker = start(&client, &["--content-type", "application/json"], "echo this is no JSON");
    let job = until_state(&client, &job_id, "failed").await;
    assert_eq!((&job["attempt"], &job["last_failure"]["code"]), (&1.into(), &"result_refused".into()));
    let message = job["last_failure"]["message"].as_str().unwrap();
    assert!(message.contains("complete.result.data"), "{message}");
    terminate(worker).await;
}

#[tokio::test]
async fn a_message_in_colour_is_no_reason_to_lose_the_worker() {
    let client = Client::start().await;
    let job_id = client.submitted("k").await;
    let worker = start(&client, &[], r#"printf '\033[31mred\033[0m' >&2; exit 65"#);
    let job = until_state(&client, &job_id, "failed").await;
    assert_eq!(job["last_failure"]["message"], "[31mred[0m");
    terminate(worker).await;
}

#[tokio::test]
async fn a_cancelled_job_takes_down_all_that_its_command_started() {
    let client = Client::start().await;
    let directory = tempfile::tempdir().unwrap();
    let pid_file = directory.path().join("pid");
    let job_id = client.submitted("k").await;
    let worker = start(&client, &[], &format!("sleep 600 & echo $! > {}; wait", pid_file.display()));
    let written = || async { fs::read_to_string(&pid_file).ok()?.trim().parse::<u32>().ok() };
    let grandchild = eventually(written, SOON).await.unwrap();
    assert!(runs(grandchild));
    let cancelled = client.run(["jobs", "cancel", &job_id]).await;
    assert_eq!(cancelled.code, 0, "{}", cancelled.stderr);
    eventually(|| async { !runs(grandchild) }, SOON).await.unwrap();
    terminate(worker).await;
}

/// Whether there is such a process, and more of it than an exit status that nobody has asked for yet.
fn runs(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
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
