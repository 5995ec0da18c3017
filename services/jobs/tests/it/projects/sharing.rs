//! Whose jobs are leased where there are more than workers have room for.

use std::collections::BTreeMap;

use anyhow::Result;

use crate::support::*;

/// Leases a few at a time; how many came of each project and queue.
async fn leased(worker: &Api, calls: usize, jobs_max: i32) -> Result<BTreeMap<(String, pb::Queue), usize>> {
    let mut counts = BTreeMap::new();
    for _ in 0..calls {
        let jobs = worker.lease_jobs(lease(jobs_max)).await?.jobs;
        assert_eq!(jobs.len(), jobs_max as usize, "there is more, and all of it may run");
        for job in jobs {
            *counts.entry((job.project_id.clone(), job.queue())).or_default() += 1;
        }
    }
    Ok(counts)
}

fn count(counts: &BTreeMap<(String, pb::Queue), usize>, project: &str, queue: pb::Queue) -> usize {
    counts.get(&(project.to_owned(), queue)).copied().unwrap_or(0)
}

#[test]
fn projects_of_a_tenant_are_served_by_their_weights() -> Result<()> {
    run(async {
        let (world, tenant) = (World::shared().await?, tenant());
        let (alice, olga) = (world.user("alice", &tenant), world.owner("olga", &tenant));
        for (project, weight) in [("alpha", 1), ("beta", 2), ("gamma", 3)] {
            olga.update_project(update(project, 0, pb::ProjectSettings { weight, ..Default::default() })).await?;
            alice.batch_submit_jobs(batch((0..60).map(|_| job().project(project)))).await?;
        }
        let counts = leased(&world.worker("worker-1", &tenant), 20, 3).await?;
        for (project, expected) in [("alpha", 10), ("beta", 20), ("gamma", 30)] {
            let had = count(&counts, project, pb::Queue::Project);
            assert!(had.abs_diff(expected) <= 2, "{project} had {had} of 60, not {expected}");
        }
        // A weight that is changed holds at once: gamma, which has less left, is no longer preferred.
        olga.update_project(update("gamma", 1, pb::ProjectSettings { weight: 1, ..Default::default() })).await?;
        let counts = leased(&world.worker("worker-1", &tenant), 10, 3).await?;
        let had = count(&counts, "gamma", pb::Queue::Project);
        assert!((4..=12).contains(&had), "gamma had {had} of 30");
        Ok(())
    })
}

#[test]
fn infra_jobs_are_a_class_of_their_own() -> Result<()> {
    run(async {
        let (world, tenant) = (World::shared().await?, tenant());
        let alice = world.user("alice", &tenant);
        alice.batch_submit_jobs(batch((0..100).map(|_| job().infra().priority(9)))).await?;
        for project in ["alpha", "beta", "gamma"] {
            alice.batch_submit_jobs(batch((0..20).map(|_| job().project(project)))).await?;
        }
        let counts = leased(&world.worker("worker-1", &tenant), 10, 4).await?;
        let infra = count(&counts, "alpha", pb::Queue::Infra);
        // A project like the others would have had 10, and one that is served first all.
        assert!((16..=24).contains(&infra), "a flood of the infra queue had {infra} of 40");
        Ok(())
    })
}

#[test]
fn a_project_that_may_not_run_more_leaves_its_share_to_others() -> Result<()> {
    run(async {
        let (world, tenant) = (World::shared().await?, tenant());
        let (alice, olga) = (world.user("alice", &tenant), world.owner("olga", &tenant));
        let serial = pb::ProjectSettings { running_max: 1, weight: 10_000, ..Default::default() };
        olga.update_project(update("alpha", 0, serial)).await?;
        for project in ["alpha", "beta"] {
            alice.batch_submit_jobs(batch((0..30).map(|_| job().project(project)))).await?;
        }
        let counts = leased(&world.worker("worker-1", &tenant), 4, 5).await?;
        assert_eq!(count(&counts, "alpha", pb::Queue::Project), 1, "serial, whatever its weight");
        assert_eq!(count(&counts, "beta", pb::Queue::Project), 19);
        Ok(())
    })
}
