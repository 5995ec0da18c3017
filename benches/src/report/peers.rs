//! Ours beside other queues.

use std::fmt::Write as _;

use super::text::{head, thousands};
use crate::experiments::peers::Measured;

pub fn peers_table(measured: &Measured) -> String {
    let mut text = head(&[
        "queue",
        "jobs/s",
        "ours to it",
        "enqueue p50, p99 (ms)",
        "waiting, start and end",
        "pickup p50, p99 (ms)",
        "at jobs/s",
    ]);
    let ours = measured.queues.first();
    for queue in &measured.queues {
        let ratio = ours.map_or(1.0, |ours| ours.jobs_per_s / queue.jobs_per_s.max(f64::MIN_POSITIVE));
        let _ = writeln!(
            text,
            "| {} | {} | {ratio:.2} | {:.1}, {:.1} | {}, {} | {:.2}, {:.2} | {} |",
            queue.name,
            thousands(queue.jobs_per_s),
            queue.enqueue.p50_ms,
            queue.enqueue.p99_ms,
            queue.backlog[0],
            queue.backlog[1],
            queue.pickup.p50_ms,
            queue.pickup.p99_ms,
            thousands(queue.half_done_per_s)
        );
    }
    let _ = write!(
        text,
        "\n{} callers, {:.0} s of warm-up, {:.0} s of window each. {}",
        measured.callers,
        measured.warm_up_s,
        measured.window_s,
        verdict(measured)
    );
    text
}

fn verdict(measured: &Measured) -> String {
    let Some((rate, pickup)) = best_others(measured) else { return String::new() };
    format!(
        "Ours does {rate:.2} times the jobs of the fastest of them; its pickup p99 is {pickup:.2} times that of the soonest."
    )
}

/// Our rate to the best of theirs, and our pickup p99 to the best of theirs.
pub fn best_others(measured: &Measured) -> Option<(f64, f64)> {
    let (ours, others) = measured.queues.split_first().filter(|(_, others)| !others.is_empty())?;
    let fastest = others.iter().map(|queue| queue.jobs_per_s).fold(0.0, f64::max);
    let soonest = others.iter().map(|queue| queue.pickup.p99_ms).fold(f64::INFINITY, f64::min);
    Some((ours.jobs_per_s / fastest, ours.pickup.p99_ms / soonest))
}

/// Word for word what was given to them.
pub fn peers_settings(measured: &Measured) -> String {
    let mut text = head(&["queue", "version", "settings"]);
    for queue in &measured.queues {
        let _ = writeln!(text, "| {} | {} | `{}` |", queue.name, queue.version, queue.settings);
    }
    text
}

pub fn batches_table(measured: &Measured) -> String {
    let mut text = head(&["producer", "jobs/s", "a call p50, p99 (ms)"]);
    for batches in &measured.batches {
        let _ = writeln!(
            text,
            "| {} | {} | {:.1}, {:.1} |",
            batches.name,
            thousands(batches.jobs_per_s),
            batches.latency.p50_ms,
            batches.latency.p99_ms
        );
    }
    let _ = write!(text, "\n{} jobs a call, {} callers.", measured.batch_jobs, measured.batch_callers);
    text
}
