//! A batch's callers share a commit, not each other's fate.

use std::time::Duration;

use anyhow::Result;

use crate::support::*;

/// 100 calls that meet in one batch: one violates a constraint of the database, one is oversized, one is given up.
#[test]
fn bad_and_cancelled_items_fail_alone() -> Result<()> {
    run(async {
        let settings =
            Settings::default().set("limits.project_depth_hard", 1000).set("limits.project_depth_soft", 1000);
        let world = World::with(settings).await?;
        let (tenant, admin) = (tenant(), world.db.admin());
        let alice = world.user("alice", &tenant);
        sqlx::query("ALTER TABLE jobs.jobs ADD CONSTRAINT no_poison CHECK (intent <> 'poison')").execute(admin).await?;

        // The first call's batch waits for this lock; the hundred after it gather behind it.
        let mut gate = admin.begin().await?;
        sqlx::query("LOCK TABLE jobs.idempotency_heads IN ACCESS EXCLUSIVE MODE").execute(&mut *gate).await?;
        let first = tokio::spawn(submit(alice.clone(), job()));
        let right: Vec<_> = (0..97).map(|_| tokio::spawn(submit(alice.clone(), job()))).collect();
        let poison = tokio::spawn(submit(alice.clone(), job().intent("poison")));
        let given_up_job = job();
        let given_up = tokio::spawn(submit(alice.clone().timeout(Duration::from_millis(300)), given_up_job.clone()));
        let large = job().payload(binary(&vec![0; 960 * 1024 + 1]));
        let oversized = refused(alice.submit_job(large).await, Reason::Req400InvalidSchema);
        assert_eq!(fields(&oversized), ["payload.data"]);
        assert!(given_up.await?.is_err(), "its caller does not wait any longer");
        gate.commit().await?;

        first.await??;
        for call in right {
            assert!(!call.await??.replayed);
        }
        refused(poison.await?, Reason::Internal500Unexpected);
        assert_eq!(rows::of_tenant(admin, "jobs", &tenant).await?, 98, "the 98 that were right, and nothing else");
        // Given up before its batch began, so it was left out: its key is free.
        assert!(!alice.submit_job(given_up_job).await?.replayed);
        Ok(())
    })
}

async fn submit(caller: Api, request: pb::SubmitJobRequest) -> Result<pb::SubmitJobResponse, tonic::Status> {
    caller.submit_job(request).await
}
