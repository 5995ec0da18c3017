//! Measures Holdfast as its clients see it: `bench <experiment>`, one result file each, and `bench docs`, which writes
//! the tables of docs/benchmarks.md from them.
//!
//! The load generator shares the machine with what it measures and is kept small: two threads, payloads made once.
#![forbid(unsafe_code)]

mod experiments;
mod load;
mod measure;
mod peers;
mod population;
mod report;
mod results;
mod stack;

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, Result, ensure};
use clap::{Parser, Subcommand};

use crate::{
    experiments::{Plan, e2e, floor, get_job, growth, locks, peers as beside, pickup, profile, relay, soak, submit},
    load::Timing,
    results::Results,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(name = "bench", about = "Measures the services as their clients see them")]
struct Cli {
    #[command(subcommand)]
    experiment: Experiment,
    /// 5 s of warm-up and 10 s of window, and fewer of them for locks: shows that an experiment works, not how fast anything is. Its results do not
    /// replace published ones.
    #[arg(long, global = true)]
    quick: bool,
    #[arg(long, global = true)]
    warm_up_s: Option<u64>,
    #[arg(long, global = true)]
    window_s: Option<u64>,
    /// Where result files are read and written; benches/results, or target/bench-quick.
    #[arg(long, global = true)]
    results: Option<PathBuf>,
    /// Work streams of the workers.
    #[arg(long, global = true, default_value_t = 4)]
    streams: usize,
    /// Jobs that a Work stream may hold.
    #[arg(long, global = true, default_value_t = 256)]
    capacity: usize,
    /// Jobs acknowledged but not done at which submitters of the end-to-end run wait.
    #[arg(long, global = true, default_value_t = 1024)]
    outstanding: usize,
}

#[derive(Subcommand, Clone)]
enum Experiment {
    /// SubmitJob, one job a call, from 64 connections.
    Submit,
    /// Jobs submitted and done a second, with 1 and with 64 running per project.
    E2e {
        /// Only this limit.
        #[arg(long)]
        running_per_project: Option<u32>,
    },
    /// From acknowledged to received, at half of the end-to-end rate.
    Pickup {
        /// Jobs a second; half of the measured end-to-end rate where absent.
        #[arg(long)]
        rate: Option<f64>,
    },
    /// GetJob beside that load, with few and with many jobs in the tables.
    Get {
        #[arg(long)]
        rate: Option<f64>,
        /// GetJob calls a second of the paced part, over all connections.
        #[arg(long, default_value_t = 400.0)]
        get_rate: f64,
    },
    /// A backlog drained, and commit to stream.
    Relay {
        /// Events that wait when the relay starts; 200,000, quickly 10,000.
        #[arg(long)]
        backlog: Option<usize>,
    },
    /// The bare limit: the same rows by pgbench.
    Floor,
    /// Where the time goes: statements, waits and, where perf works, functions.
    Profile,
    /// graphile-worker, pg-boss and awa on the same PostgreSQL, beside ours. Needs npm and the registries of packages.
    Peers {
        /// Only this one of them: graphile-worker, pg-boss or awa.
        #[arg(long)]
        only: Option<String>,
    },
    /// Locks taken, given back, handed over and kept, beside etcd and a lock in Redis. Needs pip and the registries of packages.
    Locks {
        /// Each runs everything once, in turn; medians of them are published. 3, quickly 1.
        #[arg(long)]
        rounds: Option<usize>,
        /// Rows that the journal is filled up with; 1,000,000, quickly 20,000.
        #[arg(long)]
        journal_rows: Option<i64>,
        /// Ours alone: each crowd once, with what its transactions, statements and programs took. Writes nothing.
        #[arg(long)]
        inside: bool,
    },
    /// All of the above, each in a process of its own, then the tables.
    All,
    /// A steady load for many minutes: the last one beside the first.
    Soak {
        /// Of a minute each; quickly, of ten seconds each. A token of the load generator lasts an hour.
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(2..=50))]
        minutes: u32,
        /// Jobs a second; three quarters of the measured end-to-end rate where absent.
        #[arg(long)]
        rate: Option<f64>,
    },
    /// Look-ups with few, many and very many finished jobs in the tables. Needs some 16 GB of disk.
    Growth {
        /// How many, growing.
        #[arg(long, value_delimiter = ',')]
        jobs: Vec<i64>,
    },
    /// Writes the tables of docs/benchmarks.md from the results; with --quick prints the page instead.
    Docs,
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(run(cli))
}

