//! Where the time goes under the end-to-end load: in which statements, waiting for what, and in which functions of each
//! program. Apart from the run that is measured, since all of that costs time itself.

use std::{path::Path, process::Stdio, time::Duration};

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};
use tokio::{process::Command, time::sleep};

use super::{PROFILE, Plan, e2e::Running};
use crate::{
    measure::{
        conditions::Conditions,
        statements::{Statement, Wait, statements, waits},
    },
    stack::Stack,
};

const SAMPLES_PER_S: u32 = 499;
const LENGTH: Duration = Duration::from_secs(15);
const SYMBOLS: usize = 20;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Measured {
    pub samples_per_s: u32,
    pub seconds: u64,
    /// Done while the statements were counted.
    pub jobs: u64,
    pub statements: Vec<Statement>,
    pub waits: Vec<Wait>,
    /// Empty where perf does not work.
    pub programs: Vec<ProgramProfile>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ProgramProfile {
    pub program: String,
    /// Shares of the program's own samples, the largest first.
    pub symbols: Vec<Symbol>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Symbol {
    pub percent: f64,
    /// The program, a library or the kernel.
    pub object: String,
    pub symbol: String,
}

pub async fn run(plan: &Plan) -> Result<()> {
    let running = Running::start_on(Stack::start_profiled(64).await?, plan).await?;
    sleep(plan.timing.warm_up).await;
    let length = if plan.quick() { LENGTH / 5 } else { LENGTH };
    let done = running.board.done();
    let statements = statements(running.stack.admin(), length).await?;
    let jobs = running.board.done() - done;
    let waits = waits(running.stack.admin(), length).await?;
    let programs = if perf_works().await { programs(&running.stack, length).await? } else { Vec::new() };
    let conditions = Conditions::look(running.stack.database()).await?;
    let redis_version = running.stack.redis_version().await?;
    running.finish(plan).await?;
    let measured =
        Measured { samples_per_s: SAMPLES_PER_S, seconds: length.as_secs(), jobs, statements, waits, programs };
    plan.results.write(PROFILE, conditions, Some(redis_version), measured)
}

async fn programs(stack: &Stack, length: Duration) -> Result<Vec<ProgramProfile>> {
    let directory = tempfile::tempdir()?;
    let data = directory.path().join("perf.data");
    record(&data, length).await?;
    let (jobs, relay) = stack.pids();
    let mut programs = Vec::new();
    for (program, filter) in [
        ("holdfast-jobs", format!("--pid={}", jobs.context("no jobs process")?)),
        ("holdfast-relay", format!("--pid={}", relay.context("no relay process")?)),
        ("PostgreSQL", "--comm=postgres".to_owned()),
    ] {
        programs.push(ProgramProfile { program: program.to_owned(), symbols: report(&data, &filter).await? });
    }
    Ok(programs)
}

async fn perf_works() -> bool {
    let mut command = Command::new("perf");
    command
        .args(["record", "--all-cpus", "--output=/dev/null", "--", "true"])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().await.is_ok_and(|status| status.success())
}

async fn record(data: &Path, length: Duration) -> Result<()> {
    let output = Command::new("perf")
        .args(["record", "--all-cpus", "--freq", &SAMPLES_PER_S.to_string(), "--output"])
        .arg(data)
        .args(["--", "sleep", &length.as_secs().max(1).to_string()])
        .output()
        .await
        .context("cannot run perf")?;
    ensure!(output.status.success(), "perf record failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

async fn report(data: &Path, filter: &str) -> Result<Vec<Symbol>> {
    let output = Command::new("perf")
        .args([
            "report",
            "--stdio",
            "--no-children",
            "--percentage=relative",
            "--sort=dso,symbol",
            "--field-separator=\t",
        ])
        .arg(filter)
        .arg("--input")
        .arg(data)
        .output()
        .await?;
    ensure!(output.status.success(), "perf report failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).lines().filter_map(symbol).take(SYMBOLS).collect())
}

/// `12.34%\tholdfast-jobs\t[.] name`
fn symbol(line: &str) -> Option<Symbol> {
    let mut cells = line.split('\t').map(str::trim);
    let percent = cells.next()?.trim_end_matches('%').parse().ok()?;
    let object = cells.next()?.to_owned();
    let symbol = cells.next()?.trim_start_matches("[.] ").trim_start_matches("[k] ").to_owned();
    Some(Symbol { percent, object, symbol })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn perf_is_understood() {
        let expected = Symbol { percent: 12.34, object: "postgres".into(), symbol: "XLogInsert".into() };
        assert_eq!(symbol(" 12.34%\tpostgres        \t[.] XLogInsert  "), Some(expected));
        assert_eq!(symbol("# Samples: 5K of event 'cpu-clock'"), None);
        assert_eq!(symbol(""), None);
    }
}
