//! How large the tables are, which partitions are old, and whether those of the weeks to come are there.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use holdfast_events::unpack;
use holdfast_proto::events::v1::TableRowCountPassed;
use holdfast_testkit::http_get;
use sqlx::{AssertSqlSafe, PgPool};

use crate::support::*;

/// One that looks all the time.
fn watchful() -> Settings {
    Settings::default().set("tasks.growth_period_ms", 20).set("tasks.growth_gauges_period_ms", 20)
}

async fn gauge(instance: &Instance, name: &str, table: &str) -> Result<Option<f64>> {
    let port = instance.process.http_port().context("instances have one")?;
    let metrics = http_get(port, "/metrics").await?.body;
    let line = format!("{name}{{table=\"{table}\"}} ");
    Ok(metrics.lines().find_map(|found| found.strip_prefix(&line)?.parse().ok()))
}

async fn shows(instance: &Instance, name: &str, table: &str, wanted: f64) -> Result<()> {
    let look = || async {
        let value = gauge(instance, name, table).await?;
        anyhow::ensure!(value == Some(wanted), "{name} of {table} is {value:?}, not {wanted}");
        anyhow::Ok(())
    };
    eventually(look, SOON).await
}

/// Waits for a run of the task that began after this call.
async fn another_run(world: &World) -> Result<()> {
    let runs = async || -> Result<f64> {
        let mut runs = 0.0;
        let metrics = http_get(world.first.process.http_port().context("a port")?, "/metrics").await?.body;
        for line in
            metrics.lines().filter(|line| line.starts_with("task_runs_total{") && line.contains("task=\"growth\""))
        {
            assert!(line.contains("outcome=\"ok\""), "{line}");
            runs += line.rsplit(' ').next().context("a value")?.parse::<f64>()?;
        }
        Ok(runs)
    };
    let before = runs().await?;
    // The one that was under way, and one more.
    let look = || async {
        anyhow::ensure!(runs().await? >= before + 2.0, "no further run");
        anyhow::Ok(())
    };
    eventually(look, SOON).await
}

/// A partition of one week, which ended so many days ago.
async fn make_old(admin: &PgPool, table: &str, days_ago: i32) -> Result<String> {
    let name = format!("{table}_old_{days_ago}");
    let statement = format!(
        "DO $$ BEGIN EXECUTE format('CREATE TABLE jobs.{name} PARTITION OF jobs.{table} FOR VALUES FROM (%L) TO (%L)', \
         jobs.uuid7_floor(now() - interval '{from} days'), jobs.uuid7_floor(now() - interval '{days_ago} days')); END $$",
        from = days_ago + 7,
    );
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(admin).await?;
    Ok(name)
}

async fn queued(admin: &PgPool) -> Result<BTreeSet<(String, i64, String)>> {
    let rows: Vec<(String, i64, String)> =
        sqlx::query_as("SELECT partition_name, rows, marked_at::text FROM jobs.archive_queue").fetch_all(admin).await?;
    Ok(rows.into_iter().collect())
}

fn names(queued: &BTreeSet<(String, i64, String)>) -> Vec<&str> {
    queued.iter().map(|(name, _, _)| name.as_str()).collect()
}

#[test]
fn partitions_are_ready_for_archive_when_all_in_them_is_old_enough_and_once() -> Result<()> {
    run(async {
        let world = World::with(watchful()).await?;
        let admin = world.db.admin();
        // History is kept for 180 days; a job that was made on a partition's last day can have lived for 21 more.
        for (table, days_ago) in [("job_events", 202), ("job_events", 188), ("job_events", 174), ("jobs", 300)] {
            make_old(admin, table, days_ago).await?;
        }
        let ready = make_old(admin, "job_events", 230).await?;
        another_run(&world).await?;
        assert_eq!(names(&queued(admin).await?), ["job_events_old_202", ready.as_str()]);
        shows(&world.first, "partitions_ready_for_archive", "job_events", 2.0).await?;
        shows(&world.first, "partitions_ready_for_archive", "jobs", 0.0).await?;
        let before = queued(admin).await?;
        // One more grows old: it is marked, and those of before stay as they were marked.
        make_old(admin, "jobs", 387).await?;
        another_run(&world).await?;
        let after = queued(admin).await?;
        assert_eq!(names(&after), ["job_events_old_202", ready.as_str(), "jobs_old_387"]);
        assert!(before.is_subset(&after), "{before:?} and {after:?}");
        // Nothing is gone.
        let leaves = "SELECT count(*) FROM pg_class WHERE relname ~ '_old_[0-9]+$' AND relkind = 'r'";
        assert_eq!(sqlx::query_scalar::<_, i64>(leaves).fetch_one(admin).await?, 6);
        Ok(())
    })
}

