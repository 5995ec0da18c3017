//! Runs a command with DATABASE_URL set to a throwaway database that has every migration applied.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use anyhow::Context as _;
use holdfast_testkit::Database;

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    let program = arguments.next().context("usage: with-database COMMAND [ARGUMENT...]")?;
    let database = Database::create().await?;
    let status = tokio::process::Command::new(program)
        .args(arguments)
        .env("DATABASE_URL", database.admin_url().expose())
        .status()
        .await?;
    Ok(ExitCode::from(u8::try_from(status.code().unwrap_or(1)).unwrap_or(1)))
}
