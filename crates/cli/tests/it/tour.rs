//! `holdfast tour`: a stack that keeps its promises passes, one that does not is found out.

use std::{fs, path::Path, process::Command};

use holdfast_testkit::Signal;
use serde_json::json;
use tempfile::TempDir;

use crate::{
    site::{Site, end},
    support::{command, finish},
};

const FILES: usize = 40;
/// Every fifth submission is sent twice, every seventh contradicted.
const DOUBLED: usize = 8;
const CONTRADICTED: usize = 6;
/// What the worker that is killed must hold.
const HELD_MIN: u64 = 10;

fn repository() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for number in 0..FILES {
        fs::write(directory.path().join(format!("file-{number}")), "line\n".repeat(number)).unwrap();
    }
    git(directory.path(), &["init", "--quiet"]);
    git(directory.path(), &["add", "."]);
    directory
}

fn git(directory: &Path, arguments: &[&str]) {
    let status = Command::new("git").arg("-C").arg(directory).args(arguments).status().unwrap();
    assert!(status.success(), "git {arguments:?}");
}

/// Long enough for a busy machine to heartbeat in time, short enough to wait for.
fn site() -> Site {
    Site::new().with("HOLDFAST_JOBS__LEASES__TTL_MS", "3000")
}

#[tokio::test]
async fn every_file_is_done_once_whoever_is_killed() {
    let (site, repository) = (site(), repository());
    let up = site.up().await;

    let mut tour = command(["--output", "json", "tour", "--dir"]);
    tour.arg(site.dir()).arg("--repository").arg(repository.path());
    // To git, the checkout belongs to somebody else.
    tour.env("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1");
    let ran = finish(tour).await;

    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let report = ran.json();
    let counts = [
        ("submitted", FILES),
        ("replayed", DOUBLED),
        ("conflicts_refused", CONTRADICTED),
        ("approved", 1),
        ("done", FILES),
        ("lost", 0),
        ("done_twice", 0),
        ("wrong_digests", 0),
    ];
    for (name, expected) in counts {
        assert_eq!(report[name], expected, "{name}: {report}");
    }
    assert!(report["retried_after_kill"].as_u64().unwrap() >= HELD_MIN, "{report}");
    assert_eq!(report["events_read"], report["events_written"], "{report}");
    assert!(report["graph_gap_ms"].as_f64().unwrap() >= 0.0, "{report}");
    assert!(report["usage_counted"].as_u64().unwrap() > 0, "{report}");
    assert_eq!(report["usage_counted"], report["usage_reported"], "{report}");
    assert_eq!(report["problems"], json!([]));
    assert!(end(up, Signal::SIGINT).await.success());
}

#[tokio::test]
async fn jobs_that_die_with_their_worker_are_found_missing() {
    // One attempt and no more: what the killed worker held is lost with it.
    let (site, repository) = (site().with("HOLDFAST_JOBS__RETRIES__ATTEMPTS_MAX", "1"), repository());
    let (up, report) = site.up_with(&["--tour", "--repository", repository.path().to_str().unwrap()]).await;

    let lost = report["lost"].as_u64().unwrap();
    assert!(lost >= HELD_MIN, "{report}");
    assert_eq!(report["done"], FILES as u64 - lost, "{report}");
    assert_eq!(report["retried_after_kill"], 0, "{report}");
    // One for each job, and one for the worker.
    assert_eq!(report["problems"].as_array().unwrap().len() as u64, lost + 1, "{report}");
    assert_eq!(end(up, Signal::SIGINT).await.code(), Some(1), "Ctrl-C does not wash it away");
}
