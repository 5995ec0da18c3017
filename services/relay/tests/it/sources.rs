//! One relay, several outboxes: each is published by itself.

use anyhow::{Result, ensure};
use holdfast_relay::{Parts, config::PublishConfig, domain::source::Source, new_holder};
use holdfast_testkit::{Process, eventually, free_port, http_get};
use tokio::sync::Mutex;

use crate::{
    harness::{Harness, WITHIN, Written, check, drained, turn},
    process::{READY_WITHIN, spec},
};

const OUTBOX_OF_JOBS: &str = include_str!("../../../../migrations/jobs/0003_outbox.up.sql");
const BOTH: [Source; 2] = [Source::Jobs, Source::Locks];

/// A schema locks with nothing in it but an outbox, of the shape that every outbox has.
async fn with_locks() -> Result<Harness> {
    let harness = without_locks().await?;
    make_locks(&harness).await?;
    Ok(harness)
}

async fn without_locks() -> Result<Harness> {
    let harness = Harness::start().await?;
    sqlx::raw_sql("DROP SCHEMA IF EXISTS locks CASCADE").execute(harness.admin()).await?;
    Ok(harness)
}

async fn make_locks(harness: &Harness) -> Result<()> {
    let outbox = OUTBOX_OF_JOBS.replace("jobs.", "locks.").replace("SCHEMA jobs", "SCHEMA locks");
    let script = sqlx::AssertSqlSafe(format!("CREATE SCHEMA locks; {outbox}"));
    sqlx::raw_sql(script).execute(harness.admin()).await?;
    Ok(())
}

async fn administer(harness: &Harness, statement: &'static str) -> Result<()> {
    sqlx::raw_sql(statement).execute(harness.admin()).await?;
    Ok(())
}

/// What one relay publishes of each source.
fn relay_of_both(harness: &Harness) -> Result<[Parts; 2]> {
    let (holder, config) = (new_holder(), PublishConfig::default());
    let [jobs, locks] = BOTH.map(|source| harness.relay_of(source, &holder, &config));
    Ok([jobs?, locks?])
}

fn held(parts: &Parts) -> usize {
    parts.holdings.leases().len()
}

#[tokio::test]
async fn each_source_has_its_own_streams_and_marks() -> Result<()> {
    let harness = with_locks().await?;
    let mut relay = relay_of_both(&harness)?;
    let mut written = [vec![], vec![]];
    for (source, written) in BOTH.into_iter().zip(&mut written) {
        for _ in 0..5 {
            written.push(harness.write_to(source, "a").await?);
            written.push(harness.write_to(source, "b").await?);
        }
    }
    for ((source, parts), written) in BOTH.into_iter().zip(&mut relay).zip(&written) {
        parts.membership.run_once().await?;
        ensure!(held(parts) == 16, "alone it holds all shards of {source}");
        ensure!(drained(parts).await? == 10, "{source}: as many as were written there");
        check(written, &harness.events_of(source).await?)?;
    }
    Ok(())
}

/// What a stream lost, and what it holds that nobody recorded, is found by the source's own marks.
#[tokio::test]
async fn a_loss_of_one_source_s_stream_is_mended_from_its_outbox() -> Result<()> {
    let harness = with_locks().await?;
    let [mut jobs, mut locks] = relay_of_both(&harness)?;
    let of_jobs = [harness.write("a").await?];
    let mut of_locks = vec![harness.write_to(Source::Locks, "a").await?];
    for parts in [&mut jobs, &mut locks] {
        parts.membership.run_once().await?;
        drained(parts).await?;
    }
    administer(
        &harness,
        "UPDATE locks.outbox SET published_at = NULL, stream_ms = NULL, stream_seq = NULL;
         UPDATE locks.outbox_shards SET stream_ms = 0, stream_seq = 0;
         UPDATE relay.shard_leases SET expires_at = clock_timestamp() WHERE source = 'locks'",
    )
    .await?;
    settled(&harness, &mut locks, &of_locks).await?;
    ensure!(harness.events_of(Source::Locks).await?.len() == 1, "what was in the stream was repeated");

    harness.server.flush().await?;
    of_locks.push(harness.write_to(Source::Locks, "a").await?);
    settled(&harness, &mut locks, &of_locks).await?;
    ensure!(harness.events().await?.is_empty(), "the stream of jobs is for the other to mend");
    settled(&harness, &mut jobs, &of_jobs).await
}

/// Rounds, failed ones too, until everything written to the source is in its streams.
async fn settled(harness: &Harness, parts: &mut Parts, written: &[Written]) -> Result<()> {
    let source = parts.store.source();
    let parts = Mutex::new(parts);
    let look = || async {
        let mut parts = parts.lock().await;
        turn(&mut parts).await?;
        check(written, &harness.events_of(source).await?)
    };
    eventually(look, WITHIN).await
}

