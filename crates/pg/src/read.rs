//! Reads that may be a little old: from a replica within a declared lag, else from the primary.
//!
//! How old a replica's answer can be is measured with our own clock and the primary's positions in its log, and with no
//! other machine's clock: a replica that has replayed the position where the primary stood at some moment has everything
//! that was committed before that moment. An idle primary stands still, and so nobody lags behind it. While the primary
//! cannot be asked, nobody knows what its replicas lack: reads go to the primary then, and fail as its own.

use std::{
    collections::VecDeque,
    ops::{Deref, DerefMut},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use sqlx::PgConnection;
use tokio::{
    task::JoinHandle,
    time::{MissedTickBehavior, interval, timeout},
};

use crate::{DbError, PoolConfig, TenantScope, Tx, handle::Pool, loan::Loan};

/// So many times within the lag that may be, and every second at least.
const MEASURED_TIMES: u32 = 5;
const MEASURED_EVERY_MAX: Duration = Duration::from_secs(1);
/// A replica that has not begun a transaction by then is away. The primary still has time to answer.
const REPLICA_ANSWERS_WITHIN: Duration = Duration::from_millis(500);
const BEGIN: &str = "BEGIN READ ONLY";

/// Lists, histories and reports, read-only and tenant-scoped, from the primary or from a replica that may lag. Decisions never
/// read from here: what it hands out is no [`Tx`], and nothing that writes takes it.
#[derive(Debug, Clone)]
pub struct ReadDb {
    primary: Pool,
    replica: Option<Arc<Replica>>,
}

/// A read-only transaction, on a replica or on the primary. It is taken for no other:
///
/// ```compile_fail,E0308
/// async fn decide(_: &mut holdfast_pg::Tx) {}
///
/// async fn list(mut tx: holdfast_pg::ReadTx) {
///     decide(&mut tx).await;
/// }
/// ```
pub struct ReadTx(Tx);

#[derive(Debug)]
struct Replica {
    pool: Pool,
    lag_max: Duration,
    known: Arc<Known>,
    measuring: JoinHandle<()>,
}

/// The last moment of which the replica is known to have everything.
#[derive(Debug)]
struct Known {
    epoch: Instant,
    /// Since the epoch; 0 where nothing is known.
    fresh_us: AtomicU64,
}

impl ReadDb {
    /// On the primary alone. Opens no connection yet; fails only on a bad URL.
    pub fn open(primary: &PoolConfig, application_name: &str) -> Result<Self, DbError> {
        Ok(Self { primary: Pool::open(primary, application_name)?, replica: None })
    }

    /// On one replica, while it lags by `lag_max` at most and answers. To be called inside a tokio runtime.
    ///
    /// One: behind an address that is now this replica and now that, what was measured is not what is read.
    pub fn with_replica(
        self,
        replica: &PoolConfig,
        lag_max: Duration,
        application_name: &str,
    ) -> Result<Self, DbError> {
        let pool = Pool::open(replica, application_name)?;
        let known = Arc::new(Known { epoch: Instant::now(), fresh_us: AtomicU64::new(0) });
        let measure = measure(self.primary.clone(), pool.clone(), known.clone(), lag_max);
        let replica = Replica { pool, lag_max, known, measuring: tokio::spawn(measure) };
        Ok(Self { replica: Some(Arc::new(replica)), ..self })
    }

    /// Runs `read` in a transaction, within the time that one may take. Where the replica fails it, at its BEGIN or later,
    /// it runs once more, on the primary.
    pub async fn read<T, E: From<DbError>, R: Future<Output = Result<T, E>>>(
        &self,
        scope: &TenantScope,
        deadline: Option<Instant>,
        read: impl Fn(ReadTx) -> R,
    ) -> Result<T, E> {
        let whole = async {
            if let Some(replica) = self.replica.as_deref().filter(|replica| replica.is_fresh())
                && let Some(outcome) = replica.read(scope, deadline, &read).await
            {
                return Ok(outcome);
            }
            read(ReadTx(self.primary.begin_scoped(BEGIN, scope, deadline).await?)).await
        };
        timeout(self.primary.transaction_time_max(), whole).await.unwrap_or_else(|_| Err(DbError::TimeOver.into()))
    }

    /// How far the replica may be behind right now; None without one, and while nothing is known of it.
    pub fn replica_lag(&self) -> Option<Duration> {
        self.replica.as_deref().and_then(|replica| replica.known.lag())
    }

    /// Closes the pools; calls that hold a connection finish first.
    pub async fn close(&self) {
        self.primary.close().await;
        if let Some(replica) = &self.replica {
            replica.measuring.abort();
            replica.pool.close().await;
        }
    }
}

impl ReadTx {
    /// What was read stands by itself; this gives the connection back.
    pub async fn commit(self) -> Result<(), DbError> {
        self.0.commit().await
    }
}

impl Deref for ReadTx {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.0
    }
}

impl DerefMut for ReadTx {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.0
    }
}

impl Replica {
    fn is_fresh(&self) -> bool {
        self.known.is_within(self.lag_max)
    }

