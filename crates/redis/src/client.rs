use std::{sync::Arc, time::Duration};

use fred::{
    clients::{Client, Pool, SubscriberClient},
    interfaces::ClientLike,
    types::config::{Config, ConnectionConfig, PerformanceConfig, ReconnectPolicy, TcpConfig, UnresponsiveConfig},
};
use tokio_util::task::AbortOnDropHandle;

use crate::{Keys, RedisConfig, RedisError};

/// No command outlives this, whether Redis is there or not.
pub const COMMAND_TIMEOUT: Duration = Duration::from_secs(1);
const UNRESPONSIVE_AFTER: Duration = Duration::from_secs(2);
pub(crate) const RECONNECT_DELAY: Duration = Duration::from_millis(200);
const SCHEMES: [&str; 6] = ["redis", "rediss", "redis-sentinel", "rediss-sentinel", "redis-cluster", "rediss-cluster"];
const CONNECTIONS_MAX: usize = 20;

/// A pool of connections and the keys of one environment. Cheap to clone; connects in the background and reconnects
/// forever, so that a process starts and runs while Redis is away.
#[derive(Clone)]
pub struct Redis {
    pool: Pool,
    keys: Keys,
    config: Arc<Config>,
    _connection: Arc<AbortOnDropHandle<Result<(), fred::error::Error>>>,
}

impl Redis {
    /// Starts to connect; does not wait for it. Must be called inside a tokio runtime.
    pub fn connect(config: &RedisConfig) -> Result<Self, RedisError> {
        if !(1..=CONNECTIONS_MAX).contains(&config.connections) {
            let message = format!("must be 1 to {CONNECTIONS_MAX}");
            return Err(RedisError::Config { field: "connections", message });
        }
        let keys = Keys::new(&config.prefix)?;
        let wired = wired(&config.url)?;
        let pool =
            Pool::new(wired.clone(), Some(performance()), Some(connection()), Some(reconnect()), config.connections)?;
        let connection = Arc::new(AbortOnDropHandle::new(pool.connect()));
        Ok(Self { pool, keys, config: Arc::new(wired), _connection: connection })
    }

    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// One connection of the pool, a connected one where there is one. Commands on one client are answered in order.
    pub fn client(&self) -> &Client {
        self.pool.next_connected()
    }

    /// Asks the server for a sign of life, within [`COMMAND_TIMEOUT`].
    pub async fn ping(&self) -> Result<(), RedisError> {
        Ok(self.client().ping::<()>(None).await?)
    }

    /// Waits until the first connection stands or `patience` is over.
    pub async fn wait_until_connected(&self, patience: Duration) -> Result<(), RedisError> {
        match tokio::time::timeout(patience, self.pool.wait_for_connect()).await {
            Ok(connected) => Ok(connected?),
            Err(_) => {
                let error = fred::error::Error::new(fred::error::ErrorKind::Timeout, "no connection yet");
                Err(RedisError::Unavailable(error))
            }
        }
    }

    /// A connection of its own, for commands whose meaning hangs on it. Not connected yet.
    pub(crate) fn apart(&self) -> Client {
        let config = self.config.as_ref().clone();
        Client::new(config, Some(performance()), Some(connection()), Some(reconnect()))
    }

    pub(crate) fn is_cluster(&self) -> bool {
        self.config.server.is_clustered()
    }

    /// A connection of its own: one that has subscribed serves no other commands.
    pub(crate) fn subscriber(&self) -> SubscriberClient {
        let config = self.config.as_ref().clone();
        SubscriberClient::new(config, Some(performance()), Some(connection()), Some(reconnect()))
    }
}

fn wired(url: &str) -> Result<Config, RedisError> {
    // The library takes any other scheme for redis://.
    if !url.split_once("://").is_some_and(|(scheme, _)| SCHEMES.contains(&scheme)) {
        return Err(RedisError::Config {
            field: "url",
            message: format!("begins with none of {}", SCHEMES.join(", ")),
        });
    }
    let config = Config::from_url(url).map_err(|error| {
        // The library's message may repeat the URL, which may hold a password; its kind may not.
        RedisError::Config { field: "url", message: format!("is not a Redis URL ({:?})", error.kind()) }
    })?;
    Ok(Config { fail_fast: false, ..config })
}

fn performance() -> PerformanceConfig {
    PerformanceConfig {
        default_command_timeout: COMMAND_TIMEOUT,
        broadcast_channel_capacity: 1024,
        ..Default::default()
    }
}

fn connection() -> ConnectionConfig {
    ConnectionConfig {
        connection_timeout: COMMAND_TIMEOUT,
        internal_command_timeout: COMMAND_TIMEOUT,
        // One attempt: a command that was in flight when the connection broke must not run again, unasked, later.
        max_command_attempts: 1,
        unresponsive: UnresponsiveConfig { max_timeout: Some(UNRESPONSIVE_AFTER), interval: UNRESPONSIVE_AFTER / 4 },
        tcp: TcpConfig { nodelay: Some(true), ..Default::default() },
        ..Default::default()
    }
}

fn reconnect() -> ReconnectPolicy {
    const FOREVER: u32 = 0;
    ReconnectPolicy::new_constant(FOREVER, RECONNECT_DELAY.as_millis() as u32)
}