/// A relay that publishes jobs alone takes no share of locks: the shards would be nobody's.
#[tokio::test]
async fn shares_are_counted_among_those_that_publish_the_source() -> Result<()> {
    let harness = with_locks().await?;
    let jobs_alone = harness.relay()?;
    let [jobs, locks] = relay_of_both(&harness)?;
    for _ in 0..2 {
        for parts in [&jobs_alone, &jobs, &locks] {
            parts.membership.run_once().await?;
        }
    }
    ensure!(held(&jobs_alone) == 8 && held(&jobs) == 8, "{} and {}", held(&jobs_alone), held(&jobs));
    ensure!(held(&locks) == 16, "{} of locks", held(&locks));

    // As an earlier version says that it is alive: it publishes jobs.
    administer(
        &harness,
        "INSERT INTO relay.members (holder, expires_at) VALUES ('earlier', clock_timestamp() + interval '1 minute')",
    )
    .await?;
    jobs.membership.run_once().await?;
    locks.membership.run_once().await?;
    ensure!(held(&jobs) == 6 && held(&locks) == 16, "{} of jobs, {} of locks", held(&jobs), held(&locks));

    jobs.membership.leave().await?;
    let still = sqlx::query_as("SELECT sources, expires_at > clock_timestamp() FROM relay.members ORDER BY holder");
    let still: Vec<(Vec<String>, bool)> = still.fetch_all(harness.admin()).await?;
    ensure!(still.contains(&(vec!["locks".to_owned()], true)), "it publishes locks still: {still:?}");
    locks.membership.leave().await?;
    let gone =
        sqlx::query_scalar::<_, bool>("SELECT expires_at <= clock_timestamp() FROM relay.members WHERE sources = '{}'");
    ensure!(gone.fetch_one(harness.admin()).await?, "whoever publishes nothing is not counted");
    Ok(())
}

/// Missing at the start, then made, then taken away, then given back: jobs go on all the while, and readiness says which
/// outbox it is.
#[tokio::test]
async fn a_source_whose_schema_is_missing_holds_up_no_other() -> Result<()> {
    let harness = without_locks().await?;
    let port = free_port()?;
    let relay = Process::start(spec(&harness, port).env("HOLDFAST_RELAY__PUBLISH__SOURCES", r#"["jobs", "locks"]"#))?;
    let mut of_jobs = harness.write_many(&["a", "b"], 3).await?;
    harness.all_published().await?;
    readiness(port, 503, r#""outbox_jobs":"ok","outbox_locks":"down""#).await?;
    ensure!(http_get(port, "/startupz").await?.status == 200, "it would be started again and again");
    let said = relay.log();
    ensure!(said.contains("waiting for the schema") && said.contains("locks.outbox"), "{said}");

    make_locks(&harness).await?;
    let mut of_locks = vec![harness.write_to(Source::Locks, "a").await?];
    in_streams_of_locks(&harness, &of_locks).await?;
    readiness(port, 200, r#""outbox_locks":"ok""#).await?;

    administer(&harness, "REVOKE USAGE ON SCHEMA locks FROM holdfast_relay").await?;
    readiness(port, 503, r#""outbox_locks":"down""#).await?;
    of_locks.push(harness.write_to(Source::Locks, "a").await?);
    of_jobs.extend(harness.write_many(&["a", "b"], 3).await?);
    harness.all_published().await?;
    ensure!(harness.events_of(Source::Locks).await?.len() == 1);

    administer(&harness, "GRANT USAGE ON SCHEMA locks TO holdfast_relay").await?;
    in_streams_of_locks(&harness, &of_locks).await?;
    check(&of_jobs, &harness.events().await?)?;
    readiness(port, 200, r#""status":"ok""#).await?;
    let metrics = http_get(port, "/metrics").await?.body;
    for source in BOTH {
        let published = format!("relay_published_total{{source=\"{source}\"}}");
        ensure!(metrics.contains(&published), "no {published} in the metrics");
    }
    ensure!(relay.terminate(WITHIN).await?.success(), "{}", relay.log());
    Ok(())
}

/// Statements that wait for a table of locks take no connection from jobs.
#[tokio::test]
async fn a_source_whose_tables_are_locked_holds_up_no_other() -> Result<()> {
    let harness = with_locks().await?;
    let port = free_port()?;
    let of_both = spec(&harness, port)
        .env("HOLDFAST_RELAY__PUBLISH__SOURCES", r#"["jobs", "locks"]"#)
        .env("HOLDFAST_RELAY__DATABASE__CONNECTIONS_MAX", "2");
    let relay = Process::start_ready(of_both, READY_WITHIN).await?;
    let mut of_locks = vec![harness.write_to(Source::Locks, "a").await?];
    in_streams_of_locks(&harness, &of_locks).await?;

    let mut tx = harness.admin().begin().await?;
    sqlx::raw_sql("LOCK TABLE locks.outbox IN ACCESS EXCLUSIVE MODE").execute(&mut *tx).await?;
    let waits = || async {
        let waiting = sqlx::query_scalar::<_, i64>(
            "SELECT count(*) FROM pg_locks WHERE relation = 'locks.outbox'::regclass AND NOT granted",
        );
        ensure!(waiting.fetch_one(harness.admin()).await? >= 2, "its connections are free");
        Ok(())
    };
    eventually(waits, WITHIN).await?;
    let of_jobs = harness.write_many(&["a", "b"], 3).await?;
    harness.all_published().await?;
    eventually(waits, WITHIN).await?;
    check(&of_jobs, &harness.events().await?)?;
    tx.rollback().await?;

    of_locks.push(harness.write_to(Source::Locks, "a").await?);
    in_streams_of_locks(&harness, &of_locks).await?;
    ensure!(relay.terminate(WITHIN).await?.success(), "{}", relay.log());
    Ok(())
}

async fn in_streams_of_locks(harness: &Harness, written: &[Written]) -> Result<()> {
    eventually(|| async { check(written, &harness.events_of(Source::Locks).await?) }, WITHIN).await
}

async fn readiness(port: u16, status: u16, part: &str) -> Result<()> {
    let look = || async {
        let ready = http_get(port, "/readyz").await?;
        ensure!(ready.status == status && ready.body.contains(part), "{} {}", ready.status, ready.body);
        Ok(())
    };
    eventually(look, WITHIN).await
}
