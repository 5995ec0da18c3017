//! `holdfast jobs rebuild-queues`: tables that somebody changed by hand.

use std::{process::Stdio, time::Duration};

use holdfast_pg::{DatabaseUrl, Role};
use holdfast_testkit::eventually;
use serde_json::json;
use tokio::process::Child;

use crate::support::{Client, Ran, command, finish};

const SOON: Duration = Duration::from_secs(60);

async fn rebuild(url: &DatabaseUrl, flags: &[&str]) -> Ran {
    let mut command = command(["-o", "json", "jobs", "rebuild-queues"].iter().chain(flags));
    command.env("HOLDFAST_ADMIN_URL", url.expose());
    finish(command).await
}

async fn until_state(client: &Client, job_id: &str, state: &str) {
    let is_so = || async {
        let job = client.job(job_id).await;
        if job["state"] == state { Ok(()) } else { Err(anyhow::anyhow!("{job}")) }
    };
    eventually(is_so, SOON).await.unwrap();
}

fn worker(client: &Client, script: &str) -> Child {
    let token = client.stack.tokens.worker("w", "acme").unwrap();
    let mut command = client.command_as(&token, ["worker", "--intent", "echo", "--", "sh", "-c", script]);
    command.stderr(Stdio::null()).spawn().unwrap()
}

async fn change(client: &Client, statements: &[&'static str]) {
    for statement in statements {
        sqlx::query(*statement).execute(client.stack.database.admin()).await.unwrap();
    }
}

#[tokio::test]
async fn what_was_changed_by_hand_is_derived_from_the_jobs_again() {
    let client = Client::start().await;
    let url = client.stack.database.admin_url().clone();
    let nothing = json!({ "jobs": 0, "projects": 0 });
    let (ready, over) = (client.submitted("ready").await, client.submitted("over").await);
    assert_eq!(client.run(["jobs", "cancel", &over]).await.code, 0);
    let unharmed = rebuild(&url, &["--dry-run"]).await;
    assert_eq!((unharmed.code, unharmed.json()), (0, nothing.clone()), "{}", unharmed.stderr);

    // A worker has one job, of which the lease gets lost with everything else.
    let mut holder = worker(&client, "sleep 600");
    until_state(&client, &ready, "running").await;
    holder.kill().await.unwrap();
    let queued = client.submitted("queued").await;
    let in_an_hour = (chrono::Utc::now() + chrono::TimeDelta::hours(1)).to_rfc3339();
    let later = ["jobs", "submit", "--project", "q", "--intent", "echo", "--key", "l", "--run-after", &in_an_hour];
    let later = client.run(later).await;
    assert_eq!(later.code, 0, "{}", later.stderr);
    change(
        &client,
        &[
            "DELETE FROM jobs.job_queue",
            "DELETE FROM jobs.job_delayed",
            "DELETE FROM jobs.job_leases",
            "UPDATE jobs.project_slots SET running = running + 7, dequeued = dequeued + 5",
            "INSERT INTO jobs.job_queue SELECT tenant_id, project_id, queue, intent, 4, created_at, job_id \
             FROM jobs.jobs WHERE state = 'cancelled'",
            "INSERT INTO jobs.job_waits (job_id, tenant_id, project_id, budget_ms, spent_ms, ends_at, due_at, reminds, reminders) \
             SELECT job_id, tenant_id, project_id, 1000, 0, now(), now(), true, 0 FROM jobs.jobs WHERE state = 'cancelled'",
        ],
    )
    .await;
    let differs = json!({ "jobs": 4, "projects": 2 });
    let told = rebuild(&url, &["--dry-run"]).await;
    assert_eq!((told.code, told.json()), (5, differs.clone()), "{}", told.stderr);
    let mended = rebuild(&url, &[]).await;
    assert_eq!((mended.code, mended.json()), (0, differs), "{}", mended.stderr);
    let again = rebuild(&url, &["--dry-run"]).await;
    assert_eq!((again.code, again.json()), (0, nothing), "{}", again.stderr);

    // And dispatch goes on: the job whose holder is gone is tried again, and so is the one that waited.
    let mut worker = worker(&client, "cat");
    until_state(&client, &ready, "done").await;
    until_state(&client, &queued, "done").await;
    worker.kill().await.unwrap();
}

#[tokio::test]
async fn who_sees_no_jobs_is_refused() {
    let client = Client::start().await;
    let refused = rebuild(client.stack.database.url(Role::JobsApp), &[]).await;
    assert!(refused.code == 2 && refused.stderr.contains("BYPASSRLS"), "{}", refused.stderr);
}
