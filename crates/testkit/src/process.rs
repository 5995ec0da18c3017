//! A program of this workspace as a process of its own.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::Signal;

use crate::{binary, daemon::Daemon, eventually, http_get, janitor::Directory};

/// What to start.
#[derive(Debug, Clone)]
pub struct ProcessSpec {
    binary: String,
    package: String,
    arguments: Vec<OsString>,
    environment: BTreeMap<String, String>,
    http_port: Option<u16>,
}

impl ProcessSpec {
    pub fn new(binary: &str, package: &str) -> Self {
        Self {
            binary: binary.to_owned(),
            package: package.to_owned(),
            arguments: Vec::new(),
            environment: BTreeMap::new(),
            http_port: None,
        }
    }

    pub fn argument(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    pub fn env(mut self, key: impl Into<String>, value: impl ToString) -> Self {
        self.environment.insert(key.into(), value.to_string());
        self
    }

    /// Where it answers `/readyz`.
    pub fn http_port(mut self, port: u16) -> Self {
        self.http_port = Some(port);
        self
    }
}

/// A process under the operating system's signals. Dropped, it is killed and its log removed.
pub struct Process {
    spec: ProcessSpec,
    program: PathBuf,
    daemon: Daemon,
    _directory: Directory,
}

impl Process {
    /// Starts it without waiting for anything.
    pub fn start(spec: ProcessSpec) -> Result<Self> {
        let program = binary::find(&spec.binary, &spec.package)?;
        let directory = Directory::new("holdfast-log-")?;
        let daemon = Daemon::new(spec.binary.clone(), directory.join("log"), Signal::SIGKILL);
        let process = Self { spec, program, daemon, _directory: directory };
        process.restart()?;
        Ok(process)
    }

    /// Starts it and waits until `/readyz` says yes.
    pub async fn start_ready(spec: ProcessSpec, within: Duration) -> Result<Self> {
        let process = Self::start(spec)?;
        process.ready(within).await?;
        Ok(process)
    }

    /// Starts it again as it was, after it has ended.
    pub fn restart(&self) -> Result<()> {
        let mut command = Command::new(&self.program);
        command.args(&self.spec.arguments).envs(&self.spec.environment).process_group(0);
        self.daemon.start(&mut command)
    }

    /// Waits until `/readyz` answers 200; fails at once where the process ends before.
    pub async fn ready(&self, within: Duration) -> Result<()> {
        let port = self.spec.http_port.context("the process has no HTTP port to ask")?;
        let look = || async {
            if let Some(status) = self.daemon.try_wait()? {
                return Ok(Err(status));
            }
            let reply = http_get(port, "/readyz").await?;
            ensure!(reply.status == 200, "/readyz answered {}: {}", reply.status, reply.body);
            anyhow::Ok(Ok(()))
        };
        match eventually(look, within).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(status)) => bail!("{} ended with {status}; {}", self.spec.binary, self.daemon.log_tail()),
            Err(error) => Err(error.context(format!("{} is not ready; {}", self.spec.binary, self.daemon.log_tail()))),
        }
    }

    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.daemon.signal(signal)
    }

    /// SIGKILL, and waits until it is gone.
    pub async fn kill(&self) -> Result<()> {
        self.daemon.end(Signal::SIGKILL, Duration::from_secs(10)).await?;
        Ok(())
    }

    /// SIGTERM, and waits for its orderly end.
    pub async fn terminate(&self, within: Duration) -> Result<ExitStatus> {
        self.daemon.end(Signal::SIGTERM, within).await
    }

    /// SIGSTOP: it stands still, with its connections and leases, until [`Process::resume`].
    pub fn pause(&self) -> Result<()> {
        self.signal(Signal::SIGSTOP)
    }

    pub fn resume(&self) -> Result<()> {
        self.signal(Signal::SIGCONT)
    }

    pub async fn wait(&self, within: Duration) -> Result<ExitStatus> {
        self.daemon.wait(within).await
    }

    /// `None` after it has been waited for.
    pub fn pid(&self) -> Option<u32> {
        self.daemon.pid()
    }

    pub fn http_port(&self) -> Option<u16> {
        self.spec.http_port
    }

    /// Standard output and error so far, of every life.
    pub fn log(&self) -> String {
        self.daemon.log()
    }

    pub fn log_path(&self) -> &Path {
        self.daemon.log_path()
    }
}
