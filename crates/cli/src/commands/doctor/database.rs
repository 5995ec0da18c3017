//! PostgreSQL.

use chrono::{DateTime, TimeDelta, Utc};
use holdfast_pg::{
    DatabaseUrl,
    migrate::{self, StepState},
};
use sqlx::PgConnection;

use super::{
    growth,
    probe::{Finding, Verdict},
};
use crate::dev::connect_admin;

const VERSION_MIN: i32 = 150_000;
const CONNECTIONS_MIN: i64 = 50;
/// The database's clock decides; ours only shows in what people read.
const CLOCK_SKEW_MAX: TimeDelta = TimeDelta::milliseconds(500);

pub(super) async fn examine(url: &DatabaseUrl) -> Vec<Finding> {
    let mut connection = match connect_admin(url).await {
        Ok(connection) => connection,
        Err(error) => return vec![Finding::bad("PostgreSQL", format!("{error:#}"))],
    };
    let mut findings = match examine_server(&mut connection).await {
        Ok(findings) => findings,
        Err(error) => vec![Finding::bad("PostgreSQL", error.to_string())],
    };
    for schema in migrate::schemas() {
        findings.push(examine_schema(url, schema).await);
    }
    match growth::examine(&mut connection).await {
        Ok(found) => findings.extend(found),
        Err(error) => findings.push(Finding::bad("growth", error.to_string())),
    }
    findings
}

async fn examine_server(connection: &mut PgConnection) -> Result<Vec<Finding>, sqlx::Error> {
    let mut findings = Vec::new();
    let version = setting(connection, "server_version").await?;
    let number: i32 = setting(connection, "server_version_num").await?.parse().unwrap_or_default();
    findings.push(Finding::expect("PostgreSQL", &version, number >= VERSION_MIN, Verdict::Bad, "15 or later"));
    for name in ["fsync", "full_page_writes"] {
        let value = setting(connection, name).await?;
        findings.push(Finding::expect(name, &value, value == "on", Verdict::Bad, "on: a crash loses data otherwise"));
    }
    let commit = setting(connection, "synchronous_commit").await?;
    let is_durable = !matches!(commit.as_str(), "off" | "local");
    let wanted = "on: what is acknowledged must be there after a crash";
    findings.push(Finding::expect("synchronous_commit", &commit, is_durable, Verdict::Bad, wanted));
    let connections = setting(connection, "max_connections").await?;
    let is_enough = connections.parse::<i64>().unwrap_or_default() >= CONNECTIONS_MIN;
    findings.push(Finding::expect(
        "max_connections",
        &connections,
        is_enough,
        Verdict::Warning,
        "(instances * 20) + 10",
    ));
    findings.push(examine_clock(connection).await?);
    findings.push(examine_replicas(connection).await?);
    Ok(findings)
}

async fn setting(connection: &mut PgConnection, name: &str) -> Result<String, sqlx::Error> {
    sqlx::query_scalar("SELECT pg_catalog.current_setting($1)").bind(name).fetch_one(connection).await
}

async fn examine_clock(connection: &mut PgConnection) -> Result<Finding, sqlx::Error> {
    let before = Utc::now();
    let theirs: DateTime<Utc> = sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(connection).await?;
    let after = Utc::now();
    // Their reading was taken between ours: whatever lies between them is no difference.
    let skew = if theirs < before { theirs - before } else { (theirs - after).max(TimeDelta::zero()) };
    let detail = format!("{} ms from this machine's", skew.num_milliseconds());
    Ok(Finding::expect("database clock", &detail, skew.abs() <= CLOCK_SKEW_MAX, Verdict::Warning, "clocks kept by NTP"))
}

async fn examine_replicas(connection: &mut PgConnection) -> Result<Finding, sqlx::Error> {
    let (streaming, synchronous): (i64, i64) = sqlx::query_as(
        "SELECT count(*), count(*) FILTER (WHERE sync_state IN ('sync', 'quorum'))
         FROM pg_catalog.pg_stat_replication WHERE state = 'streaming'",
    )
    .fetch_one(connection)
    .await?;
    let detail = match (streaming, synchronous) {
        (0, _) => "none".to_owned(),
        (_, 0) => format!("{streaming}, none synchronous: a failover to one loses what it had not received"),
        _ => format!("{streaming}, of them synchronous: {synchronous}"),
    };
    Ok(Finding::note("replicas", detail))
}

async fn examine_schema(url: &DatabaseUrl, schema: &'static str) -> Finding {
    let what = format!("schema {schema}");
    let steps = match migrate::status(url, schema).await {
        Ok(steps) => steps,
        Err(error) => return Finding::bad(what, error.to_string()),
    };
    let count = |state| steps.iter().filter(|step| step.state == state).count();
    let detail = format!("{} of {} migrations applied", count(StepState::Applied), steps.len());
    match (count(StepState::Changed), count(StepState::Pending), count(StepState::Unknown)) {
        (0, 0, 0) => Finding::good(what, detail),
        (0, 0, newer) => Finding::warning(what, format!("{detail}; {newer} by a newer build")),
        (0, pending, _) => Finding::bad(what, format!("{detail}; {pending} pending: run `holdfast migrate up`")),
        (changed, ..) => {
            Finding::bad(what, format!("{detail}; {changed} applied with other contents than this build has"))
        }
    }
}
