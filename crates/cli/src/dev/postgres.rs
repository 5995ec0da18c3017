//! PostgreSQL as a child process: found, initialised once, started, waited for.
//!
//! The server listens on the loopback address alone, without a Unix socket, and asks every role for its password. It is
//! tuned for a developer's machine, never for speed at the cost of durability: fsync and synchronous_commit stay on.

use std::{
    cmp::Reverse,
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, bail};
use holdfast_pg::DatabaseUrl;
use nix::sys::signal::Signal;
use sqlx::{Connection, Executor, PgConnection};
use tokio::time::interval;

use super::{
    account::Account,
    child::{self, ChildSpec, Supervised},
    layout::{Layout, write_private},
    secrets::secret,
};
use crate::exit::UsageError;

pub(crate) const NAME: &str = "postgres";
const MAJOR_MIN: u32 = 15;
pub(crate) const DATABASE: &str = "holdfast";
const ADMIN: &str = "postgres";
/// A server that was killed under load replays its log first.
const START_PATIENCE: Duration = Duration::from_secs(120);
const ASK_EVERY: Duration = Duration::from_millis(50);
const SETTINGS: [&str; 12] = [
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "max_connections=200",
    "shared_buffers=256MB",
    "fsync=on",
    "synchronous_commit=on",
    "wal_compression=on",
    "max_wal_size=2GB",
    "password_encryption=scram-sha-256",
    "logging_collector=off",
    "log_destination=stderr",
    "log_line_prefix=%m [%p] %q%u@%d %a ",
];

/// The running server.
#[derive(Debug)]
pub(crate) struct Postgres {
    port: u16,
    layout: Layout,
}

impl Postgres {
    pub(crate) async fn start(layout: &Layout, port: u16) -> anyhow::Result<(Self, Supervised)> {
        let account = Account::for_postgres()?;
        let home = account.home(layout, NAME).await?;
        // For `make clean`, since the data need not lie below the stack's directory.
        write_private(&layout.run().join("postgres.home"), home.as_os_str().as_encoded_bytes())?;
        let data = home.join("data");
        let programs = Programs::find(&data)?;
        if !data.join("PG_VERSION").exists() {
            initialise(layout, &account, &home, &programs).await?;
        }
        let mut args: Vec<OsString> = vec!["-D".into(), data.into(), "-c".into(), format!("port={port}").into()];
        args.extend(SETTINGS.iter().flat_map(|setting| ["-c".into(), setting.into()]));
        let child = Supervised::start(
            layout,
            ChildSpec {
                name: NAME.to_owned(),
                program: programs.directory.join("postgres"),
                args,
                env: Vec::new(),
                without_env: &[],
                account: Some(account),
                // Fast shutdown: sessions are ended, a checkpoint is written.
                stop_signal: Signal::SIGINT,
                stop_patience: Duration::from_secs(60),
            },
        )?;
        Ok((Self { port, layout: layout.clone() }, child))
    }

    pub(crate) async fn ready(&self, child: &Supervised) -> anyhow::Result<()> {
        let url = self.url_to(ADMIN, "postgres")?;
        child.until(START_PATIENCE, accepts_connections(&url)).await?;
        let mut admin = connect_admin(&url).await?;
        let exists: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_catalog.pg_database WHERE datname = $1)")
            .bind(DATABASE)
            .fetch_one(&mut admin)
            .await?;
        if !exists {
            admin.execute("CREATE DATABASE holdfast").await.context("creating the database")?;
        }
        Ok(admin.close().await?)
    }

    pub(crate) fn admin_url(&self) -> anyhow::Result<DatabaseUrl> {
        self.url(ADMIN)
    }

    /// The URL by which a role reaches the platform's database.
    pub(crate) fn url(&self, role: &str) -> anyhow::Result<DatabaseUrl> {
        self.url_to(role, DATABASE)
    }

    fn url_to(&self, role: &str, database: &str) -> anyhow::Result<DatabaseUrl> {
        let password = password(&self.layout, role)?;
        Ok(DatabaseUrl::parse(format!("postgres://{role}:{password}@127.0.0.1:{}/{database}", self.port))?)
    }
}

/// The password of a role, made at the first call.
pub(crate) fn password(layout: &Layout, role: &str) -> anyhow::Result<String> {
    secret(layout, &format!("{role}_password"))
}

