//! Wake-ups between instances, over Redis pub/sub. Hints may be lost, doubled or late; whoever waits for one also polls. With `mirror` the
//! only module that knows Redis.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use holdfast_ids::LeaseId;
use holdfast_redis::fred::interfaces::PubsubInterface as _;
use holdfast_redis::{Heard, Messenger, Redis, Waker};
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
/// Names that wait to be sent; what does not fit is dropped.
const NAMES_WAITING_MAX: usize = 4096;
/// Of one message.
const NAMES_MAX: usize = 256;
const FREED: char = 'f';
const CHANGED: char = 'c';

pub struct Hints {
    /// Goes before every message, so that an instance knows its own: it has been woken already.
    origin: Arc<str>,
    outbox: Waker,
    revoked: Messenger,
    names: Arc<Names>,
    _sender: AbortOnDropHandle<()>,
}

/// What is yet to be sent of resources: each once, by one letter for what happened and its name.
#[derive(Default)]
struct Names {
    waiting: Mutex<HashSet<String>>,
    added: Notify,
}

impl Names {
    fn waiting(&self) -> MutexGuard<'_, HashSet<String>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, what: char, name: &Name) {
        let mut waiting = self.waiting();
        if waiting.len() >= NAMES_WAITING_MAX {
            tracing::debug!("hint dropped: too many wait");
            return;
        }
        waiting.insert(format!("{what}{name}"));
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
        let names = Arc::new(Names::default());
        let sender = tokio::spawn(send_names(redis.clone(), origin.clone(), names.clone()));
        Self {
            origin,
            outbox: redis.waker(keys.wake_outbox(DOMAIN), OUTBOX_INTERVAL),
            revoked: redis.messenger(keys.wake_revoked(DOMAIN)),
            names,
            _sender: AbortOnDropHandle::new(sender),
        }
    }

    /// Events wait in the outbox.
    pub fn outbox(&self) {
        self.outbox.wake();
    }

    /// A resource may be free.
    pub fn freed(&self, name: &Name) {
        self.names.add(FREED, name);
    }

    /// Something happened to a resource.
    pub fn changed(&self, name: &Name) {
        self.names.add(CHANGED, name);
    }

    /// A lease ended under its holder.
    pub fn revoked(&self, lease_id: LeaseId) {
        self.revoked.send(format!("{} {lease_id}", self.origin));
    }

    /// What a message says that another instance sent, behind its origin; None of our own.
    fn said_by_others<'a>(&self, text: &'a str) -> Option<&'a str> {
        let (origin, said) = text.split_once(' ')?;
        (origin != &*self.origin).then_some(said)
    }
}

/// One message at a time: what comes meanwhile goes out together as the next one.
async fn send_names(redis: Redis, origin: Arc<str>, names: Arc<Names>) {
    let channel = redis.keys().wake_freed(DOMAIN);
    loop {
        names.added.notified().await;
        let taken: Vec<String> = std::mem::take(&mut *names.waiting()).into_iter().collect();
        for some in taken.chunks(NAMES_MAX) {
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
    let mut names = redis.listen(redis.keys().wake_freed(DOMAIN));
    let mut revoked = redis.listen(redis.keys().wake_revoked(DOMAIN));
    loop {
        tokio::select! {
            heard = names.heard() => match heard {
                Heard::Message(text) => heard_names(&core, &watches, &text),
                Heard::Resumed => {
                    core.waiters.wake_firsts();
                    watches.look_again();
                }
            },
            heard = revoked.heard() => {
                if let Heard::Message(text) = heard && let Some(lease_id) = heard_revoked(&core.hints, &text) {
                    // No receiver is no failure: nobody holds a session here.
                    let _ = core.revoked.send(lease_id);
                }
            }
            () = shutdown.cancelled() => return,
        }
    }
}

fn heard_names(core: &Core, watches: &Watches, text: &[u8]) {
    let Some((origin, names)) = std::str::from_utf8(text).ok().and_then(|text| text.split_once(' ')) else { return };
    let is_own = origin == &*core.hints.origin;
    for (what, name) in names.split(' ').filter_map(parse) {
        match what {
            // Who waits here was woken when it happened.
            FREED if !is_own => core.waiters.freed(&name),
            CHANGED => watches.changed(&name),
            _ => {}
        }
    }
}

fn parse(hint: &str) -> Option<(char, Name)> {
    let what = hint.chars().next()?;
    Some((what, Name::parse(hint.get(what.len_utf8()..)?)?))
}

fn heard_revoked(hints: &Hints, text: &[u8]) -> Option<LeaseId> {
    LeaseId::parse(hints.said_by_others(std::str::from_utf8(text).ok()?)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_a_resource_is_understood() {
        let name = Name::parse("acme/alpha/host/rack:7/eth0").expect("a name");
        assert_eq!(parse(&format!("{FREED}{name}")), Some((FREED, name.clone())));
        assert_eq!(parse(&format!("{CHANGED}{name}")), Some((CHANGED, name)));
        for hint in ["", "f", "facme", "facme/alpha/host", "é"] {
            assert_eq!(parse(hint), None, "{hint}");
        }
    }
}
