//! Leadership of a background task: a lease row, taken by predicate on the database's clock.
//!
//! At most one holder has a live lease. A holder that was paused past its expiry finds, at its next [`TaskLease::try_hold`],
//! either another holder or a higher epoch of its own. Until then it may believe it leads; tasks are idempotent, so that
//! a second leader for a moment costs work and never a fact.

use std::{sync::Arc, time::Duration};

use sqlx::AssertSqlSafe;

use crate::{DbError, TaskDb};

/// Grows with every change of hands, and when a holder takes its own lapsed lease again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub i64);

/// One task's lease, as one holder sees it.
#[derive(Debug, Clone)]
pub struct TaskLease {
    db: TaskDb,
    task: &'static str,
    holder: Arc<str>,
    ttl: Duration,
    take: Arc<str>,
    release: Arc<str>,
}

impl TaskLease {
    /// `schema` has a table `task_leases`. `holder` is unique to the process, not to its host: a restarted process must
    /// not be taken for its paused predecessor.
    pub fn new(
        db: TaskDb,
        schema: &'static str,
        task: &'static str,
        holder: impl Into<Arc<str>>,
        ttl: Duration,
    ) -> Self {
        let take = format!(
            "INSERT INTO {schema}.task_leases AS held (task, holder, epoch, expires_at)
             VALUES ($1, $2, 1, clock_timestamp() + make_interval(secs => $3))
             ON CONFLICT (task) DO UPDATE SET
                 holder = excluded.holder,
                 epoch = CASE WHEN held.holder = excluded.holder AND held.expires_at > clock_timestamp()
                              THEN held.epoch ELSE held.epoch + 1 END,
                 expires_at = clock_timestamp() + make_interval(secs => $3)
             WHERE held.holder = excluded.holder OR held.expires_at <= clock_timestamp()
             RETURNING epoch"
        );
        let release = format!(
            "UPDATE {schema}.task_leases SET expires_at = clock_timestamp()
             WHERE task = $1 AND holder = $2 AND expires_at > clock_timestamp()"
        );
        Self { db, task, holder: holder.into(), ttl, take: take.into(), release: release.into() }
    }

    pub fn task(&self) -> &'static str {
        self.task
    }

    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    /// Takes the lease or renews it; `None` while another holds it. Renew well within the time to live.
    pub async fn try_hold(&self) -> Result<Option<Epoch>, DbError> {
        let mut tx = self.db.begin().await?;
        let epoch: Option<i64> = sqlx::query_scalar(AssertSqlSafe(Arc::clone(&self.take)))
            .bind(self.task)
            .bind(self.holder.as_ref())
            .bind(self.ttl.as_secs_f64())
            .fetch_optional(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(epoch.map(Epoch))
    }

    /// Lets go at once, so that a drained instance's successor need not wait for the expiry.
    pub async fn release(&self) -> Result<(), DbError> {
        let mut tx = self.db.begin().await?;
        sqlx::query(AssertSqlSafe(Arc::clone(&self.release)))
            .bind(self.task)
            .bind(self.holder.as_ref())
            .execute(&mut *tx)
            .await?;
        tx.commit().await
    }
}
