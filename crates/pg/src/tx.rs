//! An open transaction.

use std::{
    future::Future,
    ops::{Deref, DerefMut},
    pin::Pin,
    task::{Context, Poll},
};

use futures::{FutureExt as _, future::BoxFuture};
use sqlx::{AssertSqlSafe, PgConnection, Postgres, SqlSafeStr as _, Transaction, pool::PoolConnection};

use crate::DbError;

/// A transaction with its scope and time limit set. Dropped without [`Tx::commit`], it is rolled back.
///
/// After a failed statement drop it: PostgreSQL answers a COMMIT of a failed transaction with a silent rollback.
pub struct Tx {
    inner: Transaction<'static, Postgres>,
}

impl Tx {
    pub(crate) async fn begin(connection: PoolConnection<Postgres>, statement: String) -> Result<Self, sqlx::Error> {
        // What Pool::begin_with calls, with the connection already in hand: only this step must outlive its caller.
        let begin = Transaction::begin(connection, Some(AssertSqlSafe(statement).into_sql_str()));
        Beginning(Some(begin)).await.map(|inner| Self { inner })
    }

    /// Fails as [`DbError::AmbiguousCommit`] where the connection was lost before the answer.
    pub async fn commit(self) -> Result<(), DbError> {
        self.inner.commit().await.map_err(DbError::from_commit)
    }

    /// Rolls back and waits for it, which a drop does not.
    pub async fn rollback(self) -> Result<(), DbError> {
        Ok(self.inner.rollback().await?)
    }
}

impl Deref for Tx {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.inner
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.inner
    }
}

/// A BEGIN that is on its way. sqlx counts a transaction as open once its BEGIN is answered: a caller that went away just
/// before would return to the pool a connection with an open transaction in it, and with its scope. So the answer is
/// awaited even when the caller is gone; the transaction is then dropped, and rolled back, in the ordinary way.
struct Beginning(Option<BoxFuture<'static, Result<Transaction<'static, Postgres>, sqlx::Error>>>);

impl Future for Beginning {
    type Output = Result<Transaction<'static, Postgres>, sqlx::Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let begin = self.0.as_mut().expect("polled after it was ready");
        let result = futures::ready!(begin.poll_unpin(context));
        self.0 = None;
        Poll::Ready(result)
    }
}

impl Drop for Beginning {
    fn drop(&mut self) {
        // Outside a runtime the process is ending, and the connection with it.
        if let Some(begin) = self.0.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(begin);
        }
    }
}
