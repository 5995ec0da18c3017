//! Who is taken on where not everybody is.

use anyhow::Result;
use pb::RiskTier;
use pb::batch_submit_jobs_result::Outcome;

use crate::support::*;

const CRITICAL: &str = "plant.shutdown";

async fn filled(api: &Api, intent: &str) -> Result<usize> {
    for taken in 0..100 {
        if let Err(status) = api.submit_job(job().intent(intent)).await {
            refused(Err::<(), _>(status), Reason::Job503QueueUnavailable);
            return Ok(taken);
        }
    }
    anyhow::bail!("nothing was refused")
}

#[test]
fn a_project_has_limits_of_its_own() -> Result<()> {
    run(async {
        let (world, tenant) = (World::shared().await?, tenant());
        let alice = world.user("alice", &tenant);
        let deep = pb::ProjectSettings { queue_hard: 4, ..Default::default() };
        world.owner("olga", &tenant).update_project(update(PROJECT, 0, deep)).await?;
        assert_eq!(filled(&alice, INTENT).await?, 4);
        for _ in 0..5 {
            alice.submit_job(job().project("beta")).await?;
        }
        Ok(())
    })
}

/// Without a relay, events pile up: the outbox is over its soft limit soon, and never at the hard one.
#[test]
fn under_pressure_ordinary_jobs_are_held_to_the_soft_limit_and_critical_ones_to_the_hard_one() -> Result<()> {
    run(async {
        let settings = Settings::default()
            .set("limits.outbox_pending_soft", 1)
            .with(&format!("[limits]\nsafety_critical_intents = [\"{CRITICAL}\"]"));
        let world = World::with(settings).await?;
        let tenant = tenant();
        let (alice, olga) = (world.user("alice", &tenant), world.owner("olga", &tenant));
        let limits = pb::ProjectSettings { queue_soft: 3, queue_hard: 6, ..Default::default() };
        olga.update_project(update(PROJECT, 0, limits)).await?;
        let dangerous = alice.submit_job(job().tier(RiskTier::C)).await?.job_id;
        // With the one that waits for people, as many as the soft limit has room for.
        alice.submit_job(job()).await?;
        alice.submit_job(job()).await?;
        // Until the outbox has been counted, one more is taken on; it goes again.
        let refusal = || async {
            match alice.submit_job(job()).await {
                Ok(taken) => {
                    alice.cancel_job(cancel(&taken.job_id)).await?;
                    anyhow::bail!("taken on")
                }
                Err(status) => anyhow::Ok(status),
            }
        };
        let status = eventually(refusal, SOON).await?;
        refused(Err::<(), _>(status), Reason::Job503QueueUnavailable);
        // In one batch with critical ones, it is the ordinary that goes.
        let mixed = [job().intent(CRITICAL), job(), job().intent(CRITICAL)];
        let results = alice.batch_submit_jobs(batch(mixed)).await?.results;
        let taken: Vec<bool> = results.iter().map(|result| matches!(result.outcome, Some(Outcome::Job(_)))).collect();
        assert_eq!(taken, [true, false, true]);
        assert_eq!(filled(&alice, CRITICAL).await?, 1, "critical ones are taken on up to the hard limit");
        // A decision is never refused for want of room.
        let decision = pb::DecideJobRequest {
            job_id: dangerous,
            decision: pb::Decision::Approve.into(),
            idempotency_key: fresh_key(),
            ..Default::default()
        };
        olga.decide_job(decision).await?;
        Ok(())
    })
}
