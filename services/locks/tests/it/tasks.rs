//! Background work: expiry, waits of dead instances, the registry, partitions, the outbox ring.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use holdfast_events::unpack;
use holdfast_proto::events::v1::LockExpired;
use holdfast_testkit::{Database, Signal};
use sqlx::{AssertSqlSafe, PgPool};

use crate::acquiring::queued;
use crate::asks::{Ask, look, release, renew, resource, token};
use crate::support::{Reason, SOON, Settings, World, eventually, pb, refused, rows, run, tenant};

const SHORT_TTL_MS: i64 = 1000;
const STALE_AFTER_MS: i64 = 3000;

/// Leases that run out soon.
fn short() -> Settings {
    Settings::default().set("leases.ttl_ms", SHORT_TTL_MS).set("leases.stale_after_ms", STALE_AFTER_MS)
}

#[test]
fn a_lease_ends_when_it_is_stale_and_not_before() -> Result<()> {
    run(async {
        let world = World::with(short()).await?;
        let tenant = tenant();
        let api = world.service("agent", &tenant);
        let lease = Ask::for_one("main").lease(&api).await?;
        // Nobody waits for it: background work ends it.
        let ended = "SELECT extract(epoch FROM ended.occurred_at - granted.occurred_at)::float8 * 1000 FROM locks.locks AS ended \
                     JOIN locks.locks AS granted ON granted.lease_id = ended.lease_id AND granted.entry = 1 \
                     WHERE ended.lease_id = $1::uuid AND ended.what = 'expired'";
        let held_ms = || async {
            let held_ms = sqlx::query_scalar::<_, f64>(ended).bind(&lease.lease_id).fetch_optional(world.db.admin());
            held_ms.await.ok().flatten()
        };
        let held_ms = eventually(held_ms, SOON).await?;
        assert!(held_ms >= STALE_AFTER_MS as f64, "ended after {held_ms} ms");
        refused(renew(&api, &lease, 0).await, Reason::Lock409StaleFence);
        refused(release(&api, &lease).await, Reason::Lock409StaleFence);
        let events = rows::events(world.db.admin(), &format!("{tenant}/team/project/main")).await?;
        let names: Vec<_> = events.iter().map(|event| event.event_name.as_str()).collect();
        assert_eq!(names, ["lock.granted", "lock.expired"]);
        let expired: LockExpired = unpack(&events[1])?;
        assert_eq!(expired.lock.context("a subject")?.lease_id, lease.lease_id);
        Ok(())
    })
}

#[test]
fn who_waits_for_a_lease_that_runs_out_is_granted_once_it_is_stale() -> Result<()> {
    run(async {
        // Without background work: the waiter's own instance ends what is in its way.
        let world = World::with(short().set("tasks.expiry_period_ms", 86_400_000)).await?;
        let api = world.service("agent", &tenant());
        // The task runs once at the start.
        let lease = Ask::for_one("main").lease(&api).await?;
        let next = Ask::for_one("main").wait_s(30).lease(&api).await?;
        assert!(token(&next) > token(&lease));
        let apart = "SELECT extract(epoch FROM next.occurred_at - first.occurred_at)::float8 * 1000 FROM locks.locks AS first, locks.locks AS next \
                     WHERE first.lease_id = $1::uuid AND first.entry = 1 AND next.lease_id = $2::uuid AND next.entry = 1";
        let apart_ms: f64 =
            sqlx::query_scalar(apart).bind(&lease.lease_id).bind(&next.lease_id).fetch_one(world.db.admin()).await?;
        assert!((STALE_AFTER_MS as f64..STALE_AFTER_MS as f64 + 5000.0).contains(&apart_ms), "after {apart_ms} ms");
        Ok(())
    })
}

