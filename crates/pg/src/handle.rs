//! One handle for each kind of access, each over a pool and a login of its own. The third, for lists, is in read.rs.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use sqlx::{AssertSqlSafe, PgConnection, PgPool, Postgres, pool::PoolConnection, raw_sql};
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

    /// Reads in one trip, by a function of the database that sets its scope itself and waits for no lock. Answers the connection as well, for what
    /// is to be written after the look: no transaction is open in it.
    pub async fn look<L: Statement>(&self, look: &L) -> Result<(L::Answer, Looked), DbError> {
        let (read, loan) = self.0.on_a_live_connection(look, self.0.write_time_max()).await?;
        Ok((read, Looked { loan, write_time_max: self.0.write_time_max() }))
    }

    /// As [`Looked::write`], on a connection of which nobody knows whether it still stands.
    pub async fn write<W: Statement>(&self, write: &W) -> Result<W::Answer, DbError> {
        let loan = Loan::new(self.0.pool.acquire().await?);
        Looked { loan, write_time_max: self.0.write_time_max() }.write(write).await
    }
}

/// One statement with its values.
pub trait Statement: Sync {
    type Answer: Send;

    fn run(&self, connection: &mut PgConnection) -> impl Future<Output = Result<Self::Answer, sqlx::Error>> + Send;
}

struct Begin(String);

impl Statement for Begin {
    type Answer = ();

    async fn run(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        raw_sql(AssertSqlSafe(self.0.clone())).execute(connection).await.map(drop)
    }
}

/// A connection in which something was looked at. Dropped, it is closed.
pub struct Looked {
    loan: Loan,
    write_time_max: Duration,
}

impl Looked {
    /// Writes in one trip, by a function of the database that sets its scope itself: a transaction by itself. Fails as [`DbError::AmbiguousCommit`] where
    /// the connection was lost, or fell silent, before the answer.
    pub async fn write<W: Statement>(mut self, write: &W) -> Result<W::Answer, DbError> {
        match timeout(self.write_time_max, write.run(&mut self.loan)).await {
            Ok(Ok(answer)) => {
                self.loan.give_back();
                Ok(answer)
            }
            Ok(Err(error)) => {
                if !connection_is_lost(&error) {
                    self.loan.give_back();
                }
                Err(DbError::from_commit(error))
            }
            Err(silent) => Err(DbError::AmbiguousCommit(Arc::new(no_answer(silent)))),
        }
    }

    /// Where there is nothing to write.
    pub fn give_back(self) {
        self.loan.give_back();
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

    /// Half of the whole: who waits for the whole is then told that it was the COMMIT that was not answered.
    fn write_time_max(&self) -> Duration {
        self.transaction_time_max / 2
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

    async fn begin_on_a_live_connection(&self, statement: String) -> Result<Tx, DbError> {
        let ((), loan) = self.on_a_live_connection(&Begin(statement), SILENT_AFTER).await?;
        Ok(Tx::begun(loan, self.write_time_max()))
    }

    /// A restart of PostgreSQL breaks every idle connection of the pool at once, and only the first statement finds out. Nothing has
    /// happened yet at that point, so it is tried again, at most once for each connection the pool can have held.
    ///
    /// sqlx waits for a server that refuses connections or starts, as long as one may wait for a connection. PgBouncer
    /// accepts them meanwhile and ends them when they are used: it is waited for here, as long.
    async fn on_a_live_connection<F: Statement>(
        &self,
        first: &F,
        within: Duration,
    ) -> Result<(F::Answer, Loan), DbError> {
        let (waits_until, mut broken) = (Instant::now() + self.acquire_timeout, 0);
        loop {
            let error = match self.pool.acquire().await {
                Ok(connection) => match self.first_on(connection, first, within).await {
                    Ok(done) => return Ok(done),
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

    /// Cut off on its way, it closes the connection: whether a transaction is open in it nobody knows. What swallowed the answer on one connection
    /// swallows it on the others that stood at the time: they are closed unasked, or each would cost somebody the same wait.
    async fn first_on<F: Statement>(
        &self,
        connection: PoolConnection<Postgres>,
        first: &F,
        within: Duration,
    ) -> Result<(F::Answer, Loan), sqlx::Error> {
        let mut loan = Loan::new(connection);
        match timeout(within, first.run(&mut loan)).await {
            Ok(answer) => Ok((answer?, loan)),
            Err(silent) => {
                self.close_idle();
                Err(no_answer(silent))
            }
        }
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
