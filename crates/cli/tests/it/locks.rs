//! `holdfast locks`: what is printed, how it ends, and what becomes of a command that runs under a lock.

use std::process::Stdio;

use holdfast_testkit::{Signal, eventually};
use nix::unistd::Pid;
use tokio::{io::AsyncReadExt, process::Command};

use crate::{
    site::SOON,
    support::{Client, Ran, finish},
};

fn locks<'a>(rest: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    ["-o", "json", "locks"].into_iter().chain(rest).collect()
}

async fn ran(client: &Client, rest: &[&str]) -> Ran {
    client.run(locks(rest.iter().copied())).await
}

fn under(client: &Client, flags: &[&str], script: &str) -> Command {
    let arguments = [&["locks", "run", "--project", "p", "k"], flags, &["--", "sh", "-c", script]].concat();
    client.command(arguments)
}

async fn holder(client: &Client) -> serde_json::Value {
    ran(client, &["get", "--project", "p", "k"]).await.json()["holder"].clone()
}

async fn force(client: &Client) {
    let lease_id =
        eventually(|| async { holder(client).await["lease_id"].as_str().map(str::to_owned).ok_or("it is free") }, SOON);
    let forced = ran(client, &["force-release", &lease_id.await.unwrap(), "--reason", "test"]).await;
    assert_eq!(forced.code, 0, "{}", forced.stderr);
}

#[tokio::test]
async fn a_lock_is_acquired_seen_renewed_checked_and_released() {
    let client = Client::with_locks().await;
    let acquired = ran(&client, &["acquire", "--project", "p", "k", "--owner", "me", "--ttl", "30"]).await;
    assert_eq!(acquired.code, 0, "{}", acquired.stderr);
    let lease = &acquired.json()["lease"];
    let (lease_id, token) = (lease["lease_id"].as_str().unwrap(), &lease["resources"][0]["fencing_token"]);
    let token = token.as_u64().unwrap().to_string();

    let busy = ran(&client, &["acquire", "--project", "p", "k"]).await;
    assert_eq!((busy.code, &busy.error()["reason"]), (5, &"JOB_409_LOCKED".into()));
    let listed = ran(&client, &["list", "--project", "p", "--owner", "me"]).await.json();
    assert_eq!((&listed["locks"][0]["holder"]["owner"], &listed["more"]), (&"me".into(), &false.into()));
    let table = client.run(["locks", "list", "--project", "p"]).await.stdout;
    assert!(table.starts_with("CLASS") && table.contains("held"), "{table}");

    for number in [1, 1, 2] {
        let renewed = ran(&client, &["renew", lease_id, "--number", &number.to_string()]).await;
        assert_eq!((renewed.code, &renewed.json()["renewals"]), (0, &number.into()), "{}", renewed.stderr);
    }
    let check = ["check", "--project", "p", "k", "--fencing-token", &token];
    assert_eq!(ran(&client, &check).await.code, 0);
    assert_eq!(ran(&client, &["release", lease_id]).await.json()["replayed"], false);
    assert_eq!(ran(&client, &["release", lease_id]).await.json()["replayed"], true);
    let stale = ran(&client, &check).await;
    assert_eq!((stale.code, &stale.json()["current"]), (5, &false.into()));
    assert!(holder(&client).await.is_null());

    let watched = ran(&client, &["watch", "--project", "p", "k", "--until-free"]).await;
    assert_eq!((watched.code, watched.stdout.lines().count()), (0, 1), "{}", watched.stderr);
    let classes = ran(&client, &["classes"]).await.json();
    assert_eq!(classes["classes"][0]["name"], "infrastructure");
    let several = ran(&client, &["acquire", "--project", "p", "b", "a"]).await.json();
    assert_eq!(several["lease"]["resources"][0]["resource"]["key"], "a", "in the order of the registry");
}

#[tokio::test]
async fn a_command_runs_under_a_lock_and_ends_as_it_ends() {
    let client = Client::with_locks().await;
    let said = "echo $HOLDFAST_FENCING_TOKEN $HOLDFAST_LEASE_ID; exit 7";
    let ran = finish(under(&client, &[], said)).await;
    let words: Vec<&str> = ran.stdout.split_whitespace().collect();
    assert_eq!((ran.code, words.len()), (7, 2), "{}{}", ran.stdout, ran.stderr);
    assert!(words[0].parse::<u64>().unwrap() >= 1);
    assert!(holder(&client).await.is_null(), "released");
    assert_eq!(finish(under(&client, &[], "kill -9 $$")).await.code, 137);
    let again = finish(under(&client, &[], "echo $HOLDFAST_FENCING_TOKEN")).await;
    assert!(again.stdout.trim().parse::<u64>().unwrap() > words[0].parse().unwrap());
}

#[tokio::test]
async fn a_command_outlasts_its_lease_while_heartbeats_come_and_passes_signals_on() {
    let client = Client::with_locks().await;
    // Until somebody signals it, which comes after the fourth heartbeat.
    let script = "trap 'exit 3' TERM; while :; do sleep 0.1; done";
    let mut running = under(&client, &["--ttl", "1"], script).spawn().unwrap();
    eventually(|| async { holder(&client).await["renewals"].as_u64().is_some_and(|renewals| renewals >= 4) }, SOON)
        .await
        .unwrap();
    let pid = Pid::from_raw(running.id().unwrap().try_into().unwrap());
    nix::sys::signal::kill(pid, Signal::SIGTERM).unwrap();
    assert_eq!(running.wait().await.unwrap().code(), Some(3));
    assert!(holder(&client).await.is_null());
}

#[tokio::test]
async fn who_loses_the_lock_is_stopped_with_all_that_it_has_started() {
    let client = Client::with_locks().await;
    // The one that was started does not listen to SIGTERM.
    let script = "sh -c 'trap \"\" TERM; echo $$; exec sleep 600' & wait";
    let mut command = under(&client, &["--ttl", "2", "--grace", "1"], script);
    let mut running = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdout = running.stdout.take().unwrap();
    let mut said = vec![0; 16];
    let length = stdout.read(&mut said).await.unwrap();
    let started: i32 = String::from_utf8_lossy(&said[..length]).trim().parse().unwrap();
    force(&client).await;
    let ended = running.wait_with_output().await.unwrap();
    let complaint = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(5), "{complaint}");
    assert!(complaint.contains("by force"), "{complaint}");
    let is_gone = || async { nix::sys::signal::kill(Pid::from_raw(started), None).is_err() };
    eventually(is_gone, SOON).await.unwrap();
}

#[tokio::test]
async fn a_command_that_cannot_be_started_holds_nothing() {
    let client = Client::with_locks().await;
    let missing = client.run(["locks", "run", "--project", "p", "k", "--", "/no/such/program"]).await;
    assert!(missing.code == 1 && missing.stderr.contains("/no/such/program"), "{}", missing.stderr);
    assert!(holder(&client).await.is_null());
    let late = client.run(["locks", "run", "--project", "p", "k", "--wait", "0", "--", "true"]).await;
    assert_eq!(late.code, 0, "{}", late.stderr);
}
