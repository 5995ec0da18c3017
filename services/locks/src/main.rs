//! `holdfast-locks`: the locks service as a process.
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use holdfast_locks::config::Config;
use holdfast_runtime::{Shutdown, load_config};
use holdfast_telemetry::BuildInfo;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(version, about = "The locks service of Holdfast")]
struct Args {
    /// TOML file; HOLDFAST_LOCKS__SECTION__KEY goes before it.
    #[arg(long, env = "HOLDFAST_LOCKS_CONFIG")]
    config: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("holdfast-locks: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> anyhow::Result<()> {
    let config: Config = load_config("locks", args.config.as_deref())?;
    let (_guard, metrics) =
        holdfast_telemetry::start(BuildInfo::new("holdfast-locks", env!("CARGO_PKG_VERSION")), &config.telemetry)?;
    let shutdown = Shutdown::on_signals()?;
    holdfast_locks::run(config, metrics, shutdown).await
}
