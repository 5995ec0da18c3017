//! PostgreSQL that fails over: two servers under Patroni with one etcd, and HAProxy in front of whoever is primary, as
//! `deploy/patroni` has them.

use std::{
    os::unix::{fs::chown, process::CommandExt as _},
    path::PathBuf,
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use holdfast_pg::DatabaseUrl;
use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, User},
};
use serde_json::Value;

use crate::{
    daemon::Daemon,
    eventually, free_port, http_get,
    janitor::Directory,
    pgbouncer::PASSWORD,
    postgres::{children_of, find_binaries, unprivileged_user},
};

const SETTINGS: &str = include_str!("../../../deploy/patroni/patroni.yml");
const PROXY: &str = include_str!("../../../deploy/patroni/haproxy.cfg");
const PROGRAMS: [&str; 3] = ["patroni", "etcd", "haproxy"];
const WITHIN: Duration = Duration::from_secs(120);

/// Fields are dropped, and so ended, in their order.
pub struct Patroni {
    _proxy: Daemon,
    nodes: [Node; 2],
    _etcd: Daemon,
    port: u16,
    _directory: Directory,
}

struct Node {
    name: &'static str,
    sql: u16,
    rest: u16,
    etcd: u16,
    home: PathBuf,
    user: Option<User>,
    daemon: Daemon,
}

impl Patroni {
    /// Whether this machine has what it takes: `scripts/install-patroni`.
    pub fn is_installed() -> bool {
        PROGRAMS.iter().all(|program| find(program).is_some())
    }

    /// Waits until one is primary and the other its synchronous standby.
    pub async fn start() -> Result<Self> {
        let directory = Directory::new("holdfast-patroni-")?;
        let user = unprivileged_user()?;
        let (etcd, client) = start_etcd(&directory)?;
        let mut nodes = Vec::new();
        for name in ["one", "two"] {
            let home = directory.join(name);
            std::fs::create_dir(&home)?;
            std::fs::write(home.join("patroni.yml"), SETTINGS)?;
            if let Some(user) = &user {
                chown(&home, Some(user.uid.as_raw()), Some(user.gid.as_raw()))?;
            }
            let daemon = Daemon::new(format!("Patroni {name}"), directory.join(format!("{name}.log")), Signal::SIGTERM);
            let (sql, rest) = (free_port()?, free_port()?);
            nodes.push(Node { name, sql, rest, etcd: client, home, user: user.clone(), daemon });
        }
        // Everybody passes through, to a home of their own.
        std::fs::set_permissions(&*directory, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        let nodes: [Node; 2] = nodes.try_into().ok().context("two nodes")?;
        for node in &nodes {
            node.start()?;
        }
        let (proxy, port) = start_proxy(&directory, &nodes)?;
        let patroni = Self { _proxy: proxy, nodes, _etcd: etcd, port, _directory: directory };
        patroni.whole().await?;
        Ok(patroni)
    }

    /// By the address that follows the primary.
    pub fn url(&self, role: &str, database: &str) -> Result<DatabaseUrl> {
        let url = format!("postgres://{role}:{PASSWORD}@127.0.0.1:{}/{database}?sslmode=disable", self.port);
        Ok(DatabaseUrl::parse(url)?)
    }

    /// The machine of the primary is lost: Patroni, PostgreSQL and every session at the same moment, by SIGKILL. Answers
    /// which, for [`Patroni::restart`].
    pub async fn kill_primary(&self) -> Result<usize> {
        for (place, node) in self.nodes.iter().enumerate() {
            if http_get(node.rest, "/primary").await.is_ok_and(|reply| reply.status == 200) {
                node.kill().await?;
                return Ok(place);
            }
        }
        anyhow::bail!("nobody is primary")
    }

    /// Whether the one that was killed has a successor, to which the address leads.
    pub async fn has_moved(&self, killed: usize) -> bool {
        let other = &self.nodes[1 - killed];
        http_get(other.rest, "/primary").await.is_ok_and(|reply| reply.status == 200)
    }

    /// The lost machine comes back, and follows its successor.
    pub fn restart(&self, killed: usize) -> Result<()> {
        self.nodes[killed].start()
    }

    /// Waits until there is a primary with a synchronous standby: the primary may be lost.
    pub async fn whole(&self) -> Result<()> {
        let look = || async {
            let reply = http_get(self.nodes[0].rest, "/cluster").await?;
            let cluster: Value = serde_json::from_str(&reply.body)?;
            let members = cluster["members"].as_array().context("no members")?;
            let has = |role: &str| members.iter().any(|member| member["role"] == role && running(member));
            ensure!(has("leader") && has("sync_standby"), "{cluster}");
            anyhow::Ok(())
        };
        let logs = || self.nodes.each_ref().map(|node| node.daemon.log_tail()).join("\n");
        eventually(look, WITHIN).await.with_context(logs)
    }
}

/// A standby is so or streams, by Patroni's version.
fn running(member: &Value) -> bool {
    member["state"] == "running" || member["state"] == "streaming"
}

fn start_etcd(directory: &Directory) -> Result<(Daemon, u16)> {
    let (client, peer) = (free_port()?, free_port()?);
    let (clients, peers) = (format!("http://127.0.0.1:{client}"), format!("http://127.0.0.1:{peer}"));
    let mut command = Command::new(find("etcd").context("etcd is not installed")?);
    command.current_dir(&**directory).process_group(0).arg("--data-dir").arg(directory.join("etcd"));
    command.args(["--listen-client-urls", &clients, "--advertise-client-urls", &clients]);
    command.args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers]);
    command.args(["--initial-cluster", &format!("default={peers}")]);
    let daemon = Daemon::new("etcd", directory.join("etcd.log"), Signal::SIGKILL);
    daemon.start(&mut command)?;
    Ok((daemon, client))
}

