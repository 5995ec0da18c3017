//! `holdfast up`: from nothing to ready, down in order, and up again with its data.

use holdfast_testkit::{Signal, eventually};
use nix::unistd::Pid;

use crate::{
    site::{SOON, Site, end, is_alive, wait},
    support::run,
};

#[tokio::test]
async fn what_was_submitted_is_there_again_at_the_next_start() {
    let site = Site::new();
    let up = site.up().await;
    let submit = ["jobs", "submit", "--project", "p", "--intent", "echo", "--key", "k"];
    let job = site.run(&submit).await;
    let token = site.dir().join("secrets/token");
    let listed = site.run(&["jobs", "list", "--project", "p", "--token-file", token.to_str().unwrap()]).await;
    assert_eq!(listed["jobs"][0]["job_id"], job["job_id"], "the token in the file is good");
    let refused = run(site.arguments()).await;
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("another `holdfast up`"), "{}", refused.stderr);
    assert!(end(up, Signal::SIGINT).await.success());

    let up = site.up().await;
    assert_eq!(site.run(&submit).await["job_id"], job["job_id"]);
    let findings = site.run(&["doctor"]).await;
    // Where this machine has a PgBouncer, services go through it, and it is as it should be.
    let pooled = findings.as_array().unwrap().iter().find(|finding| finding["check"] == "PgBouncer").unwrap();
    let has_pgbouncer = site.dir().join("run/pgbouncer.pid").exists();
    assert_eq!(pooled["verdict"], if has_pgbouncer { "ok" } else { "note" }, "{findings}");
    let app_url = std::fs::read_to_string(site.dir().join("secrets/jobs_app_url")).unwrap();
    let pooled_port = format!(":{}/", site.port("--pgbouncer-port"));
    assert_eq!(app_url.contains(&pooled_port), has_pgbouncer, "the services go another way");
    assert!(end(up, Signal::SIGTERM).await.success());
}

#[tokio::test]
async fn a_child_that_dies_takes_the_stack_down_with_a_word_about_it() {
    let site = Site::new();
    let mut up = site.up().await;
    let postgres = site.pid_of("postgres");
    nix::sys::signal::kill(site.pid_of("redis"), Signal::SIGKILL).unwrap();
    assert_eq!(wait(&mut up).await.code(), Some(1));
    assert!(!is_alive(postgres));
}

#[tokio::test]
async fn nothing_outlives_a_stack_that_is_killed() {
    let site = Site::new();
    let up = site.up().await;
    let pooled = site.dir().join("run/pgbouncer.pid").exists().then_some("pgbouncer");
    let children = ["relay", "locks", "jobs", "redis", "postgres"].into_iter().chain(pooled);
    let children: Vec<Pid> = children.map(|name| site.pid_of(name)).collect();
    end(up, Signal::SIGKILL).await;
    eventually(
        || async {
            let left: Vec<&Pid> = children.iter().filter(|pid| is_alive(**pid)).collect();
            if left.is_empty() { Ok(()) } else { Err(anyhow::anyhow!("still there: {left:?}")) }
        },
        SOON,
    )
    .await
    .unwrap();
    let up = site.up().await;
    assert!(end(up, Signal::SIGTERM).await.success());
}

#[tokio::test]
async fn a_port_in_use_is_refused_before_anything_starts() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut site = Site::new();
    site.ports[3] = taken.local_addr().unwrap().port().to_string();
    let refused = run(site.arguments()).await;
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(refused.stderr.contains("--redis-port"), "{}", refused.stderr);
    assert!(!site.dir().join("postgres").exists());
}
