//! One watch: what comes next, and how far it has come.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use chrono::TimeDelta;
use holdfast_fault::{Fault, Reason};
use holdfast_ids::{JobId, ProjectId, TenantId};
use holdfast_pg::TenantScope;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::hub::{Feed, Heard, Watching};
use super::{TRANSITIONS_MAX, Watches, Wish};
use crate::domain::job::Time;
use crate::domain::watch::{Filter, Place, Position, Positions, Recent, Scope};
use crate::metrics;
use crate::store::StoreError;
use crate::store::read::SeenEvent;
use crate::store::watch::{
    Relayed, Transitioned, Watched, database_time, entries_recorded, events_behind, transitions_get, watch_begin,
};

/// Events in one answer.
const EVENTS_MAX: usize = 256;
/// Transitions of a job in one look; few have more.
const TRANSITIONS_OF_JOB_MAX: usize = 32;
/// Events of one project that wait for a relay; with more, a watch that has to look for them does not go on.
const WAITING_MAX: i64 = 10_000;
const _: () = assert!((WAITING_MAX as usize) < Recent::IDS_MAX);

pub struct Watcher {
    watches: Arc<Watches>,
    tenant_id: TenantId,
    scope: Scope,
    filter: Filter,
    catch_up_only: bool,
    progress: Progress,
    /// Of the latest look, not passed on yet; and where the watch stands until they are.
    pending: VecDeque<SeenEvent>,
    stands: Place,
    recent: Recent,
    feed: Option<Feed>,
    /// The database may hold what has not been passed on.
    is_behind: bool,
    /// The first answer tells the place, whether or not there are events.
    has_answered: bool,
    /// Nothing comes any more.
    is_over: bool,
    looked_at: Instant,
    /// When nothing was left that could have been passed on: at the last look, or since then.
    current_at: Instant,
    _place: OwnedSemaphorePermit,
    _watching: Watching,
}

#[derive(Debug)]
enum Progress {
    Job {
        job_id: JobId,
        seq: i64,
    },
    Project {
        project_id: ProjectId,
        positions: Box<Positions>,
        /// When everything before had been passed on, as of the last time that the database was looked at.
        as_of: Time,
        /// Whether the outbox has to confirm the positions: they come from a stream that may have lost what was read.
        is_unconfirmed: bool,
    },
}

impl Progress {
    /// `current_for`: for how long it stayed current after the last look.
    fn place(&self, current_for: TimeDelta) -> Place {
        match self {
            Self::Job { seq, .. } => Place::Job { seq: *seq },
            Self::Project { positions, as_of, .. } => {
                Place::Project { positions: positions.clone(), as_of: *as_of + current_for }
            }
        }
    }
}

/// What one look into the database brought.
struct Page {
    found: Vec<Watched>,
    is_last: bool,
}

impl Watcher {
    pub(super) fn new(watches: Arc<Watches>, place: OwnedSemaphorePermit, tenant_id: TenantId, wish: Wish) -> Self {
        let progress = match &wish.scope {
            Scope::Job { job_id } => Progress::Job { job_id: *job_id, seq: 0 },
            Scope::Project { project_id, .. } => Progress::Project {
                project_id: project_id.clone(),
                positions: Box::default(),
                as_of: Time::UNIX_EPOCH,
                is_unconfirmed: false,
            },
        };
        let stands = progress.place(TimeDelta::zero());
        let watching = watches.hub.watching();
        metrics::watch_began();
        Self {
            watches,
            tenant_id,
            scope: wish.scope,
            filter: wish.filter,
            catch_up_only: wish.catch_up_only,
            progress,
            pending: VecDeque::new(),
            stands,
            recent: Recent::default(),
            feed: None,
            is_behind: true,
            has_answered: false,
            is_over: false,
            looked_at: Instant::now(),
            current_at: Instant::now(),
            _place: place,
            _watching: watching,
        }
    }

    pub(super) async fn begin(&mut self, since: Option<Place>, is_over: bool) -> Result<(), Fault> {
        self.is_over = is_over;
        match (&mut self.progress, since) {
            (Progress::Job { seq, .. }, Some(Place::Job { seq: since })) => *seq = since,
            (
                Progress::Project { positions, as_of, is_unconfirmed, .. },
                Some(Place::Project { positions: since, as_of: at }),
            ) => {
                (*positions, *as_of, *is_unconfirmed) = (since, at, true);
            }
            (Progress::Project { .. }, None) => self.begin_now().await?,
            (Progress::Job { .. } | Progress::Project { .. }, _) => return Err(super::bad_token()),
        }
        self.stands = self.progress.place(TimeDelta::zero());
        Ok(())
    }

    /// Where the watch has come to with what was answered last.
    pub fn place(&self) -> &Place {
        &self.stands
    }

