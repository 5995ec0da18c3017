//! Ours beside other locks. Every figure is the median of the rounds.

use std::{collections::BTreeSet, fmt::Write as _};

use super::text::{head, ms, thousands};
use crate::{
    experiments::locks::{APART, CONTENDED, Cell, HOT, Heartbeats, Inside, Measured, System},
    load::pairs::Crowd,
    measure::{percentiles::Percentiles, processes::ProgramUse, scrape::QueryTimes},
};

const SYSTEMS: [System; 6] =
    [System::Holdfast, System::HoldfastAged, System::HoldfastWait, System::EtcdFresh, System::EtcdKept, System::Rslock];
/// Connections at which the targets hold, and more.
const TARGET_CLIENTS: usize = 32;

fn name(measured: &Measured, system: System) -> String {
    match system {
        System::Holdfast => "holdfast".to_owned(),
        System::HoldfastAged => format!("holdfast, {} more journal rows", thousands(measured.journal_rows as f64)),
        System::HoldfastWait => "holdfast, WAIT on a replica".to_owned(),
        System::EtcdFresh => "etcd, a fresh lease each".to_owned(),
        System::EtcdKept => "etcd, one lease a client".to_owned(),
        System::Rslock => "rslock (not durable, not fenced)".to_owned(),
    }
}

/// The middle one; of two in the middle the lower.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len().checked_sub(1)? / 2).copied()
}

fn cells(measured: &Measured, system: System, crowd: Crowd) -> Vec<&Cell> {
    measured.cells.iter().filter(|cell| cell.system == system && cell.crowd == crowd).collect()
}

fn middle(cells: &[&Cell], figure: impl Fn(&Cell) -> f64) -> Option<f64> {
    median(cells.iter().map(|cell| figure(cell)).collect())
}

fn pairs_per_s(measured: &Measured, system: System, crowd: Crowd) -> Option<f64> {
    middle(&cells(measured, system, crowd), |cell| cell.times.pairs_per_s)
}

/// The bound of the histogram that 95 of 100 stayed within; infinite beyond its last.
fn p95_bound_ms(times: &[QueryTimes], which: &str) -> Option<f64> {
    let times = times.iter().find(|times| times.query == which)?;
    Some(times.under_ms(0.95).unwrap_or(f64::INFINITY))
}

fn board_p95_ms(cells: &[&Cell]) -> Option<f64> {
    let inside = cells.iter().filter_map(|cell| cell.ours.as_ref());
    median(inside.filter_map(|inside| p95_bound_ms(&inside.transactions, "board")).collect())
}

fn within(bound_ms: Option<f64>) -> String {
    bound_ms.map_or_else(|| "-".to_owned(), |bound| format!("≤ {bound}"))
}

fn two(cells: &[&Cell], times: impl Fn(&Cell) -> Percentiles) -> String {
    let figure = |of: fn(&Percentiles) -> f64| middle(cells, |cell| of(&times(cell))).unwrap_or_default();
    format!("{:.2}, {:.2}", figure(|times| times.p50_ms), figure(|times| times.p99_ms))
}

fn span(cells: &[&Cell]) -> String {
    let rates = || cells.iter().map(|cell| cell.times.pairs_per_s);
    let (least, most) = (rates().fold(f64::INFINITY, f64::min), rates().fold(0.0, f64::max));
    format!("{} to {}", thousands(least), thousands(most))
}

pub fn pairs_table(measured: &Measured) -> String {
    let mut text = head(&[
        "lock",
        "connections",
        "pairs/s",
        "of the rounds",
        "ours to it",
        "pair p50, p99 (ms)",
        "acquire p50, p99 (ms)",
        "release p50, p99 (ms)",
        "database p95 (ms)",
        "log syncs/s",
    ]);
    for crowd in APART {
        let ours = pairs_per_s(measured, System::Holdfast, crowd);
        for system in SYSTEMS {
            let cells = cells(measured, system, crowd);
            let Some(rate) = middle(&cells, |cell| cell.times.pairs_per_s) else { continue };
            let ratio = ours.map_or(0.0, |ours| ours / rate.max(f64::MIN_POSITIVE));
            let syncs = median(cells.iter().filter_map(|cell| cell.wal_syncs_per_s).collect());
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {ratio:.2} | {} | {} | {} | {} | {} |",
                name(measured, system),
                crowd.clients,
                thousands(rate),
                span(&cells),
                two(&cells, |cell| cell.times.pair),
                two(&cells, |cell| cell.times.acquire),
                two(&cells, |cell| cell.times.release),
                within(board_p95_ms(&cells)),
                syncs.map_or_else(|| "-".to_owned(), thousands)
            );
        }
    }
    let _ = write!(
        text,
        "\n{} rounds, {:.0} s of warm-up, {:.0} s of window each; leases of {} s.{}",
        measured.rounds,
        measured.warm_up_s,
        measured.window_s,
        measured.ttl_s,
        not_mirrored(measured)
    );
    text
}

