//! Wake-ups: inside the instance by notification, between instances over Redis pub/sub. Hints may be lost; whoever waits
//! for one also polls. With `counters` the only module that knows Redis.

mod streams;

use std::sync::Arc;
use std::time::Duration;

use holdfast_ids::{JobId, LeaseId};
use holdfast_redis::{Heard, Messenger, Redis, Waker};
use tokio::sync::{Notify, broadcast};
use tokio_util::sync::CancellationToken;

pub use self::streams::follow;
use crate::app::Revoked;

const DOMAIN: &str = "jobs";
/// How often a hint is sent at most; the ones between are one. Relays gather for longer than this.
const OUTBOX_INTERVAL: Duration = Duration::from_millis(5);
/// Slower: an instance hears its own hints too, and each costs it a claim that finds nothing.
const READY_INTERVAL: Duration = Duration::from_millis(25);
const SETTINGS_INTERVAL: Duration = Duration::from_millis(25);
const BUDGETS_INTERVAL: Duration = Duration::from_millis(25);

pub struct Hints {
    outbox: Waker,
    ready: Waker,
    revoked: Messenger,
    settings: Waker,
    budgets: Waker,
    wakes: Wakes,
}

/// What is woken inside the instance.
#[derive(Debug, Clone, Default)]
pub struct Wakes {
    pub dispatch: Arc<Notify>,
    /// Settings of projects may have changed.
    pub settings: Arc<Notify>,
}

impl std::fmt::Debug for Hints {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hints").finish_non_exhaustive()
    }
}

impl Hints {
    pub fn new(redis: &Redis) -> Self {
        let keys = redis.keys();
        Self {
            outbox: redis.waker(keys.wake_outbox(DOMAIN), OUTBOX_INTERVAL),
            ready: redis.waker(keys.wake_ready(DOMAIN), READY_INTERVAL),
            revoked: redis.messenger(keys.wake_revoked(DOMAIN)),
            settings: redis.waker(keys.wake_projects(DOMAIN), SETTINGS_INTERVAL),
            budgets: redis.waker(keys.wake_budgets(DOMAIN), BUDGETS_INTERVAL),
            wakes: Wakes::default(),
        }
    }

    /// Events wait in the outbox.
    pub fn outbox(&self) {
        self.outbox.wake();
    }

    /// Jobs are ready, or a project has room again.
    pub fn ready(&self) {
        self.wakes.dispatch.notify_one();
        self.ready.wake();
    }

    /// A lease ended under its holder.
    pub fn revoked(&self, job_id: JobId, lease_id: LeaseId) {
        self.revoked.send(format!("{job_id} {lease_id}"));
    }

    /// A budget was exceeded.
    pub fn budgets(&self) {
        self.budgets.wake();
    }

    /// The settings of a project have changed.
    pub fn settings(&self) {
        self.settings.wake();
    }

    pub(crate) fn wakes(&self) -> Wakes {
        self.wakes.clone()
    }
}

/// Hears what other instances say, until shutdown.
pub async fn listen(
    redis: Redis,
    wakes: Wakes,
    revoked: broadcast::Sender<Revoked>,
    budgets: Arc<Notify>,
    shutdown: CancellationToken,
) {
    let mut ready = redis.listen(redis.keys().wake_ready(DOMAIN));
    let mut ended = redis.listen(redis.keys().wake_revoked(DOMAIN));
    let mut settings = redis.listen(redis.keys().wake_projects(DOMAIN));
    let mut exceeded = redis.listen(redis.keys().wake_budgets(DOMAIN));
    loop {
        tokio::select! {
            () = exceeded.woken() => budgets.notify_one(),
            () = ready.woken() => wakes.dispatch.notify_one(),
            () = settings.woken() => wakes.settings.notify_one(),
            heard = ended.heard() => {
                if let Heard::Message(text) = heard && let Some(lease) = parse(&text) {
                    // No receiver is no failure: nobody holds a session here.
                    let _ = revoked.send(lease);
                }
            }
            () = shutdown.cancelled() => return,
        }
    }
}

fn parse(text: &[u8]) -> Option<Revoked> {
    let (job_id, lease_id) = std::str::from_utf8(text).ok()?.split_once(' ')?;
    Some(Revoked { job_id: JobId::parse(job_id).ok()?, lease_id: LeaseId::parse(lease_id).ok()? })
}
