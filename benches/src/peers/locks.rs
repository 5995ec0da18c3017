//! Other locks, run beside ours: etcd from PyPI, and a lock in Redis that promises nothing durable. A program of their own
//! (benches/peers/locks) puts the load on them, with as many threads as ours has.

use std::{fs::File, path::Path, process::Stdio, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use holdfast_testkit::{eventually, free_port, http_get};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use tokio::process::Child;

use super::{LockPrograms, called};
use crate::load::{
    Timing,
    lockers::TTL,
    pairs::{Crowd, OWN_KEYS, PairTimes, Pairs},
};

const READY_WITHIN: Duration = Duration::from_secs(30);
/// For its connections, and for the last answers.
const BESIDE_THE_LOAD: Duration = Duration::from_secs(60);
const WAL_SYNCS: &str = "etcd_disk_wal_fsync_duration_seconds_count";

/// One server on fresh data; every write is synced, as it comes.
pub struct Etcd {
    port: u16,
    child: Child,
    _directory: TempDir,
}

impl Etcd {
    pub async fn start(programs: &LockPrograms) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("holdfast-etcd-").tempdir()?;
        let log = directory.path().join("log");
        let (port, peer_port) = (free_port()?, free_port()?);
        let url = |port: u16| format!("http://127.0.0.1:{port}");
        let child = programs
            .etcd()
            .args(["--name", "bench", "--log-level", "error", "--data-dir"])
            .arg(directory.path().join("data"))
            .args(["--listen-client-urls", &url(port), "--advertise-client-urls", &url(port)])
            .args(["--listen-peer-urls", &url(peer_port), "--initial-advertise-peer-urls", &url(peer_port)])
            .args(["--initial-cluster", &format!("bench={}", url(peer_port))])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .kill_on_drop(true)
            .spawn()
            .context("cannot run etcd")?;
        let mut etcd = Self { port, child, _directory: directory };
        etcd.ready(&log).await?;
        Ok(etcd)
    }

    async fn ready(&mut self, log: &Path) -> Result<()> {
        let look = || async {
            let health = http_get(self.port, "/health").await?;
            ensure!(health.status == 200, "/health answered {}: {}", health.status, health.body);
            anyhow::Ok(())
        };
        let seen = eventually(look, READY_WITHIN).await;
        if let Some(status) = self.child.try_wait()? {
            bail!("etcd ended with {status}: {}", std::fs::read_to_string(log)?);
        }
        seen.context("etcd is not ready")
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub async fn version(&self) -> Result<String> {
        let version: serde_json::Value = serde_json::from_str(&http_get(self.port, "/version").await?.body)?;
        Ok(format!("etcd {}", version["etcdserver"].as_str().context("etcd names no version")?))
    }

    /// Since it started.
    pub async fn wal_syncs(&self) -> Result<f64> {
        let page = http_get(self.port, "/metrics").await?.body;
        let value = page.lines().find_map(|line| line.strip_prefix(WAL_SYNCS));
        Ok(value.context("etcd counts no syncs")?.trim().parse()?)
    }
}

/// What the program is told.
#[derive(Serialize)]
struct Run<'a, S> {
    system: S,
    url: &'a str,
    clients: usize,
    shared_keys: Option<usize>,
    own_keys: usize,
    ttl_s: u64,
    seconds: f64,
    notes: &'a Path,
}

pub struct Seen {
    pub times: PairTimes,
    /// What it called, word for word.
    pub settings: serde_json::Value,
}

/// What the program says at its end.
#[derive(Deserialize)]
struct Said(serde_json::Value);

pub async fn run(
    system: impl Serialize,
    url: &str,
    crowd: Crowd,
    timing: Timing,
    programs: &LockPrograms,
) -> Result<Seen> {
    let directory = tempfile::tempdir()?;
    let notes = directory.path().join("notes");
    let length = timing.warm_up + timing.window;
    let run = Run {
        system,
        url,
        clients: crowd.clients,
        shared_keys: crowd.shared_keys,
        own_keys: OWN_KEYS,
        ttl_s: TTL.as_secs(),
        seconds: length.as_secs_f64(),
        notes: &notes,
    };
    let Said(settings) = called(programs.load(), &run, length + BESIDE_THE_LOAD).await?;
    Ok(Seen { times: Pairs::read(&notes)?.seen(timing), settings })
}
