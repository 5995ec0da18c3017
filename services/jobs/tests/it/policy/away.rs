//! Policy is away: what goes on, for how long, and how it comes back.

use anyhow::Result;
use pb::{JobState, RiskTier};

use super::{Engine, comes_to, holds_left, leases, standing, stands};
use crate::support::*;

#[test]
fn without_a_policy_service_readiness_says_so() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        assert_eq!(standing(&world.first).await?, "standalone");
        let alice = world.user("alice", &tenant());
        assert_eq!(alice.submit_job(job().tier(RiskTier::B)).await?.state(), JobState::Queued);
        Ok(())
    })
}

#[test]
fn tier_a_goes_on_for_a_while_then_nothing_does_until_policy_is_back() -> Result<()> {
    run(async {
        let engine = Engine::start().await?;
        let settings = engine
            .settings()
            .set("policy.away_after_ms", 1000)
            .set("policy.cache_ms", 6000)
            .set("policy.refuse_after_ms", 9000);
        let (world, tenant) = (World::with(settings).await?, tenant());
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        stands(&world.first, "ok").await?;
        let running = alice.submit_job(job().tier(RiskTier::B)).await?.job_id;
        let leased = leases(&worker, &running).await?;
        let retried = alice.submit_job(job().intent("slow.retry").tier(RiskTier::B)).await?.job_id;
        let held = leases(&worker, &retried).await?;
        worker.fail_job(fail(&held, true)).await?;
        let queued = alice.submit_job(job().tier(RiskTier::B)).await?.job_id;

        engine.set_away(true);
        stands(&world.first, "degraded").await?;
        let known = job();
        let cached = alice.submit_job(known.clone()).await?;
        assert_eq!(cached.state(), JobState::Queued, "of tier A, while what is known is good for it");
        let leased_a = leases(&worker, &cached.job_id).await?;
        worker.complete_job(complete(&leased_a, json("1"))).await?;
        let dangerous = [RiskTier::B, RiskTier::C].map(|tier| alice.submit_job(job().tier(tier)));
        let dangerous = futures::future::try_join_all(dangerous).await?;
        assert!(dangerous.iter().all(|taken| taken.state() == JobState::Blocked), "{dangerous:?}");
        for job_id in [&queued, &retried, &dangerous[0].job_id] {
            assert_eq!(comes_to(&alice, job_id, JobState::Blocked).await?.held_by, ["policy"]);
        }
        // What has begun comes to its end.
        worker.complete_job(complete(&leased, json("1"))).await?;

        let waiting = alice.submit_job(job()).await?.job_id;
        stands(&world.first, "unavailable").await?;
        comes_to(&alice, &waiting, JobState::Blocked).await?;
        let refusal = || async { alice.submit_job(job()).await.err().ok_or("taken") };
        let refusal = eventually(refusal, SOON).await?;
        refused(Err::<(), _>(refusal), Reason::Policy503EngineUnavailable);
        assert!(alice.submit_job(known).await?.replayed, "what was taken is answered");

        engine.set_away(false);
        stands(&world.first, "ok").await?;
        for job_id in [&queued, &retried, &waiting, &dangerous[0].job_id] {
            comes_to(&alice, job_id, JobState::Queued).await?;
        }
        comes_to(&alice, &dangerous[1].job_id, JobState::WaitingHumanDecision).await?;
        assert_eq!(holds_left(&world, &tenant).await?, 0);
        assert_eq!(alice.submit_job(job()).await?.state(), JobState::Queued);
        Ok(())
    })
}

#[test]
fn who_never_had_a_snapshot_cannot_know() -> Result<()> {
    run(async {
        let engine = Engine::start().await?;
        engine.set_away(true);
        let (world, tenant) = (World::with(engine.settings()).await?, tenant());
        let alice = world.user("alice", &tenant);
        assert_eq!(standing(&world.first).await?, "unavailable");
        let taken = alice.submit_job(job()).await?;
        assert_eq!(
            (taken.state(), alice.job(&taken.job_id).await?.held_by),
            (JobState::Blocked, vec!["policy".into()])
        );
        engine.set_away(false);
        comes_to(&alice, &taken.job_id, JobState::Queued).await?;
        Ok(())
    })
}

/// Whoever gives up the policy service again leaves nothing behind that nobody frees.
#[test]
fn what_was_held_is_freed_in_standalone_mode() -> Result<()> {
    run(async {
        let engine = Engine::start().await?;
        engine.set_away(true);
        let (world, tenant) = (World::with(engine.settings()).await?, tenant());
        let alice = world.user("alice", &tenant);
        let job_id = alice.submit_job(job()).await?.job_id;
        let standalone = world.settings().clone().set("policy.mode", "standalone").set("tasks.leadership_ttl_ms", 500);
        world.first.process.kill().await?;
        let other = world.another_instance_with(&standalone).await?;
        comes_to(&alice.over(&other), &job_id, JobState::Queued).await?;
        Ok(())
    })
}
