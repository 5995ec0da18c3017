//! One handle for each kind of access, each over a pool and a login of its own. The third, for lists, is in read.rs.

use std::time::{Duration, Instant};

use sqlx::{PgConnection, PgPool, Postgres, pool::PoolConnection};
use tokio::time::{sleep, timeout, timeout_at};

use crate::{
    DbError, PoolConfig, TenantScope, Tx,
    error::{connection_is_lost, no_answer, pooler_has_no_server},
    loan::Loan,
};

/// The service for its callers. Every transaction names the tenants it may see.
#[derive(Debug, Clone)]
pub struct AppDb(Pool);

/// The service for itself: dispatch, sweepers, relays. Policies name its role; there is no scope.
#[derive(Debug, Clone)]
pub struct TaskDb(Pool);

impl AppDb {
    /// Begins in one trip. Past `deadline` the server cancels whatever statement of the transaction is running.
    pub async fn begin(&self, scope: &TenantScope, deadline: Option<Instant>) -> Result<Tx, DbError> {
        self.0.begin_scoped("BEGIN", scope, deadline).await
    }
}

impl TaskDb {
    /// Begins under the role's own statement and lock limits.
    pub async fn begin(&self) -> Result<Tx, DbError> {
        self.0.begin("BEGIN".to_owned(), self.0.ends(None)).await
    }

