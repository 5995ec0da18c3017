//! An open transaction.

use std::{
    ops::{Deref, DerefMut},
    sync::Arc,
    time::Duration,
};

use sqlx::{PgConnection, raw_sql};
use tokio::{runtime::Handle, time::timeout};

use crate::{
    DbError,
    error::{connection_is_lost, no_answer},
    loan::Loan,
};

/// A ROLLBACK waits for the statement before it, which the server may still be running for a caller that went away.
const ROLLBACK_TIME_MAX: Duration = Duration::from_secs(1);

const OPEN: &str = "only what consumes the transaction ends it";

/// A transaction with its scope and time limit set. Dropped without [`Tx::commit`], it is rolled back: in the background,
/// and by closing its connection where the server does not answer that soon.
///
/// BEGIN, COMMIT and ROLLBACK have bounds of their own. The whole is bounded by [`crate::AppDb::bounded`] and its twins.
///
/// After a failed statement drop it: PostgreSQL answers a COMMIT of a failed transaction with a silent rollback.
pub struct Tx {
    /// None once it has ended.
    loan: Option<Loan>,
    commit_time_max: Duration,
}

impl Tx {
    /// BEGIN was answered.
    pub(crate) fn begun(loan: Loan, commit_time_max: Duration) -> Self {
        Self { loan: Some(loan), commit_time_max }
    }

    /// Fails as [`DbError::AmbiguousCommit`] where the connection was lost, or fell silent, before the answer.
    pub async fn commit(mut self) -> Result<(), DbError> {
        let mut loan = self.loan.take().expect(OPEN);
        match timeout(self.commit_time_max, raw_sql("COMMIT").execute(&mut *loan)).await {
            Ok(Ok(_)) => loan.give_back(),
            Ok(Err(error)) => {
                if !connection_is_lost(&error) {
                    loan.give_back();
                }
                return Err(DbError::from_commit(error));
            }
            Err(silent) => return Err(DbError::AmbiguousCommit(Arc::new(no_answer(silent)))),
        }
        Ok(())
    }

    /// Rolls back and waits for it, which a drop does not.
    pub async fn rollback(mut self) -> Result<(), DbError> {
        Ok(roll_back(self.loan.take().expect(OPEN)).await?)
    }
}

async fn roll_back(mut loan: Loan) -> Result<(), sqlx::Error> {
    timeout(ROLLBACK_TIME_MAX, raw_sql("ROLLBACK").execute(&mut *loan)).await.map_err(no_answer)??;
    loan.give_back();
    Ok(())
}

impl Drop for Tx {
    fn drop(&mut self) {
        // Outside a runtime the process is ending, and the connection with it.
        if let (Some(loan), Ok(runtime)) = (self.loan.take(), Handle::try_current()) {
            runtime.spawn(roll_back(loan));
        }
    }
}

impl Deref for Tx {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        self.loan.as_ref().expect(OPEN)
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut PgConnection {
        self.loan.as_mut().expect(OPEN)
    }
}
