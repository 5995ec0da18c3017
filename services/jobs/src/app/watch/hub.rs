//! Where the one reader of the streams meets the many watches of an instance.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use holdfast_events::EntryId;
use holdfast_ids::{JobId, ProjectId, TenantId};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};

use crate::domain::watch::Scope;
use crate::metrics;
use crate::store::watch::Watched;

/// A transition as the reader heard of it.
#[derive(Debug)]
pub struct Heard {
    pub shard: u16,
    pub entry: EntryId,
    pub watched: Watched,
}

/// A watch that lags is closed, never waited for: whoever receives looks into the database for what it missed.
#[derive(Debug)]
pub struct Hub {
    feeds: Mutex<Feeds>,
    events_max: usize,
    watches: watch::Sender<usize>,
    is_live: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Feeds {
    is_live: bool,
    by_scope: HashMap<Scope, Vec<mpsc::Sender<Arc<Heard>>>>,
}

/// Everything that was added to the streams after the feed was made. It ends where it could no longer hold to that.
#[derive(Debug)]
pub struct Feed {
    hub: Arc<Hub>,
    scope: Scope,
    pub events: mpsc::Receiver<Arc<Heard>>,
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.events.close();
        self.hub.sweep(&self.scope);
    }
}

/// As long as there is one, the streams are read.
#[derive(Debug)]
pub struct Watching(Arc<Hub>);

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.watches.send_modify(|count| *count -= 1);
    }
}

impl Hub {
    pub fn new(events_max: usize) -> Self {
        Self { feeds: Mutex::default(), events_max, watches: watch::Sender::new(0), is_live: watch::Sender::new(false) }
    }

    /// None while the streams are not read.
    pub fn subscribe(self: &Arc<Self>, scope: &Scope) -> Option<Feed> {
        let mut feeds = self.lock();
        if !feeds.is_live {
            return None;
        }
        let (sender, events) = mpsc::channel(self.events_max);
        feeds.by_scope.entry(scope.clone()).or_default().push(sender);
        Some(Feed { hub: self.clone(), scope: scope.clone(), events })
    }

    pub fn watching(self: &Arc<Self>) -> Watching {
        self.watches.send_modify(|count| *count += 1);
        Watching(self.clone())
    }

    pub fn is_watched(&self) -> bool {
        *self.watches.borrow() > 0
    }

    pub async fn watched(&self) {
        // The sender is here: it does not fail.
        let _ = self.watches.subscribe().wait_for(|count| *count > 0).await;
    }

    /// The streams are read.
    pub async fn live(&self) {
        let _ = self.is_live.subscribe().wait_for(|is_live| *is_live).await;
    }

    /// From here on everything that is added to the streams is handed to who has subscribed.
    pub fn set_live(&self) {
        metrics::watch_reads_begun();
        self.lock().is_live = true;
        self.is_live.send_replace(true);
    }

    /// What is added from here on is handed to nobody: every feed ends.
    pub fn set_away(&self) {
        *self.lock() = Feeds::default();
        self.is_live.send_replace(false);
    }

    /// Whether anybody would be handed it.
    pub fn is_wanted(&self, tenant_id: &TenantId, project_id: &ProjectId, job_id: JobId) -> bool {
        let scope = Scope::Project { tenant_id: tenant_id.clone(), project_id: project_id.clone() };
        let feeds = self.lock();
        feeds.by_scope.contains_key(&scope) || feeds.by_scope.contains_key(&Scope::Job { job_id })
    }

    /// Hands an event to those who watch its job or its project, which are those of its row.
    pub fn hand(&self, heard: Heard) {
        let event = &heard.watched.event;
        let names = (TenantId::parse(&heard.watched.tenant_id), ProjectId::parse(&event.project_id));
        let (Ok(tenant_id), Ok(project_id)) = names else { return };
        let scopes = [Scope::Job { job_id: event.job_id }, Scope::Project { tenant_id, project_id }];
        let (heard, mut feeds) = (Arc::new(heard), self.lock());
        for scope in &scopes {
            let Some(senders) = feeds.by_scope.get_mut(scope) else { continue };
            senders.retain(|sender| match sender.try_send(heard.clone()) {
                Ok(()) => true,
                Err(TrySendError::Full(_) | TrySendError::Closed(_)) => false,
            });
            if senders.is_empty() {
                feeds.by_scope.remove(scope);
            }
        }
    }

    fn sweep(&self, scope: &Scope) {
        let mut feeds = self.lock();
        let Some(senders) = feeds.by_scope.get_mut(scope) else { return };
        senders.retain(|sender| !sender.is_closed());
        if senders.is_empty() {
            feeds.by_scope.remove(scope);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Feeds> {
        self.feeds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