/// A plain connection, for what only the administrator of a development stack may see.
pub(crate) async fn connect_admin(url: &DatabaseUrl) -> anyhow::Result<PgConnection> {
    PgConnection::connect(url.expose()).await.context("connecting to PostgreSQL as its administrator")
}

async fn accepts_connections(url: &DatabaseUrl) {
    let mut ticks = interval(ASK_EVERY);
    loop {
        ticks.tick().await;
        if let Ok(connection) = PgConnection::connect(url.expose()).await {
            let _ = connection.close().await;
            return;
        }
    }
}

/// Makes the data directory beside its place and moves it there as a whole, so that an interrupted first start is
/// begun anew by the second.
async fn initialise(layout: &Layout, account: &Account, home: &Path, programs: &Programs) -> anyhow::Result<()> {
    eprintln!("initialising PostgreSQL {} in {}", programs.major, home.display());
    fs::create_dir_all(home).with_context(|| home.display().to_string())?;
    account.own(home)?;
    let (draft, password_file) = (home.join("data.new"), home.join("initdb_password"));
    if draft.exists() {
        fs::remove_dir_all(&draft).with_context(|| draft.display().to_string())?;
    }
    write_private(&password_file, password(layout, ADMIN)?.as_bytes())?;
    account.own(&password_file)?;

    let mut initdb = child::command("TERM", account.name(), &programs.directory.join("initdb"))?;
    initdb.args(["--username", ADMIN, "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--data-checksums"]);
    initdb.arg("--pwfile").arg(&password_file).arg("-D").arg(&draft);
    let output = initdb.stdin(Stdio::null()).output().await.context("running initdb")?;
    fs::remove_file(&password_file)?;
    if !output.status.success() {
        bail!("initdb failed ({})\n{}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    fs::rename(&draft, home.join("data")).context("putting the data directory in its place")
}

/// The server's programs of one version.
#[derive(Debug)]
struct Programs {
    directory: PathBuf,
    major: u32,
}

impl Programs {
    /// The newest on this machine that is new enough; for data that exists, of the version that made it.
    fn find(data: &Path) -> anyhow::Result<Self> {
        let made_by: Option<u32> =
            fs::read_to_string(data.join("PG_VERSION")).ok().and_then(|version| version.trim().parse().ok());
        let mut found: Vec<Self> = directories().filter_map(Self::in_directory).collect();
        // Stable: of one version, what PATH finds comes first.
        found.sort_by_key(|programs| Reverse(programs.major));
        let majors: Vec<String> = found.iter().map(|programs| programs.major.to_string()).collect();
        let chosen = match made_by {
            Some(major) => found.into_iter().find(|programs| programs.major == major),
            None => found.into_iter().next().filter(|programs| programs.major >= MAJOR_MIN),
        };
        chosen.ok_or_else(|| {
            let wanted = made_by
                .map_or(format!("{MAJOR_MIN} or later"), |major| format!("{major}, which made {}", data.display()));
            let found = if majors.is_empty() { "none".to_owned() } else { majors.join(", ") };
            UsageError(format!(
                "PostgreSQL {wanted} is needed; found on this machine: {found} (see scripts/install-servers)"
            ))
            .into()
        })
    }

    fn in_directory(directory: PathBuf) -> Option<Self> {
        let server = directory.join("postgres");
        if !server.is_file() || !directory.join("initdb").is_file() {
            return None;
        }
        let output = std::process::Command::new(server).arg("--version").output().ok()?;
        Some(Self { directory, major: major(&String::from_utf8_lossy(&output.stdout))? })
    }
}

/// Where distributions put the server's programs: in the PATH, or, on Debian, one directory a version.
fn directories() -> impl Iterator<Item = PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let in_path: Vec<PathBuf> = env::split_paths(&path).collect();
    let debian =
        fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|entry| entry.path().join("bin"));
    in_path.into_iter().chain(debian)
}

/// The major version in "postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)".
fn major(version: &str) -> Option<u32> {
    let number = version.split_once("(PostgreSQL) ")?.1;
    let digits = number.split(|character: char| !character.is_ascii_digit()).next()?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_releases_and_betas() {
        assert_eq!(major("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)"), Some(15));
        assert_eq!(major("postgres (PostgreSQL) 19beta1"), Some(19));
        assert_eq!(major("something else"), None);
    }
}