    /// What comes next, at most 256 events; empty where nothing has come until then. None: nothing will.
    pub async fn next(&mut self, until: Instant) -> Result<Option<Vec<SeenEvent>>, Fault> {
        while self.pending.is_empty() {
            if self.is_over && self.has_answered {
                return Ok(None);
            }
            let is_told = if self.is_over {
                true
            } else if self.is_behind {
                self.catch_up().await?
            } else {
                self.follow(until).await
            };
            if is_told {
                break;
            }
        }
        let count = self.pending.len().min(EVENTS_MAX);
        let events: Vec<SeenEvent> = self.pending.drain(..count).collect();
        if self.pending.is_empty() {
            self.stands = self.progress.place(self.current_for());
        }
        self.has_answered = true;
        metrics::watch_sent(events.len());
        Ok(Some(events))
    }

    /// Fetches the next page of what the database holds. True where the caller is to be told even of nothing.
    async fn catch_up(&mut self) -> Result<bool, Fault> {
        // Before the look: what is committed after it comes by the feed.
        if self.feed.is_none() {
            self.feed = self.watches.hub.subscribe(&self.scope);
        }
        let page = self.page().await?;
        metrics::watch_caught_up(self.source(), page.found.len());
        self.pass(page.found);
        self.is_behind = !page.is_last;
        self.is_over |= page.is_last && self.catch_up_only;
        Ok(!page.is_last || !self.has_answered)
    }

    /// Waits for the feed; without one the database is looked at again after a while. True where the time is over.
    async fn follow(&mut self, until: Instant) -> bool {
        let Some(feed) = &mut self.feed else {
            let look_at = self.looked_at + self.watches.core.limits.watch.poll;
            tokio::select! {
                () = self.watches.hub.live() => {}
                () = tokio::time::sleep_until(look_at) => {}
                () = tokio::time::sleep_until(until) => return true,
            }
            self.is_behind = true;
            return false;
        };
        if feed.events.is_empty() && !feed.events.is_closed() {
            self.current_at = Instant::now();
        }
        let Ok(first) = timeout_at(until, feed.events.recv()).await else {
            // Nothing comes by the feed where no relay is up either: the next thing is a look.
            (self.current_at, self.is_behind) = (until, true);
            return true;
        };
        let Some(first) = first else {
            let current_for = self.current_for();
            if let Progress::Project { as_of, is_unconfirmed, .. } = &mut self.progress {
                (*as_of, *is_unconfirmed) = (*as_of + current_for, true);
            }
            (self.feed, self.is_behind, self.looked_at) = (None, true, self.current_at);
            return false;
        };
        let mut heard = vec![first];
        while heard.len() < EVENTS_MAX
            && let Ok(next) = feed.events.try_recv()
        {
            heard.push(next);
        }
        let news: Vec<Watched> = heard.iter().filter_map(|heard| self.news(heard)).collect();
        self.pass(news);
        // Much may come of which the caller wants nothing.
        Instant::now() >= until
    }

    /// Moves the watch on by what its feed brought. None where that was passed on before.
    fn news(&mut self, heard: &Heard) -> Option<Watched> {
        let event = &heard.watched.event;
        let is_new = match &mut self.progress {
            Progress::Project { positions, .. } => {
                positions.set(heard.shard, Position { entry: heard.entry, event_id: event.event_id });
                self.recent.insert(event.event_id)
            }
            Progress::Job { seq, .. } if event.seq == *seq + 1 => {
                *seq = event.seq;
                true
            }
            Progress::Job { seq, .. } => {
                // The numbers of a job have no gaps: what is between is in its history.
                self.is_behind |= event.seq > *seq;
                false
            }
        };
        is_new.then(|| heard.watched.clone())
    }

    /// For how long after the last look it could pass on all there was.
    fn current_for(&self) -> TimeDelta {
        TimeDelta::from_std(self.current_at.saturating_duration_since(self.looked_at)).unwrap_or_default()
    }

    /// Takes in those that the caller wants to hear of.
    fn pass(&mut self, found: Vec<Watched>) {
        if matches!(self.scope, Scope::Job { .. }) {
            self.is_over |= found.last().is_some_and(|last| last.event.to_state.is_final());
        }
        let admitted = found.into_iter().filter(|found| self.filter.admits(found.event.to_state, &found.intent));
        self.pending.extend(admitted.map(|found| found.event));
    }

