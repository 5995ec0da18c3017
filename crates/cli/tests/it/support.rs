//! Runs the binary, in an environment of its own.

use std::{ffi::OsStr, process::Stdio};

use holdfast_caller::Role;
use holdfast_testkit::Stack;
use serde_json::Value;
use tokio::process::Command;

pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// What was printed with `--output json`.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}{}", self.stdout, self.stderr))
    }

    /// What went wrong, with `--output json`.
    pub(crate) fn error(&self) -> Value {
        let error: Value =
            serde_json::from_str(&self.stderr).unwrap_or_else(|error| panic!("{error}: {}", self.stderr));
        error["error"].clone()
    }
}

/// The command, knowing nothing of the stack or the variables of whoever runs the tests.
pub(crate) fn command<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_holdfast"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("HOLDFAST_") {
            command.env_remove(name);
        }
    }
    command.args(arguments).current_dir(std::env::temp_dir()).stdin(Stdio::null()).kill_on_drop(true);
    command
}

pub(crate) async fn run<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Ran {
    finish(command(arguments)).await
}

pub(crate) async fn finish(mut command: Command) -> Ran {
    let output = command.output().await.unwrap();
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A stack and a person who may do everything in tenant `acme`.
pub(crate) struct Client {
    pub(crate) stack: Stack,
    token: String,
}

impl Client {
    pub(crate) async fn start() -> Self {
        Self::on(Stack::builder().relays(0).start().await.unwrap())
    }

    pub(crate) async fn with_locks() -> Self {
        Self::on(Stack::builder().relays(0).locks(1).start().await.unwrap())
    }

    fn on(stack: Stack) -> Self {
        let token = stack.tokens.user("ada", "acme", Role::Owner).unwrap();
        Self { stack, token }
    }

    pub(crate) fn command<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        self.command_as(&self.token, arguments)
    }

    pub(crate) fn command_as<S: AsRef<OsStr>>(&self, token: &str, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = command(arguments);
        command.env("HOLDFAST_ENDPOINT", self.stack.jobs[0].endpoint()).env("HOLDFAST_TOKEN", token);
        if let Some(locks) = self.stack.locks.first() {
            command.env("HOLDFAST_LOCKS_ENDPOINT", locks.endpoint());
        }
        command
    }

    pub(crate) async fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Ran {
        finish(self.command(arguments)).await
    }

    pub(crate) async fn submit(&self, key: &str, payload: &str) -> Ran {
        let arguments =
            ["-o", "json", "jobs", "submit", "--project", "p", "--intent", "echo", "--key", key, "--payload", payload];
        self.run(arguments).await
    }

    /// Submits, and answers the job's id.
    pub(crate) async fn submitted(&self, key: &str) -> String {
        let ran = self.submit(key, r#"{"n":1}"#).await;
        ran.json()["job_id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn job(&self, job_id: &str) -> Value {
        self.run(["-o", "json", "jobs", "get", job_id]).await.json()
    }
}
