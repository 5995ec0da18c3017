//! Every instrument of the service, with unit and labels. No label is unbounded: classes come from the registry. Calls, tasks and dependencies are
//! measured by the runtime.

use std::future::Future;
use std::time::{Duration, Instant};

use holdfast_ids::LockClass;
use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use crate::domain::entry::{Entry, What};

pub(crate) fn describe() {
    describe_histogram!(
        "acquire_ms",
        Unit::Milliseconds,
        "From a request for a lock to its grant, waits included, by class"
    );
    describe_histogram!(
        "wait_ms",
        Unit::Milliseconds,
        "What those waited that had to, from their request to the grant, by class"
    );
    describe_counter!("contention_count", "Requests that found a resource taken, by class");
    describe_counter!("fencing_token_rejected_count", "Tokens and leases presented that were not current, by class");
    describe_counter!("locks_granted_total", "Grants of a resource, by class");
    describe_counter!("locks_ended_total", "Ends of a grant, by class and by what ended it: released, expired, forced");
    describe_gauge!("locks_waiters", "Calls under way that acquire, those that wait among them");
    describe_gauge!("locks_sessions", "Streams that hold, or wait for, a lease");
    describe_gauge!("locks_watches", "Streams that follow a resource");
    describe_counter!("locks_waits_abandoned_total", "Waits ended because their instance was gone");
    describe_counter!("locks_mirror_failed_total", "Grants that were not mirrored as configured");
    describe_counter!("locks_mirror_rebuilt_total", "Leases written to a mirror that had lost them");
    describe_counter!(
        "locks_transactions_retried_total",
        "Transactions run again, after a conflict or an answer that was lost"
    );
    describe_histogram!(
        "locks_query_ms",
        Unit::Milliseconds,
        "Statements, by what they do; one serves a batch of calls"
    );
    describe_histogram!(
        "locks_batch_ms",
        Unit::Milliseconds,
        "Batches, from their first trip to the database to their last, by kind: board, renew"
    );
    describe_gauge!("outbox_pending_count", "Events that wait for a relay, counted up to 50,000");
    describe_gauge!("partitions_missing", "Weeks to come for which a table has no partition, by table");
    describe_gauge!("outbox_ring_stuck", "1 while no slot of the outbox can be emptied");
}

pub(crate) fn acquired(class: &LockClass, took: Duration, waited: bool) {
    let took_ms = took.as_secs_f64() * 1e3;
    histogram!("acquire_ms", "class" => class.to_string()).record(took_ms);
    if waited {
        histogram!("wait_ms", "class" => class.to_string()).record(took_ms);
    }
}

pub(crate) fn contended(class: &LockClass) {
    counter!("contention_count", "class" => class.to_string()).increment(1);
}

pub(crate) fn fence_rejected(class: &LockClass) {
    counter!("fencing_token_rejected_count", "class" => class.to_string()).increment(1);
}

pub(crate) fn recorded(entries: &[Entry]) {
    for Entry { what, name, .. } in entries {
        let class = name.resource.class.to_string();
        match what {
            What::Granted { .. } => counter!("locks_granted_total", "class" => class).increment(1),
            What::Released { .. } | What::Expired { .. } | What::Forced { .. } => {
                counter!("locks_ended_total", "class" => class, "by" => what.as_str()).increment(1);
            }
            What::FenceRejected { .. } => {}
        }
    }
}

pub(crate) fn waiters(count: usize) {
    gauge!("locks_waiters").set(count as f64);
}

pub(crate) fn session_began() {
    gauge!("locks_sessions").increment(1.0);
}

pub(crate) fn session_ended() {
    gauge!("locks_sessions").decrement(1.0);
}

pub(crate) fn watch_began() {
    gauge!("locks_watches").increment(1.0);
}

pub(crate) fn watch_ended() {
    gauge!("locks_watches").decrement(1.0);
}

pub(crate) fn abandoned(waits: usize) {
    counter!("locks_waits_abandoned_total").increment(waits as u64);
}

pub(crate) fn mirror_failed() {
    counter!("locks_mirror_failed_total").increment(1);
}

pub(crate) fn mirror_rebuilt(leases: usize) {
    counter!("locks_mirror_rebuilt_total").increment(leases as u64);
}

pub(crate) fn transaction_retried() {
    counter!("locks_transactions_retried_total").increment(1);
}

/// The statements that have a latency to keep.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Query {
    BoardLock,
    BoardLook,
    BoardWrite,
    Renew,
    See,
}

impl Query {
    fn as_str(self) -> &'static str {
        match self {
            Self::BoardLock => "board_lock",
            Self::BoardLook => "board_look",
            Self::BoardWrite => "board_write",
            Self::Renew => "renew",
            Self::See => "see",
        }
    }
}

/// Awaits a statement and records how long it took, whatever came of it.
pub(crate) async fn timed<T>(query: Query, statement: impl Future<Output = T>) -> T {
    let began = Instant::now();
    let answer = statement.await;
    histogram!("locks_query_ms", "query" => query.as_str()).record(began.elapsed().as_secs_f64() * 1e3);
    answer
}

/// Awaits a transaction, likewise.
pub(crate) async fn batch<T>(kind: &'static str, transaction: impl Future<Output = T>) -> T {
    let began = Instant::now();
    let answer = transaction.await;
    histogram!("locks_batch_ms", "kind" => kind).record(began.elapsed().as_secs_f64() * 1e3);
    answer
}

pub(crate) fn outbox_pending(events: i64) {
    gauge!("outbox_pending_count").set(events as f64);
}

pub(crate) fn partitions_missing(weeks: i64) {
    gauge!("partitions_missing", "table" => "locks").set(weeks as f64);
}

pub(crate) fn outbox_ring_stuck(stuck: bool) {
    gauge!("outbox_ring_stuck").set(if stuck { 1.0 } else { 0.0 });
}
