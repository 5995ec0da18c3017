//! A Redis server of one's own.

use std::{net::Ipv4Addr, path::Path, process::Command, time::Duration};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};

use crate::{daemon::Daemon, eventually, free_port, janitor::Directory};

const START_WITHIN: Duration = Duration::from_secs(30);
/// The name of its configuration file, where it has one.
const SETTINGS: &str = "redis.conf";
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// A server with an append-only file that is synced every second, as in production: a kill loses what came after.
pub struct Redis {
    port: u16,
    has_settings: bool,
    daemon: Daemon,
    directory: Directory,
}

impl Redis {
    pub async fn start() -> Result<Self> {
        Self::start_with("").await
    }

    /// With settings of a configuration file; where things are is not among them.
    pub(crate) async fn start_with(settings: &str) -> Result<Self> {
        let directory = Directory::new("holdfast-redis-")?;
        std::fs::write(directory.join(SETTINGS), settings)?;
        let daemon = Daemon::new("Redis", directory.join("log"), Signal::SIGKILL);
        let redis = Self { directory, port: free_port()?, has_settings: !settings.is_empty(), daemon };
        redis.restart().await?;
        Ok(redis)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// A crash, by SIGKILL.
    pub async fn kill(&self) -> Result<()> {
        self.daemon.end(Signal::SIGKILL, START_WITHIN).await?;
        Ok(())
    }

    /// An orderly shutdown.
    pub async fn stop(&self) -> Result<()> {
        self.daemon.end(Signal::SIGTERM, START_WITHIN).await?;
        Ok(())
    }

    /// It answers nobody until [`Redis::resume`].
    pub fn pause(&self) -> Result<()> {
        self.daemon.signal(Signal::SIGSTOP)
    }

    pub fn resume(&self) -> Result<()> {
        self.daemon.signal(Signal::SIGCONT)
    }

    /// Starts it on the same data and port after [`Redis::kill`] or [`Redis::stop`] and waits until it answers.
    pub async fn restart(&self) -> Result<()> {
        let mut command = Command::new("redis-server");
        command.current_dir(&*self.directory);
        if self.has_settings {
            command.arg(SETTINGS);
        }
        command.args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"]);
        command.args(["--save", "", "--appendonly", "yes", "--appendfsync", "everysec", "--daemonize", "no"]);
        let started = self.daemon.start(&mut command);
        started.context("is Redis 7 or later installed? apt-get install redis-server")?;
        let look = || async {
            let answer = self.command("PING").await?;
            ensure!(answer == "+PONG", "it answered {answer}");
            anyhow::Ok(())
        };
        eventually(look, START_WITHIN).await.with_context(|| self.daemon.log_tail())
    }

    /// Everything in it is gone.
    pub async fn flush(&self) -> Result<()> {
        let answer = self.command("FLUSHALL").await?;
        ensure!(answer == "+OK", "FLUSHALL answered {answer}");
        Ok(())
    }

    /// An inline command and the first line of its answer, with its type sign. For tests that look at keys use a client.
    pub async fn command(&self, command: &str) -> Result<String> {
        Ok(ask(self.port, command, 1).await?.remove(0))
    }
}

/// An inline command and the first lines of its answer, at most so many and up to an empty one.
pub(crate) async fn ask(port: u16, command: &str, lines_max: usize) -> Result<Vec<String>> {
    let answered = async {
        let mut stream = BufReader::new(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?);
        stream.get_mut().write_all(format!("{command}\r\n").as_bytes()).await?;
        let mut lines = Vec::new();
        while lines.len() < lines_max {
            let mut line = String::new();
            stream.read_line(&mut line).await?;
            if line.trim_end().is_empty() && !lines.is_empty() {
                break;
            }
            lines.push(line.trim_end().to_owned());
        }
        anyhow::Ok(lines)
    };
    tokio::time::timeout(ANSWER_WITHIN, answered).await?
}
