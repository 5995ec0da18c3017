//! PgBouncer as a child process, with the settings of `deploy/pgbouncer`, between the services and PostgreSQL. Where this
//! machine has none that is new enough, services go to PostgreSQL itself, and `up` says so.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::Context;
use holdfast_pg::{DatabaseUrl, Role};
use nix::sys::signal::Signal;
use sqlx::{Connection, PgConnection};
use tokio::time::interval;

use super::{
    account::Account,
    child::{ChildSpec, Supervised},
    layout::{Layout, write_private},
    postgres::{self, DATABASE},
    secrets::secret,
};

pub(crate) const NAME: &str = "pgbouncer";
const SETTINGS: &str = include_str!("../../../../deploy/pgbouncer/pgbouncer.ini");
/// May look at the console, and logs in nowhere else.
const CONSOLE_USER: &str = "holdfast_pgbouncer";
const POOLED: [Role; 5] = [Role::JobsApp, Role::JobsTask, Role::LocksApp, Role::LocksTask, Role::Relay];
const START_PATIENCE: Duration = Duration::from_secs(30);
const ASK_EVERY: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub(crate) struct PgBouncer {
    port: u16,
    layout: Layout,
}

impl PgBouncer {
    /// None where this machine has none that is new enough.
    pub(crate) async fn start(
        layout: &Layout,
        port: u16,
        postgres_port: u16,
    ) -> anyhow::Result<Option<(Self, Supervised)>> {
        let Some(program) = find_program() else {
            eprintln!(
                "note: no PgBouncer 1.21 or later on this machine; services go to PostgreSQL itself (see \
                 scripts/install-pgbouncer)"
            );
            return Ok(None);
        };
        // It does not run as root either.
        let account = Account::for_postgres()?;
        let home = account.home(layout, NAME).await?;
        fs::create_dir_all(&home).with_context(|| home.display().to_string())?;
        account.own(&home)?;
        let (config, users) = (home.join("pgbouncer.ini"), home.join("users"));
        for (path, content) in [(&users, users_file(layout)?), (&config, render(port, postgres_port, &users))] {
            write_private(path, content.as_bytes())?;
            account.own(path)?;
        }
        let child = Supervised::start(
            layout,
            ChildSpec {
                name: NAME.to_owned(),
                program,
                args: vec![config.into()],
                env: Vec::new(),
                without_env: &[],
                account: Some(account),
                // At once: its clients were stopped before it.
                stop_signal: Signal::SIGQUIT,
                stop_patience: Duration::from_secs(10),
            },
        )?;
        Ok(Some((Self { port, layout: layout.clone() }, child)))
    }

    pub(crate) async fn ready(&self, child: &Supervised) -> anyhow::Result<()> {
        let url = self.console_url()?;
        let answers = async {
            let mut ticks = interval(ASK_EVERY);
            loop {
                ticks.tick().await;
                if let Ok(console) = PgConnection::connect(url.expose()).await {
                    let _ = console.close().await;
                    return;
                }
            }
        };
        child.until(START_PATIENCE, answers).await
    }

    /// The URL by which a role reaches the platform's database through it.
    pub(crate) fn url(&self, role: Role) -> anyhow::Result<DatabaseUrl> {
        self.url_of(role.name(), &postgres::password(&self.layout, role.name())?, DATABASE)
    }

    /// For `holdfast doctor`.
    pub(crate) fn console_url(&self) -> anyhow::Result<DatabaseUrl> {
        self.url_of(CONSOLE_USER, &console_password(&self.layout)?, "pgbouncer")
    }

    fn url_of(&self, login: &str, password: &str, database: &str) -> anyhow::Result<DatabaseUrl> {
        let url = format!("postgres://{login}:{password}@127.0.0.1:{}/{database}?sslmode=disable", self.port);
        Ok(DatabaseUrl::parse(url)?)
    }
}

fn console_password(layout: &Layout) -> anyhow::Result<String> {
    secret(layout, &format!("{CONSOLE_USER}_password"))
}

/// On one machine the passwords lie beside it anyway: no role and no function of the database is needed for them.
fn users_file(layout: &Layout) -> anyhow::Result<String> {
    let mut file = format!("\"{CONSOLE_USER}\" \"{}\"\n", console_password(layout)?);
    for role in POOLED {
        file += &format!("\"{role}\" \"{}\"\n", postgres::password(layout, role.name())?);
    }
    Ok(file)
}

/// The deployment's settings, and behind them, in the section that they end with, where things are here.
fn render(port: u16, postgres_port: u16, users: &Path) -> String {
    format!(
        "{SETTINGS}\nlisten_port = {port}\nunix_socket_dir =\nauth_file = {}\n\
         [databases]\n{DATABASE} = host=127.0.0.1 port={postgres_port}\n",
        users.display(),
    )
}

/// The machine's own, or what `scripts/install-pgbouncer` unpacked.
fn find_program() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let in_path: Vec<PathBuf> = env::split_paths(&path).map(|directory| directory.join("pgbouncer")).collect();
    let elsewhere = ["/usr/sbin/pgbouncer", "/var/lib/holdfast-servers/bin/pgbouncer"].map(PathBuf::from);
    in_path.into_iter().chain(elsewhere).find(|program| {
        let output = Command::new(program).arg("--version").output();
        output.is_ok_and(|output| is_recent(&String::from_utf8_lossy(&output.stdout)))
    })
}

/// Whether "PgBouncer 1.24.1" is 1.21 or later: older ones break prepared statements.
pub(crate) fn is_recent(version: &str) -> bool {
    let mut numbers = version.split(|character: char| !character.is_ascii_digit()).filter(|part| !part.is_empty());
    let mut next = || numbers.next().and_then(|part| part.parse::<u32>().ok()).unwrap_or_default();
    (next(), next()) >= (1, 21)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(is_recent("PgBouncer 1.24.1\nlibevent 2.1.12-stable") && is_recent("PgBouncer 1.21.0"));
        assert!(is_recent("PgBouncer 2.0"));
        assert!(!is_recent("PgBouncer 1.18.0") && !is_recent("PgBouncer 1.9.0") && !is_recent("?"));
    }

    #[test]
    fn what_is_here_stands_behind_what_is_deployed() {
        let text = render(1, 2, Path::new("/users"));
        let (sections, _) = text.split_once("listen_port = 1\n").unwrap();
        assert!(sections.rfind("[pgbouncer]") > sections.rfind("[databases]"), "{text}");
    }
}