/// Nothing that is partitioned by time is forgotten, whoever added it.
#[test]
fn old_partitions_of_every_table_become_ready_for_archive() -> Result<()> {
    run(async {
        let world = World::with(watchful()).await?;
        let admin = world.db.admin();
        let parents: Vec<String> = sqlx::query_scalar(
            "SELECT class.relname::text FROM pg_partitioned_table AS parent JOIN pg_class AS class ON class.oid = parent.partrelid \
             WHERE class.relnamespace = 'jobs'::regnamespace AND parent.partstrat = 'r'",
        )
        .fetch_all(admin)
        .await?;
        let mut made = BTreeSet::new();
        for parent in &parents {
            made.insert(make_old(admin, parent, 1000).await?);
        }
        assert!(made.contains("model_usage_old_1000") && made.contains("job_usage_old_1000"), "{made:?}");
        another_run(&world).await?;
        let ready = queued(admin).await?;
        assert_eq!(names(&ready).into_iter().map(str::to_owned).collect::<BTreeSet<_>>(), made);
        Ok(())
    })
}

/// The marks that table jobs was found past, by day, oldest first.
async fn marks(admin: &PgPool) -> Result<Vec<(i64, Option<String>)>> {
    let counts = "SELECT rows, mark FROM jobs.table_row_counts WHERE table_name = 'jobs' ORDER BY day";
    Ok(sqlx::query_as(counts).fetch_all(admin).await?)
}

/// All of table jobs. Days go by faster here than the calendar's, so that they may have one ordering key.
async fn events(admin: &PgPool) -> Result<Vec<TableRowCountPassed>> {
    let statement =
        "SELECT event_payload FROM jobs.outbox WHERE ordering_key LIKE 'table_row_count:jobs.jobs:%' ORDER BY position";
    let mut found = Vec::new();
    for payload in sqlx::query_scalar::<_, Vec<u8>>(statement).fetch_all(admin).await? {
        let event = holdfast_events::decode(&payload)?;
        assert_eq!((event.tenant_id.as_str(), event.key_seq), ("platform", 1));
        assert!(event.traceparent.contains(&event.trace_id) && event.trace_id.len() == 32);
        found.push(unpack(&event)?);
    }
    Ok(found)
}

/// A day goes by: the table has so many rows, and yesterday's counts are those of the day before.
async fn next_day(world: &World, jobs: usize) -> Result<()> {
    let admin = world.db.admin();
    let alice = world.user("alice", &tenant());
    if jobs > 0 {
        alice.batch_submit_jobs(batch((0..jobs).map(|_| job()))).await?;
    }
    sqlx::raw_sql("ANALYZE jobs.jobs").execute(admin).await?;
    let day_by_day = "DO $$ DECLARE d date; BEGIN FOR d IN SELECT DISTINCT day FROM jobs.table_row_counts ORDER BY day LOOP \
                      UPDATE jobs.table_row_counts SET day = day - 1 WHERE day = d; END LOOP; END $$";
    let days = marks(admin).await?.len();
    sqlx::raw_sql(day_by_day).execute(admin).await?;
    let look = || async {
        anyhow::ensure!(marks(admin).await?.len() == days + 1, "not counted yet");
        anyhow::Ok(())
    };
    eventually(look, SOON).await
}

/// Two instances look all the time, and still each day has one count, and each mark one event.
#[test]
fn a_table_is_counted_once_a_day_and_told_of_once_a_mark() -> Result<()> {
    run(async {
        let settings = watchful().set("growth.preparation_rows", 3).set("growth.activation_rows", 6);
        let world = World::with(settings).await?;
        let _other = world.another_instance().await?;
        let admin = world.db.admin();
        let is_counted = || async {
            anyhow::ensure!(marks(admin).await?.len() == 1, "not counted yet");
            anyhow::Ok(())
        };
        eventually(is_counted, SOON).await?;
        next_day(&world, 0).await?;
        next_day(&world, 3).await?;
        assert_eq!(events(admin).await?, []);
        next_day(&world, 1).await?;
        next_day(&world, 0).await?;
        another_run(&world).await?;
        let told = events(admin).await?;
        let preparation = ("jobs", 4, "preparation", 3, "SEV3", true);
        let said = |event: &TableRowCountPassed| {
            (event.rows, event.mark.clone(), event.mark_rows, event.severity.clone(), event.is_partitioned)
        };
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(
            said(&told[0]),
            (preparation.1, preparation.2.into(), preparation.3, preparation.4.into(), preparation.5)
        );
        next_day(&world, 2).await?;
        next_day(&world, 0).await?;
        another_run(&world).await?;
        let told = events(admin).await?;
        assert_eq!(told.len(), 2, "{told:?}");
        assert_eq!(said(&told[1]), (6, "activation".into(), 6, "SEV2".into(), true));
        let mark = |name: &str| Some(name.to_owned());
        let expected = [
            (0, None),
            (0, None),
            (3, None),
            (4, mark("preparation")),
            (4, mark("preparation")),
            (6, mark("activation")),
            (6, mark("activation")),
        ];
        assert_eq!(marks(admin).await?, expected);
        shows(&world.first, "table_row_count", "jobs", 6.0).await?;
        Ok(())
    })
}