fn not_mirrored(measured: &Measured) -> String {
    let degraded = |system: System| -> u64 {
        let cells = measured.cells.iter().filter(|cell| cell.system == system);
        cells.filter_map(|cell| cell.ours.as_ref()).map(|inside: &Inside| inside.not_mirrored).sum()
    };
    let found = SYSTEMS.iter().filter(|system| degraded(**system) > 0);
    found.fold(String::new(), |mut text, system| {
        let _ = write!(text, " {}: {} grants answered as DEGRADED.", name(measured, *system), degraded(*system));
        text
    })
}

pub fn hand_over_table(measured: &Measured) -> String {
    let mut text = head(&[
        "lock",
        "clients",
        "locks",
        "pairs/s",
        "ours to it",
        "handed over p50 (ms)",
        "p95 (ms)",
        "p99 (ms)",
        "max (ms)",
        "database p95 (ms)",
    ]);
    for crowd in [CONTENDED, HOT] {
        let ours = pairs_per_s(measured, System::Holdfast, crowd);
        for system in SYSTEMS {
            let cells = cells(measured, system, crowd);
            let Some(rate) = middle(&cells, |cell| cell.times.pairs_per_s) else { continue };
            let figure =
                |of: fn(&Percentiles) -> f64| middle(&cells, |cell| of(&cell.times.hand_over)).unwrap_or_default();
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {:.2} | {:.2} | {:.2} | {:.2} | {:.1} | {} |",
                name(measured, system),
                crowd.clients,
                crowd.shared_keys.unwrap_or_default(),
                thousands(rate),
                ours.map_or(0.0, |ours| ours / rate.max(f64::MIN_POSITIVE)),
                figure(|times| times.p50_ms),
                figure(|times| times.p95_ms),
                figure(|times| times.p99_ms),
                figure(|times| times.max_ms),
                within(board_p95_ms(&cells))
            );
        }
    }
    text
}

fn heartbeats(measured: &Measured, system: System, by_the_clock: bool) -> Vec<&Heartbeats> {
    let runs = measured.heartbeats.iter();
    runs.filter(|run| run.system == system && run.rate_asked.is_some() == by_the_clock).collect()
}

fn renew_p95_ms(runs: &[&Heartbeats]) -> Option<f64> {
    median(runs.iter().filter_map(|run| p95_bound_ms(&run.transactions, "renew")).collect())
}

pub fn heartbeats_table(measured: &Measured) -> String {
    let mut text =
        head(&["lock", "", "heartbeats/s", "p50 (ms)", "p95 (ms)", "p99 (ms)", "max (ms)", "database p95 (ms)"]);
    for (by_the_clock, how) in [(true, "by the clock"), (false, "back to back")] {
        for system in SYSTEMS {
            let runs = heartbeats(measured, system, by_the_clock);
            let figure = |of: fn(&Heartbeats) -> f64| median(runs.iter().map(|run| of(run)).collect());
            let Some(rate) = figure(|run| run.heartbeats_per_s) else { continue };
            let time = |of: fn(&Heartbeats) -> f64| figure(of).unwrap_or_default();
            let _ = writeln!(
                text,
                "| {} | {how} | {} | {:.2} | {:.2} | {:.2} | {:.1} | {} |",
                name(measured, system),
                thousands(rate),
                time(|run| run.latency.p50_ms),
                time(|run| run.latency.p95_ms),
                time(|run| run.latency.p99_ms),
                time(|run| run.latency.max_ms),
                within(renew_p95_ms(&runs))
            );
        }
    }
    let _ = write!(
        text,
        "\n{} locks held, through {} connections.",
        thousands(measured.held as f64),
        measured.heartbeat_connections
    );
    text
}

