//! Every instrument of the relay, each by source. No label is unbounded.

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use crate::{
    domain::{batch::Row, source::Source},
    store::Backlog,
};

pub fn describe() {
    describe_gauge!(
        "outbox_pending_count",
        Unit::Count,
        "Rows of a source that wait for publication; reported by one relay, 0 by others. Counted up to its bound"
    );
    describe_gauge!(
        "outbox_oldest_pending_age_seconds",
        Unit::Seconds,
        "Age of the oldest row that waits; reported by one relay"
    );
    describe_gauge!(
        "outbox_parked_keys",
        Unit::Count,
        "Keys held back because a row of theirs cannot be published: look at the log"
    );
    describe_gauge!("relay_shards_held", Unit::Count, "Shards of a source that this relay publishes");
    describe_counter!("relay_published_total", Unit::Count, "Events acknowledged by the broker and marked published");
    describe_counter!("relay_unpublishable_total", Unit::Count, "Attempts on rows that cannot be published");
    describe_counter!(
        "relay_stream_lost_total",
        Unit::Count,
        "Times that a shard's stream was found lost or shortened"
    );
    describe_counter!(
        "relay_republished_total",
        Unit::Count,
        "Rows made unpublished again because their entries were lost"
    );
    describe_counter!("relay_adopted_total", Unit::Count, "Entries found in a stream that nobody had recorded");
    describe_counter!("relay_fenced_total", Unit::Count, "Shards lost to another relay in the middle of work");
    describe_counter!("relay_round_failures_total", Unit::Count, "Rounds that ended early, by source and component");
    describe_histogram!(
        "relay_publish_latency_ms",
        Unit::Milliseconds,
        "From the fetch of a round's rows to the broker's acknowledgement"
    );
    describe_histogram!(
        "relay_commit_to_stream_ms",
        Unit::Milliseconds,
        "From an event's created_at to the broker's acknowledgement"
    );
}

pub fn shards_held(source: Source, count: usize) {
    gauge!("relay_shards_held", "source" => source.name()).set(count as f64);
}

pub fn parked_keys(source: Source, count: usize) {
    gauge!("outbox_parked_keys", "source" => source.name()).set(count as f64);
}

/// Rows of one acknowledgement, `since_fetch` after they were fetched.
pub fn acknowledged<'a>(source: Source, rows: impl Iterator<Item = &'a Row>, since_fetch: Duration) {
    let since_fetch_ms = since_fetch.as_secs_f64() * 1000.0;
    let publish_latency = histogram!("relay_publish_latency_ms", "source" => source.name());
    let commit_to_stream = histogram!("relay_commit_to_stream_ms", "source" => source.name());
    for row in rows {
        publish_latency.record(since_fetch_ms);
        commit_to_stream.record(row.age_ms + since_fetch_ms);
    }
}

pub fn published(source: Source, rows: usize) {
    counter!("relay_published_total", "source" => source.name()).increment(rows as u64);
}

pub fn unpublishable(source: Source, rows: usize) {
    counter!("relay_unpublishable_total", "source" => source.name()).increment(rows as u64);
}

pub fn stream_lost(source: Source, shards: usize, rows: u64) {
    counter!("relay_stream_lost_total", "source" => source.name()).increment(shards as u64);
    counter!("relay_republished_total", "source" => source.name()).increment(rows);
}

pub fn adopted(source: Source, rows: u64) {
    counter!("relay_adopted_total", "source" => source.name()).increment(rows);
}

pub fn fenced(source: Source) {
    counter!("relay_fenced_total", "source" => source.name()).increment(1);
}

pub fn round_failed(source: Source, component: &'static str) {
    counter!("relay_round_failures_total", "source" => source.name(), "component" => component).increment(1);
}

pub fn backlog(source: Source, backlog: Backlog) {
    gauge!("outbox_pending_count", "source" => source.name()).set(backlog.pending as f64);
    gauge!("outbox_oldest_pending_age_seconds", "source" => source.name()).set(backlog.oldest_age_seconds);
}
