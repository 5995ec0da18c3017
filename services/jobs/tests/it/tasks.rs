//! Background work: partitions, the outbox ring, leadership.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use holdfast_testkit::{Database, Signal, http_get};
use sqlx::{AssertSqlSafe, PgPool};

use crate::support::*;

/// The ready-made partitions are used up: calls fail typed and retryable, and work again once there are more, here by
/// another instance, which makes what is missing before it is ready.
#[test]
fn used_up_partitions_refuse_calls_until_they_are_made() -> Result<()> {
    run(async {
        let world = World::with(Settings::default()).await?;
        let tenant = tenant();
        let (alice, admin) = (world.user("alice", &tenant), world.db.admin());
        alice.submit_job(job()).await?;
        // Its own look at the partitions is over: the next is an hour away.
        let port = world.first.process.http_port().context("a port")?;
        let looked = || async {
            let page = http_get(port, "/metrics").await?.body;
            let mut runs = page.lines().filter(|line| line.starts_with("task_runs_total"));
            ensure!(runs.any(|line| line.contains("task=\"partitions\"")), "it has not looked yet");
            anyhow::Ok(())
        };
        eventually(looked, SOON).await?;
        let used_up = drop_leaves(admin).await?;
        let refusal = refused(alice.submit_job(job()).await, Reason::Infra503DependencyDown);
        assert!(refusal.retryable());
        let other = world.another_instance().await?;
        assert_eq!(leaves(admin).await?.len(), used_up.len());
        alice.over(&other).submit_job(job()).await?;
        alice.submit_job(job()).await?;
        Ok(())
    })
}

/// As they are used up in production: under an instance that runs, and goes on.
#[test]
fn a_running_instance_makes_used_up_partitions_again() -> Result<()> {
    run(async {
        let world = World::with(Settings::default().set("tasks.partitions_period_ms", 50)).await?;
        let (alice, admin) = (world.user("alice", &tenant()), world.db.admin());
        alice.submit_job(job()).await?;
        let used_up = drop_leaves(admin).await?;
        let made = || async {
            let leaves = leaves(admin).await?;
            anyhow::ensure!(leaves.keys().eq(used_up.keys()), "only {:?}", leaves.keys());
            anyhow::Ok(leaves)
        };
        let made = eventually(made, SOON).await?;
        assert!(made.iter().all(|(leaf, oid)| used_up[leaf] != *oid), "{made:?} are those of before: {used_up:?}");
        let job_id = alice.submit_job(job()).await?.job_id;
        alice.job(&job_id).await?;
        assert_eq!(alice.history(&job_id).await?.len(), 1);
        Ok(())
    })
}

/// The weekly partitions of every table that has some, and which table each one is.
async fn leaves(admin: &PgPool) -> Result<BTreeMap<String, i64>> {
    let leaves: Vec<(String, i64)> = sqlx::query_as(
        "SELECT inhrelid::regclass::text, inhrelid::int8 FROM pg_inherits JOIN pg_partitioned_table ON partrelid = inhparent \
         WHERE partstrat = 'r' AND inhparent::regclass::text LIKE 'jobs.%'",
    )
    .fetch_all(admin)
    .await?;
    Ok(leaves.into_iter().collect())
}

async fn drop_leaves(admin: &PgPool) -> Result<BTreeMap<String, i64>> {
    let leaves = leaves(admin).await?;
    for parent in ["jobs.jobs_p", "jobs.job_events_p", "jobs.idempotency_ledger_p"] {
        assert!(leaves.keys().any(|leaf| leaf.starts_with(parent)), "{parent} in {leaves:?}");
    }
    for leaf in leaves.keys() {
        sqlx::query(AssertSqlSafe(format!("DROP TABLE {leaf}"))).execute(admin).await?;
    }
    Ok(leaves)
}

const EVENT_IN_SLOT_0: &str = "INSERT INTO jobs.outbox (slot, outbox_id, shard, tenant_id, project_id, ordering_key, key_seq, event_name, \
     event_payload, traceparent, created_at) \
     VALUES (0, gen_random_uuid(), 0, $1, 'alpha', 'key', 1, 'job.queued', '', '', now())";