    /// None where the primary is to be asked instead. What is wrong with the question itself, it will say as well.
    async fn read<T, E, R: Future<Output = Result<T, E>>>(
        &self,
        scope: &TenantScope,
        deadline: Option<Instant>,
        read: &impl Fn(ReadTx) -> R,
    ) -> Option<T> {
        let begin = self.pool.begin_scoped(BEGIN, scope, deadline);
        let tx = match timeout(REPLICA_ANSWERS_WITHIN, begin).await {
            Ok(Ok(tx)) => ReadTx(tx),
            Ok(Err(DbError::DeadlinePassed)) => return None,
            _ => return self.gave_up(),
        };
        // Half of the time: the other half is the primary's, where this one has fallen silent.
        match timeout(self.pool.transaction_time_max() / 2, read(tx)).await {
            Ok(outcome) => outcome.ok(),
            Err(_) => self.gave_up(),
        }
    }

    /// Until it is measured again: nobody else waits for it.
    fn gave_up<T>(&self) -> Option<T> {
        self.known.doubt();
        None
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.measuring.abort();
    }
}

impl Known {
    fn lag(&self) -> Option<Duration> {
        match self.fresh_us.load(Ordering::Acquire) {
            0 => None,
            fresh_us => Some(self.epoch.elapsed().saturating_sub(Duration::from_micros(fresh_us))),
        }
    }

    fn is_within(&self, lag_max: Duration) -> bool {
        self.lag().is_some_and(|lag| lag <= lag_max)
    }

    fn fresh_as_of(&self, moment: Instant) {
        let fresh_us = moment.duration_since(self.epoch).as_micros().try_into().unwrap_or(u64::MAX);
        self.fresh_us.store(fresh_us, Ordering::Release);
    }

    fn doubt(&self) {
        self.fresh_us.store(0, Ordering::Release);
    }
}

/// A position in the log, in bytes.
type Position = i64;

/// Where the primary stood, oldest first. Bounded by the lag: what is older can make nobody fresh.
#[derive(Debug, Default)]
struct Positions(VecDeque<(Instant, Position)>);

impl Positions {
    fn saw(&mut self, moment: Instant, position: Position, lag_max: Duration) {
        while self.0.front().is_some_and(|(seen, _)| moment.duration_since(*seen) > lag_max) {
            self.0.pop_front();
        }
        self.0.push_back((moment, position));
    }

    /// The last of them that `replayed` reaches.
    fn reached(&self, replayed: Position) -> Option<Instant> {
        self.0.iter().rev().find(|(_, position)| *position <= replayed).map(|(moment, _)| *moment)
    }
}

async fn measure(primary: Pool, replica: Pool, known: Arc<Known>, lag_max: Duration) {
    let (mut positions, mut was_fresh) = (Positions::default(), false);
    let mut ticks = interval((lag_max / MEASURED_TIMES).min(MEASURED_EVERY_MAX));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // In this order: what the replica has replayed, the primary has written before.
        let replayed = position(&replica, REPLAYED).await;
        let moment = Instant::now();
        let written = position(&primary, WRITTEN).await;
        match (replayed, written) {
            (Some(replayed), Some(written)) if replayed <= written => {
                if let Some(moment) = positions.reached(replayed) {
                    known.fresh_as_of(moment);
                }
            }
            (Some(_), None) => {}
            // No replica of this primary: it is away, or was promoted, or has what this primary never wrote.
            _ => known.doubt(),
        }
        if let Some(written) = written {
            positions.saw(moment, written, lag_max);
        }
        let is_fresh = known.is_within(lag_max);
        match (was_fresh, is_fresh) {
            (false, true) => tracing::info!("lists are read on the replica"),
            (true, false) => tracing::warn!("lists are read on the primary: the replica lags or is away"),
            _ => {}
        }
        was_fresh = is_fresh;
    }
}

/// Nothing on a server that is not a replica (any more).
const REPLAYED: &str =
    "SELECT CASE WHEN pg_is_in_recovery() THEN (pg_last_wal_replay_lsn() - '0/0'::pg_lsn)::bigint END";
/// Up to where the log holds what was committed; nothing on a server that is not the primary (any more).
const WRITTEN: &str =
    "SELECT CASE WHEN NOT pg_is_in_recovery() THEN (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint END";

async fn position(pool: &Pool, question: &'static str) -> Option<Position> {
    let ask = async {
        let mut loan = Loan::new(pool.acquire().await.ok()?);
        let position: Option<Position> = sqlx::query_scalar(question).fetch_one(&mut *loan).await.ok()?;
        loan.give_back();
        position
    };
    timeout(REPLICA_ANSWERS_WITHIN, ask).await.ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_is_as_fresh_as_the_last_position_that_it_reached() {
        let (began, mut positions) = (Instant::now(), Positions::default());
        let at = |ms| began + Duration::from_millis(ms);
        assert_eq!(positions.reached(100), None);
        for (ms, position) in [(0, 10), (100, 20), (200, 20), (300, 30)] {
            positions.saw(at(ms), position, Duration::from_secs(1));
        }
        assert_eq!(positions.reached(9), None);
        assert_eq!(positions.reached(10), Some(at(0)));
        assert_eq!(positions.reached(29), Some(at(200)), "the primary stood still for a while");
        assert_eq!(positions.reached(30), Some(at(300)));
    }

    #[test]
    fn positions_older_than_the_lag_are_forgotten() {
        let (began, mut positions) = (Instant::now(), Positions::default());
        for round in 0..1000_u64 {
            positions.saw(began + Duration::from_millis(round * 100), round as i64, Duration::from_secs(1));
        }
        assert!(positions.0.len() <= 11, "{} are kept", positions.0.len());
    }
}
