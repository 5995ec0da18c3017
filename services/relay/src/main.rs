//! `holdfast-relay`: the relay as a process.
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use holdfast_relay::config::Config;
use holdfast_runtime::{Shutdown, load_config};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(version, about = "The relay of Holdfast: outbox to Redis Streams")]
struct Args {
    /// TOML file; HOLDFAST_RELAY__SECTION__KEY goes before it.
    #[arg(long, env = "HOLDFAST_RELAY_CONFIG")]
    config: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("holdfast-relay: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> anyhow::Result<()> {
    let config: Config = load_config("relay", args.config.as_deref())?;
    let (_guard, metrics) = holdfast_telemetry::start(holdfast_relay::BUILD, &config.telemetry)?;
    let shutdown = Shutdown::on_signals()?;
    holdfast_relay::run(config, metrics, shutdown).await
}
