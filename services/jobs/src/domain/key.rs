//! A reserved idempotency key: a lease with a token, then an outcome.

use super::job::Time;
use super::payload::Payload;
use super::payload_hash::PayloadHash;

/// The head of a key in its current window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    pub generation: i64,
    pub payload_hash: PayloadHash,
    pub window_end: Time,
    pub use_: Use,
}

/// What a key is used for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Use {
    /// It queued a job; only SubmitJob does that.
    Job(holdfast_ids::JobId),
    Reserved {
        token: i64,
        lease_expires_at: Time,
    },
    Completed {
        token: i64,
        completed_at: Time,
        outcome: Payload,
    },
}

/// What a caller that wants the key is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reservation {
    /// Yours: the window was over or the key was never used.
    OpensWindow {
        generation: i64,
    },
    /// Yours: the holder's lease ran out, and what it did is unknown.
    TakesOver {
        token: i64,
    },
    InProgress {
        lease_expires_at: Time,
    },
    Completed {
        outcome: Payload,
        completed_at: Time,
    },
    /// Used in this window for something else.
    Conflict,
}

/// Decides a reservation over the locked head.
pub fn reserve(head: &Head, hash: &PayloadHash, now: Time) -> Reservation {
    if head.window_end <= now {
        return Reservation::OpensWindow { generation: head.generation + 1 };
    }
    if head.payload_hash != *hash {
        return Reservation::Conflict;
    }
    match &head.use_ {
        Use::Job(_) => Reservation::Conflict,
        Use::Reserved { token, lease_expires_at } if *lease_expires_at <= now => {
            Reservation::TakesOver { token: token + 1 }
        }
        Use::Reserved { lease_expires_at, .. } => Reservation::InProgress { lease_expires_at: *lease_expires_at },
        Use::Completed { outcome, completed_at, .. } => {
            Reservation::Completed { outcome: outcome.clone(), completed_at: *completed_at }
        }
    }
}

/// What the holder of a reservation that completes it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Completion {
    Records,
    /// The same token recorded the same outcome before.
    Repeats {
        completed_at: Time,
    },
    /// Another holder took over, or the token completed the key otherwise.
    Stale,
}

/// Decides a completion over the locked head. A holder whose lease ran out may still complete while nobody took over: its
/// token is the current one, and the outcome it knows is better than none.
pub fn complete(head: &Head, token: i64, outcome: &Payload, now: Time) -> Completion {
    if head.window_end <= now {
        return Completion::Stale;
    }
    match &head.use_ {
        Use::Reserved { token: current, .. } if *current == token => Completion::Records,
        Use::Completed { token: current, completed_at, outcome: recorded }
            if *current == token && recorded == outcome =>
        {
            Completion::Repeats { completed_at: *completed_at }
        }
        _ => Completion::Stale,
    }
}
