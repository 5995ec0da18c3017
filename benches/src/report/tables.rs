//! One function a table, from typed results to Markdown.

use std::fmt::Write as _;

use anyhow::{Result, bail};
use serde::de::DeserializeOwned;

use super::{
    locks::{
        hand_over_table, heartbeats_table, pairs_table, processes_table as locks_processes_table, settings_table,
        targets,
    },
    long::{growth_metrics_table, growth_table, soak_table, soak_tables_table},
    peers::{batches_table, best_others, peers_settings, peers_table},
    text::{head, ms, per_s, thousands},
};
use crate::{
    experiments::{
        FLOOR, GET_JOB, GROWTH, LOCKS, PEERS, PICKUP, PROFILE, RELAY, SOAK, SUBMIT, e2e, e2e_name, floor, get_job,
        growth, locks, peers as beside, pickup, profile, relay, soak, submit,
    },
    measure::{
        conditions::WriteRates,
        processes::{Program, ProgramUse},
    },
    results::{Record, Results},
};

const NOT_RUN: &str = "Not measured yet.";

pub fn table(results: &Results, name: &str) -> Result<String> {
    match name {
        "summary" => summary(results),
        "machine" => machine(results),
        "conditions" => conditions(results),
        "floor" => of(results, FLOOR, floor_table),
        "submit" => of(results, SUBMIT, submit_table),
        "e2e" => end_to_end(results),
        "pickup" => of(results, PICKUP, pickup_table),
        "get" => of(results, GET_JOB, get_table),
        "relay" => of(results, RELAY, relay_table),
        "processes" => of(results, &e2e_name(64), processes_table),
        "profile" => of(results, PROFILE, profile_table),
        "peers" => of(results, PEERS, peers_table),
        "peers-settings" => of(results, PEERS, peers_settings),
        "batches" => of(results, PEERS, batches_table),
        "soak" => of(results, SOAK, soak_table),
        "soak-tables" => of(results, SOAK, soak_tables_table),
        "growth" => of(results, GROWTH, growth_table),
        "growth-metrics" => of(results, GROWTH, growth_metrics_table),
        "locks" => of(results, LOCKS, pairs_table),
        "locks-hand-over" => of(results, LOCKS, hand_over_table),
        "locks-heartbeats" => of(results, LOCKS, heartbeats_table),
        "locks-processes" => of(results, LOCKS, locks_processes_table),
        "locks-settings" => of(results, LOCKS, settings_table),
        other => bail!("there is no table {other}"),
    }
}

fn of<T: DeserializeOwned>(results: &Results, name: &str, table: fn(&T) -> String) -> Result<String> {
    Ok(results.read::<T>(name)?.map_or_else(
        || NOT_RUN.to_owned(),
        |record| format!("{}\n\n`{}`, {}.", table(&record.measured).trim_end(), record.command, record.taken_at),
    ))
}

