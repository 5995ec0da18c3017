//! Plans under row-level security. An operator that is not leakproof gets no index condition there: it is tried on every
//! row that the policy lets through. So the hot statements are explained as their callers' role, and each must look its
//! rows up by the key.

use anyhow::{Context as _, Result, ensure};
use holdfast_pg::TenantScope;
use holdfast_testkit::Database;
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgConnection, query_scalar, raw_sql};

use crate::support::*;

/// An alias of a statement, and the columns that its index conditions must hold.
type LookUp = (&'static str, &'static [&'static str]);

const PROJECT_KEY: &[&str] = &["tenant_id", "project_id"];
const BUDGET_KEY: &[&str] = &["tenant_id", "scope", "scope_id", "period_start"];
const HEAD_KEY: &[&str] = &["tenant_id", "project_id", "intent", "actor_id", "idempotency_key"];
const JOB_AND_LEASE: &[LookUp] = &[("job", &["job_id"]), ("lease", &["job_id"])];
const CLOCK: LookUp = ("clock", &["job_id"]);

/// Files of `store/queries`.
const HOT: &[(&str, &[LookUp])] = &[
    ("job_get", &[("job", &["job_id"]), ("lease", &["job_id"]), CLOCK]),
    ("jobs_list", &[("job", &["tenant_id", "project_id", "job_id"]), ("lease", &["job_id"])]),
    ("job_events_list", &[("event", &["job_id", "seq"])]),
    ("job_answers", &[("event", &["job_id", "seq"]), ("job", &["job_id"])]),
    ("jobs_lock", &[("job", &["job_id"])]),
    ("jobs_load", JOB_AND_LEASE),
    ("claim_scan", &[("queue", PROJECT_KEY), ("slots", PROJECT_KEY), ("job", &["job_id"])]),
    ("claim_active", &[("queue", PROJECT_KEY), ("slots", PROJECT_KEY)]),
    ("claim_take", &[("queue", PROJECT_KEY), ("slots", PROJECT_KEY), ("job", &["job_id"])]),
    ("project_get", &[("settings", PROJECT_KEY)]),
    ("projects_list", &[("slots", PROJECT_KEY), ("own", PROJECT_KEY)]),
    ("slots_take", &[("slots", PROJECT_KEY), ("queue", PROJECT_KEY)]),
    ("leases_extend", &[("lease", &["job_id"])]),
    (
        "transitions_persist",
        &[
            ("job", &["job_id"]),
            ("queue", &["tenant_id", "project_id", "rank", "ready_at", "job_id"]),
            ("delayed", &["job_id"]),
            ("lease", &["job_id"]),
            ("slots", PROJECT_KEY),
        ],
    ),
    ("usage_known", &[("job", &["job_id"]), ("usage", &["job_id", "idempotency_key"]), ("event", &["job_id"])]),
    ("job_usage_get", &[("counted", &["job_id"])]),
    ("hash_keys_get", &[("job", &["job_id"])]),
    ("budgets_get", &[("counted", BUDGET_KEY)]),
    ("budgets_look", &[("counted", BUDGET_KEY)]),
    ("budgets_mark", &[("counted", BUDGET_KEY)]),
    ("key_heads_in_window", &[("head", HEAD_KEY), ("job", &["job_id"])]),
    ("watch_events", &[("history", &["job_id", "seq"]), ("job", &["job_id"])]),
    ("watch_recorded", &[("event", &["outbox_id"])]),
    // A comparison of rows is not written with a bracket in front of each column.
    ("watch_behind", &[("published", &["tenant_id", "project_id", "shard"])]),
    ("watch_begin", &[("published", &["tenant_id", "project_id", "shard"])]),
    ("key_lock", &[("head", HEAD_KEY)]),
    ("key_head_update", &[("head", HEAD_KEY)]),
    ("key_ledger", &[("ledger", &["ledger_id"])]),
    ("ledger_touch", &[("ledger", &["ledger_id"])]),
    ("approvals_list", &[("approvals", &["job_id"])]),
    ("job_waits_get", &[("wait", &["job_id"])]),
    ("leases_look", &[("lease", &["job_id"])]),
    ("dependencies_seen", &[("job", &["job_id"])]),
    ("dependencies_lock", &[("job", &["job_id"])]),
    ("dependencies_mark", &[("job", &["job_id"])]),
    ("dependencies_move", &[("open", &["depends_on"])]),
    ("dependencies_clear", &[("open", &["job_id", "depends_on"])]),
    ("dependencies_delete", &[("open", &["job_id"]), ("hold", &["job_id"])]),
];

/// The same, of background work.
const BACKGROUND: &[(&str, &[LookUp])] = &[
    ("dependencies_of", &[("open", &["job_id"]), ("other", &["job_id"])]),
    ("dependents_of", &[("open", &["depends_on", "job_id"]), ("job", &["job_id"])]),
    ("waits_due", &[("wait", &["due_at"]), ("job", &["job_id"])]),
    ("delayed_promote", &[("job", &["job_id"])]),
    ("settlements_missing", &[("job", &["job_id"])]),
    ("holds_queued", &[("hold", &["job_id"])]),
    ("holds_delete", &[("hold", &["job_id"])]),
    ("jobs_freed", &[("job", &["job_id"])]),
    ("jobs_in_scope", &[("job", &["job_id"])]),
    ("queue_clock_heads", &[("queue", PROJECT_KEY), ("slots", PROJECT_KEY), ("job", &["job_id"])]),
    ("queue_overdue_lock", &[("job", &["job_id"])]),
    ("queue_overdue_tell", &[CLOCK]),
    ("queue_clock_clear", &[CLOCK, ("job", &["job_id"])]),
    ("budgets_prune", &[("old", &["period_end"]), ("counted", BUDGET_KEY)]),
    ("budgets_due", &[("counted", &["sweep_at"])]),
    ("budgets_swept", &[("counted", BUDGET_KEY)]),
    // The rest of the key is compared as a row, which is not written with a bracket in front of each column.
    ("live_queued", &[("queue", &["tenant_id"]), ("job", &["job_id"])]),
    ("live_delayed", &[("delayed", &["job_id"]), ("job", &["job_id"])]),
    ("live_leased", &[("lease", &["job_id"]), ("job", &["job_id"])]),
];

#[test]
fn hot_statements_look_their_rows_up_by_key() -> Result<()> {
    run(async {
        let db = Database::create().await?;
        let mut tx = db.app()?.begin(&TenantScope::one(&tenant()), None).await?;
        let mut unmet = Vec::new();
        for (query, look_ups) in HOT {
            let file = format!("{}/src/store/queries/{query}.sql", env!("CARGO_MANIFEST_DIR"));
            let statement = std::fs::read_to_string(&file).context(file)?;
            let plan = plan(&mut tx, query, &statement).await.context(*query)?;
            unmet.extend(missing(&plan, look_ups).into_iter().map(|missing| format!("{query}: {missing}")));
        }
        let mut tx = db.task()?.begin().await?;
        for (query, look_ups) in BACKGROUND {
            let file = format!("{}/src/store/queries/{query}.sql", env!("CARGO_MANIFEST_DIR"));
            let statement = std::fs::read_to_string(&file).context(file)?;
            let plan = plan(&mut tx, query, &statement).await.context(*query)?;
            unmet.extend(missing(&plan, look_ups).into_iter().map(|missing| format!("{query}: {missing}")));
        }
        ensure!(unmet.is_empty(), "not looked up by key:\n  {}", unmet.join("\n  "));
        Ok(())
    })
}

/// The trap itself, so that the test above is known to see it: LIKE is not leakproof, and only whom no policy binds finds
/// the project in the index.
#[test]
fn an_operator_that_is_not_leakproof_is_no_index_condition() -> Result<()> {
    const BY_PATTERN: &str =
        "SELECT queue.job_id FROM jobs.job_queue AS queue WHERE queue.tenant_id = $1 AND queue.project_id LIKE 'alpha'";
    const LOOK_UPS: &[LookUp] = &[("queue", PROJECT_KEY)];
    run(async {
        let db = Database::create().await?;
        let mut unbound = db.admin().begin().await?;
        raw_sql("SET LOCAL enable_bitmapscan = off").execute(&mut *unbound).await?;
        assert_eq!(missing(&plan(&mut unbound, "unbound", BY_PATTERN).await?, LOOK_UPS), [""; 0]);
        let mut bound = db.app()?.begin(&TenantScope::one(&tenant()), None).await?;
        assert_eq!(missing(&plan(&mut bound, "bound", BY_PATTERN).await?, LOOK_UPS).len(), 1);
        Ok(())
    })
}

/// The generic plan, which is the one that the service's role runs. Sequential scans are off here whatever the role has:
/// the tables are empty, and a scan would hide that the index cannot be used.
async fn plan(connection: &mut PgConnection, name: &str, statement: &str) -> Result<Value> {
    let prepare = format!(
        "SET LOCAL enable_seqscan = off; SET LOCAL plan_cache_mode = force_generic_plan; PREPARE {name} AS {statement}"
    );
    raw_sql(AssertSqlSafe(prepare)).execute(&mut *connection).await?;
    // An id of today, or every partition is left out of the plan before it is shown.
    let arguments: String = query_scalar(
        "SELECT string_agg(CASE type WHEN 'uuid'::regtype THEN 'jobs.uuid7_floor(now())' ELSE 'NULL' END, ', ' ORDER BY number) \
         FROM pg_prepared_statements, unnest(parameter_types) WITH ORDINALITY AS parameter (type, number) WHERE name = $1",
    )
    .bind(name)
    .fetch_one(&mut *connection)
    .await?;
    let explain = format!("EXPLAIN (FORMAT JSON) EXECUTE {name} ({arguments})");
    Ok(query_scalar(AssertSqlSafe(explain)).fetch_one(connection).await?)
}

/// What a plan's scans lack of these look-ups.
fn missing(plan: &Value, look_ups: &[LookUp]) -> Vec<String> {
    let mut scans = Vec::new();
    collect_scans(plan, &mut scans);
    let mut missing = Vec::new();
    for (alias, columns) in look_ups {
        let own: Vec<&&Value> = scans.iter().filter(|scan| is_of(text(scan, "Alias"), alias)).collect();
        if own.is_empty() {
            missing.push(format!("{alias} is not read"));
        }
        for scan in own {
            let condition = text(scan, "Index Cond");
            let absent: Vec<&&str> =
                columns.iter().filter(|column| !condition.contains(&format!("({column} "))).collect();
            if !absent.is_empty() {
                missing.push(format!("{} on {alias} by {condition:?}, without {absent:?}", text(scan, "Node Type")));
            }
        }
    }
    missing
}

/// Every node that reads a table.
fn collect_scans<'a>(plan: &'a Value, scans: &mut Vec<&'a Value>) {
    match plan {
        Value::Array(parts) => parts.iter().for_each(|part| collect_scans(part, scans)),
        Value::Object(parts) => {
            if text(plan, "Node Type").ends_with("Scan") && parts.contains_key("Relation Name") {
                scans.push(plan);
            }
            parts.values().for_each(|part| collect_scans(part, scans));
        }
        _ => {}
    }
}

/// `queue_2` is the third time that an alias appears, or its second partition.
fn is_of(found: &str, alias: &str) -> bool {
    let rest = found.strip_prefix(alias);
    rest.is_some_and(|rest| {
        rest.is_empty() || rest.strip_prefix('_').is_some_and(|number| number.parse::<u32>().is_ok())
    })
}

fn text<'a>(node: &'a Value, key: &str) -> &'a str {
    node[key].as_str().unwrap_or_default()
}
