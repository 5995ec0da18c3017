//! How many jobs of a project run at once.

use std::collections::BTreeMap;

use anyhow::Result;
use holdfast_ids::TenantId;

use crate::support::*;

/// Projects are serial, but for two of one tenant.
async fn serial_world() -> Result<(World, TenantId)> {
    let tenant = tenant();
    let raised = |project: &str, running: i32| {
        format!("[[limits.projects]]\ntenant = \"{tenant}\"\nproject = \"{project}\"\nrunning = {running}")
    };
    let settings =
        Settings::default().set("limits.running_per_project", 1).with(&raised("raised", 3)).with(&raised("wide", 64));
    Ok((World::with(settings).await?, tenant))
}

#[test]
fn a_project_runs_as_many_jobs_as_its_limit_and_no_more() -> Result<()> {
    run(async {
        let (world, tenant) = serial_world().await?;
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        for (project, jobs) in [("serial", 5), ("raised", 5), ("wide", 5)] {
            alice.batch_submit_jobs(batch((0..jobs).map(|_| job().project(project)))).await?;
        }
        let mut held: BTreeMap<String, Vec<pb::LeasedJob>> = BTreeMap::new();
        loop {
            let jobs = worker.lease_jobs(lease(100)).await?.jobs;
            if jobs.is_empty() {
                break;
            }
            for job in jobs {
                held.entry(job.project_id.clone()).or_default().push(job);
            }
        }
        let counts: Vec<_> = held.iter().map(|(project, jobs)| (project.as_str(), jobs.len())).collect();
        assert_eq!(counts, [("raised", 3), ("serial", 1), ("wide", 5)]);

        // An answer of any kind makes room for exactly one.
        worker.complete_job(complete(&held["serial"][0], json("1"))).await?;
        let next = worker.lease_jobs(lease_waiting(100)).await?.jobs;
        assert_eq!(next.iter().map(|job| job.project_id.as_str()).collect::<Vec<_>>(), ["serial"]);
        worker.fail_job(fail(&next[0], false)).await?;
        let next = worker.lease_jobs(lease_waiting(100)).await?.jobs;
        assert_eq!(next.len(), 1);
        alice.cancel_job(cancel(&id_of(&next[0]))).await?;
        let next = worker.lease_jobs(lease_waiting(100)).await?.jobs;
        assert_eq!(next.len(), 1);
        rows::expire_lease(world.db.admin(), &id_of(&next[0])).await?;
        assert_eq!(worker.lease_jobs(lease_waiting(100)).await?.jobs.len(), 1);
        assert!(worker.lease_jobs(lease(100)).await?.jobs.is_empty());
        Ok(())
    })
}

#[test]
fn the_limit_is_the_tenants_own() -> Result<()> {
    run(async {
        let (world, tenant) = serial_world().await?;
        let other = crate::support::tenant();
        for tenant in [&tenant, &other] {
            let jobs = batch((0..3).map(|_| job().project("raised")));
            world.user("alice", tenant).batch_submit_jobs(jobs).await?;
        }
        let mut counts = Vec::new();
        for tenant in [&tenant, &other] {
            let worker = world.worker("worker-1", tenant);
            let mut held = 0;
            loop {
                let jobs = worker.lease_jobs(lease(100)).await?.jobs;
                held += jobs.len();
                if jobs.is_empty() {
                    break;
                }
            }
            counts.push(held);
        }
        assert_eq!(counts, [3, 1]);
        Ok(())
    })
}

#[test]
fn attempts_of_a_serial_project_never_overlap_under_many_workers() -> Result<()> {
    run(async {
        let (world, tenant) = serial_world().await?;
        let other = world.another_instance().await?;
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let jobs = 30;
        alice.batch_submit_jobs(batch((0..jobs).map(|_| job().project("serial")))).await?;
        let workers = [worker.clone(), worker.over(&other)];
        let done = std::sync::atomic::AtomicUsize::new(0);
        let loops = (0..8).map(|number: usize| {
            let (worker, done) = (workers[number % 2].clone(), &done);
            async move {
                while done.load(std::sync::atomic::Ordering::Relaxed) < jobs {
                    let wait = Some(prost_types::Duration { seconds: 0, nanos: 200_000_000 });
                    for leased in worker.lease_jobs(pb::LeaseJobsRequest { wait, ..lease(5) }).await?.jobs {
                        worker.complete_job(complete(&leased, json("1"))).await?;
                        done.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    }
                }
                anyhow::Ok(())
            }
        });
        futures::future::try_join_all(loops).await?;
        let overlapping: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM jobs.jobs AS one JOIN jobs.jobs AS two \
             ON one.job_id < two.job_id AND one.started_at < two.finished_at AND two.started_at < one.finished_at",
        )
        .fetch_one(world.db.admin())
        .await?;
        assert_eq!(overlapping, 0);
        assert_eq!(
            alice
                .list_jobs(pb::ListJobsRequest {
                    project_id: "serial".to_owned(),
                    states: vec![pb::JobState::Done.into()],
                    ..list()
                })
                .await?
                .jobs
                .len(),
            jobs
        );
        let running: i32 =
            sqlx::query_scalar("SELECT running FROM jobs.project_slots").fetch_one(world.db.admin()).await?;
        assert_eq!(running, 0, "the count of running jobs is right in the end");
        Ok(())
    })
}
