//! What a pool is made of.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, de::Error as _};
use sqlx::{
    ConnectOptions as _, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::DbError;

/// A `postgres://` URL. It may hold a password, so it shows itself to nobody.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// Refuses what is not a PostgreSQL URL. The error names the problem, not the URL.
    pub fn parse(url: impl Into<String>) -> Result<Self, DbError> {
        let url = url.into();
        // sqlx would read any scheme as its own.
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(sqlx::Error::Configuration("not a postgres:// URL".into()).into());
        }
        PgConnectOptions::from_str(&url)?;
        Ok(Self(url))
    }

    /// The URL with its password.
    pub fn expose(&self) -> &str {
        &self.0
    }

    pub(crate) fn options(&self) -> Result<PgConnectOptions, DbError> {
        Ok(PgConnectOptions::from_str(&self.0)?)
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DatabaseUrl(..)")
    }
}

impl FromStr for DatabaseUrl {
    type Err = DbError;

    fn from_str(url: &str) -> Result<Self, DbError> {
        Self::parse(url)
    }
}

impl<'de> Deserialize<'de> for DatabaseUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(String::deserialize(deserializer)?).map_err(|_| D::Error::custom("not a postgres:// URL"))
    }
}

/// One pool: one role's login and how many connections it may hold.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolConfig {
    pub url: DatabaseUrl,
    /// The server must allow (instances * 20) + 10 at this default.
    #[serde(default = "connections_max")]
    pub connections_max: u32,
    /// How long a call waits for a connection, a new one included, before it fails as unavailable.
    #[serde(default = "acquire_timeout_ms")]
    pub acquire_timeout_ms: u64,
    /// An unused connection is closed after this long.
    #[serde(default = "idle_timeout_ms")]
    pub idle_timeout_ms: u64,
    /// How long a transaction may take from BEGIN to COMMIT, whatever its caller would wait for. The default is a little
    /// more than the roles' own statement_timeout, which ends what is slow: this ends what a silent server never answers.
    #[serde(default = "transaction_time_max_ms")]
    pub transaction_time_max_ms: u64,
}

fn connections_max() -> u32 {
    20
}

fn acquire_timeout_ms() -> u64 {
    3_000
}

fn idle_timeout_ms() -> u64 {
    300_000
}

fn transaction_time_max_ms() -> u64 {
    35_000
}

impl PoolConfig {
    pub fn new(url: DatabaseUrl) -> Self {
        Self {
            url,
            connections_max: connections_max(),
            acquire_timeout_ms: acquire_timeout_ms(),
            idle_timeout_ms: idle_timeout_ms(),
            transaction_time_max_ms: transaction_time_max_ms(),
        }
    }

    pub fn with_connections_max(mut self, connections_max: u32) -> Self {
        self.connections_max = connections_max;
        self
    }

    /// Opens no connection yet: a service starts while PostgreSQL is away and becomes ready when it comes.
    pub(crate) fn pool(&self, application_name: &str) -> Result<PgPool, DbError> {
        // No statement in the logs: sqlx would write those that are slow, whole.
        let options = self.url.options()?.application_name(application_name).disable_statement_logging();
        Ok(PgPoolOptions::new()
            .max_connections(self.connections_max)
            .acquire_timeout(Duration::from_millis(self.acquire_timeout_ms))
            .idle_timeout(Duration::from_millis(self.idle_timeout_ms))
            // The test is a trip on every acquisition. BEGIN finds a broken connection just as well, see handle.rs.
            .test_before_acquire(false)
            .connect_lazy_with(options))
    }
}
