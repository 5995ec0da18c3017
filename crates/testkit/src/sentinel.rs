//! A Redis that fails over: one primary, two replicas and three Sentinels, as `deploy/redis` has them.

use std::{process::Command, time::Duration};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;

use crate::{
    Redis,
    daemon::Daemon,
    eventually, free_port,
    janitor::Directory,
    redis::{LINES_MAX, ask, replication},
};

const SETTINGS: &str = include_str!("../../../deploy/redis/sentinel.conf");
const SERVER_SETTINGS: &str = include_str!("../../../deploy/redis/redis.conf");
const NAME: &str = "holdfast";
const REPLICAS: usize = 2;
const SENTINELS: usize = 3;
const WITHIN: Duration = Duration::from_secs(60);

/// Two replicas and three Sentinels around a server that is primary at first.
pub struct Sentinels {
    first: u16,
    replicas: Vec<Redis>,
    sentinels: Vec<Sentinel>,
}

struct Sentinel {
    port: u16,
    daemon: Daemon,
    _directory: Directory,
}

impl Sentinels {
    /// A server with the settings that its replicas have too.
    pub async fn first() -> Result<Redis> {
        Redis::start_with(SERVER_SETTINGS).await
    }

    /// Waits until the replicas follow and every Sentinel knows all of them.
    pub async fn start(first: &Redis) -> Result<Self> {
        let mut replicas = Vec::new();
        for _ in 0..REPLICAS {
            let replica = Self::first().await?;
            replica.follow(first).await?;
            replicas.push(replica);
        }
        let sentinels = (0..SENTINELS).map(|_| Sentinel::start(first.port())).collect::<Result<_>>()?;
        let group = Self { first: first.port(), replicas, sentinels };
        group.whole().await?;
        Ok(group)
    }

    /// As services are told.
    pub fn url(&self) -> String {
        let ports: Vec<u16> = self.sentinels.iter().map(|sentinel| sentinel.port).collect();
        let others: String = ports[1..].iter().map(|port| format!("node=127.0.0.1:{port}&")).collect();
        format!("redis-sentinel://127.0.0.1:{}?{others}sentinelServiceName={NAME}", ports[0])
    }

    /// The primary where it is one of those that began as replicas; None where it is the first again.
    pub(crate) async fn promoted(&self) -> Result<Option<&Redis>> {
        let primary = self.primary().await?;
        Ok(self.replicas.iter().find(|replica| replica.port() == primary))
    }

    /// The port of the server that the Sentinels name, once it says the same of itself.
    async fn primary(&self) -> Result<u16> {
        let question = format!("SENTINEL GET-MASTER-ADDR-BY-NAME {NAME}");
        let lines = ask(self.sentinels[0].port, &question, 5).await?;
        let named = lines.last().context("no answer")?.parse().context("no port")?;
        let role = replication(named, "role").await?;
        ensure!(role == "master", "{named} is named and says that it is {role}");
        Ok(named)
    }

    /// Waits until all servers and all Sentinels are there and agree: whoever is primary may be lost.
    pub async fn whole(&self) -> Result<()> {
        let look = || async {
            let primary = self.primary().await?;
            let servers = self.replicas.iter().map(Redis::port).chain([self.first]);
            for port in servers.filter(|port| *port != primary) {
                let link = replication(port, "master_link_status").await?;
                let of = replication(port, "master_port").await?;
                ensure!(link == "up" && of == primary.to_string(), "{port} follows {of}, {link}");
            }
            for sentinel in &self.sentinels {
                let answer = ask(sentinel.port, &format!("SENTINEL CKQUORUM {NAME}"), 1).await?.concat();
                ensure!(answer.starts_with(&format!("+OK {SENTINELS} usable")), "{answer}");
                let known = ask(sentinel.port, "INFO sentinel", LINES_MAX).await?.concat();
                let all = format!("status=ok,address=127.0.0.1:{primary},slaves={REPLICAS},");
                ensure!(known.contains(&all), "{known}");
            }
            anyhow::Ok(())
        };
        eventually(look, WITHIN).await.with_context(|| self.sentinels[0].daemon.log_tail())
    }
}

impl Sentinel {
    fn start(primary: u16) -> Result<Self> {
        let (port, directory) = (free_port()?, Directory::new("holdfast-sentinel-")?);
        let config = directory.join("sentinel.conf");
        let here = SETTINGS
            .replace("port 26379", &format!("port {port}"))
            .replace(" 127.0.0.1 6379 ", &format!(" 127.0.0.1 {primary} "));
        std::fs::write(&config, format!("{here}\ndir {}\n", directory.display()))?;
        let daemon = Daemon::new("Sentinel", directory.join("log"), Signal::SIGKILL);
        let mut command = Command::new("redis-server");
        command.current_dir(&*directory).arg(&config).arg("--sentinel");
        daemon.start(&mut command)?;
        Ok(Self { port, daemon, _directory: directory })
    }
}
