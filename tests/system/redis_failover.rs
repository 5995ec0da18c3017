//! A Redis with replicas and Sentinels loses its primary under load, again and again, while its replicas are behind: what
//! the successor lacks comes again.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use chrono::{DateTime, Utc};
use holdfast_system_tests::{
    check::streams::Redelivery,
    client::submission,
    proof::Proof,
    rig::{Rig, RigSpec},
    submit::{Acknowledged, answered},
};
use holdfast_testkit::{Redis, Sentinels, eventually};
use rand::{Rng as _, rngs::StdRng};

use crate::load;

const WORKERS: usize = 2;
/// How long a primary goes on alone before it is killed: its replicas never hear of what it took meanwhile.
const ALONE: Duration = Duration::from_millis(400);
/// From the kill until an event of a job that was submitted after it is on a stream of the successor.
const RECOVERS_WITHIN: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn events_go_on_after_a_failover_and_none_is_lost() -> Result<()> {
    let proof = Proof::begin("redis-failover").await;
    let rig = Rig::start(RigSpec { settings: load::settings(), sentinels: true, ..Default::default() }).await?;
    let until = proof.deadline();
    let workers = load::workers(&rig, &proof, WORKERS)?;
    let submitters = load::submitters(&rig, &proof, until, 8, Duration::from_millis(20))?;
    let failovers = fail_over(&rig, until, proof.choices(0)).await?;
    let acknowledged = load::acknowledged(submitters).await?;
    let acknowledged = Acknowledged::merge([acknowledged, failovers.acknowledged]);
    load::settled(&rig).await?;
    drop(workers);

    let slowest = failovers.took.iter().max().copied().unwrap_or_default();
    proof.counts(&[
        ("primaries killed", failovers.took.len()),
        ("ms to recover, at most", slowest.as_millis() as usize),
    ]);
    // The relay notices what a stream lacks when it looks at it again, which may be after the last row was marked.
    let look = || async {
        let violations = load::check_streams(&rig, &proof, Redelivery::AtMost(usize::MAX)).await?;
        ensure!(violations.is_empty(), "{} violations, the first: {}", violations.len(), violations[0]);
        anyhow::Ok(())
    };
    let streams = eventually(look, load::SETTLES_WITHIN).await;
    let mut violations = load::check(&rig, &proof, &acknowledged).await?;
    violations.extend(streams.err().map(|error| format!("{error:#}")));
    if slowest > RECOVERS_WITHIN {
        violations.push(format!("slow: events went on {slowest:?} after a primary was killed"));
    }
    proof.conclude(violations);
    Ok(())
}

#[derive(Default)]
struct Failovers {
    took: Vec<Duration>,
    /// Events that were marked published when only the killed primary had them.
    lacked: usize,
    acknowledged: Acknowledged,
}

/// At least one, however short the time is.
async fn fail_over(rig: &Rig, until: Instant, mut choices: StdRng) -> Result<Failovers> {
    let mut failovers = Failovers::default();
    while failovers.took.is_empty() || Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(choices.random_range(500..1500))).await;
        let killed = rig.stack.redis_primary().await?;
        let alone_since = database_clock(rig).await?;
        cut_off(killed).await?;
        let until_then = database_clock(rig).await?;
        killed.kill().await?;
        let began = Instant::now();
        let key = format!("after-failover-{}", failovers.took.len());
        let tenant = load::TENANTS[0];
        let request = submission(tenant, "project-5", &key, "{}");
        let job_id = answered(&rig.submitters("proof", tenant)?, &request, &mut choices).await?.response.job_id;
        eventually(|| published(rig, killed, &job_id), 2 * RECOVERS_WITHIN).await?;
        failovers.took.push(began.elapsed());
        failovers.lacked += published_between(rig, alone_since, until_then).await?;
        failovers.acknowledged.jobs.insert((tenant.to_owned(), key), job_id);
        // It follows its successor, or may become it again.
        killed.restart().await?;
        rig.stack.sentinels.as_ref().map(Sentinels::whole).expect("the rig has Sentinels").await?;
    }
    Ok(failovers)
}

/// Whether an event of the job was published, to another server than the one that was killed.
async fn published(rig: &Rig, killed: &Redis, job_id: &str) -> Result<()> {
    let primary = rig.stack.redis_primary().await?;
    ensure!(primary.port() != killed.port(), "nobody has taken over");
    let sql = "SELECT EXISTS (SELECT FROM jobs.job_events e JOIN jobs.outbox o ON o.outbox_id = e.event_id
               WHERE e.job_id = $1::uuid AND o.published_at IS NOT NULL)";
    let is_published: bool = sqlx::query_scalar(sql).bind(job_id).fetch_one(rig.stack.database.admin()).await?;
    ensure!(is_published, "no event of job {job_id} is published");
    Ok(())
}

/// The deployment's own primary would refuse to go on alone; one that is not set up so goes on.
async fn cut_off(primary: &Redis) -> Result<()> {
    let answer = primary.command("CONFIG SET min-replicas-to-write 0").await?;
    ensure!(answer == "+OK", "CONFIG SET answered {answer}");
    let began = Instant::now();
    while began.elapsed() < ALONE {
        // They come back within a second, and would catch up.
        primary.command("CLIENT KILL TYPE replica").await?;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

async fn database_clock(rig: &Rig) -> Result<DateTime<Utc>> {
    Ok(sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(rig.stack.database.admin()).await?)
}

async fn published_between(rig: &Rig, from: DateTime<Utc>, to: DateTime<Utc>) -> Result<usize> {
    let sql = "SELECT count(*) FROM jobs.outbox WHERE published_at > $1 AND published_at < $2";
    let events: i64 = sqlx::query_scalar(sql).bind(from).bind(to).fetch_one(rig.stack.database.admin()).await?;
    Ok(events.try_into()?)
}