    fn source(&self) -> &'static str {
        match self.progress {
            Progress::Job { .. } => "history",
            Progress::Project { .. } => "outbox",
        }
    }

    async fn begin_now(&mut self) -> Result<(), Fault> {
        let watches = self.watches.clone();
        let _turn = watches.catching_up.acquire().await.map_err(Fault::unexpected)?;
        Ok(watches.core.app_db.bounded(self.begin_now_once()).await?)
    }

    async fn begin_now_once(&mut self) -> Result<(), StoreError> {
        let Progress::Project { project_id, positions, as_of, .. } = &mut self.progress else { return Ok(()) };
        let mut tx = self.watches.core.app_db.begin(&TenantScope::one(&self.tenant_id), None).await?;
        *as_of = database_time(&mut tx).await?;
        let waiting;
        (**positions, waiting) = watch_begin(&mut tx, &self.tenant_id, project_id, WAITING_MAX).await?;
        tx.rollback().await?;
        for event_id in waiting {
            self.recent.insert(event_id);
        }
        Ok(())
    }

    async fn page(&mut self) -> Result<Page, Fault> {
        let watches = self.watches.clone();
        let _turn = watches.catching_up.acquire().await.map_err(Fault::unexpected)?;
        let db = &watches.core.app_db;
        match self.progress {
            Progress::Job { .. } => Ok(db.bounded(self.page_of_job()).await?),
            Progress::Project { .. } => db.bounded(self.page_of_project()).await?,
        }
    }

    async fn page_of_job(&mut self) -> Result<Page, StoreError> {
        let Progress::Job { job_id, seq } = &mut self.progress else { return Err(StoreError::LostLock) };
        // From the primary: a replica may be behind the feed.
        let mut tx = self.watches.core.app_db.begin(&TenantScope::one(&self.tenant_id), None).await?;
        let next = (*seq + 1..=*seq + TRANSITIONS_OF_JOB_MAX as i64).map(|seq| Transitioned {
            tenant_id: self.tenant_id.clone(),
            job_id: *job_id,
            seq,
        });
        let found = transitions_get(&mut tx, &next.collect::<Vec<_>>()).await?;
        tx.rollback().await?;
        let found: Vec<Watched> = found.into_iter().map_while(|found| found).collect();
        *seq += found.len() as i64;
        (self.looked_at, self.current_at) = (Instant::now(), Instant::now());
        Ok(Page { is_last: found.len() < TRANSITIONS_OF_JOB_MAX, found })
    }

    /// The inner outcome: the outbox may no longer hold what the watch has missed.
    async fn page_of_project(&mut self) -> Result<Result<Page, Fault>, StoreError> {
        let limits = self.watches.core.limits.watch;
        let Progress::Project { project_id, positions, as_of, is_unconfirmed } = &mut self.progress else {
            return Err(StoreError::LostLock);
        };
        let looked_at = Instant::now();
        // From the primary: a replica may be behind the feed.
        let mut tx = self.watches.core.app_db.begin(&TenantScope::one(&self.tenant_id), None).await?;
        if std::mem::replace(is_unconfirmed, false) {
            let event_ids: Vec<Uuid> = positions.iter().map(|(_, position)| position.event_id).collect();
            let recorded: HashMap<_, _> =
                entries_recorded(&mut tx, &self.tenant_id, &event_ids).await?.into_iter().collect();
            positions.distrust(|event_id| recorded.get(&event_id).copied());
        }
        let scope = (&self.tenant_id, &*project_id);
        let behind = positions.entries();
        let relayed = events_behind(&mut tx, scope, behind, limits.page_events_max, WAITING_MAX + 1).await?;
        // Behind the look: a slot of the outbox may be emptied between two of them.
        let now = database_time(&mut tx).await?;
        if now - *as_of > limits.keep {
            return Ok(Err(expired()));
        }
        let waiting = relayed.iter().filter(|event| event.entry.is_none()).count() as i64;
        if waiting > WAITING_MAX {
            return Ok(Err(Fault::dependency_down("relay", TooManyWait)));
        }
        let mut of_shard = HashMap::<u16, i64>::new();
        for event in relayed.iter().filter(|event| event.entry.is_some()) {
            *of_shard.entry(event.shard).or_default() += 1;
        }
        let is_last = of_shard.values().all(|count| *count < limits.page_events_max);
        let mut found = Vec::new();
        // What waits stands behind what is published: with pages of that to come, its time has not come.
        let due = relayed.iter().filter(|event| is_last || event.entry.is_some());
        let news: Vec<&Relayed> = due.filter(|event| !self.recent.contains(&event.event_id)).collect();
        let items: Vec<Transitioned> = news.iter().filter_map(|event| transition(&self.tenant_id, event)).collect();
        for items in items.chunks(TRANSITIONS_MAX) {
            found.extend(transitions_get(&mut tx, items).await?.into_iter().flatten());
        }
        tx.rollback().await?;
        // Only here, where nothing can fail any more and nobody give up.
        for event in news {
            self.recent.insert(event.event_id);
        }
        for Relayed { shard, event_id, entry, .. } in &relayed {
            if let Some(entry) = *entry {
                positions.set(*shard, Position { entry, event_id: *event_id });
            }
        }
        if is_last {
            (*as_of, self.looked_at, self.current_at) = (now, looked_at, looked_at);
        }
        Ok(Ok(Page { found, is_last }))
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        metrics::watch_ended();
    }
}

#[derive(Debug, thiserror::Error)]
#[error("more events of the project wait for a relay than a watch looks for")]
struct TooManyWait;

/// What an event is of, where it is a transition of a job.
fn transition(tenant_id: &TenantId, event: &Relayed) -> Option<Transitioned> {
    let job_id = JobId::parse(&event.ordering_key).ok()?;
    Some(Transitioned { tenant_id: tenant_id.clone(), job_id, seq: event.seq })
}

fn expired() -> Fault {
    Fault::new(Reason::Req416TokenExpired, "the resume token is older than events are kept; begin anew without one")
}
