//! Wake-ups between instances, over Redis pub/sub. Hints may be lost, doubled or late; whoever waits for one also polls. With `mirror` the
//! only module that knows Redis.

use std::collections::HashSet;
use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use holdfast_ids::LeaseId;
use holdfast_redis::fred::interfaces::PubsubInterface as _;
use holdfast_redis::{Heard, Redis, Waker};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use crate::app::Core;
use crate::app::watch::Watches;
use crate::domain::resource::Name;

const DOMAIN: &str = "locks";
/// How often a hint is sent at most; the ones between are one. Relays gather for longer than this.
const OUTBOX_INTERVAL: Duration = Duration::from_millis(5);
/// News that wait to be sent; what does not fit is dropped.
const NEWS_WAITING_MAX: usize = 4096;
/// Of one message.
const NEWS_MAX: usize = 256;
const FREED: char = 'f';
const CHANGED: char = 'c';
const REVOKED: char = 'r';

pub struct Hints {
    /// Goes before every message, so that an instance knows its own: it has been woken already.
    origin: Arc<str>,
    outbox: Waker,
    news: Arc<News>,
    _sender: AbortOnDropHandle<()>,
}

/// What is yet to be sent: each once, by one letter for what happened and the name of the resource or the id of the lease.
#[derive(Default)]
struct News {
    waiting: Mutex<HashSet<String>>,
    added: Notify,
}

impl News {
    fn waiting(&self) -> MutexGuard<'_, HashSet<String>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, what: char, of: impl Display) {
        let mut waiting = self.waiting();
        if waiting.len() >= NEWS_WAITING_MAX {
            tracing::debug!("hint dropped: too many wait");
            return;
        }
        waiting.insert(format!("{what}{of}"));
        drop(waiting);
        self.added.notify_one();
    }
}

impl std::fmt::Debug for Hints {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hints").finish_non_exhaustive()
    }
}

impl Hints {
    /// Must be called inside a tokio runtime.
    pub fn new(redis: &Redis) -> Self {
        let keys = redis.keys();
        let origin: Arc<str> = Uuid::now_v7().to_string().into();
        let news = Arc::new(News::default());
        let sender = tokio::spawn(send(redis.clone(), origin.clone(), news.clone()));
        Self {
            origin,
            outbox: redis.waker(keys.wake_outbox(DOMAIN), OUTBOX_INTERVAL),
            news,
            _sender: AbortOnDropHandle::new(sender),
        }
    }

    /// Events wait in the outbox.
    pub fn outbox(&self) {
        self.outbox.wake();
    }

    /// A resource may be free.
    pub fn freed(&self, name: &Name) {
        self.news.add(FREED, name);
    }

    /// Something happened to a resource.
    pub fn changed(&self, name: &Name) {
        self.news.add(CHANGED, name);
    }

    /// A lease ended under its holder.
    pub fn revoked(&self, lease_id: LeaseId) {
        self.news.add(REVOKED, lease_id);
    }
}

/// One message at a time: what comes meanwhile goes out together as the next one.
async fn send(redis: Redis, origin: Arc<str>, news: Arc<News>) {
    let channel = redis.keys().wake_freed(DOMAIN);
    loop {
        news.added.notified().await;
        let taken: Vec<String> = std::mem::take(&mut *news.waiting()).into_iter().collect();
        for some in taken.chunks(NEWS_MAX) {
            // No name holds a space.
            let message = format!("{origin} {}", some.join(" "));
            if let Err(error) = redis.client().publish::<(), _, _>(&channel, message).await {
                tracing::debug!(channel, %error, "hint not sent");
            }
        }
    }
}

/// Hears what other instances say, until shutdown.
pub async fn listen(redis: Redis, core: Arc<Core>, watches: Arc<Watches>, shutdown: CancellationToken) {
    let mut news = redis.listen(redis.keys().wake_freed(DOMAIN));
    loop {
        tokio::select! {
            heard = news.heard() => match heard {
                Heard::Message(text) => heard_news(&core, &watches, &text),
                Heard::Resumed => {
                    core.waiters.wake_firsts();
                    watches.look_again();
                }
            },
            () = shutdown.cancelled() => return,
        }
    }
}

fn heard_news(core: &Core, watches: &Watches, text: &[u8]) {
    let Some((origin, news)) = std::str::from_utf8(text).ok().and_then(|text| text.split_once(' ')) else { return };
    let is_own = origin == &*core.hints.origin;
    for hint in news.split(' ').filter_map(Hint::parse) {
        match hint {
            // Who waits here, or holds here, was told when it happened.
            Hint::Freed(name) if !is_own => core.waiters.freed(&name),
            Hint::Changed(name) => watches.changed(&name),
            // No receiver is no failure: nobody holds a session here.
            Hint::Revoked(lease_id) if !is_own => drop(core.revoked.send(lease_id)),
            _ => {}
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Hint {
    Freed(Name),
    Changed(Name),
    Revoked(LeaseId),
}

impl Hint {
    fn parse(text: &str) -> Option<Self> {
        let what = text.chars().next()?;
        let of = text.get(what.len_utf8()..)?;
        match what {
            FREED => Name::parse(of).map(Self::Freed),
            CHANGED => Name::parse(of).map(Self::Changed),
            REVOKED => LeaseId::parse(of).ok().map(Self::Revoked),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_understood() {
        let name = Name::parse("acme/alpha/host/rack:7/eth0").expect("a name");
        let lease_id = LeaseId::new();
        assert_eq!(Hint::parse(&format!("{FREED}{name}")), Some(Hint::Freed(name.clone())));
        assert_eq!(Hint::parse(&format!("{CHANGED}{name}")), Some(Hint::Changed(name)));
        assert_eq!(Hint::parse(&format!("{REVOKED}{lease_id}")), Some(Hint::Revoked(lease_id)));
        for hint in ["", "f", "facme", "facme/alpha/host", "é", "r", "racme/alpha/host/x"] {
            assert_eq!(Hint::parse(hint), None, "{hint}");
        }
    }
}
