//! The whole stack: started bottom up, watched, stopped top down.

use std::{fs, path::PathBuf};

use anyhow::Context;
use futures::future::select_all;
use holdfast_caller::issuer::DevIssuer;
use holdfast_pg::{DatabaseUrl, Role, migrate};
use serde::{Deserialize, Serialize};

use super::{
    child::Supervised,
    layout::{Layout, write_private},
    orphans,
    pgbouncer::{self, PgBouncer},
    ports::Ports,
    postgres::{self, Postgres},
    redis::{self, RedisServer},
    secrets::secret,
    services::{self, SecretFiles, Service},
};
use crate::exit::UsageError;

/// What other commands need to know to reach the running stack. Secrets stay in files of their own.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct StackInfo {
    /// Of the jobs service.
    pub(crate) endpoint: String,
    pub(crate) locks_endpoint: String,
    pub(crate) health_urls: Vec<(String, String)>,
    pub(crate) admin_url_file: PathBuf,
    /// Of PgBouncer's console, where services go through one.
    pub(crate) pool_url_file: Option<PathBuf>,
    pub(crate) redis_url_file: PathBuf,
    pub(crate) redis_prefix: String,
    pub(crate) event_key_file: PathBuf,
}

impl StackInfo {
    pub(crate) fn load(layout: &Layout) -> anyhow::Result<Self> {
        let path = layout.stack_info();
        let text = fs::read(&path).map_err(|_| {
            UsageError(format!("no stack runs in {}; start one with `holdfast up`", layout.root().display()))
        })?;
        serde_json::from_slice(&text).with_context(|| path.display().to_string())
    }

    pub(crate) fn admin_url(&self) -> anyhow::Result<DatabaseUrl> {
        Ok(DatabaseUrl::parse(read(&self.admin_url_file)?)?)
    }

    pub(crate) fn pool_url(&self) -> anyhow::Result<Option<DatabaseUrl>> {
        self.pool_url_file.as_ref().map(|file| Ok(DatabaseUrl::parse(read(file)?)?)).transpose()
    }

    pub(crate) fn redis_url(&self) -> anyhow::Result<String> {
        read(&self.redis_url_file)
    }

    pub(crate) fn event_key(&self) -> anyhow::Result<Vec<u8>> {
        Ok(read(&self.event_key_file)?.into_bytes())
    }
}

fn read(path: &PathBuf) -> anyhow::Result<String> {
    Ok(fs::read_to_string(path).with_context(|| path.display().to_string())?.trim().to_owned())
}

/// Children in the order in which they were started.
#[derive(Debug)]
pub(crate) struct Stack {
    children: Vec<Supervised>,
    layout: Layout,
}

impl Stack {
    pub(crate) fn new(layout: &Layout) -> Self {
        Self { children: Vec::new(), layout: layout.clone() }
    }

    /// Starts everything, each part when what it stands on is ready. What was started stays in `self` also where a later
    /// part fails, to be stopped.
    pub(crate) async fn start(&mut self, ports: &Ports) -> anyhow::Result<StackInfo> {
        let layout = self.layout.clone();
        let children = [services::JOBS, services::LOCKS, services::RELAY, redis::NAME, pgbouncer::NAME, postgres::NAME];
        orphans::stop_all(&layout, &children).await?;
        ports.check_free()?;

        let (postgres, child) = Postgres::start(&layout, ports.postgres).await?;
        postgres.ready(self.add(child)).await?;
        let (redis, child) = RedisServer::start(&layout, ports.redis)?;
        redis.ready(self.add(child)).await?;

        let admin_url = postgres.admin_url()?;
        migrate(&layout, &admin_url).await?;
        // After the migration, which gives the roles the passwords that it passes on.
        let pgbouncer = match PgBouncer::start(&layout, ports.pgbouncer, ports.postgres).await? {
            Some((pgbouncer, child)) => {
                pgbouncer.ready(self.add(child)).await?;
                Some(pgbouncer)
            }
            None => None,
        };
        let urls = ServiceUrls::of(|role| match &pgbouncer {
            Some(pgbouncer) => pgbouncer.url(role),
            None => postgres.url(role.name()),
        })?;
        let secrets = write_secrets(&layout, &urls, redis.url())?;
        let (jobs, child) = Service::jobs(&layout, ports, &secrets)?;
        jobs.ready(self.add(child)).await?;
        let (locks, child) = Service::locks(&layout, ports, &secrets)?;
        locks.ready(self.add(child)).await?;
        let (relay, child) = Service::relay(&layout, ports, &secrets)?;
        relay.ready(self.add(child)).await?;

        let info = StackInfo {
            endpoint: format!("http://127.0.0.1:{}", ports.jobs),
            locks_endpoint: format!("http://127.0.0.1:{}", ports.locks),
            health_urls: vec![
                (services::JOBS.to_owned(), jobs.health_url),
                (services::LOCKS.to_owned(), locks.health_url),
                (services::RELAY.to_owned(), relay.health_url),
            ],
            admin_url_file: layout.secret("admin_url"),
            pool_url_file: pgbouncer.as_ref().map(|_| layout.secret("pool_url")),
            redis_url_file: secrets.redis_url,
            redis_prefix: redis::PREFIX.to_owned(),
            event_key_file: secrets.event_key,
        };
        write_private(&info.admin_url_file, admin_url.expose().as_bytes())?;
        if let (Some(pgbouncer), Some(file)) = (&pgbouncer, &info.pool_url_file) {
            write_private(file, pgbouncer.console_url()?.expose().as_bytes())?;
        }
        write_private(&layout.stack_info(), &serde_json::to_vec_pretty(&info)?)?;
        Ok(info)
    }

