//! Leases whose rows somebody else has locked.

use std::time::{Duration, Instant};

use anyhow::Result;
use pb::JobState;
use pb::lease_extension_result::Outcome;

use crate::support::*;

/// The holder of a locked lease is told in time to try again, its neighbours in the call are served, and the lease is as it was:
/// whoever has it locked may be about to end it, and may not.
#[test]
fn a_lease_that_somebody_has_locked_is_answered_in_time_and_not_lost() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let (tenant, admin) = (tenant(), world.db.admin());
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let (locked_id, free_id) = (alice.submit_job(job()).await?.job_id, alice.submit_job(job()).await?.job_id);
        let leased = worker.lease_jobs(lease_waiting(2)).await?.jobs;
        let of = |job_id: &str| leased.iter().find(|job| id_of(job) == job_id).expect("both are leased");
        let both = pb::ExtendLeasesRequest {
            leases: [&locked_id, &free_id]
                .map(|job_id| pb::LeaseExtension { lease: of(job_id).lease.clone(), progress: None })
                .to_vec(),
        };
        let before = alice.job(&locked_id).await?.lease_expires_at;

        let mut holding = admin.begin().await?;
        let lock = "SELECT lease_id FROM jobs.job_leases WHERE job_id = $1::uuid FOR UPDATE";
        sqlx::query(lock).bind(&locked_id).fetch_one(&mut *holding).await?;
        let began = Instant::now();
        let results = worker.extend_leases(both.clone()).await?.results;
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
        let [Some(Outcome::Error(status)), Some(Outcome::LeaseExpiresAt(expires_at))] =
            [&results[0].outcome, &results[1].outcome]
        else {
            panic!("{results:?}")
        };
        assert!(refused_item(status, Reason::Infra503DependencyDown).retryable());
        assert!(at(Some(*expires_at)) > at(of(&free_id).lease_expires_at));
        let seen = alice.job(&locked_id).await?;
        assert_eq!((seen.state(), seen.lease_expires_at), (JobState::Running, before), "nothing was lost");

        holding.rollback().await?;
        for result in worker.extend_leases(both).await?.results {
            let Some(Outcome::LeaseExpiresAt(expires_at)) = result.outcome else { panic!("{result:?}") };
            assert!(at(Some(expires_at)) > at(before));
        }
        worker.complete_job(complete(of(&locked_id), json("1"))).await?;
        worker.complete_job(complete(of(&free_id), json("1"))).await?;
        Ok(())
    })
}
