//! The table at the end.

use serde::Serialize;

use crate::output::Table;

const PROBLEMS_SHOWN: usize = 20;

#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    pub(super) run_id: String,
    /// Tracked by git but not readable as a file here.
    pub(super) files_skipped: usize,
    pub(super) submitted: usize,
    pub(super) replayed: usize,
    pub(super) conflicts_refused: usize,
    /// Of tier C: they waited for a decision.
    pub(super) approved: usize,
    pub(super) done: usize,
    pub(super) retried_after_kill: usize,
    pub(super) lost: usize,
    pub(super) done_twice: usize,
    pub(super) wrong_digests: usize,
    /// From the end of two jobs to the beginning of the one that waited for them; none where it was not done.
    pub(super) graph_gap_ms: Option<f64>,
    /// Tokens that a worker reported, and that were counted.
    pub(super) usage_reported: i64,
    pub(super) usage_counted: i64,
    pub(super) events_written: usize,
    pub(super) events_read: usize,
    pub(super) pickup_p50_ms: f64,
    pub(super) pickup_p99_ms: f64,
    pub(super) elapsed_ms: u64,
    /// Everything that is not as it must be; empty where the tour is good.
    pub(super) problems: Vec<String>,
}

impl Report {
    pub(super) fn is_good(&self) -> bool {
        self.problems.is_empty()
    }

    pub(super) fn table(&self) -> Table {
        let mut table = Table::fields();
        let mut count = |name: &str, value: usize| table.field(name, value.to_string());
        count("submitted", self.submitted);
        count("replayed", self.replayed);
        count("conflicts refused", self.conflicts_refused);
        count("approved by a person", self.approved);
        count("done", self.done);
        count("retried after the kill", self.retried_after_kill);
        count("lost", self.lost);
        count("done twice", self.done_twice);
        count("wrong digests", self.wrong_digests);
        count("events written", self.events_written);
        count("events read", self.events_read);
        let gap = self.graph_gap_ms.map_or_else(|| "not done".to_owned(), |gap_ms| format!("{gap_ms:.1} ms later"));
        table.field("two jobs, then a third", gap);
        table.field("usage counted", format!("{} of {} tokens", self.usage_counted, self.usage_reported));
        table.field("pickup p50 / p99", format!("{:.1} ms / {:.1} ms", self.pickup_p50_ms, self.pickup_p99_ms));
        table.field("took", format!("{:.1} s", self.elapsed_ms as f64 / 1_000.0));
        table.footer(self.verdict());
        table
    }

    fn verdict(&self) -> String {
        if self.is_good() {
            return "Nothing is off: logs, API, tables, events and digests agree.".to_owned();
        }
        let shown = self.problems.iter().take(PROBLEMS_SHOWN).map(|problem| format!("  {problem}"));
        let mut lines: Vec<String> = std::iter::once("OFF:".to_owned()).chain(shown).collect();
        if self.problems.len() > PROBLEMS_SHOWN {
            lines.push(format!("  and {} more", self.problems.len() - PROBLEMS_SHOWN));
        }
        lines.join("\n")
    }
}
