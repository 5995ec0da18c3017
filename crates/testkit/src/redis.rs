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
/// More than any answer has.
pub(crate) const LINES_MAX: usize = 100;
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

    /// A server of its own that has all that `primary` has, follows it, and confirms what it gets.
    pub async fn start_replica_of(primary: &Redis) -> Result<Self> {
        // A primary waits for more replicas to come before it serves the first.
        let answer = primary.command("CONFIG SET repl-diskless-sync-delay 0").await?;
        ensure!(answer == "+OK", "CONFIG SET answered {answer}");
        let replica = Self::start().await?;
        replica.follow(primary).await?;
        let look = || async {
            let link = replication(replica.port, "master_link_status").await?;
            ensure!(link == "up", "the link to the primary is {link}");
            // The link is up, up to a second before the primary sends what is written from now on. PUBLISH counts as written.
            let replicas = replication(primary.port, "connected_slaves").await?;
            let confirmed =
                ask(primary.port, &format!("PUBLISH replica {replicas}\r\nWAIT {replicas} 1000"), 2).await?;
            ensure!(confirmed.last() == Some(&format!(":{replicas}")), "{confirmed:?} of {replicas} replicas");
            anyhow::Ok(())
        };
        eventually(look, START_WITHIN).await.with_context(|| replica.daemon.log_tail())?;
        Ok(replica)
    }

    /// Begins to follow; does not wait until it has caught up.
    pub(crate) async fn follow(&self, primary: &Redis) -> Result<()> {
        let answer = self.command(&format!("REPLICAOF 127.0.0.1 {}", primary.port)).await?;
        ensure!(answer == "+OK", "REPLICAOF answered {answer}");
        Ok(())
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

/// One value of a server's INFO; empty where it has none.
pub(crate) async fn replication(port: u16, name: &str) -> Result<String> {
    let lines = ask(port, "INFO replication", LINES_MAX).await?;
    let value = lines.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    Ok(value.unwrap_or_default().to_owned())
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
