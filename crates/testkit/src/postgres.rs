//! A PostgreSQL server of one's own.

use std::{
    os::unix::{fs::chown, process::CommandExt as _},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use holdfast_pg::{DatabaseUrl, Role};
use nix::{
    errno::Errno,
    sys::signal::{Signal, kill},
    unistd::{Pid, Uid, User},
};
use sqlx::{Connection as _, Executor as _, PgConnection};
use tokio::sync::OnceCell;

use crate::{
    PgBouncer,
    daemon::Daemon,
    eventually, free_port,
    janitor::Directory,
    pgbouncer::{is_pooled, pooled_roles},
};

const START_WITHIN: Duration = Duration::from_secs(60);
const VERSION_MIN: u32 = 15;
/// Set, every server has a PgBouncer, and services reach it through that or not at all.
const POOLED: &str = "HOLDFAST_TEST_PGBOUNCER";
static SHARED: OnceCell<Postgres> = OnceCell::const_new();

#[derive(Debug, Clone, Copy)]
pub struct PostgresOptions {
    /// Off where a test is about many writes and never kills the server.
    pub fsync: bool,
    pub shared_buffers_mb: u32,
    /// Further settings, `name=value` each.
    pub settings: &'static [&'static str],
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self { fsync: true, shared_buffers_mb: 128, settings: &[] }
    }
}

/// A server in a directory of its own, on a TCP port and a unix socket, trusting every login. Holds no connection: tests
/// of several runtimes share it.
pub struct Postgres {
    pgbouncer: Option<PgBouncer>,
    binaries: PathBuf,
    port: u16,
    options: PostgresOptions,
    user: Option<User>,
    daemon: Daemon,
    directory: Directory,
    /// Name of the migrated template database, once it is made.
    pub(crate) template: OnceCell<String>,
}

