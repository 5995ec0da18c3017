//! Watching: transitions as they are committed, without a gap.
//!
//! Three things hold a watch together, and why nothing falls between them is told in `docs/decisions/0014-watch.md`:
//!
//! * the *feed* ([`hub`]): what the instance's one reader of the streams hears from the moment at which it was asked for;
//! * the *outbox* ([`watcher`]): what a project's watch has missed, by the positions of its resume token, and whatever waits
//!   for a relay, as of a moment after the feed began; of a job's watch it is the history;
//! * the *history*: what a transition says. An entry of a stream only says that there is one.

pub mod hub;
mod watcher;

use std::sync::Arc;

use holdfast_events::EntryId;
use holdfast_fault::{Fault, Reason};
use holdfast_ids::{JobId, ProjectId, TenantId};
use tokio::sync::Semaphore;

use self::hub::{Heard, Hub};
pub use self::watcher::Watcher;
use super::{App, Asking, Core};
pub use crate::domain::watch::{Filter, Place, Position, Positions, Scope};
pub use crate::store::StoreError as Unread;
use crate::store::StoreError;
use crate::store::watch::{Transitioned, Watched, transitions_get};

/// Watches that look into the database at once: they leave its connections to the calls.
const CATCHING_UP_MAX: usize = 2;
/// Transitions looked up in one statement.
const TRANSITIONS_MAX: usize = 512;

/// What a caller asks to watch.
#[derive(Debug, Clone)]
pub struct Wish {
    pub scope: Scope,
    /// Where an earlier watch of the same scope had come to; from now on where it is None.
    pub since: Option<Place>,
    pub from_start: bool,
    pub filter: Filter,
    pub catch_up_only: bool,
}

/// An entry of a stream. What it says is looked up: who can write to Redis can make a watch look, not see.
#[derive(Debug, Clone)]
pub struct Notice {
    pub shard: u16,
    pub entry: EntryId,
    pub tenant_id: TenantId,
    pub project_id: ProjectId,
    pub job_id: JobId,
    pub seq: i64,
}

/// What the watches of an instance share.
#[derive(Debug)]
pub struct Watches {
    core: Arc<Core>,
    pub hub: Arc<Hub>,
    places: Arc<Semaphore>,
    catching_up: Semaphore,
}

impl Watches {
    pub fn new(core: Arc<Core>) -> Self {
        let limits = core.limits.watch;
        Self {
            hub: Arc::new(Hub::new(limits.feed_events_max)),
            places: Arc::new(Semaphore::new(limits.watches_max)),
            catching_up: Semaphore::new(CATCHING_UP_MAX),
            core,
        }
    }

    /// Hands on what the reader heard, in its order.
    pub async fn hear(&self, notices: Vec<Notice>) -> Result<(), StoreError> {
        let wanted: Vec<Notice> = notices
            .into_iter()
            .filter(|notice| self.hub.is_wanted(&notice.tenant_id, &notice.project_id, notice.job_id))
            .collect();
        for notices in wanted.chunks(TRANSITIONS_MAX) {
            let found = self.core.task_db.bounded(self.look_up(notices)).await?;
            for (notice, watched) in notices.iter().zip(found) {
                match watched {
                    Some(watched) => self.hub.hand(Heard { shard: notice.shard, entry: notice.entry, watched }),
                    None => tracing::warn!(job_id = %notice.job_id, seq = notice.seq, "an entry of no transition"),
                }
            }
        }
        Ok(())
    }

    async fn look_up(&self, notices: &[Notice]) -> Result<Vec<Option<Watched>>, StoreError> {
        let of = |notice: &Notice| Transitioned {
            tenant_id: notice.tenant_id.clone(),
            job_id: notice.job_id,
            seq: notice.seq,
        };
        let items: Vec<_> = notices.iter().map(of).collect();
        let mut tx = self.core.task_db.begin().await?;
        let found = transitions_get(&mut tx, &items).await?;
        tx.rollback().await?;
        Ok(found)
    }
}

impl App {
    /// A watch that may begin. The caller is looked at once: a watch ends with its token.
    pub async fn watch(&self, asking: &Asking, wish: Wish) -> Result<Watcher, Fault> {
        let (place, tenant_id, is_final) = match &wish.scope {
            Scope::Job { job_id } => {
                let job = self.get(asking, *job_id).await?;
                let seq = match wish.since {
                    Some(Place::Job { seq }) if seq <= job.seq => seq,
                    Some(_) => return Err(bad_token()),
                    None if wish.from_start => 0,
                    None => job.seq,
                };
                (Some(Place::Job { seq }), job.tenant_id, job.state.is_final() && seq == job.seq)
            }
            Scope::Project { tenant_id, project_id } => {
                asking.caller.require_tenant(tenant_id)?;
                asking.caller.require_project(project_id)?;
                (wish.since.clone(), tenant_id.clone(), false)
            }
        };
        let too_many = |_| Fault::new(Reason::Rate429Throttled, "this instance has as many watches as it may");
        let place_taken = self.watches.places.clone().try_acquire_owned().map_err(too_many)?;
        let mut watcher = Watcher::new(self.watches.clone(), place_taken, tenant_id, wish);
        watcher.begin(place, is_final).await?;
        Ok(watcher)
    }
}

fn bad_token() -> Fault {
    Fault::invalid("resume_token", "is not a resume_token of this watch")
}