fn start_proxy(directory: &Directory, nodes: &[Node; 2]) -> Result<(Daemon, u16)> {
    let (port, config) = (free_port()?, directory.join("haproxy.cfg"));
    let [one, two] = nodes;
    let here = PROXY
        .replace("127.0.0.1:5000", &format!("127.0.0.1:{port}"))
        .replace("127.0.0.1:5431 check port 8001", &format!("127.0.0.1:{} check port {}", one.sql, one.rest))
        .replace("127.0.0.1:5432 check port 8002", &format!("127.0.0.1:{} check port {}", two.sql, two.rest));
    std::fs::write(&config, here)?;
    let mut command = Command::new(find("haproxy").context("HAProxy is not installed")?);
    command.current_dir(&**directory).process_group(0).arg("-db").arg("-f").arg(&config);
    let daemon = Daemon::new("HAProxy", directory.join("haproxy.log"), Signal::SIGKILL);
    daemon.start(&mut command)?;
    Ok((daemon, port))
}

impl Node {
    fn start(&self) -> Result<()> {
        let mut command = Command::new(find("patroni").context("Patroni is not installed")?);
        command.current_dir(&self.home).process_group(0).arg(self.home.join("patroni.yml"));
        if let Some(user) = &self.user {
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        }
        let (sql, rest) = (format!("127.0.0.1:{}", self.sql), format!("127.0.0.1:{}", self.rest));
        command.env("PATRONI_NAME", self.name).env("PATRONI_ETCD3_HOSTS", format!("127.0.0.1:{}", self.etcd));
        command.env("PATRONI_RESTAPI_LISTEN", &rest).env("PATRONI_RESTAPI_CONNECT_ADDRESS", &rest);
        command.env("PATRONI_POSTGRESQL_LISTEN", &sql).env("PATRONI_POSTGRESQL_CONNECT_ADDRESS", &sql);
        command.env("PATRONI_POSTGRESQL_DATA_DIR", self.data()).env("PATRONI_POSTGRESQL_BIN_DIR", find_binaries()?);
        command.env("PATRONI_POSTGRESQL_PGPASS", self.home.join("pgpass"));
        command.env("PATRONI_SUPERUSER_PASSWORD", PASSWORD).env("PATRONI_REPLICATION_PASSWORD", PASSWORD);
        self.daemon.start(&mut command)
    }

    fn data(&self) -> PathBuf {
        self.home.join("data")
    }

    /// While it runs: the file outlives a kill, and its number may by then be another's.
    fn postmaster(&self) -> Option<Pid> {
        let file = std::fs::read_to_string(self.data().join("postmaster.pid")).ok()?;
        let pid: i32 = file.lines().next()?.trim().parse().ok()?;
        let started_with = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let is_ours = String::from_utf8_lossy(&started_with).contains(self.data().to_str()?);
        is_ours.then(|| Pid::from_raw(pid))
    }

    async fn kill(&self) -> Result<()> {
        let postmaster = self.postmaster().context("no postmaster")?;
        // Paused, neither starts anything while they are counted.
        self.daemon.signal(Signal::SIGSTOP)?;
        kill(postmaster, Signal::SIGSTOP).context("cannot stop the postmaster")?;
        for session in children_of(postmaster.as_raw().try_into()?)? {
            // One that has ended meanwhile is as good as killed.
            let _ = kill(session, Signal::SIGKILL);
        }
        kill(postmaster, Signal::SIGKILL).context("cannot kill the postmaster")?;
        self.daemon.end(Signal::SIGKILL, WITHIN).await?;
        Ok(())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Patroni would stop it in good order, which takes its time and is nobody's any more.
        let _ = self.daemon.signal(Signal::SIGKILL);
        if let Some(postmaster) = self.postmaster() {
            let _ = kill(postmaster, Signal::SIGQUIT);
        }
    }
}

fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::env::split_paths(&path).chain(["/usr/sbin", "/usr/bin"].map(PathBuf::from));
    directories.map(|directory| directory.join(program)).find(|program| program.is_file())
}