#[test]
fn waiters_of_a_dead_instance_leave_and_hold_nobody_up() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let dies = world.another_instance().await?;
        let api = world.service("agent", &tenant());
        let held = Ask::for_all([resource("memory", "m")]).lease(&api).await?;
        // It reserves the first resource and waits for the second.
        let (caller, ask) =
            (api.over(&dies), Ask::for_all([resource("project", "main"), resource("memory", "m")]).wait_s(60));
        let dead = tokio::spawn(async move { ask.lease(&caller).await });
        let stands = || async {
            ensure!(look(&api, resource("memory", "m")).await?.waiter_count == 1, "it does not wait yet");
            anyhow::Ok(())
        };
        eventually(stands, SOON).await?;
        let wait = |class: &str, key: &str| {
            let (caller, ask) = (api.clone(), Ask::for_all([resource(class, key)]).wait_s(60));
            tokio::spawn(async move { ask.lease(&caller).await })
        };
        let (behind_reserved, behind_waiting) = (wait("project", "main"), wait("memory", "m"));
        queued(&api, "main", 1).await?;

        dies.process.signal(Signal::SIGKILL)?;
        let killed = Instant::now();
        dead.await?.expect_err("its instance is dead");
        behind_reserved.await??;
        // 3 s of its own lease, and a look; the rest is for a machine that is busy.
        assert!(killed.elapsed() < Duration::from_secs(10), "after {:?}", killed.elapsed());
        release(&api, &held).await?;
        behind_waiting.await??;
        let lock = look(&api, resource("memory", "m")).await?;
        assert_eq!(lock.waiter_count, 0);
        Ok(())
    })
}

/// While others take waits away; nobody behind the dead waits for that.
#[test]
fn a_dead_head_of_a_queue_is_passed_over() -> Result<()> {
    run(async {
        let world = World::with(Settings::default().set("tasks.abandoned_period_ms", 86_400_000)).await?;
        let dies = world.another_instance().await?;
        let api = world.service("agent", &tenant());
        let held = Ask::for_one("main").lease(&api).await?;
        let (caller, ask) = (api.over(&dies), Ask::for_one("main").owner("dead").wait_s(60));
        let dead = tokio::spawn(async move { ask.lease(&caller).await });
        queued(&api, "main", 1).await?;
        let (caller, ask) = (api.clone(), Ask::for_one("main").owner("lives").wait_s(60));
        let lives = tokio::spawn(async move { ask.lease(&caller).await });
        queued(&api, "main", 2).await?;
        dies.process.signal(Signal::SIGKILL)?;
        dead.await?.expect_err("its instance is dead");
        release(&api, &held).await?;
        assert_eq!(lives.await??.owner, "lives");
        Ok(())
    })
}

/// A pause that is longer than the instance's own lease: it finds that its waiters have left, and tells them.
#[test]
fn waiters_of_a_paused_instance_are_told_that_they_have_left() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let pauses = world.another_instance().await?;
        let tenant_id = tenant();
        let api = world.service("agent", &tenant_id);
        let held = Ask::for_one("main").lease(&api).await?;
        let (caller, ask) = (api.over(&pauses), Ask::for_one("main").wait_s(60));
        let gone = tokio::spawn(async move { ask.of(&caller).await });
        queued(&api, "main", 1).await?;
        pauses.process.pause()?;
        queued(&api, "main", 0).await?;
        let next = {
            let (caller, ask) = (api.clone(), Ask::for_one("main").wait_s(60));
            tokio::spawn(async move { ask.lease(&caller).await })
        };
        queued(&api, "main", 1).await?;
        // Not before its waiter has been taken away, by whichever instance leads that.
        let waits = "SELECT count(*) FROM locks.lock_leases WHERE tenant_id = $1 AND state = 'waiting'";
        let taken_away = || async {
            let waits = sqlx::query_scalar::<_, i64>(waits).bind(tenant_id.as_str()).fetch_one(world.db.admin());
            waits.await.is_ok_and(|waits| waits == 1)
        };
        eventually(taken_away, SOON).await?;
        pauses.process.resume()?;
        refused(gone.await?, Reason::Infra503DependencyDown);
        release(&api, &held).await?;
        next.await??;
        Ok(())
    })
}

