//! Two sources, each of which may be away, behind or tampered with.

use std::fs;

use anyhow::Result;
use holdfast_events::encode;
use pb::JobState;

use super::engine::{KEY, Stream, envelope, signer};
use super::{Engine, Switch, comes_to, shared, standing, stands};
use crate::support::*;

/// By events alone: the next snapshot is a minute away.
#[test]
fn an_event_is_enough_and_one_that_nobody_signed_is_none() -> Result<()> {
    run(async {
        let engine = Engine::start().await?;
        let (world, tenant) = (
            World::with(engine.settings().set("policy.refresh_ms", 60_000).set("policy.away_after_ms", 60_000)).await?,
            tenant(),
        );
        let alice = world.user("alice", &tenant);
        stands(&world.first, "ok").await?;
        let [forged, good] = ["alpha", "beta"].map(|project| Switch::new("project", &tenant, project));
        let stream = Stream::of(&world)?;
        let own = stream.name(&forged);
        let envelope = self::envelope(&forged, true, 1_000_000);
        let signature = signer(KEY)?.sign(&own, &envelope.event_id, &encode(&envelope));
        // By another key, by none, and signed for another stream than it stands on.
        stream.publish(&own, &envelope, &signer("somebody else's key, as long as it")?).await?;
        stream.add(&own, encode(&envelope), None).await?;
        stream.add(&own, b"no envelope".to_vec(), Some(&signature)).await?;
        for shard in (0..16).map(|shard| format!("{{hf:test:operations:{shard}}}:events")).filter(|name| *name != own) {
            stream.add(&shard, encode(&envelope), Some(&signature)).await?;
        }
        engine.set(&world, &good, true).await?;
        let taken = || async {
            let taken = alice.submit_job(job().project("beta")).await;
            taken.is_ok_and(|taken| taken.state() == JobState::Blocked)
        };
        eventually(taken, SOON).await?;
        // On the same streams, before what was just obeyed or on others that are read in the same round.
        assert_eq!(alice.submit_job(job()).await?.state(), JobState::Queued);
        assert_eq!(standing(&world.first).await?, "ok");
        // Signed, and of a kind that does not exist: a snapshot is asked for.
        let (unknown, before) = (Switch::new("planet", &tenant, "earth"), engine.asked());
        stream.publish(&own, &self::envelope(&unknown, true, 1_000_001), &signer(KEY)?).await?;
        eventually(|| async { engine.asked() > before }, SOON).await
    })
}

#[test]
fn what_no_event_brought_the_next_snapshot_does() -> Result<()> {
    run(async {
        let ((engine, world), tenant) = (shared().await?, tenant());
        let (alice, switch) = (world.user("alice", &tenant), Switch::new("project", &tenant, PROJECT));
        let job_id = alice.submit_job(job()).await?.job_id;
        engine.turn(&switch, true);
        comes_to(&alice, &job_id, JobState::Blocked).await?;
        engine.turn(&switch, false);
        comes_to(&alice, &job_id, JobState::Queued).await?;
        Ok(())
    })
}

#[test]
fn without_redis_switches_take_effect_with_the_snapshots() -> Result<()> {
    run(async {
        let engine = Engine::start().await?;
        let (world, tenant) = (World::with(engine.settings()).await?, tenant());
        let (alice, switch) = (world.user("alice", &tenant), Switch::new("project", &tenant, PROJECT));
        stands(&world.first, "ok").await?;
        world.redis.kill().await?;
        stands(&world.first, "degraded").await?;
        let job_id = alice.submit_job(job()).await?.job_id;
        engine.turn(&switch, true);
        comes_to(&alice, &job_id, JobState::Blocked).await?;
        world.redis.restart().await?;
        stands(&world.first, "ok").await
    })
}

#[test]
fn an_instance_that_comes_later_knows_what_is_on() -> Result<()> {
    run(async {
        let ((engine, world), tenant) = (shared().await?, tenant());
        engine.set(world, &Switch::new("project", &tenant, PROJECT), true).await?;
        let other = world.another_instance().await?;
        let alice = world.user("alice", &tenant).over(&other);
        assert_eq!(alice.submit_job(job()).await?.state(), JobState::Blocked);
        Ok(())
    })
}

#[test]
fn the_call_carries_the_token_that_the_file_holds_now() -> Result<()> {
    run(async {
        let engine = Engine::start().await?;
        let file = std::env::temp_dir().join(fresh_key());
        fs::write(&file, "first\n")?;
        let _world = World::with(engine.settings().set("policy.credentials", file.display())).await?;
        for token in ["first", "second"] {
            fs::write(&file, format!("{token}\n"))?;
            let carried =
                || async { engine.authorization().is_some_and(|carried| carried == format!("Bearer {token}")) };
            eventually(carried, SOON).await?;
        }
        fs::remove_file(&file)?;
        Ok(())
    })
}
