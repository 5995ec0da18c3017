//! `holdfast up`: from nothing to ready, down in order, and up again with its data.

use std::{
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use holdfast_testkit::{Signal, eventually, free_port};
use nix::unistd::Pid;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, BufReader},
    process::{Child, ChildStdout},
};

use crate::support::{command, run};

const SOON: Duration = Duration::from_secs(120);

struct Site {
    directory: tempfile::TempDir,
    ports: Vec<String>,
}

impl Site {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        // PostgreSQL may run under an account of its own, which has to pass through.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(directory.path(), open).unwrap();
        let flags = ["--postgres-port", "--redis-port", "--jobs-port", "--jobs-http-port", "--relay-http-port"];
        let ports = flags.iter().flat_map(|flag| [(*flag).to_owned(), free_port().unwrap().to_string()]).collect();
        Self { directory, ports }
    }

    fn dir(&self) -> PathBuf {
        self.directory.path().join("stack")
    }

    fn arguments(&self) -> Vec<String> {
        let dir = self.dir().to_str().unwrap().to_owned();
        [vec!["-o".into(), "json".into(), "up".into(), "--dir".into(), dir], self.ports.clone()].concat()
    }

    /// Starts the stack and waits until it says that it is up.
    async fn up(&self) -> Child {
        let mut up = command(self.arguments()).stdout(Stdio::piped()).spawn().unwrap();
        let stdout = up.stdout.take().unwrap();
        let told = tokio::time::timeout(SOON, document(stdout)).await.expect("the stack is up in time");
        assert!(told["endpoint"].is_string(), "{told}");
        up
    }

    async fn run(&self, arguments: &[&str]) -> Value {
        let dir = self.dir();
        let ran = run(["-o", "json"].iter().chain(arguments).chain(&["--dir", dir.to_str().unwrap()])).await;
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        ran.json()
    }

    fn pid_of(&self, child: &str) -> Pid {
        let text = std::fs::read(self.dir().join("run").join(format!("{child}.pid"))).unwrap();
        let record: Value = serde_json::from_slice(&text).unwrap();
        Pid::from_raw(record["pid"].as_i64().unwrap().try_into().unwrap())
    }
}

/// The one JSON document that the command prints before it goes on.
async fn document(stdout: ChildStdout) -> Value {
    let (mut stdout, mut text) = (BufReader::new(stdout), Vec::new());
    loop {
        let byte = stdout.read_u8().await.expect("the stack came up");
        text.push(byte);
        if text.ends_with(b"\n}\n") {
            return serde_json::from_slice(&text).unwrap();
        }
    }
}

async fn end(mut up: Child, signal: Signal) -> ExitStatus {
    nix::sys::signal::kill(Pid::from_raw(up.id().unwrap().try_into().unwrap()), signal).unwrap();
    wait(&mut up).await
}

async fn wait(up: &mut Child) -> ExitStatus {
    tokio::time::timeout(SOON, up.wait()).await.unwrap().unwrap()
}

fn is_alive(pid: Pid) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

#[tokio::test]
async fn what_was_submitted_is_there_again_at_the_next_start() {
    let site = Site::new();
    let up = site.up().await;
    let submit = ["jobs", "submit", "--project", "p", "--intent", "echo", "--key", "k"];
    let job = site.run(&submit).await;
    let refused = run(site.arguments()).await;
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("another `holdfast up`"), "{}", refused.stderr);
    assert!(end(up, Signal::SIGINT).await.success());

    let up = site.up().await;
    assert_eq!(site.run(&submit).await["job_id"], job["job_id"]);
    site.run(&["doctor"]).await;
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
    let children = ["relay", "jobs", "redis", "postgres"].map(|name| site.pid_of(name));
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
