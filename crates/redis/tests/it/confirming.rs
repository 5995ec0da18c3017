//! Writes that replicas confirm, against real servers.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use holdfast_redis::{
    COMMAND_TIMEOUT, Confirmation, Confirmed, Confirming, Redis, RedisConfig, RedisError, Script,
    fred::{
        interfaces::ClientLike as _,
        types::{ClusterHash, CustomCommand, Value},
    },
};
use holdfast_testkit::{Redis as Server, Sentinels, eventually};

use crate::{WITHIN, connected};

const CONFIRM_WITHIN: Duration = Duration::from_millis(300);
/// Of what is known to fail: far less than a command may take.
const AT_ONCE: Duration = Duration::from_millis(500);

fn set() -> Script {
    Script::new("redis.call('SET', KEYS[1], ARGV[1]) return {KEYS[1], ARGV[1]}")
}

async fn confirming(redis: &Redis, replicas: u32) -> Result<Confirming> {
    let confirming = redis.confirming(replicas, CONFIRM_WITHIN)?;
    confirming.wait_until_connected(WITHIN).await?;
    Ok(confirming)
}

async fn written(confirming: &Confirming, key: &str) -> Result<Confirmed<Vec<String>>, RedisError> {
    confirming.run(&set(), vec![key.into()], vec![Value::from("value")]).await
}

fn is_whole(confirmed: &Confirmed<Vec<String>>, key: &str) -> bool {
    confirmed.answer == [key, "value"] && confirmed.confirmation == Confirmation::Full
}

/// How often the server has run a command.
async fn calls(redis: &Redis, command: &str) -> Result<u64> {
    let info = CustomCommand::new_static("INFO", ClusterHash::Random, false);
    let info: String = redis.client().custom(info, vec!["commandstats"]).await?;
    let head = format!("cmdstat_{command}:calls=");
    let calls = info.lines().find_map(|line| line.strip_prefix(&head)?.split(',').next());
    Ok(calls.unwrap_or("0").parse()?)
}

#[tokio::test]
async fn a_replica_confirms_or_falls_short() -> Result<()> {
    let server = Server::start().await?;
    let redis = connected(&server).await?;
    let confirming = confirming(&redis, 1).await?;
    let alone = written(&confirming, "alone").await?;
    ensure!(alone.confirmation == Confirmation::Short { replicas: 0 } && alone.answer == ["alone", "value"]);

    let replica = Server::start_replica_of(&server).await?;
    let confirmed = written(&confirming, "confirmed").await?;
    ensure!(is_whole(&confirmed, "confirmed"), "{confirmed:?}");
    ensure!(replica.command("GET confirmed").await? == "$5");
    let two = redis.confirming(2, CONFIRM_WITHIN)?;
    two.wait_until_connected(WITHIN).await?;
    ensure!(written(&two, "two").await?.confirmation == Confirmation::Short { replicas: 1 });

    replica.pause()?;
    let begun = Instant::now();
    let short = written(&confirming, "short").await?;
    ensure!(short.confirmation == Confirmation::Short { replicas: 0 }, "{short:?}");
    ensure!(begun.elapsed() < COMMAND_TIMEOUT, "{:?}", begun.elapsed());
    replica.resume()?;
    let again = || async {
        let confirmed = written(&confirming, "again").await?;
        ensure!(is_whole(&confirmed, "again"), "{confirmed:?}");
        Ok(())
    };
    eventually(again, WITHIN).await
}

#[tokio::test]
async fn concurrent_callers_share_a_wait_and_get_their_own_answers() -> Result<()> {
    const CALLERS: usize = 1_000;
    let server = Server::start().await?;
    let _replica = Server::start_replica_of(&server).await?;
    let redis = connected(&server).await?;
    let confirming = confirming(&redis, 1).await?;
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let confirming = confirming.clone();
            tokio::spawn(async move { (caller, written(&confirming, &format!("key-{caller}")).await) })
        })
        .collect();
    for caller in callers {
        let (caller, confirmed) = caller.await?;
        let confirmed = confirmed?;
        ensure!(is_whole(&confirmed, &format!("key-{caller}")), "{caller}: {confirmed:?}");
    }
    let waits = calls(&redis, "wait").await?;
    ensure!((1..=50).contains(&waits), "{waits} for {CALLERS} callers");
    Ok(())
}

#[tokio::test]
async fn a_script_that_fails_fails_alone() -> Result<()> {
    let server = Server::start().await?;
    let _replica = Server::start_replica_of(&server).await?;
    let redis = connected(&server).await?;
    let confirming = confirming(&redis, 1).await?;
    let wrong = Script::new("return redis.error_reply('ERR wrong')");
    let (failed, confirmed) =
        tokio::join!(confirming.run::<Value>(&wrong, vec![], vec![]), written(&confirming, "beside"));
    ensure!(matches!(failed, Err(RedisError::Refused(_))), "{failed:?}");
    ensure!(is_whole(&confirmed?, "beside"));
    Ok(())
}

