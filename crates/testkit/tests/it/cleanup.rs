//! Nothing outlives the test process, not even one that was killed.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use holdfast_testkit::{Postgres, PostgresOptions, Redis, eventually};
use tokio::io::{AsyncBufReadExt as _, BufReader};

/// Not a test by itself: the process that [`servers_and_files_go_with_a_killed_test_process`] kills.
#[tokio::test]
#[ignore = "run by the test below, which kills it"]
async fn victim() -> Result<()> {
    let (postgres, redis) =
        tokio::try_join!(Postgres::start(PostgresOptions { fsync: false, ..Default::default() }), Redis::start())?;
    println!("victim {} {}", postgres.directory().display(), postgres.port());
    println!("victim {} {}", redis.directory().display(), redis.port());
    println!("victim ready 0");
    std::future::pending().await
}

#[tokio::test]
async fn servers_and_files_go_with_a_killed_test_process() -> Result<()> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--exact", "cleanup::victim", "--ignored", "--nocapture"]).stdout(Stdio::piped());
    let mut victim = tokio::process::Command::from(command).kill_on_drop(true).spawn()?;
    let mut lines = BufReader::new(victim.stdout.take().context("no output")?).lines();

    let mut left: Vec<(PathBuf, u16)> = Vec::new();
    while let Some(line) = lines.next_line().await? {
        let mut words = line.split(' ').skip_while(|word| *word != "victim").skip(1);
        match (words.next(), words.next()) {
            (Some("ready"), _) => break,
            (Some(directory), Some(port)) => left.push((directory.into(), port.parse()?)),
            _ => {}
        }
    }
    ensure!(left.len() == 2, "the victim ended early");
    for (directory, port) in &left {
        ensure!(directory.exists() && std::net::TcpStream::connect(("127.0.0.1", *port)).is_ok(), "not there yet");
    }

    victim.kill().await?;
    for (directory, port) in left {
        let look = || async { !directory.exists() && std::net::TcpStream::connect(("127.0.0.1", port)).is_err() };
        eventually(look, Duration::from_secs(20)).await.with_context(|| directory.display().to_string())?;
    }
    Ok(())
}
