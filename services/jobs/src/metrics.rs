//! Every instrument of the service, with unit and labels. No label is unbounded. Calls, tasks and dependencies are measured
//! by the runtime.

use std::future::Future;
use std::time::Instant;

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use crate::domain::approval::Decision;
use crate::domain::budget::Spent;
use crate::domain::job::{StateName, Tier, Time};
use crate::domain::project::QueueTimeout;
use crate::domain::transition::{Said, Transition};

pub(crate) fn describe() {
    describe_counter!("jobs_submitted_total", "Jobs queued; replays not counted");
    describe_counter!("jobs_matched_total", "Jobs leased in the transaction of their submission");
    describe_counter!(
        "jobs_submissions_refused_total",
        "Submissions refused, by cause: outbox, depth, residency, rate, budget, budgets_unknown, policy"
    );
    describe_counter!("jobs_queue_soft_limit_total", "Batches that found a queue over its soft limit");
    describe_counter!("jobs_stale_answers_refused_total", "Answers of workers that no longer held the lease");
    describe_counter!("jobs_swept_total", "Jobs moved because a time was over, by the sweep that found them");
    describe_counter!(
        "jobs_queue_overdue_total",
        "Jobs that have waited for a worker for longer than their queue budget, by tier, and by what came of it"
    );
    describe_counter!("jobs_usage_recorded_total", "Reports of usage recorded; replays not counted");
    describe_counter!("jobs_budget_exceeded_total", "Jobs ended because a budget was exceeded, by scope");
    describe_counter!(
        "jobs_budget_drift_total",
        "Counters in Redis found to differ from PostgreSQL, by direction: low, high"
    );
    describe_gauge!(
        "jobs_budget_drift_tokens",
        "Tokens by which counters differed, all together, at the last comparison"
    );
    describe_gauge!("jobs_budget_drift_micro_usd", "Millionths of a US dollar by which counters differed, likewise");
    describe_gauge!("jobs_budgets_exceeded", "Budgets that are exceeded, at the last comparison");
    describe_counter!("jobs_decisions_total", "Decisions about jobs of tier C, by decision");
    describe_counter!("jobs_settled_total", "Blocked jobs that moved on by what they waited for, by state");
    describe_counter!("jobs_held_total", "Jobs stopped or freed as kill switches and policy say, by state");
    describe_counter!("policy_snapshots_failed_total", "Snapshots of policy that were not had");
    describe_counter!(
        "policy_events_refused_total",
        "Entries of the operations stream that are not signed, or not understood"
    );
    describe_counter!("jobs_claims_failed_total", "Claims that failed");
    describe_counter!("jobs_transactions_retried_total", "Transactions run again after a conflict");
    describe_histogram!("jobs_pickup_ms", Unit::Milliseconds, "From ready to leased");
    describe_histogram!("jobs_query_ms", Unit::Milliseconds, "A look-up in the database with its trip there, by query");
    describe_gauge!("jobs_sessions", "Worker sessions of this instance");
    describe_counter!("jobs_watch_events_sent_total", "Transitions that watches were sent");
    describe_counter!("jobs_watch_caught_up_total", "Transitions that watches had missed, by where they were found");
    describe_counter!("jobs_watch_slow_closed_total", "Watches ended because their callers took nothing");
    describe_counter!("jobs_watch_reads_begun_total", "Times that the streams began to be read, at their ends");
    describe_gauge!("jobs_watches", "Watches of this instance");
    describe_gauge!(
        "policy_snapshot_age_seconds",
        Unit::Seconds,
        "Since when what is known of policy was not confirmed"
    );
    describe_gauge!("policy_kill_switches", "Kill switches that are on");
    describe_gauge!("outbox_pending_count", "Events that wait for a relay, counted up to the hard limit");
    describe_gauge!("table_row_count", "Rows of a table as last counted, estimated, by table");
    describe_gauge!(
        "partitions_missing",
        "Weeks to come for which a table has no partition, by table: calls fail without"
    );
    describe_gauge!("partitions_ready_for_archive", "Partitions of a table that are older than it is kept, by table");
    describe_gauge!("outbox_ring_stuck", "1 where no slot of the outbox could be emptied");
}

pub(crate) fn submitted(jobs: usize) {
    counter!("jobs_submitted_total").increment(jobs as u64);
}

pub(crate) fn submissions_refused(cause: &'static str, jobs: usize) {
    counter!("jobs_submissions_refused_total", "cause" => cause).increment(jobs as u64);
}

/// Jobs that a waiting worker had in the transaction of their submission.
pub(crate) fn matched(jobs: usize) {
    counter!("jobs_matched_total").increment(jobs as u64);
}

pub(crate) fn over_soft_limit() {
    counter!("jobs_queue_soft_limit_total").increment(1);
}

pub(crate) fn stale_answer_refused() {
    counter!("jobs_stale_answers_refused_total").increment(1);
}

pub(crate) fn swept(by: &'static str) {
    counter!("jobs_swept_total", "by" => by).increment(1);
}

pub(crate) fn queue_overdue(tier: Tier, reaction: QueueTimeout) {
    counter!("jobs_queue_overdue_total", "tier" => tier.as_str(), "reaction" => reaction.as_str()).increment(1);
}

pub(crate) fn decided(decision: Decision) {
    counter!("jobs_decisions_total", "decision" => decision.as_str()).increment(1);
}

pub(crate) fn settled(state: StateName) {
    counter!("jobs_settled_total", "state" => state.as_str()).increment(1);
}

pub(crate) fn usage_recorded(reports: usize) {
    counter!("jobs_usage_recorded_total").increment(reports as u64);
}

