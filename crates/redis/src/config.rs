use std::fmt;

use serde::Deserialize;

/// Where Redis is. The URL's scheme says how it is run: `redis://`, `redis-sentinel://` or `redis-cluster://`, each with
/// an `s` after `redis` for TLS (`rediss://`, `rediss-cluster://`).
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedisConfig {
    /// May hold a password: `redis://:password@host:6379/0`,
    /// `redis-sentinel://host:26379?node=other:26379&sentinelServiceName=primary`, `redis-cluster://host:7000?node=other:7001`.
    pub url: String,
    /// Separates environments that share a server; in front of every key and channel.
    #[serde(default = "default_prefix")]
    pub prefix: String,
    /// Connections of the pool, 1 to 20.
    #[serde(default = "default_connections")]
    pub connections: usize,
}

impl RedisConfig {
    pub fn new(url: impl Into<String>, prefix: impl Into<String>) -> Self {
        Self { url: url.into(), prefix: prefix.into(), connections: default_connections() }
    }
}

/// Leaves the URL out: it may hold a password.
impl fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisConfig")
            .field("prefix", &self.prefix)
            .field("connections", &self.connections)
            .finish_non_exhaustive()
    }
}

fn default_prefix() -> String {
    "hf:dev".to_owned()
}

fn default_connections() -> usize {
    10
}
