//! What configuration lets workers lease.

use anyhow::Result;
use holdfast_ids::TenantId;

use crate::support::*;

async fn granting_world(served: &TenantId) -> Result<World> {
    let settings = Settings::default().with(&format!(
        r#"
        [[workers]]
        subject = "digester"
        intents = ["repo.digest"]

        [[workers]]
        subject = "ops-*"
        tenants = ["{served}"]
        intents = ["*"]
        "#
    ));
    World::with(settings).await
}

#[test]
fn a_worker_without_a_grant_is_refused() -> Result<()> {
    run(async {
        let tenant = tenant();
        let world = World::shared().await?;
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        alice.submit_job(job()).await?;
        let leased = worker.lease_jobs(lease_waiting(1)).await?.jobs.remove(0);
        let stranger = world.worker("stranger", &tenant);
        refused(stranger.lease_jobs(lease(1)).await, Reason::Auth403Scope);
        refused(stranger.session(hello(1)).await.map(|_| ()), Reason::Auth403Scope);
        refused(stranger.complete_job(complete(&leased, json("1"))).await, Reason::Auth403Scope);
        refused(stranger.fail_job(fail(&leased, true)).await, Reason::Auth403Scope);
        refused(stranger.extend_leases(extend(&leased)).await, Reason::Auth403Scope);
        Ok(())
    })
}

#[test]
fn a_worker_leases_the_intents_it_is_granted() -> Result<()> {
    run(async {
        let tenant = tenant();
        let world = granting_world(&tenant).await?;
        let (alice, digester) = (world.user("alice", &tenant), world.worker("digester", &tenant));
        alice.submit_job(job().intent("secret.intent").priority(9)).await?;
        let digest = alice.submit_job(job()).await?.job_id;
        let leased = digester.lease_jobs(lease_waiting(10)).await?.jobs;
        assert_eq!(leased.iter().map(id_of).collect::<Vec<_>>(), [digest], "all it is granted");
        let asked = pb::LeaseJobsRequest { intents: vec!["secret.intent".to_owned()], ..lease(1) };
        refused(digester.lease_jobs(asked).await, Reason::Auth403Scope);
        let asked =
            pb::work_request::Hello { intents: vec![INTENT.to_owned(), "secret.intent".to_owned()], ..hello(1) };
        refused(digester.session(asked).await.map(|_| ()), Reason::Auth403Scope);
        Ok(())
    })
}

#[test]
fn workers_of_the_platform_tenant_serve_the_tenants_that_configuration_names() -> Result<()> {
    run(async {
        let (served, unserved) = (tenant(), tenant());
        let world = granting_world(&served).await?;
        let platform = TenantId::parse("platform")?;
        let job_id = world.user("alice", &served).submit_job(job()).await?.job_id;
        world.user("alice", &unserved).submit_job(job()).await?;
        let ops = world.worker("ops-1", &platform);
        let leased = ops.lease_jobs(lease_waiting(10)).await?.jobs;
        assert_eq!(leased.iter().map(id_of).collect::<Vec<_>>(), [job_id]);
        assert!(ops.lease_jobs(lease(10)).await?.jobs.is_empty());
        ops.complete_job(complete(&leased[0], json("1"))).await?;

        // A token of another tenant gains nothing by the name of its subject.
        let impostor = world.worker("ops-2", &unserved);
        let leased = impostor.lease_jobs(lease_waiting(10)).await?.jobs;
        assert_eq!(leased.iter().map(|job| job.tenant_id.clone()).collect::<Vec<_>>(), [unserved.to_string()]);
        // A platform worker that no grant gives a tenant has none.
        refused(world.worker("worker-1", &platform).lease_jobs(lease(1)).await, Reason::Auth403Scope);
        Ok(())
    })
}

#[test]
fn a_worker_is_held_to_the_projects_of_its_token() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let alice = world.user("alice", &tenant);
        alice.submit_job(job().project("beta").priority(9)).await?;
        let own = alice.submit_job(job()).await?.job_id;
        let narrow = world.caller(worker("worker-1", &tenant).projects([holdfast_ids::ProjectId::parse(PROJECT)?]));
        let leased = narrow.lease_jobs(lease_waiting(10)).await?.jobs;
        assert_eq!(leased.iter().map(id_of).collect::<Vec<_>>(), [own]);
        Ok(())
    })
}