    /// From here on the child is stopped with the rest, whatever becomes of it.
    fn add(&mut self, child: Supervised) -> &Supervised {
        let place = self.children.len();
        self.children.push(child);
        &self.children[place]
    }

    /// Waits until a child ends that should not, and says what is known of its end.
    pub(crate) async fn broken(&self) -> String {
        let ends = self.children.iter().map(|child| Box::pin(async move { child.obituary(child.exited().await) }));
        match ends.len() {
            0 => std::future::pending().await,
            _ => select_all(ends).await.0,
        }
    }

    /// Stops everything, the last started first. Goes on where one resists, and answers the first error.
    pub(crate) async fn stop(&mut self) -> anyhow::Result<()> {
        let _ = fs::remove_file(self.layout.stack_info());
        let mut first_error = Ok(());
        while let Some(child) = self.children.pop() {
            if !child.has_exited() {
                eprintln!("stopping {}", child.name());
            }
            let stopped = child.stop().await.map(drop);
            first_error = first_error.and(stopped);
        }
        first_error
    }
}

struct ServiceUrls {
    jobs_app: DatabaseUrl,
    jobs_task: DatabaseUrl,
    locks_app: DatabaseUrl,
    locks_task: DatabaseUrl,
    relay: DatabaseUrl,
}

impl ServiceUrls {
    fn of(url: impl Fn(Role) -> anyhow::Result<DatabaseUrl>) -> anyhow::Result<Self> {
        Ok(Self {
            jobs_app: url(Role::JobsApp)?,
            jobs_task: url(Role::JobsTask)?,
            locks_app: url(Role::LocksApp)?,
            locks_task: url(Role::LocksTask)?,
            relay: url(Role::Relay)?,
        })
    }
}

async fn migrate(layout: &Layout, admin_url: &DatabaseUrl) -> anyhow::Result<()> {
    let mut passwords = migrate::Passwords::new();
    for role in Role::ALL {
        passwords.insert(role, postgres::password(layout, role.name())?);
    }
    migrate::bootstrap(admin_url, &passwords).await.context("making roles and schemas")?;
    for schema in migrate::schemas() {
        let applied = migrate::up(admin_url, schema).await.with_context(|| format!("migrating schema {schema}"))?;
        if !applied.is_empty() {
            eprintln!("migrated schema {schema}: {} applied", applied.len());
        }
    }
    Ok(())
}

fn write_secrets(layout: &Layout, urls: &ServiceUrls, redis_url: &str) -> anyhow::Result<SecretFiles> {
    let write = |name: &str, content: &str| -> anyhow::Result<PathBuf> {
        let path = layout.secret(name);
        write_private(&path, content.as_bytes())?;
        Ok(path)
    };
    secret(layout, "event_key")?;
    Ok(SecretFiles {
        jobs_app_url: write("jobs_app_url", urls.jobs_app.expose())?,
        jobs_task_url: write("jobs_task_url", urls.jobs_task.expose())?,
        locks_app_url: write("locks_app_url", urls.locks_app.expose())?,
        locks_task_url: write("locks_task_url", urls.locks_task.expose())?,
        relay_url: write("relay_url", urls.relay.expose())?,
        redis_url: write("redis_url", redis_url)?,
        event_key: layout.secret("event_key"),
        key_set: signing_key(layout)?,
    })
}

/// The development issuer's key, made at the first start. Answers the file with its public half.
fn signing_key(layout: &Layout) -> anyhow::Result<PathBuf> {
    DevIssuer::load_or_generate(&layout.keys())?;
    Ok(DevIssuer::key_set_path(&layout.keys()))
}