async fn run(cli: Cli) -> Result<()> {
    let plan = plan(&cli);
    match cli.experiment {
        Experiment::Submit => submit::run(&plan).await,
        Experiment::E2e { running_per_project: Some(limit) } => e2e::run(&plan, limit).await,
        Experiment::E2e { running_per_project: None } => {
            e2e::run(&plan, 1).await?;
            e2e::run(&plan, 64).await
        }
        Experiment::Pickup { rate } => pickup::run(&plan, rate).await,
        Experiment::Get { rate, get_rate } => get_job::run(&plan, rate, get_rate).await,
        Experiment::Relay { backlog } => {
            relay::run(&plan, backlog.unwrap_or(if cli.quick { 10_000 } else { 200_000 })).await
        }
        Experiment::Floor => floor::run(&plan).await,
        Experiment::Profile => profile::run(&plan).await,
        Experiment::Peers { only } => beside::run(&plan, only.as_deref()).await,
        Experiment::Locks { inside: true, .. } => locks::inside(&plan).await,
        Experiment::Locks { rounds, journal_rows, inside: false } => {
            let extent = if cli.quick { locks::Extent::QUICK } else { locks::Extent::FULL };
            let rounds = rounds.unwrap_or(extent.rounds);
            locks::run(
                &plan,
                locks::Extent { rounds, journal_rows: journal_rows.unwrap_or(extent.journal_rows), ..extent },
            )
            .await
        }
        Experiment::All => all().await,
        Experiment::Soak { minutes, rate } => soak::run(&plan, minutes, rate).await,
        Experiment::Growth { jobs } if !jobs.is_empty() => growth::run(&plan, &jobs).await,
        Experiment::Growth { .. } if cli.quick => growth::run(&plan, &growth::SIZES_QUICK).await,
        Experiment::Growth { .. } => growth::run(&plan, &growth::SIZES).await,
        Experiment::Docs => report::write(&plan.results),
    }
}

fn plan(cli: &Cli) -> Plan {
    let (warm_up_s, window_s) = match cli.experiment {
        // Some thirty runs a round.
        Experiment::Locks { .. } if cli.quick => (1, 2),
        Experiment::Locks { .. } => (2, 6),
        _ if cli.quick => (5, 10),
        // Fourteen runs, one after the other.
        Experiment::Peers { .. } => (15, 30),
        _ => (30, 60),
    };
    let directory = cli.results.clone().unwrap_or_else(|| Results::default_directory(cli.quick));
    Plan {
        timing: Timing {
            warm_up: Duration::from_secs(cli.warm_up_s.unwrap_or(warm_up_s)),
            window: Duration::from_secs(cli.window_s.unwrap_or(window_s)),
        },
        results: Results::in_directory(directory, cli.quick),
        streams: cli.streams,
        capacity: cli.capacity,
        outstanding: cli.outstanding,
    }
}

/// A process each: one experiment's memory, files and connections are gone before the next begins.
async fn all() -> Result<()> {
    let program = std::env::current_exe()?;
    let flags: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "all").collect();
    let mut steps = vec!["floor", "submit", "e2e", "pickup", "get", "relay", "profile", "peers", "locks"];
    // Quick figures are not for the page.
    if !flags.iter().any(|flag| flag == "--quick") {
        steps.push("docs");
    }
    for step in steps {
        println!("== {step}");
        let status = tokio::process::Command::new(&program).arg(step).args(&flags).status().await;
        let status = status.with_context(|| format!("cannot run {}", program.display()))?;
        ensure!(status.success(), "{step} failed");
    }
    Ok(())
}
