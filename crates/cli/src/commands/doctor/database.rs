//! PostgreSQL and PgBouncer.

use chrono::{DateTime, TimeDelta, Utc};
use holdfast_pg::{
    DatabaseUrl,
    migrate::{self, StepState},
};
use sqlx::{Connection, PgConnection, Row, postgres::PgConnectOptions};

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
        Err(error) => findings.push(Finding::bad("growth of jobs", error.to_string())),
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

pub(super) async fn examine_pool(url: &DatabaseUrl) -> Vec<Finding> {
    match ask_pool(url).await {
        Ok(findings) => findings,
        Err(error) => vec![Finding::warning("PgBouncer", format!("its console does not answer: {error}"))],
    }
}

/// The console speaks the simple protocol alone, on a database of its own.
async fn ask_pool(url: &DatabaseUrl) -> Result<Vec<Finding>, sqlx::Error> {
    let options: PgConnectOptions = url.expose().parse()?;
    let mut console = PgConnection::connect_with(&options.database("pgbouncer")).await?;
    let version: String = sqlx::raw_sql("SHOW VERSION").fetch_one(&mut console).await?.try_get(0)?;
    let mut findings = vec![Finding::expect(
        "PgBouncer",
        &version,
        is_recent(&version),
        Verdict::Bad,
        "1.21 or later: older ones break prepared statements",
    )];
    for row in sqlx::raw_sql("SHOW CONFIG").fetch_all(&mut console).await? {
        let (key, value): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        match key.as_str() {
            "pool_mode" => {
                findings.push(Finding::expect(
                    "pool_mode",
                    &value,
                    value == "transaction",
                    Verdict::Warning,
                    "transaction",
                ));
            }
            "max_prepared_statements" => {
                findings.push(Finding::expect(
                    "max_prepared_statements",
                    &value,
                    value != "0",
                    Verdict::Bad,
                    "above 0",
                ));
            }
            _ => {}
        }
    }
    Ok(findings)
}

/// Whether "PgBouncer 1.24.1" is 1.21 or later.
fn is_recent(version: &str) -> bool {
    let mut numbers = version.split([' ', '.']).filter_map(|part| part.parse::<u32>().ok());
    (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default()) >= (1, 21)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_the_pooler_are_compared_as_numbers() {
        assert!(is_recent("PgBouncer 1.24.1") && is_recent("PgBouncer 1.21.0") && is_recent("PgBouncer 2.0"));
        assert!(!is_recent("PgBouncer 1.18.0") && !is_recent("PgBouncer 1.9.0") && !is_recent("?"));
    }
}
