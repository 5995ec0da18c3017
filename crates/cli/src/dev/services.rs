//! The platform's services as child processes: what each is told through its environment and one configuration file.

use std::{env, ffi::OsString, path::PathBuf, time::Duration};

use anyhow::Context;
use holdfast_caller::issuer::{AUDIENCE, ISSUER};
use nix::sys::signal::Signal;
use serde::Serialize;
use tokio::time::interval;

use super::{
    child::{ChildSpec, Supervised},
    layout::{Layout, write_private},
    ports::Ports,
    redis::PREFIX,
};
use crate::exit::UsageError;

pub(crate) const JOBS: &str = "jobs";
pub(crate) const LOCKS: &str = "locks";
pub(crate) const RELAY: &str = "relay";
pub(crate) const TENANT: &str = "dev";
pub(crate) const EVENT_KEY_ID: &str = "dev-1";
pub(crate) const TOUR_SERIAL_PROJECT: &str = "tour-serial";
pub(crate) const TOUR_PARALLEL_PROJECTS: [&str; 4] = ["tour-north", "tour-east", "tour-south", "tour-west"];
const TOUR_RUNNING_PER_PROJECT: u32 = 16;
/// Short, so that one sees within seconds what becomes of a killed worker's jobs.
const LEASE_TTL_MS: u64 = 5_000;
const READY_PATIENCE: Duration = Duration::from_secs(60);
const ASK_EVERY: Duration = Duration::from_millis(50);

/// Files with what services must not be told by environment variables or arguments.
#[derive(Debug)]
pub(crate) struct SecretFiles {
    pub(crate) jobs_app_url: PathBuf,
    pub(crate) jobs_task_url: PathBuf,
    pub(crate) locks_app_url: PathBuf,
    pub(crate) locks_task_url: PathBuf,
    pub(crate) relay_url: PathBuf,
    pub(crate) redis_url: PathBuf,
    pub(crate) event_key: PathBuf,
    pub(crate) key_set: PathBuf,
}

#[derive(Debug)]
pub(crate) struct Service {
    /// Where it answers about itself.
    pub(crate) health_url: String,
}

impl Service {
    pub(crate) fn jobs(layout: &Layout, ports: &Ports, secrets: &SecretFiles) -> anyhow::Result<(Self, Supervised)> {
        let config = layout.config("jobs.toml");
        write_private(&config, toml::to_string(&JobsConfig::development())?.as_bytes())?;
        let mut env = Environment::new("JOBS");
        env.set("GRPC__LISTEN", format!("127.0.0.1:{}", ports.jobs));
        env.set("HTTP__LISTEN", format!("127.0.0.1:{}", ports.jobs_http));
        env.set("DATABASE__APP_URL_FILE", &secrets.jobs_app_url);
        env.set("DATABASE__TASK_URL_FILE", &secrets.jobs_task_url);
        env.set("REDIS__URL_FILE", &secrets.redis_url);
        env.set("REDIS__PREFIX", PREFIX);
        env.set("AUTH__ISSUER", ISSUER);
        env.set("AUTH__AUDIENCE", AUDIENCE);
        env.set("AUTH__KEYS_FILE", &secrets.key_set);
        env.suggest("LEASES__TTL_MS", LEASE_TTL_MS.to_string());
        // Who tries things out, and the tour, submits more in a minute than a person would.
        env.suggest("RATES__USERS_PER_MINUTE", "0");
        let args = vec!["--config".into(), config.into_os_string()];
        Self::start(layout, JOBS, args, env, ports.jobs_http)
    }

    pub(crate) fn locks(layout: &Layout, ports: &Ports, secrets: &SecretFiles) -> anyhow::Result<(Self, Supervised)> {
        let mut env = Environment::new("LOCKS");
        env.set("GRPC__LISTEN", format!("127.0.0.1:{}", ports.locks));
        env.set("HTTP__LISTEN", format!("127.0.0.1:{}", ports.locks_http));
        env.set("DATABASE__APP_URL_FILE", &secrets.locks_app_url);
        env.set("DATABASE__TASK_URL_FILE", &secrets.locks_task_url);
        env.set("REDIS__URL_FILE", &secrets.redis_url);
        env.set("REDIS__PREFIX", PREFIX);
        env.set("AUTH__ISSUER", ISSUER);
        env.set("AUTH__AUDIENCE", AUDIENCE);
        env.set("AUTH__KEYS_FILE", &secrets.key_set);
        Self::start(layout, LOCKS, Vec::new(), env, ports.locks_http)
    }

