//! A worker for the system tests to kill and pause; see `holdfast_system_tests::worker`.
#![forbid(unsafe_code)]

use anyhow::{Context as _, Result};

#[tokio::main]
async fn main() -> Result<()> {
    let spec = std::env::args().nth(1).context("usage: proof-worker <specification in JSON>")?;
    holdfast_system_tests::worker::run(serde_json::from_str(&spec)?).await
}