    /// Runs what needs no BEGIN and COMMIT, one trip a statement, within the time that a transaction may take. Whether
    /// a statement has happened that fails as [`DbError::TimeOver`] is not known.
    pub async fn run<T, E>(&self, statement: impl AsyncFnOnce(&mut PgConnection) -> Result<T, E>) -> Result<T, DbError>
    where
        DbError: From<E>,
    {
        let ran = self.bounded(async {
            let mut loan = Loan::new(self.0.pool.acquire().await?);
            let outcome = statement(&mut loan).await?;
            loan.give_back();
            Ok(outcome)
        });
        ran.await.inspect_err(|error| {
            if matches!(error, DbError::TimeOver) {
                self.0.close_idle();
            }
        })
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

            /// Runs a transaction, from its BEGIN to its COMMIT, within the time that one may take
            /// ([`PoolConfig::transaction_time_max_ms`]). Over that time it is cut off, and rolled back unless its COMMIT
            /// was already under way.
            ///
            /// The server's own statement_timeout does nothing for us where it is the server that has gone silent.
            pub async fn bounded<T, E: From<DbError>>(
                &self,
                transaction: impl Future<Output = Result<T, E>>,
            ) -> Result<T, E> {
                timeout(self.0.transaction_time_max, transaction).await.unwrap_or_else(|_| Err(DbError::TimeOver.into()))
            }

            /// A trip to the server, for readiness. Connections that have gone silent are found and closed by it.
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

pooled! { AppDb TaskDb }

#[derive(Debug, Clone)]
pub(crate) struct Pool {
    pool: PgPool,
    connections_max: u32,
    acquire_timeout: Duration,
    transaction_time_max: Duration,
}

impl Pool {
    pub(crate) fn open(config: &PoolConfig, application_name: &str) -> Result<Self, DbError> {
        Ok(Self {
            pool: config.pool(application_name)?,
            connections_max: config.connections_max,
            acquire_timeout: Duration::from_millis(config.acquire_timeout_ms),
            transaction_time_max: Duration::from_millis(config.transaction_time_max_ms),
        })
    }

    /// When a transaction that begins now is to have ended.
    fn ends(&self, deadline: Option<Instant>) -> Instant {
        let ends = Instant::now() + self.transaction_time_max;
        deadline.map_or(ends, |deadline| deadline.min(ends))
    }

    pub(crate) fn transaction_time_max(&self) -> Duration {
        self.transaction_time_max
    }

    pub(crate) async fn acquire(&self) -> Result<PoolConnection<Postgres>, sqlx::Error> {
        self.pool.acquire().await
    }

    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }

    pub(crate) async fn begin_scoped(
        &self,
        begin: &str,
        scope: &TenantScope,
        deadline: Option<Instant>,
    ) -> Result<Tx, DbError> {
        let ends = self.ends(deadline);
        let left = ends.checked_duration_since(Instant::now()).ok_or(DbError::DeadlinePassed)?;
        // Before the statement that the scope guards, never inside it: there, the plan would decide which comes first.
        let mut statement = format!("{begin}; SELECT set_config('holdfast.tenants', '{}', true)", scope.setting());
        if left < STATEMENT_TIMEOUT_MAX {
            // 0 would mean no limit.
            let left_ms = left.as_millis().max(1);
            statement.push_str(&format!(", set_config('statement_timeout', '{left_ms}', true)"));
        }
        self.begin(statement, ends).await
    }

    async fn begin(&self, statement: String, ends: Instant) -> Result<Tx, DbError> {
        let begin = self.begin_on_a_live_connection(statement);
        timeout_at(ends.into(), begin).await.map_err(|_| DbError::DeadlinePassed)?
    }

    /// A restart of PostgreSQL breaks every idle connection of the pool at once, and only BEGIN finds out. Nothing has
    /// happened yet at that point, so it is tried again, at most once for each connection the pool can have held.
    ///
    /// sqlx waits for a server that refuses connections or starts, as long as one may wait for a connection. PgBouncer
    /// accepts them meanwhile and ends them when they are used: it is waited for here, as long.
    async fn begin_on_a_live_connection(&self, statement: String) -> Result<Tx, DbError> {
        let (waits_until, mut broken) = (Instant::now() + self.acquire_timeout, 0);
        loop {
            let error = match self.pool.acquire().await {
                Ok(connection) => match self.begin_on(connection, statement.clone()).await {
                    Ok(tx) => return Ok(tx),
                    Err(error) => error,
                },
                Err(error) if pooler_has_no_server(&error) => error,
                Err(error) => return Err(error.into()),
            };
            if pooler_has_no_server(&error) && Instant::now() < waits_until {
                sleep(POOLER_RETRY).await;
            } else if connection_is_lost(&error) && broken < self.connections_max {
                tracing::debug!(%error, "dropped a broken connection");
                broken += 1;
            } else {
                return Err(error.into());
            }
        }
    }

    /// What swallowed the answer on one connection swallows it on the others that stood at the time: they are closed
    /// unasked, or each would cost somebody the same wait.
    async fn begin_on(&self, connection: PoolConnection<Postgres>, statement: String) -> Result<Tx, sqlx::Error> {
        // Half of the whole: who waits for the whole is then told that it was the COMMIT that was not answered.
        let begin = Tx::begin(connection, statement, self.transaction_time_max / 2);
        timeout(SILENT_AFTER, begin).await.unwrap_or_else(|silent| {
            self.close_idle();
            Err(no_answer(silent))
        })
    }

    fn close_idle(&self) {
        // Bounded, since what others give back meanwhile is idle too.
        for _ in 0..self.connections_max {
            let Some(connection) = self.pool.try_acquire() else { break };
            drop(Loan::new(connection));
        }
    }

    async fn ping(&self) -> Result<(), DbError> {
        self.begin("BEGIN READ ONLY".to_owned(), self.ends(None)).await?.rollback().await
    }
}

/// The bound that `migrations/bootstrap.sql` gives the roles; a longer deadline does not lift it.
const STATEMENT_TIMEOUT_MAX: Duration = Duration::from_secs(30);
/// BEGIN waits for no lock and reads no table: a server that has not answered it by then is not going to, on this
/// connection.
const SILENT_AFTER: Duration = Duration::from_secs(1);
/// Between two questions to a PgBouncer that has no server.
const POOLER_RETRY: Duration = Duration::from_millis(50);