#[test]
fn the_outbox_ring_never_empties_a_slot_with_unpublished_events() -> Result<()> {
    run(async {
        // No service runs here: its queries would lock slots for a moment, and a locked slot is passed over as well.
        let (db, tenant) = (Database::create().await?, tenant());
        sqlx::query(EVENT_IN_SLOT_0).bind(tenant.as_str()).execute(db.admin()).await?;
        let task = db.task()?;
        let advance = || async {
            let sql = "SELECT jobs.outbox_ring_advance('0 s', '0 s')";
            anyhow::Ok(sqlx::query_scalar::<_, Option<i16>>(sql).fetch_one(task.pool()).await?)
        };
        // Once round: slot 0 holds an unpublished event and is passed over.
        for slot in (1..16).chain([1]) {
            assert_eq!(advance().await?, Some(slot));
        }
        assert_eq!(rows::of_tenant(db.admin(), "outbox", &tenant).await?, 1);
        sqlx::query("UPDATE jobs.outbox SET published_at = now(), stream_ms = 1, stream_seq = 0")
            .execute(db.admin())
            .await?;
        for slot in (2..16).chain([0]) {
            assert_eq!(advance().await?, Some(slot));
        }
        assert_eq!(rows::of_tenant(db.admin(), "outbox", &tenant).await?, 0);
        Ok(())
    })
}

/// An event that waited for a relay for long stays readable from its publication on, not from when its slot was closed.
#[test]
fn the_outbox_ring_keeps_a_slot_from_its_last_publication_on() -> Result<()> {
    run(async {
        let (db, tenant) = (Database::create().await?, tenant());
        let (admin, task) = (db.admin(), db.task()?);
        sqlx::query(EVENT_IN_SLOT_0).bind(tenant.as_str()).execute(admin).await?;
        let advance = async |keep: &'static str| {
            let sql = "SELECT jobs.outbox_ring_advance('0 s', $1::text::interval)";
            anyhow::Ok(sqlx::query_scalar::<_, Option<i16>>(sql).bind(keep).fetch_one(task.pool()).await?)
        };
        assert_eq!(advance("0 s").await?, Some(1));
        // All slots were closed long ago; slot 0 would be next to be emptied.
        let aged = "UPDATE jobs.outbox_ring SET is_current = (slot = 15), opened_at = now() - interval '3 hours', \
                    closed_at = CASE WHEN slot <> 15 THEN now() - interval '2 hours' END";
        sqlx::query("UPDATE jobs.outbox_ring SET is_current = false").execute(admin).await?;
        sqlx::query(aged).execute(admin).await?;
        assert_eq!(advance("1 hour").await?, Some(1), "slot 0 holds an unpublished event and is passed over");
        sqlx::query("UPDATE jobs.outbox_ring SET is_current = false").execute(admin).await?;
        sqlx::query(aged).execute(admin).await?;
        sqlx::query("UPDATE jobs.outbox SET published_at = now(), stream_ms = 1, stream_seq = 0")
            .execute(admin)
            .await?;
        assert_eq!(advance("1 hour").await?, Some(1), "it was published just now");
        assert_eq!(rows::of_tenant(admin, "outbox", &tenant).await?, 1);
        sqlx::query("UPDATE jobs.outbox_ring SET is_current = false").execute(admin).await?;
        sqlx::query(aged).execute(admin).await?;
        sqlx::query("UPDATE jobs.outbox_ring SET unpublished_at = now() - interval '2 hours'").execute(admin).await?;
        assert_eq!(advance("1 hour").await?, Some(0));
        assert_eq!(rows::of_tenant(admin, "outbox", &tenant).await?, 0);
        Ok(())
    })
}

/// Two instances, one leader a task; when it is killed the other leads within 30 s.
#[test]
fn leadership_moves_to_the_instance_that_lives() -> Result<()> {
    run(async {
        let db = Database::create().await?;
        let world = World::over(db, Settings::default().set("tasks.leadership_ttl_ms", 2000)).await?;
        let holder = || async {
            let sql =
                "SELECT holder FROM jobs.task_leases WHERE task = 'lease_expiry' AND expires_at > clock_timestamp()";
            sqlx::query_scalar::<_, String>(sql).fetch_optional(world.db.admin()).await.ok().flatten()
        };
        let first = eventually(holder, SOON).await?;
        let _other = world.another_instance().await?;
        world.first.process.signal(Signal::SIGKILL)?;
        let moved = || async { holder().await.filter(|holder| *holder != first) };
        eventually(moved, Duration::from_secs(30)).await?;
        Ok(())
    })
}