/// The targets of the first version, beside what was measured.
fn summary(results: &Results) -> Result<String> {
    let mut text = head(&["", "target", "measured"]);
    let mut row = |what: &str, target: &str, measured: Option<String>| {
        let _ = writeln!(text, "| {what} | {target} | {} |", measured.unwrap_or_else(|| "not measured yet".to_owned()));
    };
    let end_to_end = results.read::<e2e::Measured>(&e2e_name(64))?.map(|record| record.measured);
    row(
        "Jobs submitted and done, 64 running per project",
        "4,000/s",
        end_to_end.as_ref().map(|e2e| per_s(e2e.jobs_per_s)),
    );
    let pickup = results.read::<pickup::Measured>(PICKUP)?.map(|record| record.measured);
    row("Pickup p99 at half of that", "50 ms", pickup.map(|pickup| ms(pickup.pickup.p99_ms)));
    let get = results.read::<get_job::Measured>(GET_JOB)?.map(|record| record.measured);
    for size in get.iter().flat_map(|get| &get.sizes) {
        row(
            &format!("GetJob p95 beside it, {} jobs", thousands(size.finished_jobs as f64)),
            "3 ms",
            Some(ms(size.paced.p95_ms)),
        );
    }
    let relay = results.read::<relay::Measured>(RELAY)?.map(|record| record.measured);
    row("Relay, backlog drained", "20,000 events/s", relay.as_ref().map(|relay| per_s(relay.drain.events_per_s)));
    row("Commit to stream p99", "100 ms", relay.as_ref().map(|relay| ms(relay.commit_to_stream.latency.p99_ms)));
    let resident = |program: Program| {
        let processes = &end_to_end.as_ref()?.processes;
        processes.iter().find(|row| row.program == program).map(|row| format!("{:.0} MiB", row.rss_loaded_mib))
    };
    row("Memory of holdfast-jobs under load", "100 MiB", resident(Program::Jobs));
    row("Memory of holdfast-relay under load", "100 MiB", resident(Program::Relay));
    let beside = results.read::<beside::Measured>(PEERS)?.and_then(|record| best_others(&record.measured));
    row("Jobs/s, to the fastest other queue's", "more than 1", beside.map(|(rate, _)| format!("{rate:.2}")));
    row("Pickup p99, to the soonest other queue's", "less than 1", beside.map(|(_, pickup)| format!("{pickup:.2}")));
    let soak = results.read::<soak::Measured>(SOAK)?.and_then(|record| record.measured.last_to_first());
    row("Jobs/s of the soak's last minute, to its first", "0.9 or more", soak.map(|ratio| format!("{ratio:.2}")));
    let growth = results.read::<growth::Measured>(GROWTH)?.and_then(|record| record.measured.slower_at_most());
    row(
        "Look-ups by id and key, most jobs to fewest, the worse p95",
        "1.3 or less",
        growth.map(|ratio| format!("{ratio:.2}")),
    );
    let locks = results.read::<locks::Measured>(LOCKS)?.map(|record| record.measured).unwrap_or_default();
    for (what, target, measured) in targets(&locks) {
        row(&what, target, measured);
    }
    Ok(text)
}

/// Any result knows the machine; the end-to-end one is the one that counts.
fn any_record(results: &Results) -> Result<Option<Record<serde_json::Value>>> {
    let mut names = vec![e2e_name(64)];
    names.extend([SUBMIT, PICKUP, GET_JOB, RELAY, FLOOR].map(str::to_owned));
    for name in names {
        if let Some(record) = results.read(&name)? {
            return Ok(Some(record));
        }
    }
    Ok(None)
}

fn machine(results: &Results) -> Result<String> {
    let Some(record) = any_record(results)? else { return Ok(NOT_RUN.to_owned()) };
    let machine = record.machine;
    let mut text = head(&["", ""]);
    let mut row = |what: &str, value: String| {
        let _ = writeln!(text, "| {what} | {value} |");
    };
    row("CPU", machine.cpu);
    row("Cores", format!("{}, shared by the client, the services and the servers", machine.cores));
    row("Memory", format!("{:.0} GiB", machine.memory_gib));
    row("Kernel", format!("Linux {}", machine.kernel));
    row("File system of the data", machine.data_filesystem);
    row("PostgreSQL", record.conditions.settings.get("server_version").cloned().unwrap_or_default());
    row("Redis", format!("{}, append-only file on, synced every second", record.redis_version.unwrap_or_default()));
    row("Build", machine.build);
    Ok(text)
}

fn conditions(results: &Results) -> Result<String> {
    let Some(record) = any_record(results)? else { return Ok(NOT_RUN.to_owned()) };
    let conditions = record.conditions;
    let mut text = head(&["setting", &format!("as `{}` sees it", conditions.role)]);
    for (name, value) in &conditions.settings {
        let _ = writeln!(text, "| `{name}` | {value} |");
    }
    let _ = writeln!(text, "| unlogged tables | {} |", conditions.unlogged_tables);
    let without = match &conditions.tables_without_row_security[..] {
        [] => "none without".to_owned(),
        names => format!("without: {}", names.join(", ")),
    };
    let _ = writeln!(
        text,
        "| tables with forced row-level security | {}; {without} |",
        conditions.tables_with_row_security
    );
    let sessions: Vec<_> = conditions.sessions.iter().map(|(role, count)| format!("{count} of {role}")).collect();
    let _ = writeln!(text, "| sessions while it ran | {} |", sessions.join(", "));
    Ok(text)
}

fn floor_table(measured: &floor::Measured) -> String {
    let mut text = head(&["jobs a transaction", "clients", "transactions/s", "jobs/s", "mean latency (ms)"]);
    for run in &measured.runs {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {:.1} |",
            run.jobs_per_transaction,
            run.clients,
            thousands(run.transactions_per_s),
            thousands(run.jobs_per_s),
            run.latency_mean_ms
        );
    }
    text
}

