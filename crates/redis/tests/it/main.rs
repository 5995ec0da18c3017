//! Against a real Redis.

mod confirming;

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use holdfast_redis::{Heard, Redis, RedisConfig, RedisError, Script, fred::types::Value};
use holdfast_testkit::Redis as Server;

const WITHIN: Duration = Duration::from_secs(60);

async fn connected(server: &Server) -> Result<Redis> {
    let redis = Redis::connect(&RedisConfig::new(server.url(), "hf:test"))?;
    redis.wait_until_connected(WITHIN).await?;
    Ok(redis)
}

#[tokio::test]
async fn a_hint_is_heard_and_many_become_few() -> Result<()> {
    let server = Server::start().await?;
    let redis = connected(&server).await?;
    let mut listener = redis.listen("channel".into());
    ensure!(tokio::time::timeout(WITHIN, listener.heard()).await? == Heard::Resumed);
    let waker = redis.waker("channel".into(), Duration::from_millis(100));
    for _ in 0..1_000 {
        waker.wake();
    }
    let mut messages = 0;
    while tokio::time::timeout(Duration::from_millis(500), listener.heard()).await.is_ok() {
        messages += 1;
    }
    ensure!((1..=10).contains(&messages), "{messages} messages for 1000 calls");
    redis.messenger("channel".into()).send("payload");
    Ok(())
}

#[tokio::test]
async fn a_listener_hears_again_after_a_restart() -> Result<()> {
    let server = Server::start().await?;
    let redis = connected(&server).await?;
    let mut listener = redis.listen("channel".into());
    listener.heard().await;
    server.kill().await?;
    server.restart().await?;
    ensure!(
        tokio::time::timeout(WITHIN, listener.heard()).await? == Heard::Resumed,
        "hints may have been missed: it says so"
    );
    redis.wait_until_connected(WITHIN).await?;
    let messenger = redis.messenger("channel".into());
    // A hint may be lost while its sender reconnects.
    let mut again = tokio::time::interval(Duration::from_millis(100));
    let heard = async {
        loop {
            tokio::select! {
                _ = again.tick() => messenger.send("after"),
                heard = listener.heard() => if let Heard::Message(message) = heard { return message },
            }
        }
    };
    ensure!(tokio::time::timeout(WITHIN, heard).await? == "after");
    Ok(())
}

#[tokio::test]
async fn a_script_runs_on_a_server_that_has_not_seen_it() -> Result<()> {
    let server = Server::start().await?;
    let redis = connected(&server).await?;
    let script = Script::new("return {KEYS[1], ARGV[1]}");
    for _ in 0..2 {
        let answer: Vec<String> = script.run(&redis, vec!["key".into()], vec![Value::from("argument")]).await?;
        ensure!(answer == ["key", "argument"]);
        server.command("SCRIPT FLUSH").await?;
    }
    Ok(())
}

#[tokio::test]
async fn redis_away_is_an_answer_within_bounds() -> Result<()> {
    let server = Server::start().await?;
    let redis = connected(&server).await?;
    server.pause()?;
    let begun = Instant::now();
    let answer = redis.ping().await;
    ensure!(matches!(answer, Err(RedisError::Unavailable(_))), "{answer:?}");
    ensure!(begun.elapsed() < WITHIN, "{:?}", begun.elapsed());
    server.resume()?;
    server.kill().await?;
    let begun = Instant::now();
    let answer = redis.ping().await;
    ensure!(matches!(answer, Err(RedisError::Unavailable(_))), "{answer:?}");
    ensure!(begun.elapsed() < WITHIN, "{:?}", begun.elapsed());
    server.restart().await?;
    holdfast_testkit::eventually(|| redis.ping(), WITHIN).await
}

#[tokio::test]
async fn a_wrong_configuration_is_refused_without_its_url() -> Result<()> {
    for config in [
        RedisConfig::new("http://:secret@host", "hf:test"),
        RedisConfig::new("redis://:secret@host", "a prefix"),
        RedisConfig { connections: 0, ..RedisConfig::new("redis://:secret@host", "hf:test") },
    ] {
        let Err(error) = Redis::connect(&config) else { anyhow::bail!("{config:?} was accepted") };
        ensure!(matches!(error, RedisError::Config { .. }) && !format!("{error:?} {config:?}").contains("secret"));
    }
    Ok(())
}
