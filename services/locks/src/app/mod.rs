//! Use cases: authorise, load, decide, persist. No SQL, no wire types, no status codes.

pub mod acquire;
pub mod authorise;
pub mod desk;
pub mod end;
pub mod fence;
mod memory;
pub mod read;
pub mod renew;
pub mod signs;
pub mod waiting;
pub mod watch;

use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant, SystemTime};

use holdfast_caller::Caller;
use holdfast_ids::{InstanceId, LeaseId};
use holdfast_pg::coalescer::{Coalescer, Limits as Batching};
use holdfast_pg::{AppDb, DbError, ReadDb, TaskDb};
use tokio::sync::broadcast;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::domain::command::Cause;
use crate::domain::order::Order;
use crate::hints::Hints;
use crate::metrics;
use crate::mirror::Mirror;
use crate::store::{EncodeEvent, StoreError};

/// What the contracts convert to and from, beside each use case's own types.
pub use crate::domain::Time;

/// Who asks, and under which request.
#[derive(Debug, Clone)]
pub struct Asking {
    pub caller: Arc<Caller>,
    pub request_id: String,
    /// The W3C trace context: the traceparent and, behind a space, the tracestate where there is one.
    pub traceparent: String,
    pub deadline: Option<Instant>,
}

impl Asking {
    /// Returns once the caller's token has expired.
    pub async fn token_expiry(&self) {
        sleep(self.caller.expires_at.duration_since(SystemTime::now()).unwrap_or_default()).await;
    }

    pub fn cause(&self) -> Cause {
        Cause {
            actor_id: self.caller.actor.clone(),
            request_id: self.request_id.clone(),
            traceparent: self.traceparent.clone(),
        }
    }
}

/// What leases are granted under.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub ttl: Duration,
    /// The longest that a request may ask for.
    pub ttl_max: Duration,
    /// How long after the grant, or the latest renewal, nobody else is granted, for the default time to live; longer in proportion for a longer one.
    pub stale_after: Duration,
    pub renewals_max: i32,
    pub require_mirror: bool,
    /// How often an instance looks for all its waiters at once whether one of them can go on.
    pub poll: Duration,
    /// How long after its last sign of life an instance's waiters have left.
    pub instance_ttl: Duration,
    /// The most that wait through an instance at once.
    pub waiters_max: usize,
    pub watches_max: usize,
    pub boards: Batching,
    pub renewals: Batching,
}

/// What every use case works with.
#[derive(Debug)]
pub struct Core {
    pub app_db: AppDb,
    pub task_db: TaskDb,
    /// For signs of life alone.
    pub signs_db: TaskDb,
    pub read_db: ReadDb,
    pub limits: Limits,
    pub encode: EncodeEvent,
    pub hints: Hints,
    pub mirror: Mirror,
    pub instance_id: InstanceId,
    /// The registry, as last read.
    pub order: RwLock<Arc<Order>>,
    /// Leases that ended under their holders, for the sessions of this instance.
    pub revoked: broadcast::Sender<LeaseId>,
    /// Cancelled when the instance begins to drain.
    pub draining: CancellationToken,
    pub waiters: waiting::Waiters,
    pub signs: signs::Signs,
}

impl Core {
    pub fn order(&self) -> Arc<Order> {
        self.order.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    pub fn set_order(&self, order: Order) {
        *self.order.write().unwrap_or_else(std::sync::PoisonError::into_inner) = Arc::new(order);
    }
}

/// The service: its use cases over one core.
#[derive(Clone)]
pub struct App {
    pub core: Arc<Core>,
    pub(crate) desk: Arc<Coalescer<desk::Desk>>,
    pub(crate) renewals: Arc<Coalescer<renew::Renewals>>,
    pub watches: Arc<watch::Watches>,
    pub(crate) rejections: Arc<fence::Rejections>,
}

impl App {
    pub fn new(core: Arc<Core>) -> Self {
        Self {
            desk: Arc::new(Coalescer::new(desk::Desk::new(core.clone()), core.limits.boards)),
            renewals: Arc::new(Coalescer::new(renew::Renewals::new(core.clone()), core.limits.renewals)),
            watches: Arc::new(watch::Watches::new(core.clone())),
            rejections: Arc::default(),
            core,
        }
    }

    /// Lets what was taken on come to its end, and takes on nothing more.
    pub async fn close(&self) {
        tokio::join!(self.desk.close(), self.renewals.close());
    }
}

/// How often a transaction is run that loses against others.
const TRIES: usize = 5;

/// Runs a transaction within its time, and again where it lost against another one: nothing of it was done.
pub(crate) async fn retrying<T, F>(db: &AppDb, mut transaction: impl FnMut() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    for _ in 1..TRIES {
        match db.bounded(transaction()).await {
            Err(StoreError::Db(DbError::Conflict(_)) | StoreError::Raced) => metrics::transaction_retried(),
            outcome => return outcome,
        }
    }
    db.bounded(transaction()).await
}

/// Whether an error is the fault of an item of a batch, and not of the database or the batch.
pub(crate) fn blames_an_item(error: &StoreError) -> bool {
    matches!(error, StoreError::Db(error) if error.blames_a_row())
}