    pub(crate) fn relay(layout: &Layout, ports: &Ports, secrets: &SecretFiles) -> anyhow::Result<(Self, Supervised)> {
        let mut env = Environment::new("RELAY");
        env.set("HTTP__LISTEN", format!("127.0.0.1:{}", ports.relay_http));
        env.set("DATABASE__URL_FILE", &secrets.relay_url);
        env.set("REDIS__URL_FILE", &secrets.redis_url);
        env.set("REDIS__PREFIX", PREFIX);
        env.set("SIGNING__KEY_FILE", &secrets.event_key);
        env.set("SIGNING__KEY_ID", EVENT_KEY_ID);
        Self::start(layout, RELAY, Vec::new(), env, ports.relay_http)
    }

    fn start(
        layout: &Layout,
        name: &str,
        args: Vec<OsString>,
        env: Environment,
        http: u16,
    ) -> anyhow::Result<(Self, Supervised)> {
        let child = Supervised::start(
            layout,
            ChildSpec {
                name: name.to_owned(),
                program: beside_us(&format!("holdfast-{name}"))?,
                args,
                env: env.variables,
                without_env: &[],
                account: None,
                stop_signal: Signal::SIGTERM,
                stop_patience: Duration::from_secs(45),
            },
        )?;
        Ok((Self { health_url: format!("http://127.0.0.1:{http}") }, child))
    }

    /// Waits until the service says of itself and everything it depends on that it is ready.
    pub(crate) async fn ready(&self, child: &Supervised) -> anyhow::Result<()> {
        let client = reqwest::Client::builder().timeout(Duration::from_secs(5)).no_proxy().build()?;
        let url = format!("{}/readyz", self.health_url);
        let answers = async {
            let mut ticks = interval(ASK_EVERY);
            loop {
                ticks.tick().await;
                if client.get(&url).send().await.is_ok_and(|response| response.status().is_success()) {
                    return;
                }
            }
        };
        child.until(READY_PATIENCE, answers).await
    }
}

/// A service's program lies in the directory of this one.
fn beside_us(name: &str) -> anyhow::Result<PathBuf> {
    let path = env::current_exe().context("finding this executable")?.with_file_name(name);
    if !path.is_file() {
        return Err(
            UsageError(format!("{} is missing; build it with `cargo build --workspace`", path.display())).into()
        );
    }
    Ok(path)
}

/// Variables `HOLDFAST_<SERVICE>__SECTION__KEY`.
struct Environment {
    prefix: String,
    variables: Vec<(String, OsString)>,
}

impl Environment {
    fn new(service: &str) -> Self {
        Self { prefix: format!("HOLDFAST_{service}__"), variables: Vec::new() }
    }

    fn set(&mut self, key: &str, value: impl Into<OsString>) {
        self.variables.push((format!("{}{key}", self.prefix), value.into()));
    }

    /// Set unless the user has set it: they try out another value.
    fn suggest(&mut self, key: &str, value: impl Into<OsString>) {
        if env::var_os(format!("{}{key}", self.prefix)).is_none() {
            self.set(key, value);
        }
    }
}

/// The part of the jobs service's configuration that is made of lists.
#[derive(Serialize)]
struct JobsConfig {
    limits: Limits,
    workers: Vec<Worker>,
}

#[derive(Serialize)]
struct Limits {
    projects: Vec<ProjectLimit>,
}

#[derive(Serialize)]
struct ProjectLimit {
    tenant: &'static str,
    project: &'static str,
    running: u32,
}

#[derive(Serialize)]
struct Worker {
    subject: &'static str,
    tenants: [&'static str; 1],
    intents: [&'static str; 1],
}

impl JobsConfig {
    fn development() -> Self {
        let limit = |project, running| ProjectLimit { tenant: TENANT, project, running };
        let parallel = TOUR_PARALLEL_PROJECTS.iter().map(|project| limit(project, TOUR_RUNNING_PER_PROJECT));
        let worker = |subject| Worker { subject, tenants: [TENANT], intents: ["*"] };
        Self {
            limits: Limits { projects: std::iter::once(limit(TOUR_SERIAL_PROJECT, 1)).chain(parallel).collect() },
            workers: vec![worker("tour-worker*"), worker("dev-worker*")],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_file_reads_as_documented() {
        let text = toml::to_string(&JobsConfig::development()).unwrap();
        assert!(
            text.contains("[[limits.projects]]\ntenant = \"dev\"\nproject = \"tour-serial\"\nrunning = 1\n"),
            "{text}"
        );
        assert!(text.contains("[[workers]]\nsubject = \"tour-worker*\"\n"), "{text}");
    }
}