/// What the budgets have ended of these, by the budget's scope.
pub(crate) fn ended_by_budgets<'a>(transitions: impl IntoIterator<Item = &'a Transition>) {
    for transition in transitions {
        if let Said::BudgetExceeded(exceeded) = &transition.said {
            counter!("jobs_budget_exceeded_total", "scope" => exceeded.scope.as_str()).increment(1);
        }
    }
}

/// How the counters compared: how many were too low and too high, and by how much they differed in all.
pub(crate) fn budget_drift(low: u64, high: u64, by: Spent) {
    counter!("jobs_budget_drift_total", "direction" => "low").increment(low);
    counter!("jobs_budget_drift_total", "direction" => "high").increment(high);
    gauge!("jobs_budget_drift_tokens").set(by.tokens as f64);
    gauge!("jobs_budget_drift_micro_usd").set(by.cost_micro_usd as f64);
}

pub(crate) fn budgets_exceeded(budgets: usize) {
    gauge!("jobs_budgets_exceeded").set(budgets as f64);
}

pub(crate) fn held(state: StateName) {
    counter!("jobs_held_total", "state" => state.as_str()).increment(1);
}

pub(crate) fn policy_snapshot_failed() {
    counter!("policy_snapshots_failed_total").increment(1);
}

pub(crate) fn policy_event_refused() {
    counter!("policy_events_refused_total").increment(1);
}

pub(crate) fn policy_known(age: std::time::Duration, switches: usize) {
    gauge!("policy_snapshot_age_seconds").set(age.as_secs_f64());
    gauge!("policy_kill_switches").set(switches as f64);
}

pub(crate) fn claim_failed() {
    counter!("jobs_claims_failed_total").increment(1);
}

pub(crate) fn transaction_retried() {
    counter!("jobs_transactions_retried_total").increment(1);
}

/// A job was leased that had been ready since `ready_at`.
pub(crate) fn picked_up(ready_at: Time, now: Time) {
    histogram!("jobs_pickup_ms").record((now - ready_at).as_seconds_f64().max(0.0) * 1e3);
}

/// The look-ups that have a latency to keep, by what they look for. One statement serves a batch of callers.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Query {
    /// A job by its id.
    JobById,
    /// Where a submission's key was used before, and its job.
    KeyHead,
    /// A key for GetKey and its siblings, with the wait for the row's lock.
    KeyLock,
}

impl Query {
    fn as_str(self) -> &'static str {
        match self {
            Self::JobById => "job_by_id",
            Self::KeyHead => "key_head",
            Self::KeyLock => "key_lock",
        }
    }
}

/// Awaits a statement and records how long it took, whatever came of it.
pub(crate) async fn timed<T>(query: Query, statement: impl Future<Output = T>) -> T {
    let began = Instant::now();
    let answer = statement.await;
    histogram!("jobs_query_ms", "query" => query.as_str()).record(began.elapsed().as_secs_f64() * 1e3);
    answer
}

pub(crate) fn session_began() {
    gauge!("jobs_sessions").increment(1.0);
}

pub(crate) fn session_ended() {
    gauge!("jobs_sessions").decrement(1.0);
}

pub(crate) fn watch_began() {
    gauge!("jobs_watches").increment(1.0);
}

pub(crate) fn watch_ended() {
    gauge!("jobs_watches").decrement(1.0);
}

pub(crate) fn watch_sent(events: usize) {
    counter!("jobs_watch_events_sent_total").increment(events as u64);
}

pub(crate) fn watch_caught_up(from: &'static str, events: usize) {
    counter!("jobs_watch_caught_up_total", "from" => from).increment(events as u64);
}

pub(crate) fn watch_too_slow() {
    counter!("jobs_watch_slow_closed_total").increment(1);
}

pub(crate) fn watch_reads_begun() {
    counter!("jobs_watch_reads_begun_total").increment(1);
}

pub(crate) fn outbox_pending(events: i64) {
    gauge!("outbox_pending_count").set(events as f64);
}

/// The tables of a schema are few, and known when it is made.
pub(crate) fn table_row_count(table: String, rows: i64) {
    gauge!("table_row_count", "table" => table).set(rows as f64);
}

pub(crate) fn partitions(table: String, missing: i64, ready: i64) {
    gauge!("partitions_missing", "table" => table.clone()).set(missing as f64);
    gauge!("partitions_ready_for_archive", "table" => table).set(ready as f64);
}

pub(crate) fn outbox_ring_stuck(stuck: bool) {
    gauge!("outbox_ring_stuck").set(if stuck { 1.0 } else { 0.0 });
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    const SOURCE: &str = include_str!("metrics.rs");

    /// The names that a macro is called with, wherever its lines are broken.
    fn named(call: &str) -> BTreeSet<String> {
        let source: String = SOURCE.split_whitespace().collect();
        let opening = format!("{call}!(\"");
        let calls = source.match_indices(&opening).map(|(at, _)| source.split_at(at));
        // `counter!` stands in `describe_counter!` too.
        let own = calls.filter(|(before, _)| !before.ends_with('_'));
        own.filter_map(|(_, call)| Some(call[opening.len()..].split('"').next()?.to_owned())).collect()
    }

    #[test]
    fn every_instrument_is_described_and_every_description_has_its_instrument() {
        for kind in ["counter", "gauge", "histogram"] {
            let used = named(kind);
            assert!(!used.is_empty(), "no {kind} is found");
            assert_eq!(named(&format!("describe_{kind}")), used, "{kind}");
        }
    }
}
