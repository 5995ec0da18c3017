//! One handle for each kind of access, each over a pool and a login of its own.

use std::time::{Duration, Instant};

use sqlx::PgPool;

use crate::{DbError, PoolConfig, TenantScope, Tx, error::connection_is_lost};

/// The service for its callers. Every transaction names the tenants it may see.
#[derive(Debug, Clone)]
pub struct AppDb(Pool);

/// The service for itself: dispatch, sweepers, relays. Policies name its role; there is no scope.
#[derive(Debug, Clone)]
pub struct TaskDb(Pool);

/// Lists and histories, read-only and tenant-scoped, from the primary or from a replica that may lag. Decisions never
/// read from here.
#[derive(Debug, Clone)]
pub struct ReadDb(Pool);

impl AppDb {
    /// Begins in one trip. Past `deadline` the server cancels whatever statement of the transaction is running.
    pub async fn begin(&self, scope: &TenantScope, deadline: Option<Instant>) -> Result<Tx, DbError> {
        self.0.begin_scoped("BEGIN", scope, deadline).await
    }
}

impl ReadDb {
    /// As [`AppDb::begin`], read-only.
    pub async fn begin(&self, scope: &TenantScope, deadline: Option<Instant>) -> Result<Tx, DbError> {
        self.0.begin_scoped("BEGIN READ ONLY", scope, deadline).await
    }
}

impl TaskDb {
    /// Begins under the role's own statement and lock limits.
    pub async fn begin(&self) -> Result<Tx, DbError> {
        self.0.begin("BEGIN".to_owned(), None).await
    }
}

macro_rules! pooled {
    ($($handle:ident)*) => {$(
        impl $handle {
            /// Opens no connection yet; fails only on a bad URL.
            pub fn open(config: &PoolConfig, application_name: &str) -> Result<Self, DbError> {
                Pool::open(config, application_name).map(Self)
            }

            pub fn pool(&self) -> &PgPool {
                &self.0.pool
            }

            /// A trip to the server, for readiness.
            pub async fn ping(&self) -> Result<(), DbError> {
                self.0.ping().await
            }

            /// Closes the pool; calls that hold a connection finish first.
            pub async fn close(&self) {
                self.0.pool.close().await;
            }
        }
    )*};
}

pooled! { AppDb ReadDb TaskDb }

#[derive(Debug, Clone)]
struct Pool {
    pool: PgPool,
    connections_max: u32,
}

impl Pool {
    fn open(config: &PoolConfig, application_name: &str) -> Result<Self, DbError> {
        Ok(Self { pool: config.pool(application_name)?, connections_max: config.connections_max })
    }

    async fn begin_scoped(&self, begin: &str, scope: &TenantScope, deadline: Option<Instant>) -> Result<Tx, DbError> {
        // Before the statement that the scope guards, never inside it: there, the plan would decide which comes first.
        let mut statement = format!("{begin}; SELECT set_config('holdfast.tenants', '{}', true)", scope.setting());
        if let Some(deadline) = deadline {
            let left = deadline.checked_duration_since(Instant::now()).ok_or(DbError::DeadlinePassed)?;
            // 0 would mean no limit.
            let left_ms = left.min(STATEMENT_TIMEOUT_MAX).as_millis().max(1);
            statement.push_str(&format!(", set_config('statement_timeout', '{left_ms}', true)"));
        }
        self.begin(statement, deadline).await
    }

    async fn begin(&self, statement: String, deadline: Option<Instant>) -> Result<Tx, DbError> {
        let begin = self.begin_on_a_live_connection(statement);
        match deadline {
            None => begin.await,
            Some(deadline) => {
                tokio::time::timeout_at(deadline.into(), begin).await.map_err(|_| DbError::DeadlinePassed)?
            }
        }
    }

    /// A restart of PostgreSQL breaks every idle connection of the pool at once, and only BEGIN finds out. Nothing has
    /// happened yet at that point, so it is tried again, at most once for each connection the pool can have held.
    async fn begin_on_a_live_connection(&self, statement: String) -> Result<Tx, DbError> {
        for _ in 0..self.connections_max {
            match Tx::begin(self.pool.acquire().await?, statement.clone()).await {
                Ok(tx) => return Ok(tx),
                Err(error) if connection_is_lost(&error) => tracing::debug!(%error, "dropped a broken connection"),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Tx::begin(self.pool.acquire().await?, statement).await?)
    }

    async fn ping(&self) -> Result<(), DbError> {
        self.begin("BEGIN READ ONLY".to_owned(), None).await?.rollback().await
    }
}

/// The bound that `migrations/bootstrap.sql` gives the roles; a longer deadline does not lift it.
const STATEMENT_TIMEOUT_MAX: Duration = Duration::from_secs(30);