fn submit_table(measured: &submit::Measured) -> String {
    let mut text = head(&["connections", "calls/s", "p50 (ms)", "p95 (ms)", "p99 (ms)", "max (ms)"]);
    let _ = writeln!(
        text,
        "| {} | {} | {} |",
        measured.connections,
        thousands(measured.calls_per_s),
        measured.latency.cells()
    );
    let _ = write!(text, "\n{}", writes(&measured.writes));
    text
}

fn end_to_end(results: &Results) -> Result<String> {
    let mut text = head(&[
        "running per project",
        "jobs/s",
        "of the bare limit, 1 and 100 a transaction",
        "jobs waiting, start and end",
        "events waiting, start and end",
        "submit p50, p99 (ms)",
        "pickup p50, p99 (ms)",
    ]);
    let floor = results.read::<floor::Measured>(FLOOR)?.map(|record| record.measured);
    let mut notes = String::new();
    for limit in [1, 64] {
        let Some(record) = results.read::<e2e::Measured>(&e2e_name(limit))? else { continue };
        let run = &record.measured;
        let (start, end) = (run.backlog_at_start, run.backlog_at_end);
        let _ = writeln!(
            text,
            "| {} | {} | {} | {}, {} | {}, {} | {:.1}, {:.1} | {:.1}, {:.1} |",
            run.running_per_project,
            thousands(run.jobs_per_s),
            ratios(run.jobs_per_s, floor.as_ref()),
            start.jobs,
            end.jobs,
            start.events,
            end.events,
            run.submit.p50_ms,
            run.submit.p99_ms,
            run.pickup.p50_ms,
            run.pickup.p99_ms
        );
        let _ = write!(
            notes,
            "\n{} running: {} Work streams of {} jobs, submitters wait at {} outstanding; {:.0} s of warm-up, {:.0} s of window. {} `{}`, {}.\n",
            run.running_per_project,
            run.streams,
            run.capacity,
            run.outstanding_max,
            run.warm_up_s,
            run.window_s,
            writes(&run.writes),
            record.command,
            record.taken_at
        );
    }
    if notes.is_empty() {
        return Ok(NOT_RUN.to_owned());
    }
    if let Some(submit) = results.read::<submit::Measured>(SUBMIT)? {
        let ratio = ratios(submit.measured.calls_per_s, floor.as_ref());
        let _ = write!(notes, "\nSubmitJob alone reaches {ratio} of the bare limit, 1 and 100 a transaction.\n");
    }
    Ok(text + &notes)
}

fn ratios(rate: f64, floor: Option<&floor::Measured>) -> String {
    let Some(floor) = floor else { return "not measured yet".to_owned() };
    let of = |run: &floor::Run| format!("{:.0} %", rate / run.jobs_per_s * 100.0);
    floor.runs.iter().map(of).collect::<Vec<_>>().join(", ")
}

fn pickup_table(measured: &pickup::Measured) -> String {
    let mut text = head(&["jobs/s", "", "p50 (ms)", "p95 (ms)", "p99 (ms)", "max (ms)"]);
    for (what, times) in [
        ("acknowledged to received", &measured.pickup),
        ("SubmitJob", &measured.submit),
        ("submitted to completion acknowledged", &measured.whole),
    ] {
        let _ = writeln!(text, "| {} | {what} | {} |", thousands(measured.rate_done), times.cells());
    }
    text
}

fn get_table(measured: &get_job::Measured) -> String {
    let mut text = head(&["finished jobs", "calls/s", "p50 (ms)", "p95 (ms)", "p99 (ms)", "max (ms)"]);
    for size in &measured.sizes {
        let jobs = thousands(size.finished_jobs as f64);
        let _ = writeln!(
            text,
            "| {jobs} | {}, by the clock | {} |",
            thousands(measured.paced_calls_per_s),
            size.paced.cells()
        );
        let _ = writeln!(
            text,
            "| {jobs} | {}, back to back | {} |",
            thousands(size.back_to_back_calls_per_s),
            size.back_to_back.cells()
        );
    }
    let _ = write!(
        text,
        "\nFrom {} connections, beside {} jobs/s.",
        measured.connections,
        thousands(measured.jobs_per_s_beside)
    );
    text
}