impl Postgres {
    /// The server that all tests of this process share. Do not kill it: start your own for that.
    pub async fn shared() -> Result<&'static Self> {
        SHARED.get_or_try_init(|| Self::start(PostgresOptions::default())).await
    }

    pub async fn start(options: PostgresOptions) -> Result<Self> {
        let binaries = find_binaries()?;
        let directory = Directory::new("holdfast-pg-")?;
        let user = unprivileged_user()?;
        if let Some(user) = &user {
            chown(&*directory, Some(user.uid.as_raw()), Some(user.gid.as_raw()))?;
        }
        // SIGQUIT: at once, but it gives its shared memory back.
        let daemon = Daemon::new("PostgreSQL", directory.join("log"), Signal::SIGQUIT);
        let port = free_port()?;
        let template = OnceCell::new();
        let mut postgres = Self { pgbouncer: None, binaries, directory, port, options, user, daemon, template };
        postgres.initialise()?;
        let pooled = std::env::var_os(POOLED).is_some_and(|value| !value.is_empty());
        if pooled {
            postgres.close_to_services()?;
        }
        postgres.restart().await?;
        if pooled {
            postgres.pgbouncer = Some(PgBouncer::start(&postgres, "").await?);
        }
        Ok(postgres)
    }

    /// What stands between it and the services, where `HOLDFAST_TEST_PGBOUNCER` is set.
    pub fn pgbouncer(&self) -> Option<&PgBouncer> {
        self.pgbouncer.as_ref()
    }

    /// Where services go: its PgBouncer's, or else its own.
    pub fn service_port(&self) -> u16 {
        self.pgbouncer.as_ref().map_or(self.port, PgBouncer::port)
    }

    /// As the program of this role reaches it: a service through PgBouncer, where there is one.
    pub fn login(&self, role: Role, database: &str) -> Result<DatabaseUrl> {
        match &self.pgbouncer {
            Some(pgbouncer) if is_pooled(role) => pgbouncer.url(role.name(), database),
            _ => self.url(role.name(), database),
        }
    }

    /// A streaming replica of it, on the same terms and with the same ways in: another server of one's own.
    pub async fn replica(&self) -> Result<Self> {
        let directory = Directory::new("holdfast-pg-")?;
        if let Some(user) = &self.user {
            chown(&*directory, Some(user.uid.as_raw()), Some(user.gid.as_raw()))?;
        }
        let mut replica = Self {
            pgbouncer: None,
            binaries: self.binaries.clone(),
            port: free_port()?,
            options: self.options,
            user: self.user.clone(),
            daemon: Daemon::new("a replica of PostgreSQL", directory.join("log"), Signal::SIGQUIT),
            directory,
            template: OnceCell::new(),
        };
        let mut copy = self.command("pg_basebackup");
        copy.arg("--pgdata").arg(replica.data()).args(["--host", "127.0.0.1", "--username", "postgres", "--port"]);
        copy.arg(self.port.to_string());
        copy.args(["--checkpoint", "fast", "--wal-method", "stream", "--write-recovery-conf", "--no-sync"]);
        let output = copy.output().context("cannot run pg_basebackup")?;
        ensure!(output.status.success(), "pg_basebackup failed:\n{}", String::from_utf8_lossy(&output.stderr));
        replica.restart().await?;
        if self.pgbouncer.is_some() {
            replica.pgbouncer = Some(PgBouncer::start(&replica, "").await?);
        }
        Ok(replica)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where its unix socket is, for `psql -h`.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Logs in as `role`; every role is trusted.
    pub fn url(&self, role: &str, database: &str) -> Result<DatabaseUrl> {
        let url = format!("postgres://{role}@127.0.0.1:{}/{database}?sslmode=disable", self.port);
        Ok(DatabaseUrl::parse(url)?)
    }

    /// The superuser's login.
    pub fn admin_url(&self, database: &str) -> Result<DatabaseUrl> {
        self.url("postgres", database)
    }

    /// Roles of services may come by the socket, where PgBouncer comes, and only with the password that it was shown. A
    /// test that would pass by without PgBouncer fails.
    fn close_to_services(&self) -> Result<()> {
        let path = self.data().join("pg_hba.conf");
        let trusting = std::fs::read_to_string(&path)?;
        let roles = pooled_roles().map(Role::name).collect::<Vec<_>>().join(",");
        let rules = format!("local all {roles} scram-sha-256\nhost all {roles} all reject\n");
        Ok(std::fs::write(&path, format!("{rules}{trusting}"))?)
    }

    /// From now on `role` logs in by its password.
    pub async fn require_passwords(&self, role: &str) -> Result<()> {
        let path = self.data().join("pg_hba.conf");
        let trusting = std::fs::read_to_string(&path)?;
        std::fs::write(&path, format!("host all {role} 127.0.0.1/32 scram-sha-256\n{trusting}"))?;
        let mut connection = PgConnection::connect(self.admin_url("postgres")?.expose()).await?;
        connection.execute("SELECT pg_reload_conf()").await?;
        // Files are read again in the background; a connection made after that shows the new rules.
        let look = || async {
            let mut connection = PgConnection::connect(self.admin_url("postgres")?.expose()).await?;
            let loaded: bool = sqlx::query_scalar(
                "SELECT pg_conf_load_time() > (pg_stat_file('pg_hba.conf')).modification - interval '1 second'",
            )
            .fetch_one(&mut connection)
            .await?;
            ensure!(loaded, "pg_hba.conf is not loaded yet");
            anyhow::Ok(())
        };
        eventually(look, START_WITHIN).await
    }

    /// A crash: SIGKILL to the postmaster and to every session at the same time. Left to themselves, sessions notice only
    /// when they next wait, and commit what reaches them before that.
    pub async fn kill(&self) -> Result<()> {
        let postmaster = self.daemon.pid().context("postgres is not running")?;
        // Paused, it starts no further children while they are counted.
        self.daemon.signal(Signal::SIGSTOP)?;
        let children = children_of(postmaster)?;
        for child in &children {
            match kill(*child, Signal::SIGKILL) {
                Ok(()) | Err(Errno::ESRCH) => {}
                Err(error) => return Err(error).context("cannot kill a session"),
            }
        }
        self.daemon.end(Signal::SIGKILL, START_WITHIN).await?;
        Ok(())
    }

    /// The whole server goes silent, with its connections open: a frozen host. Until the guard is dropped.
    pub fn freeze(&self) -> Result<Frozen> {
        let postmaster = self.daemon.pid().context("postgres is not running")?;
        let mut frozen = Frozen(Vec::new());
        frozen.add(Pid::from_raw(postmaster as i32))?;
        for child in children_of(postmaster)? {
            frozen.add(child)?;
        }
        Ok(frozen)
    }

    /// Sessions by their `pg_backend_pid()` go silent, as connections do whose packets the network swallows; others, and
    /// new ones, are served. On a server of your own: creating and dropping a database waits for every session.
    pub fn freeze_sessions(&self, backends: &[i32]) -> Result<Frozen> {
        let mut frozen = Frozen(Vec::new());
        for backend in backends {
            frozen.add(Pid::from_raw(*backend))?;
        }
        Ok(frozen)
    }

    /// A fast shutdown, as an administrator restarts it: sessions are told and end, commits finish.
    pub async fn stop(&self) -> Result<()> {
        self.daemon.end(Signal::SIGINT, START_WITHIN).await?;
        Ok(())
    }

    /// Starts it on the same data and port after [`Postgres::kill`] or [`Postgres::stop`] and waits until it answers.
    pub async fn restart(&self) -> Result<()> {
        let url = self.admin_url("postgres")?;
        self.launch()?;
        let look = || async {
            if self.daemon.pid().is_some() && self.daemon.try_wait()?.is_some() {
                // After a kill the old children may still hold the shared memory for a moment.
                self.launch()?;
            }
            let connection = PgConnection::connect(url.expose()).await?;
            anyhow::Ok(connection.close().await?)
        };
        eventually(look, START_WITHIN).await.with_context(|| self.daemon.log_tail())
    }

    /// A copy of all that it has stored, for [`Postgres::restore`]. Of a server that is stopped.
    pub fn back_up(&self) -> Result<Backup> {
        ensure!(self.daemon.pid().is_none(), "a running server's files are not a backup");
        let backup = Backup(Directory::new("holdfast-pg-backup-")?);
        copy(&self.data(), &backup.0.join("data"))?;
        Ok(backup)
    }

    /// Back to what was stored then: what was committed since is gone. Of a server that is stopped.
    pub fn restore(&self, backup: &Backup) -> Result<()> {
        ensure!(self.daemon.pid().is_none(), "a running server's files are not to be replaced");
        std::fs::remove_dir_all(self.data())?;
        copy(&backup.0.join("data"), &self.data())
    }

    fn launch(&self) -> Result<()> {
        let fsync = if self.options.fsync { "on" } else { "off" };
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data()).arg("-k").arg(&*self.directory);
        for setting in [
            "listen_addresses=127.0.0.1",
            &format!("port={}", self.port),
            &format!("fsync={fsync}"),
            "max_connections=300",
            &format!("shared_buffers={}MB", self.options.shared_buffers_mb),
            "max_wal_size=2GB",
            "timezone=UTC",
            "log_timezone=UTC",
            "log_line_prefix=%m [%p] %u@%d ",
        ] {
            command.arg("-c").arg(setting);
        }
        for setting in self.options.settings {
            command.arg("-c").arg(setting);
        }
        self.daemon.start(&mut command)
    }

    fn initialise(&self) -> Result<()> {
        let output = self
            .command("initdb")
            .arg("-D")
            .arg(self.data())
            .args(["--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C"])
            .output()
            .context("cannot run initdb")?;
        ensure!(output.status.success(), "initdb failed:\n{}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.binaries.join(program));
        self.as_its_user(&mut command);
        command
    }

    /// None where whoever runs the tests will do.
    pub(crate) fn user(&self) -> Option<&User> {
        self.user.as_ref()
    }

    pub(crate) fn as_its_user<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.current_dir(&*self.directory).process_group(0);
        if let Some(user) = &self.user {
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        }
        command
    }
}

