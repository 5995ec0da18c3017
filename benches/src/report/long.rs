//! What time and size do to it: the soak and the growth of the tables.

use std::fmt::Write as _;

use super::text::{head, thousands};
use crate::{
    experiments::{
        growth,
        soak::{self, Minute},
    },
    measure::processes::Program,
};

pub fn soak_table(measured: &soak::Measured) -> String {
    let mut text = head(&[
        "minute",
        "jobs/s",
        "submit p99 (ms)",
        "pickup p50, p99 (ms)",
        "submitted to done p99 (ms)",
        "jobs, events waiting",
        "dead rows",
        "vacuums",
        "tables and indexes (MiB)",
        "WAL (MiB/s)",
        "resident: jobs, relay, PostgreSQL, Redis (MiB)",
    ]);
    for (index, minute) in measured.minutes.iter().enumerate() {
        let _ = writeln!(
            text,
            "| {} | {} | {:.1} | {:.2}, {:.2} | {:.1} | {}, {} | {} | {} | {} | {:.1} | {} |",
            index + 1,
            thousands(minute.done_per_s),
            minute.submit.p99_ms,
            minute.pickup.p50_ms,
            minute.pickup.p99_ms,
            minute.whole.p99_ms,
            minute.jobs_waiting,
            minute.events_waiting,
            thousands(minute.dead_rows as f64),
            minute.autovacuums,
            thousands(minute.database_mib),
            minute.wal_mib_per_s,
            resident(minute)
        );
    }
    let _ = write!(
        text,
        "\n{} jobs/s by the clock, {} minutes of {:.0} s.",
        thousands(measured.rate_asked),
        measured.minutes.len(),
        measured.minute_s
    );
    if let [first, .., last] = &measured.minutes[..] {
        let _ = write!(
            text,
            " The last minute against the first: {:.2} of its jobs/s, {:.2} of its p99 from submitted to done, {:.2} of its pickup p99.",
            last.done_per_s / first.done_per_s,
            last.whole.p99_ms / first.whole.p99_ms,
            last.pickup.p99_ms / first.pickup.p99_ms
        );
    }
    text
}

fn resident(minute: &Minute) -> String {
    let of = |program| {
        let found = minute.processes.iter().find(|row| row.program == program);
        found.map_or_else(|| "-".to_owned(), |row| format!("{:.0}", row.rss_loaded_mib))
    };
    [Program::Jobs, Program::Relay, Program::Postgres, Program::Redis].map(of).join(", ")
}

pub fn soak_tables_table(measured: &soak::Measured) -> String {
    let mut text = head(&[
        "table",
        "live rows",
        "dead rows, before and after",
        "table (MiB), before and after",
        "indexes (MiB), before and after",
        "vacuums, analyzes meanwhile",
    ]);
    for after in &measured.after.tables {
        let before = measured.before.tables.iter().find(|table| table.name == after.name);
        let _ = writeln!(
            text,
            "| `{}` | {} | {}, {} | {:.1}, {:.1} | {:.1}, {:.1} | {}, {} |",
            after.name,
            thousands(after.live_rows as f64),
            before.map_or(0, |table| table.dead_rows),
            after.dead_rows,
            before.map_or(0.0, |table| table.heap_mib),
            after.heap_mib,
            before.map_or(0.0, |table| table.index_mib),
            after.index_mib,
            after.autovacuums - before.map_or(0, |table| table.autovacuums),
            after.autoanalyzes - before.map_or(0, |table| table.autoanalyzes)
        );
    }
    let settings = measured.autovacuum.iter().map(|(name, value)| format!("`{name}` {value}"));
    let _ = write!(text, "\nAutovacuum: {}.", settings.collect::<Vec<_>>().join("; "));
    text
}

pub fn growth_table(measured: &growth::Measured) -> String {
    let mut text =
        head(&["finished jobs", "look-up", "p50 (ms)", "p95 (ms)", "p99 (ms)", "max (ms)", "cold p50, p99 (ms)"]);
    for size in &measured.sizes {
        for lookup in &size.lookups {
            let _ = writeln!(
                text,
                "| {} | {} | {} | {:.2}, {:.2} |",
                thousands(size.finished_jobs as f64),
                lookup.what,
                lookup.warm.cells(),
                lookup.cold.p50_ms,
                lookup.cold.p99_ms
            );
        }
    }
    if let [first, .., last] = &measured.sizes[..] {
        text += "\n";
        text += &head(&["look-up", "the most to the fewest jobs, p50", "p95", "p99"]);
        for (few, many) in first.lookups.iter().zip(&last.lookups) {
            let _ = writeln!(
                text,
                "| {} | {:.2} | {:.2} | {:.2} |",
                few.what,
                many.warm.p50_ms / few.warm.p50_ms,
                many.warm.p95_ms / few.warm.p95_ms,
                many.warm.p99_ms / few.warm.p99_ms
            );
        }
    }
    text += "\n";
    for size in &measured.sizes {
        let _ = writeln!(
            text,
            "{} jobs in {} weekly partitions: {} MiB of tables, {} of indexes, filled in {:.0} s.",
            thousands(size.finished_jobs as f64),
            size.partitions,
            thousands(size.tables_mib),
            thousands(size.indexes_mib),
            size.fill_s
        );
    }
    let _ = write!(text, "{} jobs are looked up, each once cold and once again.", thousands(measured.sample as f64));
    text
}

pub fn growth_metrics_table(measured: &growth::Measured) -> String {
    let mut text = head(&["finished jobs", "`query`", "statements", "mean (ms)", "p95 up to (ms)", "p99 up to (ms)"]);
    for size in &measured.sizes {
        for times in &size.metrics {
            let under =
                |quantile| times.under_ms(quantile).map_or_else(|| "beyond".to_owned(), |bound| bound.to_string());
            let _ = writeln!(
                text,
                "| {} | `{}` | {} | {:.3} | {} | {} |",
                thousands(size.finished_jobs as f64),
                times.query,
                thousands(times.count as f64),
                times.mean_ms(),
                under(0.95),
                under(0.99)
            );
        }
    }
    text
}
