//! Redis as a child process: append-only file synced every second, nothing evicted, a password.

use std::{ffi::OsString, time::Duration};

use holdfast_redis::{Redis, RedisConfig};
use nix::sys::signal::Signal;
use tokio::time::interval;

use super::{
    child::{ChildSpec, Supervised},
    layout::{Layout, write_private},
    secrets::secret,
};

pub(crate) const NAME: &str = "redis";
pub(crate) const PREFIX: &str = "hf:dev";
/// Loading a large append-only file takes its time.
const START_PATIENCE: Duration = Duration::from_secs(60);
const ASK_EVERY: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub(crate) struct RedisServer {
    url: String,
}

impl RedisServer {
    pub(crate) fn start(layout: &Layout, port: u16) -> anyhow::Result<(Self, Supervised)> {
        let password = secret(layout, "redis_password")?;
        let config = layout.config("redis.conf");
        write_private(&config, render(layout, port, &password).as_bytes())?;
        let child = Supervised::start(
            layout,
            ChildSpec {
                name: NAME.to_owned(),
                program: "redis-server".into(),
                args: vec![OsString::from(config)],
                env: Vec::new(),
                without_env: &[],
                account: None,
                stop_signal: Signal::SIGTERM,
                stop_patience: Duration::from_secs(20),
            },
        )?;
        Ok((Self { url: format!("redis://:{password}@127.0.0.1:{port}/0") }, child))
    }

    pub(crate) async fn ready(&self, child: &Supervised) -> anyhow::Result<()> {
        let redis = Redis::connect(&RedisConfig { connections: 1, ..RedisConfig::new(&self.url, PREFIX) })?;
        let answers = async {
            let mut ticks = interval(ASK_EVERY);
            loop {
                ticks.tick().await;
                if redis.ping().await.is_ok() {
                    return;
                }
            }
        };
        child.until(START_PATIENCE, answers).await
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

fn render(layout: &Layout, port: u16, password: &str) -> String {
    format!(
        "# Written by `holdfast up`.\n\
         bind 127.0.0.1\n\
         port {port}\n\
         dir \"{}\"\n\
         requirepass {password}\n\
         daemonize no\n\
         save \"\"\n\
         appendonly yes\n\
         appendfsync everysec\n\
         maxmemory-policy noeviction\n",
        layout.redis().display(),
    )
}
