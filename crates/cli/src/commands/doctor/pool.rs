//! PgBouncer, by its console.

use std::collections::BTreeMap;

use holdfast_pg::DatabaseUrl;
use sqlx::{Connection, PgConnection, Row, postgres::PgConnectOptions};

use super::probe::{Finding, Verdict};
use crate::dev::pgbouncer_is_recent;

/// While PostgreSQL is away or moves: how long clients may hang, and be kept out after it is back.
const WAIT_MAX_S: f64 = 10.0;
const RETRY_MAX_S: f64 = 2.0;

pub(super) async fn examine(url: &DatabaseUrl) -> Vec<Finding> {
    match ask(url).await {
        Ok((version, settings)) => judge(&version, &settings),
        Err(error) => vec![Finding::bad("PgBouncer", format!("its console does not answer: {error}"))],
    }
}

/// The console speaks the simple protocol alone, on a database of its own.
async fn ask(url: &DatabaseUrl) -> Result<(String, BTreeMap<String, String>), sqlx::Error> {
    let options: PgConnectOptions = url.expose().parse()?;
    let mut console = PgConnection::connect_with(&options.database("pgbouncer")).await?;
    let version: String = sqlx::raw_sql("SHOW VERSION").fetch_one(&mut console).await?.try_get(0)?;
    let rows = sqlx::raw_sql("SHOW CONFIG").fetch_all(&mut console).await?;
    let mut settings = BTreeMap::new();
    for row in rows {
        // What is not set at all has no value.
        settings.insert(row.try_get(0)?, row.try_get::<Option<String>, _>(1)?.unwrap_or_default());
    }
    Ok((version, settings))
}

fn judge(version: &str, settings: &BTreeMap<String, String>) -> Vec<Finding> {
    let value = |name: &str| settings.get(name).map_or("unknown", String::as_str);
    let recent = "1.21 or later: older ones break prepared statements";
    let mut findings = vec![Finding::expect("PgBouncer", version, pgbouncer_is_recent(version), Verdict::Bad, recent)];

    let mode = value("pool_mode");
    // Sessions do no harm but cost a connection a client; single statements tear transactions apart.
    let otherwise = if mode == "session" { Verdict::Warning } else { Verdict::Bad };
    findings.push(Finding::expect("pool_mode", mode, mode == "transaction", otherwise, "transaction"));
    let prepared = value("max_prepared_statements");
    let keeps_prepared = prepared.parse::<u32>().is_ok_and(|statements| statements > 0);
    findings.push(Finding::expect("max_prepared_statements", prepared, keeps_prepared, Verdict::Bad, "above 0"));

    for (name, max) in [("query_wait_timeout", WAIT_MAX_S), ("server_login_retry", RETRY_MAX_S)] {
        let seconds = value(name);
        // 0 is for ever in the one and at once in the other.
        let is_soon = seconds
            .parse::<f64>()
            .is_ok_and(|seconds| seconds <= max && (seconds > 0.0 || name != "query_wait_timeout"));
        let wanted = format!("{max} s at most: clients are to learn soon that PostgreSQL is away, and that it is back");
        findings.push(Finding::expect(name, seconds, is_soon, Verdict::Warning, &wanted));
    }
    findings
}
