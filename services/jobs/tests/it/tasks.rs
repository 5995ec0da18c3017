//! Background work: partitions, the outbox ring, leadership.

use std::time::Duration;

use anyhow::Result;
use holdfast_testkit::{Database, Signal};

use crate::support::*;

/// The ready-made partitions are used up: calls fail typed and retryable, and work again once the task has made more.
#[test]
fn used_up_partitions_are_made_again() -> Result<()> {
    run(async {
        let world = World::with(Settings::default()).await?;
        let tenant = tenant();
        let (alice, admin) = (world.user("alice", &tenant), world.db.admin());
        alice.submit_job(job()).await?;
        let leaves: Vec<String> = sqlx::query_scalar(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'jobs.idempotency_ledger'::regclass",
        )
        .fetch_all(admin)
        .await?;
        for leaf in leaves {
            sqlx::query(sqlx::AssertSqlSafe(format!("DROP TABLE {leaf}"))).execute(admin).await?;
        }
        let refusal = refused(alice.submit_job(job()).await, Reason::Infra503DependencyDown);
        assert!(refusal.retryable());
        // A new instance makes what is missing before it is ready, as the hourly task does.
        let other = world.another_instance().await?;
        alice.over(&other).submit_job(job()).await?;
        alice.submit_job(job()).await?;
        Ok(())
    })
}

#[test]
fn the_outbox_ring_never_empties_a_slot_with_unpublished_events() -> Result<()> {
    run(async {
        // No service runs here: its queries would lock slots for a moment, and a locked slot is passed over as well.
        let (db, tenant) = (Database::create().await?, tenant());
        let event = "INSERT INTO jobs.outbox (slot, outbox_id, shard, tenant_id, project_id, ordering_key, key_seq, event_name, \
                     event_payload, traceparent, created_at) \
                     VALUES (0, gen_random_uuid(), 0, $1, 'alpha', 'key', 1, 'job.queued', '', '', now())";
        sqlx::query(event).bind(tenant.as_str()).execute(db.admin()).await?;
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
