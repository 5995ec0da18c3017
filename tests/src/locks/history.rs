//! What clients were told about one resource, and when they asked and heard.
//!
//! One process records all calls by one clock that only goes forward. It starts at the machine's time of day, which is the
//! database's too: moments of both can be compared, up to [`CLOCKS_DIFFER_US`].

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

/// Never answered.
pub const NEVER: i64 = i64::MAX;
/// By how much this clock and the database's differ at most: the time of day is adjusted while a history is recorded.
pub const CLOCKS_DIFFER_US: i64 = 100_000;

/// One operation of one client on one resource, in microseconds. An operation that was tried several times under one key
/// lasts from the first try to the last answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    pub sent_us: i64,
    pub answered_us: i64,
    pub told: Told,
}

/// `Unheard`: there was no answer, or none that says what became of the call. It may take effect at any later time, or never.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    Granted(Grant),
    /// The label names the acquisition, so that a lease that somebody sees can be traced to it.
    AcquireUnheard {
        owner: String,
    },
    Renewed {
        lease_id: String,
        renewed_us: i64,
        stale_us: i64,
    },
    /// Had it an effect, it lasts `stale_after_us` from then.
    RenewUnheard {
        lease_id: String,
        stale_after_us: i64,
    },
    Released {
        lease_id: String,
    },
    ReleaseUnheard {
        lease_id: String,
    },
    /// A renewal or a release was answered that the lease is over.
    Over {
        lease_id: String,
    },
    /// A look at the resource.
    Seen {
        holder: Option<SeenHolder>,
        highest: u64,
    },
}

/// A lease on one resource, by the database's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    pub lease_id: String,
    pub fence: u64,
    pub granted_us: i64,
    pub stale_us: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenHolder {
    pub owner: String,
    pub grant: Grant,
}

/// Keeps a history for each resource: a resource's own calls are all that bears on it, and the search stays small.
pub struct Recorder {
    began: Instant,
    began_us: i64,
    histories: Mutex<BTreeMap<String, Vec<Call>>>,
}

impl Default for Recorder {
    fn default() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let began_us = i64::try_from(since_epoch.as_micros()).unwrap_or(NEVER);
        Self { began: Instant::now(), began_us, histories: Mutex::default() }
    }
}

impl Recorder {
    pub fn now_us(&self) -> i64 {
        self.began_us.saturating_add(i64::try_from(self.began.elapsed().as_micros()).unwrap_or(NEVER))
    }

    /// A call that was sent at `sent_us` and has been answered now.
    pub fn answered(&self, resource: &str, sent_us: i64, told: Told) {
        self.record(resource, Call { sent_us, answered_us: self.now_us(), told });
    }

    pub fn unheard(&self, resource: &str, sent_us: i64, told: Told) {
        self.record(resource, Call { sent_us, answered_us: NEVER, told });
    }

    fn record(&self, resource: &str, call: Call) {
        let mut histories = self.histories.lock().unwrap_or_else(PoisonError::into_inner);
        histories.entry(resource.to_owned()).or_default().push(call);
    }

    /// What was recorded so far.
    pub fn histories(&self) -> BTreeMap<String, Vec<Call>> {
        self.histories.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Every grant that was told, by its lease.
pub fn grants(calls: &[Call]) -> BTreeMap<&str, &Grant> {
    let told = calls.iter().filter_map(|call| match &call.told {
        Told::Granted(grant) => Some((grant.lease_id.as_str(), grant)),
        _ => None,
    });
    told.collect()
}
