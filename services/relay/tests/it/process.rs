//! The relay as a process of its own.

use std::time::Duration;

use anyhow::{Result, ensure};
use holdfast_pg::Role;
use holdfast_testkit::{Postgres, PostgresOptions, Process, ProcessSpec, eventually, free_port, http_get};

use crate::harness::{Harness, PREFIX, SIGNING_KEY, WITHIN, check};

pub const READY_WITHIN: Duration = Duration::from_secs(30);

pub fn spec(harness: &Harness, port: u16) -> ProcessSpec {
    ProcessSpec::new("holdfast-relay", "holdfast-relay")
        .env("HOLDFAST_RELAY__DATABASE__URL", harness.database.url(Role::Relay).expose())
        .env("HOLDFAST_RELAY__REDIS__URL", harness.server.url())
        .env("HOLDFAST_RELAY__REDIS__PREFIX", PREFIX)
        .env("HOLDFAST_RELAY__SIGNING__KEY", SIGNING_KEY)
        .env("HOLDFAST_RELAY__SIGNING__KEY_ID", "k1")
        .env("HOLDFAST_RELAY__HTTP__LISTEN", format!("127.0.0.1:{port}"))
        .http_port(port)
}

/// Killed, it is taken over when its leases expire; told to end, it gives them up; PostgreSQL may restart under it.
#[tokio::test]
async fn it_survives_a_restart_of_postgresql_and_gives_up_its_shards_at_the_end() -> Result<()> {
    let postgres = Postgres::start(PostgresOptions::default()).await?;
    let harness = Harness::start_on(&postgres).await?;
    let port = free_port()?;
    let relay = Process::start_ready(spec(&harness, port), READY_WITHIN).await?;
    let mut written = harness.write_many(&["a", "b", "c"], 5).await?;
    harness.all_published().await?;

    postgres.stop().await?;
    postgres.restart().await?;
    written.extend(eventually(|| async { harness.write_many(&["a"], 1).await }, WITHIN).await?);
    harness.all_published().await?;

    relay.kill().await?;
    written.extend(harness.write_many(&["a", "b", "c"], 5).await?);
    relay.restart()?;
    relay.ready(READY_WITHIN).await?;
    harness.all_published().await?;
    check(&written, &harness.events().await?)?;

    let metrics = http_get(port, "/metrics").await?.body;
    for instrument in
        ["relay_published_total", "relay_shards_held{source=\"jobs\"} 16", "relay_commit_to_stream_ms_bucket"]
    {
        ensure!(metrics.contains(instrument), "no {instrument} in the metrics");
    }
    ensure!(relay.terminate(WITHIN).await?.success(), "{}", relay.log());
    let held = sqlx::query_scalar::<_, i64>(
        "SELECT (SELECT count(*) FROM relay.shard_leases WHERE expires_at > clock_timestamp())
              + (SELECT count(*) FROM relay.members WHERE expires_at > clock_timestamp())",
    );
    ensure!(held.fetch_one(harness.admin()).await? == 0, "something is still held");
    Ok(())
}

/// Redis away is degraded, not down: events wait in the outbox.
#[tokio::test]
async fn it_is_ready_without_redis() -> Result<()> {
    let harness = Harness::start().await?;
    harness.server.stop().await?;
    let port = free_port()?;
    let relay = Process::start_ready(spec(&harness, port), READY_WITHIN).await?;
    let written = harness.write_many(&["a"], 3).await?;
    let ready = http_get(port, "/readyz").await?.body;
    ensure!(ready.contains("degraded"), "{ready}");
    harness.server.restart().await?;
    harness.all_published().await?;
    check(&written, &harness.events().await?)?;
    ensure!(relay.terminate(WITHIN).await?.success());
    Ok(())
}

#[tokio::test]
async fn a_wrong_value_is_refused_at_start_by_its_name() -> Result<()> {
    let harness = Harness::start().await?;
    for (key, value, named) in [
        ("PUBLISH__LEASE_TTL_MS", "5", "publish.lease_ttl_ms"),
        ("SIGNING__KEY", "short", "signing.key"),
        ("REDIS__PREFIX", "Not A Prefix", "redis.prefix"),
        ("PUBLISH__SOURCES", "[]", "publish.sources"),
        ("PUBLISH__SOURCES", r#"["jobs", "users"]"#, "publish.sources[1]"),
        ("PUBLISH__UNHEARD_OF", "1", "publish"),
    ] {
        let relay = Process::start(spec(&harness, free_port()?).env(format!("HOLDFAST_RELAY__{key}"), value))?;
        ensure!(!relay.wait(WITHIN).await?.success(), "{key}={value} was accepted");
        ensure!(relay.log().contains(named), "{key}: {}", relay.log());
    }
    Ok(())
}