#[test]
fn a_change_of_the_registry_is_known_soon_and_recorded() -> Result<()> {
    run(async {
        let world = World::with(Settings::default()).await?;
        let (api, admin) = (world.service("agent", &tenant()), world.db.admin());
        refused(Ask::for_all([resource("host", "a")]).of(&api).await, Reason::Lock404NotFound);
        sqlx::query("INSERT INTO locks.lock_classes (class, rank, description) VALUES ('host', 15, 'Machines')")
            .execute(admin)
            .await?;
        let lease = eventually(
            || async { Ask::for_all([resource("memory", "m"), resource("host", "a")]).lease(&api).await },
            SOON,
        );
        let lease = lease.await?;
        assert_eq!(lease.resources[0].resource.as_ref().context("a resource")?.class, "host");
        let classes = api.list_lock_classes(pb::ListLockClassesRequest {}).await?.classes;
        let names: Vec<_> = classes.iter().map(|class| class.name.as_str()).collect();
        assert_eq!(names, ["infrastructure", "host", "budget", "project", "memory"]);
        release(&api, &lease).await?;

        let last = || async {
            let classes = api.list_lock_classes(pb::ListLockClassesRequest {}).await?.classes;
            anyhow::Ok(classes.last().context("a class")?.name.clone())
        };
        sqlx::query("UPDATE locks.lock_classes SET rank = 50 WHERE class = 'host'").execute(admin).await?;
        eventually(|| async { last().await.is_ok_and(|last| last == "host") }, SOON).await?;
        sqlx::query("DELETE FROM locks.lock_classes WHERE class = 'host'").execute(admin).await?;
        eventually(|| async { last().await.is_ok_and(|last| last == "memory") }, SOON).await?;
        refused(Ask::for_all([resource("host", "a")]).of(&api).await, Reason::Lock404NotFound);

        let recorded: Vec<(String, Option<i16>, Option<i16>)> = sqlx::query_as(
            "SELECT what, rank_was, rank FROM locks.lock_class_changes WHERE class = 'host' ORDER BY change_id",
        )
        .fetch_all(admin)
        .await?;
        let change = |what: &str, was, is| (what.to_owned(), was, is);
        let changes =
            [change("insert", None, Some(15)), change("update", Some(15), Some(50)), change("delete", Some(50), None)];
        assert_eq!(recorded, changes);
        Ok(())
    })
}

/// As they are used up in production: under an instance that runs, and goes on.
#[test]
fn a_running_instance_makes_used_up_partitions_again() -> Result<()> {
    run(async {
        let world = World::with(Settings::default().set("tasks.partitions_period_ms", 50)).await?;
        let (api, admin) = (world.service("agent", &tenant()), world.db.admin());
        Ask::for_one("before").lease(&api).await?;
        let used_up = leaves(admin).await?;
        assert!(!used_up.is_empty());
        for leaf in used_up.keys() {
            sqlx::query(AssertSqlSafe(format!("DROP TABLE {leaf}"))).execute(admin).await?;
        }
        let made = || async {
            let leaves = leaves(admin).await?;
            ensure!(leaves.keys().eq(used_up.keys()), "only {:?}", leaves.keys());
            anyhow::Ok(leaves)
        };
        let made = eventually(made, SOON).await?;
        assert!(made.iter().all(|(leaf, oid)| used_up[leaf] != *oid), "{made:?} are those of before: {used_up:?}");
        Ask::for_one("after").lease(&api).await?;
        Ok(())
    })
}

