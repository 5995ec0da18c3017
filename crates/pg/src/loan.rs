//! A connection on loan from its pool.
//!
//! sqlx takes a connection back after a ping that nothing bounds. Where the server has gone silent (its host froze, the
//! network swallows packets) that ping is never answered, and the pool is smaller by one for good. So a connection of
//! ours goes back within a bound or not at all: it is closed, without a word to the server, and its place in the pool is
//! free again.

use std::{
    ops::{Deref, DerefMut},
    time::Duration,
};

use sqlx::{PgConnection, Postgres, pool::PoolConnection};

/// How long the server may take to show that it is ready for the next borrower.
const RETURN_TIME_MAX: Duration = Duration::from_secs(1);

/// Closes its connection when it is dropped, wherever that is; only [`Loan::give_back`] returns it.
pub(crate) struct Loan(Option<PoolConnection<Postgres>>);

impl Loan {
    pub(crate) fn new(connection: PoolConnection<Postgres>) -> Self {
        Self(Some(connection))
    }

    /// In a task of its own, as sqlx does it: nobody waits for the server once more.
    pub(crate) fn give_back(self) {
        tokio::spawn(tokio::time::timeout(RETURN_TIME_MAX, self.returned()));
    }

    /// Cut off at any point, it closes the connection.
    async fn returned(mut self) {
        if let Some(mut connection) = self.0.take() {
            // Outside sqlx's documented interface, and the only way to wait for what its drop spawns without a bound.
            connection.return_to_pool().await;
        }
    }
}

impl Deref for Loan {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        self.0.as_ref().expect("it is taken only by what consumes the loan")
    }
}

impl DerefMut for Loan {
    fn deref_mut(&mut self) -> &mut PgConnection {
        self.0.as_mut().expect("it is taken only by what consumes the loan")
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            drop(connection.detach());
        }
    }
}
