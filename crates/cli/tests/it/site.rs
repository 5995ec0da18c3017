//! A whole stack as `holdfast up` starts it, in a directory of its own.

use std::{
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use holdfast_testkit::{Signal, free_port};
use nix::unistd::Pid;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, BufReader},
    process::{Child, ChildStdout},
};

use crate::support::{command, run};

pub(crate) const SOON: Duration = Duration::from_secs(120);

pub(crate) struct Site {
    directory: tempfile::TempDir,
    pub(crate) ports: Vec<String>,
    settings: Vec<(&'static str, &'static str)>,
}

impl Site {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        // PostgreSQL may run under an account of its own, which has to pass through.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(directory.path(), open).unwrap();
        let flags = [
            "--postgres-port",
            "--redis-port",
            "--jobs-port",
            "--jobs-http-port",
            "--relay-http-port",
            "--locks-port",
            "--locks-http-port",
            "--pgbouncer-port",
        ];
        let ports = flags.iter().flat_map(|flag| [(*flag).to_owned(), free_port().unwrap().to_string()]).collect();
        Self { directory, ports, settings: Vec::new() }
    }

    /// A setting of a service, by the name of its variable.
    pub(crate) fn with(mut self, variable: &'static str, value: &'static str) -> Self {
        self.settings.push((variable, value));
        self
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.directory.path().join("stack")
    }

    pub(crate) fn port(&self, flag: &str) -> &str {
        &self.ports[self.ports.iter().position(|argument| argument == flag).unwrap() + 1]
    }

    pub(crate) fn arguments(&self) -> Vec<String> {
        let dir = self.dir().to_str().unwrap().to_owned();
        [vec!["-o".into(), "json".into(), "up".into(), "--dir".into(), dir], self.ports.clone()].concat()
    }

    /// Starts the stack and waits until it says that it is up.
    pub(crate) async fn up(&self) -> Child {
        let (up, told) = self.up_with(&[]).await;
        assert!(told["endpoint"].is_string(), "{told}");
        up
    }

    /// Starts the stack and waits for the one JSON document that it prints before it goes on.
    pub(crate) async fn up_with(&self, flags: &[&str]) -> (Child, Value) {
        let mut command = command(self.arguments());
        command.args(flags).envs(self.settings.iter().copied()).stdout(Stdio::piped());
        let mut up = command.spawn().unwrap();
        let stdout = up.stdout.take().unwrap();
        let told = tokio::time::timeout(SOON, document(stdout)).await.expect("the stack speaks in time");
        (up, told)
    }

    pub(crate) async fn run(&self, arguments: &[&str]) -> Value {
        let dir = self.dir();
        let ran = run(["-o", "json"].iter().chain(arguments).chain(&["--dir", dir.to_str().unwrap()])).await;
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        ran.json()
    }

    pub(crate) fn pid_of(&self, child: &str) -> Pid {
        let text = std::fs::read(self.dir().join("run").join(format!("{child}.pid"))).unwrap();
        let record: Value = serde_json::from_slice(&text).unwrap();
        Pid::from_raw(record["pid"].as_i64().unwrap().try_into().unwrap())
    }
}

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

pub(crate) async fn end(mut up: Child, signal: Signal) -> ExitStatus {
    nix::sys::signal::kill(Pid::from_raw(up.id().unwrap().try_into().unwrap()), signal).unwrap();
    wait(&mut up).await
}

pub(crate) async fn wait(up: &mut Child) -> ExitStatus {
    tokio::time::timeout(SOON, up.wait()).await.unwrap().unwrap()
}

pub(crate) fn is_alive(pid: Pid) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}