/// With the journal empty at the beginning, 32 connections apart.
pub fn processes_table(measured: &Measured) -> String {
    let mut text = head(&["process", "resident, idle (MiB)", "resident, under load (MiB)", "cores used"]);
    let cells = cells(measured, System::Holdfast, Crowd::apart(TARGET_CLIENTS));
    let uses = || cells.iter().filter_map(|cell| cell.ours.as_ref()).flat_map(|inside| &inside.processes);
    let programs: BTreeSet<_> = uses().map(|row| row.program).collect();
    for program in programs {
        let figure = |of: fn(&ProgramUse) -> f64| {
            median(uses().filter(|row| row.program == program).map(of).collect()).unwrap_or_default()
        };
        let _ = writeln!(
            text,
            "| {} | {:.0} | {:.0} | {:.2} |",
            program.name(),
            figure(|row| row.rss_idle_mib),
            figure(|row| row.rss_loaded_mib),
            figure(|row| row.cores)
        );
    }
    text
}

/// Word for word what was called.
pub fn settings_table(measured: &Measured) -> String {
    let mut text = head(&["lock", "version", "settings"]);
    for system in SYSTEMS {
        for setting in measured.settings.iter().filter(|setting| setting.system == system) {
            let _ = writeln!(text, "| {} | {} | `{}` |", name(measured, system), setting.version, setting.settings);
        }
    }
    text
}

/// Rows of the summary: what, target, measured.
pub fn targets(measured: &Measured) -> Vec<(String, &'static str, Option<String>)> {
    let rate = |system, crowd| pairs_per_s(measured, system, crowd);
    let mut rows = Vec::new();
    for crowd in APART.into_iter().filter(|crowd| crowd.clients >= TARGET_CLIENTS) {
        let ours = rate(System::Holdfast, crowd);
        for (other, how, target) in [
            (System::EtcdFresh, "a fresh lease each", "2 or more"),
            (System::EtcdKept, "one lease a client", "more than 1"),
        ] {
            let ratio = ours.zip(rate(other, crowd)).map(|(ours, other)| ours / other.max(f64::MIN_POSITIVE));
            let what = format!("Locks taken and given back, {} connections, to etcd's with {how}", crowd.clients);
            rows.push((what, target, ratio.map(|ratio| format!("{ratio:.2}"))));
        }
    }
    let boards = APART.into_iter().filter_map(|crowd| board_p95_ms(&cells(measured, System::Holdfast, crowd)));
    let at_most = |bound: Option<f64>| bound.map(|bound| format!("{} or less", ms(bound)));
    rows.push((
        "Database time of an acquire, p95, the worst of these".to_owned(),
        "5 ms",
        at_most(boards.reduce(f64::max)),
    ));
    let renewals = renew_p95_ms(&heartbeats(measured, System::Holdfast, true));
    rows.push(("Database time of a heartbeat, p95, many locks held".to_owned(), "2 ms", at_most(renewals)));
    for (crowd, what) in [(CONTENDED, "3 wait for each lock"), (HOT, "64 wait for one lock")] {
        for (system, with) in [(System::Holdfast, ""), (System::HoldfastWait, ", WAIT on a replica")] {
            let hand_over = middle(&cells(measured, system, crowd), |cell| cell.times.hand_over.p99_ms);
            rows.push((format!("Hand-over p99, {what}{with}"), "20 ms", hand_over.map(ms)));
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_one_of_the_values() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0]), Some(1.0));
        assert_eq!(median(Vec::new()), None);
    }

    #[test]
    fn the_bound_is_of_the_kind_that_is_asked_for() {
        let times =
            QueryTimes { query: "renew".to_owned(), buckets: vec![(1.0, 90), (2.0, 96)], count: 100, sum_ms: 1.0 };
        assert_eq!(p95_bound_ms(std::slice::from_ref(&times), "renew"), Some(2.0));
        assert_eq!(p95_bound_ms(&[times], "board"), None);
    }
}
