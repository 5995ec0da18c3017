//! A PgBouncer of one's own, as `deploy/pgbouncer` has it.

use std::{os::unix::fs::chown, path::PathBuf, process::Command, time::Duration};

use anyhow::{Context as _, Result};
use holdfast_pg::{DatabaseUrl, Role};
use nix::sys::signal::Signal;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _};

use crate::{Postgres, daemon::Daemon, eventually, free_port, janitor::Directory};

const START_WITHIN: Duration = Duration::from_secs(30);
const VERSION_MIN: (u32, u32) = (1, 21);
const SETTINGS: &str = include_str!("../../../deploy/pgbouncer/pgbouncer.ini");
const LOGINS: &str = include_str!("../../../deploy/pgbouncer/logins.sql");
const CONSOLE_USER: &str = "holdfast_pgbouncer";
pub(crate) const PASSWORD: &str = "holdfast-test";
/// [`PASSWORD`], after one iteration: it keeps no secret, and thousands of connections would each compute thousands of them.
const VERIFIER: &str = "SCRAM-SHA-256$1:aG9sZGZhc3QtdGVzdGtpdA==$+Iit3Jsv+Vn2RxqZgJ632AD6cnJ05Vh6YbltUa+EJ2Q=:etfahM5+1OqLOdcqkZEp1jN2tGW6JYKYkp/oWz+V4a4=";

/// In front of one server, to whose socket it goes; in transaction mode, asking every role for its password.
pub struct PgBouncer {
    port: u16,
    daemon: Daemon,
    _directory: Directory,
}

impl PgBouncer {
    /// `settings` are lines of its configuration that come after the others, and before them in force.
    pub async fn start(postgres: &Postgres, settings: &str) -> Result<Self> {
        let mut admin = PgConnection::connect(postgres.admin_url("postgres")?.expose()).await?;
        // A replica has what its primary was given.
        if !sqlx::query_scalar("SELECT pg_is_in_recovery()").fetch_one(&mut admin).await? {
            admin.execute(LOGINS).await.context("deploy/pgbouncer/logins.sql")?;
        }
        admin.close().await?;

        let (program, port, directory) = (find_program()?, free_port()?, Directory::new("holdfast-pgbouncer-")?);
        let (config, users) = (directory.join("pgbouncer.ini"), directory.join("users"));
        std::fs::write(&users, format!("\"{CONSOLE_USER}\" \"{PASSWORD}\"\n"))?;
        // Behind the section that the file ends with: one that is opened again begins with the defaults. Tests use hundreds
        // of databases: what one leaves idle must not be in the way of the next.
        let own = format!(
            "listen_port = {port}\nunix_socket_dir =\nauth_file = {}\nauth_dbname = postgres\nserver_idle_timeout = 2\n\
             {settings}\n[databases]\n* = host={} port={}\n",
            users.display(),
            postgres.directory().display(),
            postgres.port(),
        );
        std::fs::write(&config, format!("{SETTINGS}\n{own}"))?;

        // As the server: it refuses to run as root too.
        let mut command = Command::new(program);
        if let Some(user) = postgres.user() {
            chown(&*directory, Some(user.uid.as_raw()), Some(user.gid.as_raw()))?;
        }
        postgres.as_its_user(&mut command).arg(&config);
        let daemon = Daemon::new("PgBouncer", directory.join("log"), Signal::SIGQUIT);
        daemon.start(&mut command)?;
        let bouncer = Self { port, daemon, _directory: directory };
        let look = || async { anyhow::Ok(bouncer.console().await?.close().await?) };
        eventually(look, START_WITHIN).await.with_context(|| bouncer.daemon.log_tail())?;
        Ok(bouncer)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Logs in as `role`, by the password of [`set_passwords`].
    pub fn url(&self, role: &str, database: &str) -> Result<DatabaseUrl> {
        let url = format!("postgres://{role}:{PASSWORD}@127.0.0.1:{}/{database}?sslmode=disable", self.port);
        Ok(DatabaseUrl::parse(url)?)
    }

    /// Of a role that may look at its settings and figures.
    pub fn console_url(&self) -> Result<DatabaseUrl> {
        self.url(CONSOLE_USER, "pgbouncer")
    }

    /// Transactions that it has carried to this database so far.
    pub async fn transactions(&self, database: &str) -> Result<i64> {
        let mut console = self.console().await?;
        for row in console.fetch_all("SHOW STATS").await? {
            if row.try_get::<String, _>("database")? == database {
                // A bigint in some versions, a numeric in others; text in all of them.
                return Ok(row.try_get_unchecked("total_xact_count")?);
            }
        }
        Ok(0)
    }

    async fn console(&self) -> Result<PgConnection> {
        Ok(PgConnection::connect(self.console_url()?.expose()).await?)
    }
}

/// Gives every role of a service the password by which it passes a [`PgBouncer`].
pub async fn set_passwords(admin_url: &DatabaseUrl) -> Result<()> {
    let mut admin = PgConnection::connect(admin_url.expose()).await?;
    for role in pooled_roles() {
        let statement = format!("ALTER ROLE {role} PASSWORD '{VERIFIER}'");
        admin.execute(AssertSqlSafe(statement)).await?;
    }
    Ok(admin.close().await?)
}

/// Those of the services; owners migrate, and need a session.
pub(crate) fn pooled_roles() -> impl Iterator<Item = Role> {
    Role::ALL.into_iter().filter(|role| is_pooled(*role))
}

pub(crate) fn is_pooled(role: Role) -> bool {
    !role.name().ends_with("_owner")
}

/// Whether this machine has one. Where `HOLDFAST_TEST_PGBOUNCER` is set, no server of a test starts without it.
pub fn is_installed() -> bool {
    find_program().is_ok()
}

/// The machine's own where it is new enough, else what `scripts/install-pgbouncer` put there.
fn find_program() -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut candidates: Vec<PathBuf> = std::env::split_paths(&path).map(|bin| bin.join("pgbouncer")).collect();
    candidates.extend(["/usr/sbin/pgbouncer", "/var/lib/holdfast-servers/bin/pgbouncer"].map(PathBuf::from));
    let found = candidates.into_iter().find(|program| version(program).is_some_and(|version| version >= VERSION_MIN));
    found.context("PgBouncer 1.21 or later is not installed: scripts/install-pgbouncer")
}

fn version(program: &PathBuf) -> Option<(u32, u32)> {
    let output = Command::new(program).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut numbers = text.strip_prefix("PgBouncer ")?.split_whitespace().next()?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}