fn relay_table(measured: &relay::Measured) -> String {
    let (drain, stream) = (&measured.drain, &measured.commit_to_stream);
    let mut text = head(&["", "events/s", "p50 (ms)", "p95 (ms)", "p99 (ms)", "max (ms)"]);
    let what =
        format!("{} waiting events of {:.0} bytes drained", thousands(drain.events as f64), drain.event_bytes_mean);
    let _ = writeln!(text, "| {what} | {} | | | | |", thousands(drain.events_per_s));
    let beside = format!("commit to stream, beside {} jobs/s", thousands(stream.jobs_per_s));
    let _ = writeln!(text, "| {beside} | {} | {} |", thousands(stream.events_per_s), stream.latency.cells());
    let _ = write!(
        text,
        "\nDrained in {:.1} s, {:.1} s with the start of the process.",
        drain.seconds, drain.seconds_from_process_start
    );
    if stream.capped {
        text += " A quarter of the drain rate is more than this machine can be loaded with: commit to stream was measured at the rate named.";
    }
    text
}

fn processes_table(measured: &e2e::Measured) -> String {
    let mut text = head(&["process", "resident, idle (MiB)", "resident, under load (MiB)", "cores used", "share"]);
    let all: f64 = measured.processes.iter().map(|row| row.cores).sum();
    for ProgramUse { program, rss_idle_mib, rss_loaded_mib, cores } in &measured.processes {
        let share = cores / all.max(f64::MIN_POSITIVE) * 100.0;
        let _ = writeln!(
            text,
            "| {} | {rss_idle_mib:.0} | {rss_loaded_mib:.0} | {cores:.2} | {share:.0} % |",
            program.name()
        );
    }
    text
}

fn profile_table(measured: &profile::Measured) -> String {
    format!("{}\n{}{}", statements(measured), waits(measured), programs(measured))
}

fn statements(measured: &profile::Measured) -> String {
    let mut text = format!(
        "{} s, {} jobs done meanwhile. Statements by their time, planned and executed:\n\n{}",
        measured.seconds,
        measured.jobs,
        head(&["role", "statement", "calls/s", "rows a call", "ms a call", "of which planning", "µs a job"])
    );
    for statement in &measured.statements {
        let (calls, all_ms) = (statement.calls.max(1) as f64, statement.planned_ms + statement.executed_ms);
        let _ = writeln!(
            text,
            "| {} | `{}` | {:.0} | {:.1} | {:.2} | {:.2} | {:.0} |",
            statement.role,
            statement.text.replace('|', "\\|"),
            calls / measured.seconds as f64,
            statement.rows as f64 / calls,
            all_ms / calls,
            statement.planned_ms / calls,
            all_ms * 1000.0 / measured.jobs.max(1) as f64
        );
    }
    text
}

fn waits(measured: &profile::Measured) -> String {
    let mut text = format!(
        "What sessions with a statement or an open transaction do:\n\n{}",
        head(&["role", "doing", "sessions"])
    );
    for wait in measured.waits.iter().filter(|wait| wait.sessions >= 0.01) {
        let _ = writeln!(text, "| {} | {} | {:.2} |", wait.role, wait.doing, wait.sessions);
    }
    text
}

fn programs(measured: &profile::Measured) -> String {
    if measured.programs.is_empty() {
        return "\nperf does not work there: no functions.\n".to_owned();
    }
    let mut text = format!(
        "\n{} s of samples of all processors, {} a second. Shares of each program's own samples.\n",
        measured.seconds, measured.samples_per_s
    );
    for program in &measured.programs {
        let _ = write!(text, "\n{}:\n\n{}", program.program, head(&["%", "object", "symbol"]));
        for symbol in &program.symbols {
            let _ = writeln!(
                text,
                "| {:.1} | {} | `{}` |",
                symbol.percent,
                symbol.object,
                symbol.symbol.replace('|', "\\|")
            );
        }
    }
    text
}

fn writes(rates: &WriteRates) -> String {
    format!(
        "PostgreSQL meanwhile: {} commits/s, {} WAL syncs/s, {:.1} MiB/s of WAL.",
        thousands(rates.commits_per_s),
        thousands(rates.wal_syncs_per_s),
        rates.wal_mib_per_s
    )
}