#[tokio::test]
async fn without_replicas_nothing_is_waited_for() -> Result<()> {
    let server = Server::start().await?;
    let redis = connected(&server).await?;
    let confirming = confirming(&redis, 0).await?;
    for key in ["one", "two"] {
        ensure!(is_whole(&written(&confirming, key).await?, key));
        server.command("SCRIPT FLUSH").await?;
    }
    ensure!(calls(&redis, "wait").await? == 0);
    Ok(())
}

#[tokio::test]
async fn what_is_sent_arrives_and_is_waited_for_by_nobody() -> Result<()> {
    let server = Server::start().await?;
    let redis = connected(&server).await?;
    let confirming = confirming(&redis, 1).await?;
    confirming.send(&set(), vec!["sent".into()], vec![Value::from("value")]);
    let arrived = || async {
        let answer = server.command("GET sent").await?;
        ensure!(answer == "$5", "{answer}");
        Ok(())
    };
    eventually(arrived, WITHIN).await?;
    ensure!(calls(&redis, "wait").await? == 0);
    Ok(())
}

#[tokio::test]
async fn a_server_that_is_gone_fails_at_once_and_works_again_when_it_is_back() -> Result<()> {
    let server = Server::start().await?;
    let replica = Server::start_replica_of(&server).await?;
    let redis = connected(&server).await?;
    let confirming = confirming(&redis, 1).await?;
    ensure!(is_whole(&written(&confirming, "before").await?, "before"));

    server.kill().await?;
    for attempt in 0..20 {
        let begun = Instant::now();
        let failed = written(&confirming, "away").await;
        ensure!(failed.as_ref().is_err_and(RedisError::is_unavailable), "{failed:?}");
        ensure!(begun.elapsed() < AT_ONCE, "{attempt}: {:?}", begun.elapsed());
    }
    confirming.send(&set(), vec!["away".into()], vec![Value::from("value")]);

    server.restart().await?;
    let again = || async {
        let confirmed = written(&confirming, "after").await?;
        ensure!(is_whole(&confirmed, "after"), "{confirmed:?}");
        Ok(())
    };
    eventually(again, WITHIN).await?;
    ensure!(server.command("GET away").await? == "$-1", "nothing is replayed");
    ensure!(replica.command("GET after").await? == "$5");

    server.command("SCRIPT FLUSH").await?;
    ensure!(written(&confirming, "healed").await?.answer == ["healed", "value"]);
    Ok(())
}

#[tokio::test]
async fn the_connection_follows_the_primary() -> Result<()> {
    let first = Sentinels::first().await?;
    let group = Sentinels::start(&first).await?;
    let redis = Redis::connect(&RedisConfig::new(group.url(), "hf:test"))?;
    let confirming = confirming(&redis, 1).await?;
    ensure!(is_whole(&written(&confirming, "before").await?, "before"));
    first.kill().await?;
    let again = || async {
        let confirmed = written(&confirming, "after").await?;
        ensure!(is_whole(&confirmed, "after"), "{confirmed:?}");
        Ok(())
    };
    eventually(again, WITHIN).await
}

#[tokio::test]
async fn a_server_that_hangs_is_an_answer_within_bounds() -> Result<()> {
    let server = Server::start().await?;
    let redis = connected(&server).await?;
    let confirming = confirming(&redis, 0).await?;
    server.pause()?;
    let callers: Vec<_> = (0..600)
        .map(|_| {
            let confirming = confirming.clone();
            tokio::spawn(async move {
                let begun = Instant::now();
                (written(&confirming, "hung").await, begun.elapsed())
            })
        })
        .collect();
    for caller in callers {
        let (failed, took) = caller.await?;
        ensure!(failed.as_ref().is_err_and(RedisError::is_unavailable), "{failed:?}");
        ensure!(took < COMMAND_TIMEOUT * 2, "{took:?}");
    }
    server.resume()?;
    let again = || async { written(&confirming, "after").await.context("not yet") };
    eventually(again, WITHIN).await?;
    Ok(())
}

#[tokio::test]
async fn a_cluster_and_an_endless_wait_are_refused() -> Result<()> {
    let cluster = Redis::connect(&RedisConfig::new("redis-cluster://127.0.0.1:1", "hf:test"))?;
    ensure!(matches!(cluster.confirming(1, CONFIRM_WITHIN), Err(RedisError::Config { field: "replicas", .. })));
    ensure!(cluster.confirming(0, CONFIRM_WITHIN).is_ok());
    let single = Redis::connect(&RedisConfig::new("redis://127.0.0.1:1", "hf:test"))?;
    for within in [Duration::ZERO, COMMAND_TIMEOUT] {
        ensure!(matches!(single.confirming(1, within), Err(RedisError::Config { field: "within", .. })));
    }
    Ok(())
}
