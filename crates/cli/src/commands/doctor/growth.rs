//! How large the tables of jobs are, what is ready for archive, and how far ahead there are partitions of jobs and of locks.

use sqlx::PgConnection;

use super::probe::Finding;

/// Fewer days ahead than this, and nobody seems to make partitions.
const DAYS_AHEAD_MIN: f64 = 7.0;

/// Nothing where the schema is older than what is asked about: that is a finding of its own.
pub(super) async fn examine(connection: &mut PgConnection) -> Result<Vec<Finding>, sqlx::Error> {
    let mut findings = Vec::new();
    if is_there(connection, "jobs.archive_queue").await? {
        findings.extend([largest(connection).await?, archive(connection).await?, partitions(connection).await?]);
    }
    if is_there(connection, "locks.locks").await? {
        findings.push(journal_of_locks(connection).await?);
    }
    Ok(findings)
}

async fn is_there(connection: &mut PgConnection, table: &str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL").bind(table).fetch_one(connection).await
}

async fn largest(connection: &mut PgConnection) -> Result<Finding, sqlx::Error> {
    let latest = "SELECT table_name, rows, day::text, mark FROM jobs.table_row_counts \
                  WHERE day = (SELECT max(day) FROM jobs.table_row_counts) ORDER BY rows DESC, table_name LIMIT 1";
    let found: Option<(String, i64, String, Option<String>)> =
        sqlx::query_as(latest).fetch_optional(&mut *connection).await?;
    let what = "largest table";
    Ok(match found {
        None => Finding::note(what, "not counted yet"),
        Some((table, rows, day, mark)) => {
            let detail = format!("jobs.{table}, some {rows} rows on {day}");
            match mark.as_deref() {
                None => Finding::good(what, detail),
                Some("preparation") => Finding::warning(what, format!("{detail}; plan what to archive")),
                Some(_) => Finding::bad(what, format!("{detail}; archive its oldest partitions now")),
            }
        }
    })
}

async fn archive(connection: &mut PgConnection) -> Result<Finding, sqlx::Error> {
    let ready = "SELECT count(*), (array_agg(partition_name ORDER BY covers_to, partition_name))[1] \
                 FROM jobs.archive_queue WHERE state = 'ready'";
    let (partitions, oldest): (i64, Option<String>) = sqlx::query_as(ready).fetch_one(&mut *connection).await?;
    Ok(match oldest {
        None => Finding::good("archive", "no partition is old enough"),
        Some(oldest) => Finding::note("archive", format!("{partitions} partitions are ready, the oldest {oldest}")),
    })
}

async fn partitions(connection: &mut PgConnection) -> Result<Finding, sqlx::Error> {
    let ahead = "SELECT parent.relname::text, \
                     coalesce(extract(epoch FROM max(part.covers_to) - clock_timestamp()) / 86400, 0)::float8 AS days \
                 FROM pg_partitioned_table AS kind \
                 JOIN pg_class AS parent ON parent.oid = kind.partrelid \
                 JOIN pg_namespace AS space ON space.oid = parent.relnamespace AND space.nspname = 'jobs' \
                 LEFT JOIN jobs.time_partitions() AS part ON part.table_name = parent.relname \
                 WHERE kind.partstrat = 'r' GROUP BY parent.relname ORDER BY days, parent.relname LIMIT 1";
    let (table, days): (String, f64) = sqlx::query_as(ahead).fetch_one(&mut *connection).await?;
    Ok(ahead_of_time("partitions", "jobs", &table, days))
}

async fn journal_of_locks(connection: &mut PgConnection) -> Result<Finding, sqlx::Error> {
    // Each is named after the Monday that its week begins with.
    let ahead = "SELECT (extract(epoch FROM max( \
                     (to_date(substring(leaf.relname FROM '[0-9]{8}$'), 'YYYYMMDD') + 7)::timestamp AT TIME ZONE 'UTC' \
                 ) - clock_timestamp()) / 86400)::float8 \
                 FROM pg_inherits AS part JOIN pg_class AS leaf ON leaf.oid = part.inhrelid \
                 WHERE part.inhparent = 'locks.locks'::regclass";
    let (what, days) = ("partitions of locks", sqlx::query_scalar(ahead).fetch_one(connection).await?);
    Ok(match days {
        None => Finding::note(what, "none yet: no locks service has started here"),
        Some(days) => ahead_of_time(what, "locks", "locks", days),
    })
}

fn ahead_of_time(what: &str, service: &str, table: &str, days: f64) -> Finding {
    let detail = format!("{} days ahead for {service}.{table}", days.max(0.0).floor());
    match days {
        days if days <= 0.0 => Finding::bad(what, format!("{detail}: calls fail; start the {service} service")),
        days if days < DAYS_AHEAD_MIN => Finding::warning(what, format!("{detail}: nobody makes them")),
        _ => Finding::good(what, detail),
    }
}