/// What a server had stored.
pub struct Backup(Directory);

/// Owners and permissions too, which PostgreSQL insists on.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let output = Command::new("cp").arg("--archive").arg(from).arg(to).output().context("cannot run cp")?;
    ensure!(output.status.success(), "cp failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// Processes that are stopped; they go on when this is dropped.
#[must_use]
pub struct Frozen(Vec<Pid>);

impl Frozen {
    fn add(&mut self, process: Pid) -> Result<()> {
        kill(process, Signal::SIGSTOP).context("cannot stop a process of PostgreSQL")?;
        self.0.push(process);
        Ok(())
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        for process in &self.0 {
            // One that has ended needs no waking.
            let _ = kill(*process, Signal::SIGCONT);
        }
    }
}

pub(crate) fn children_of(parent: u32) -> Result<Vec<Pid>> {
    let mut children = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        // A process that has ended meanwhile is nobody's child.
        let Ok(status) = std::fs::read_to_string(format!("/proc/{pid}/status")) else { continue };
        let of = status.lines().find_map(|line| line.strip_prefix("PPid:"));
        if of.and_then(|of| of.trim().parse().ok()) == Some(parent) {
            children.push(Pid::from_raw(pid));
        }
    }
    Ok(children)
}

/// PostgreSQL refuses to run as root; whoever else we are will do.
pub(crate) fn unprivileged_user() -> Result<Option<User>> {
    if !Uid::effective().is_root() {
        return Ok(None);
    }
    for name in ["postgres", "nobody"] {
        if let Some(user) = User::from_name(name)? {
            return Ok(Some(user));
        }
    }
    bail!("PostgreSQL does not run as root, and there is neither a user postgres nor a user nobody")
}

/// The newest of Debian's versioned directories, else what is in the PATH.
pub(crate) fn find_binaries() -> Result<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse::<u32>().ok()?, entry.path().join("bin"))))
        .filter(|(version, bin)| *version >= VERSION_MIN && bin.join("initdb").exists())
        .max();
    if let Some((_, bin)) = newest {
        return Ok(bin);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).find(|bin| bin.join("initdb").exists() && bin.join("postgres").exists());
    found
        .context("PostgreSQL 15 or later is not installed: apt-get install postgresql (initdb and postgres are needed)")
}
