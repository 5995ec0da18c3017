//! The bare limit: the rows of one submission, inserted by pgbench as the superuser. No service, no row-level security,
//! no check of the key, no counters; what is left is what this PostgreSQL on this disk can take in.

use std::{path::PathBuf, process::Stdio, time::Duration};

use anyhow::{Context as _, Result, ensure};
use holdfast_testkit::{Database, Postgres};
use serde::{Deserialize, Serialize};
use tokio::process::Command;

use super::{FLOOR, Plan};
use crate::{measure::conditions::Conditions, stack::bare_database};

const DATABASE_USER: &str = "postgres";

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Measured {
    pub runs: Vec<Run>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Run {
    pub jobs_per_transaction: u32,
    pub clients: u32,
    pub seconds: u64,
    pub transactions_per_s: f64,
    pub jobs_per_s: f64,
    pub latency_mean_ms: f64,
}

pub async fn run(plan: &Plan) -> Result<()> {
    let mut runs = Vec::new();
    let mut conditions = None;
    for (jobs_per_transaction, clients) in [(1, 64), (100, 8)] {
        let (postgres, database) = bare_database().await?;
        // The first run fills caches and extends files.
        pgbench(&postgres, &database, jobs_per_transaction, clients, plan.timing.warm_up).await?;
        let run = pgbench(&postgres, &database, jobs_per_transaction, clients, plan.timing.window).await?;
        println!("bare limit, {jobs_per_transaction} a transaction: {:.0} jobs/s", run.jobs_per_s);
        runs.push(run);
        conditions = Some(Conditions::look(&database).await?);
    }
    plan.results.write(FLOOR, conditions.context("there was no run")?, None, Measured { runs })
}

async fn pgbench(
    postgres: &Postgres,
    database: &Database,
    jobs_per_transaction: u32,
    clients: u32,
    length: Duration,
) -> Result<Run> {
    let directory = tempfile::tempdir()?;
    let script = directory.path().join("submission.sql");
    std::fs::write(&script, include_str!("../../sql/submission.pgbench.sql"))?;
    let seconds = length.as_secs().max(1);
    let output = Command::new(program()?)
        .args(["--no-vacuum", "--protocol=prepared", "--jobs=2", "--host=127.0.0.1", "--username", DATABASE_USER])
        .arg(format!("--port={}", postgres.port()))
        .arg(format!("--client={clients}"))
        .arg(format!("--time={seconds}"))
        .arg(format!("--define=jobs={jobs_per_transaction}"))
        .arg("--file")
        .arg(&script)
        .arg(database.name())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .context("cannot run pgbench")?;
    let text = String::from_utf8(output.stdout)?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "pgbench failed: {errors}");
    ensure!(
        number_after(&text, "number of failed transactions:").unwrap_or(0.0) == 0.0,
        "transactions failed: {errors}"
    );
    let transactions_per_s = number_after(&text, "tps =").context("pgbench names no rate")?;
    Ok(Run {
        jobs_per_transaction,
        clients,
        seconds,
        transactions_per_s,
        jobs_per_s: transactions_per_s * f64::from(jobs_per_transaction),
        latency_mean_ms: number_after(&text, "latency average =").context("pgbench names no latency")?,
    })
}

fn number_after(text: &str, label: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.trim().strip_prefix(label))?;
    line.split_whitespace().next()?.parse().ok()
}

/// In the PATH, else in the newest of Debian's versioned directories.
fn program() -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if let Some(found) = std::env::split_paths(&path).map(|bin| bin.join("pgbench")).find(|program| program.exists()) {
        return Ok(found);
    }
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions.map(|version| version.path().join("bin/pgbench")).filter(|program| program.exists()).max();
    newest.context("pgbench is not installed: apt-get install postgresql")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pgbench_is_understood() {
        let text = "number of failed transactions: 0 (0.000%)\nlatency average = 12.345 ms\ntps = 5184.2 (without initial connection time)\n";
        assert_eq!(number_after(text, "tps ="), Some(5184.2));
        assert_eq!(number_after(text, "latency average ="), Some(12.345));
        assert_eq!(number_after(text, "number of failed transactions:"), Some(0.0));
    }
}