/// Before anything fails: a week to come has no partition, and nobody makes it.
#[test]
fn missing_partitions_are_shown_before_they_are_needed() -> Result<()> {
    run(async {
        let world = World::with(watchful()).await?;
        let admin = world.db.admin();
        let tables: Vec<String> = sqlx::query_scalar(
            "SELECT partrelid::regclass::text FROM pg_partitioned_table WHERE partstrat = 'r' AND partrelid::regclass::text LIKE 'jobs.%'",
        )
        .fetch_all(admin)
        .await?;
        assert!(tables.iter().any(|table| table == "jobs.approvals"), "{tables:?}");
        for table in &tables {
            shows(&world.first, "partitions_missing", table.trim_start_matches("jobs."), 0.0).await?;
        }
        let last: String = sqlx::query_scalar(
            "SELECT partition_name FROM jobs.time_partitions() WHERE table_name = 'job_events' ORDER BY covers_to DESC LIMIT 1",
        )
        .fetch_one(admin)
        .await?;
        sqlx::raw_sql(AssertSqlSafe(format!("DROP TABLE jobs.{last}"))).execute(admin).await?;
        shows(&world.first, "partitions_missing", "job_events", 1.0).await?;
        assert!(world.first.process.log().contains("partitions of the weeks to come are missing"));
        world.user("alice", &tenant()).submit_job(job()).await?;
        Ok(())
    })
}

/// The bounds of partitions are read as they were made.
#[test]
fn what_a_partition_covers_is_read_from_its_bounds() -> Result<()> {
    run(async {
        let db = holdfast_testkit::Database::create().await?;
        let odd: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM jobs.time_partitions() \
             WHERE covers_to - covers_from <> interval '7 days' \
             OR partition_name <> table_name || '_p' || to_char(covers_from AT TIME ZONE 'UTC', 'YYYYMMDD')",
        )
        .fetch_one(db.admin())
        .await?;
        let all: i64 = sqlx::query_scalar("SELECT count(*) FROM jobs.time_partitions()").fetch_one(db.admin()).await?;
        assert!(odd == 0 && all > 0, "{odd} of {all}");
        Ok(())
    })
}

/// How many sums of usage there are, and the oldest of them, by the days since its period ended.
async fn sums(admin: &PgPool) -> Result<(i64, Option<i32>)> {
    let sums = "SELECT count(*), (extract(epoch FROM now() - min(period_end)) / 86400)::int4 FROM jobs.budget_usage";
    Ok(sqlx::query_as(sums).fetch_one(admin).await?)
}

/// More of them than one round takes away; those that ended later, and those that still count, stay.
#[test]
fn sums_of_usage_are_taken_away_long_after_their_period_has_ended() -> Result<()> {
    run(async {
        let world = World::with(watchful().set("retention.budget_usage_days", 40)).await?;
        let (tenant, admin) = (tenant(), world.db.admin());
        let submitted = world.user("alice", &tenant).submit_job(job()).await?;
        world.service("memory", &tenant).record_usage(reports([usage(&submitted.job_id, 7, 7)])).await?;
        let (counted, _) = sums(admin).await?;
        assert!(counted > 0, "usage is counted");
        let ended = "INSERT INTO jobs.budget_usage (tenant_id, scope, scope_id, period_start, period_end, tokens, cost_micro_usd, entries) \
                     SELECT $1, 'user', 'user-' || number, now() - make_interval(days => $3), now() - make_interval(days => $2), 1, 1, 1 \
                     FROM generate_series(1, $4) AS number";
        for (days_ago, users) in [(39, 3), (41, 1200), (500, 1)] {
            let insert = sqlx::query(ended).bind(tenant.as_str()).bind(days_ago).bind(days_ago + 1).bind(users);
            insert.execute(admin).await?;
        }
        let pruned = || async {
            let sums = sums(admin).await?;
            anyhow::ensure!(sums == (counted + 3, Some(39)), "{sums:?}");
            anyhow::Ok(())
        };
        eventually(pruned, SOON).await?;
        // What it was the sum of is all there, and counts.
        let told = world.user("alice", &tenant).get_budget(budget(pb::BudgetScope::Job, &submitted.job_id)).await?;
        assert_eq!(told.budget.and_then(|budget| budget.tokens).map(|tokens| tokens.used), Some(7));
        assert_eq!(rows::of_tenant(admin, "model_usage", &tenant).await?, 1);
        Ok(())
    })
}