/// Before anything fails: a week to come has no partition, and nobody makes it.
#[test]
fn missing_partitions_are_shown_before_they_are_needed() -> Result<()> {
    run(async {
        let world = World::with(Settings::default().set("tasks.partitions_period_ms", 50)).await?;
        let (api, admin) = (world.service("agent", &tenant()), world.db.admin());
        let shown = |weeks: f64| {
            let first = &world.first;
            move || async move {
                let missing = first.measure("partitions_missing{table=\"locks\"}").await?;
                ensure!(missing == weeks, "{missing}");
                anyhow::Ok(())
            }
        };
        let last = leaves(admin).await?.into_keys().next_back().expect("a partition");
        let making = "REVOKE EXECUTE ON FUNCTION locks.ensure_partitions FROM holdfast_locks_task";
        sqlx::query(making).execute(admin).await?;
        sqlx::query(AssertSqlSafe(format!("DROP TABLE {last}"))).execute(admin).await?;
        eventually(shown(1.0), SOON).await?;
        assert!(world.first.process.log().contains("partitions of the weeks to come are missing"));
        Ask::for_one("main").lease(&api).await?;
        let making = "GRANT EXECUTE ON FUNCTION locks.ensure_partitions TO holdfast_locks_task";
        sqlx::query(making).execute(admin).await?;
        eventually(shown(0.0), SOON).await
    })
}

/// The weekly partitions of the journal.
async fn leaves(admin: &PgPool) -> Result<BTreeMap<String, i64>> {
    let leaves: Vec<(String, i64)> = sqlx::query_as(
        "SELECT inhrelid::regclass::text, inhrelid::int8 FROM pg_inherits WHERE inhparent = 'locks.locks'::regclass",
    )
    .fetch_all(admin)
    .await?;
    Ok(leaves.into_iter().collect())
}

#[test]
fn the_outbox_ring_turns() -> Result<()> {
    run(async {
        let settings = Settings::default()
            .set("tasks.outbox_ring_period_ms", 50)
            .set("tasks.outbox_slot_age_ms", 1)
            .set("tasks.outbox_keep_ms", 0);
        let world = World::with(settings).await?;
        let admin = world.db.admin();
        Ask::for_one("main").lease(&world.service("agent", &tenant())).await?;
        // Once round and further: the slot with what nobody has published is passed over.
        let emptied =
            "SELECT count(*) FROM locks.outbox_ring WHERE emptied_at > (SELECT min(created_at) FROM locks.outbox)";
        let turned =
            || async { sqlx::query_scalar::<_, i64>(emptied).fetch_one(admin).await.is_ok_and(|slots| slots >= 15) };
        eventually(turned, SOON).await?;
        let kept = "SELECT count(*) FROM locks.outbox WHERE published_at IS NULL";
        assert_eq!(sqlx::query_scalar::<_, i64>(kept).fetch_one(admin).await?, 1);
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
            let sql = "SELECT holder FROM locks.task_leases WHERE task = 'expiry' AND expires_at > clock_timestamp()";
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

/// What a commit leaves behind that came to its end long after its caller was answered: nobody attends to it, and it is withdrawn.
#[test]
fn a_wait_that_no_call_attends_to_is_withdrawn() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant_id = tenant();
        let api = world.service("agent", &tenant_id);
        let held = Ask::for_one("main").lease(&api).await?;
        let asks = |owner: &str| {
            let (caller, ask) = (api.clone(), Ask::for_one("main").owner(owner).wait_s(60));
            tokio::spawn(async move { ask.lease(&caller).await })
        };
        let unattended = asks("unattended");
        queued(&api, "main", 1).await?;
        // Of another call, of which nobody knows.
        let turned =
            "UPDATE locks.lock_leases SET call_id = gen_random_uuid() WHERE tenant_id = $1 AND state = 'waiting'";
        sqlx::query(turned).bind(tenant_id.as_str()).execute(world.db.admin()).await?;
        unattended.abort();
        let waiting = asks("attended");
        queued(&api, "main", 2).await?;
        release(&api, &held).await?;
        assert_eq!(waiting.await??.owner, "attended");
        Ok(())
    })
}
