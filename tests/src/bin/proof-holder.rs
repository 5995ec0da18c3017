//! A holder of locks for the system tests to pause; see `holdfast_system_tests::locks::register`.
#![forbid(unsafe_code)]

use anyhow::{Context as _, Result};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let spec = std::env::args().nth(1).context("usage: proof-holder <specification in JSON>")?;
    holdfast_system_tests::locks::register::run(serde_json::from_str(&spec)?).await
}
