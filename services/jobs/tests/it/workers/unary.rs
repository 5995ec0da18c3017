//! The unary calls: lease, extend, complete, fail.

use std::time::{Duration, Instant};

use anyhow::Result;
use pb::JobState;
use pb::lease_extension_result::Outcome;

use crate::support::*;

#[test]
fn a_job_is_leased_extended_and_completed() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-7", &tenant));
        let request = job().priority(4).payload(json("{\"path\":\"README\"}"));
        let job_id = alice.submit_job(request.clone()).await?.job_id;

        let response = worker.lease_jobs(lease_waiting(5)).await?;
        assert!(response.lease_ttl.is_some() && response.heartbeat_interval.is_some());
        let leased = &response.jobs[0];
        assert_eq!((id_of(leased), leased.attempt, leased.priority), (job_id.clone(), 1, 4));
        assert_eq!((&leased.payload, &leased.actor_id), (&request.payload, &"alice".to_owned()));
        assert_eq!((leased.tenant_id.as_str(), leased.project_id.as_str()), (tenant.as_str(), PROJECT));
        let seen = alice.job(&job_id).await?;
        assert_eq!((seen.state(), seen.worker_id.as_str()), (JobState::Running, "worker-1"));
        assert_eq!(seen.lease_expires_at, leased.lease_expires_at);

        let progress = Some(pb::Progress { percent: 40, note: "reading".to_owned() });
        let extension = pb::LeaseExtension { lease: leased.lease.clone(), progress: progress.clone() };
        let extended =
            worker.extend_leases(pb::ExtendLeasesRequest { leases: vec![extension] }).await?.results.remove(0);
        let seen = alice.job(&job_id).await?;
        assert_eq!(seen.progress, progress);
        assert_eq!(extended.outcome, seen.lease_expires_at.map(Outcome::LeaseExpiresAt));

        let done = worker.complete_job(complete(leased, json("{\"size\":3}"))).await?;
        assert_eq!((done.state(), done.replayed), (JobState::Done, false));
        let seen = alice.job(&job_id).await?;
        assert_eq!((seen.state(), seen.result), (JobState::Done, Some(json("{\"size\":3}"))));
        assert_eq!(seen.finished_at, done.finished_at);
        assert!(seen.progress.is_none() && seen.worker_id.is_empty() && seen.lease_expires_at.is_none());
        Ok(())
    })
}

#[test]
fn no_job_is_leased_twice() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let other = world.another_instance().await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        alice.batch_submit_jobs(batch((0..200).map(|_| job()))).await?;
        let workers = [worker.clone(), worker.over(&other)];
        let calls = (0..40).map(|number: usize| {
            let worker = workers[number % 2].clone();
            async move { worker.lease_jobs(lease_waiting(7)).await }
        });
        let mut leased: Vec<String> = Vec::new();
        for response in futures::future::try_join_all(calls).await? {
            assert!(response.jobs.len() <= 7);
            leased.extend(response.jobs.iter().map(id_of));
        }
        let distinct: std::collections::BTreeSet<_> = leased.iter().collect();
        assert_eq!(distinct.len(), leased.len());
        assert_eq!(rows::of_tenant(world.db.admin(), "job_leases", &tenant).await?, leased.len() as i64);
        Ok(())
    })
}

#[test]
fn a_waiting_call_is_answered_as_soon_as_there_is_a_job() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        assert!(worker.lease_jobs(lease(3)).await?.jobs.is_empty(), "without a wait the answer comes at once");

        let waiting = tokio::spawn({
            let worker = worker.clone();
            async move { worker.lease_jobs(lease_waiting(3)).await }
        });
        tokio::task::yield_now().await;
        let began = Instant::now();
        let job_id = alice.submit_job(job()).await?.job_id;
        assert_eq!(waiting.await??.jobs.iter().map(id_of).collect::<Vec<_>>(), [job_id]);
        assert!(began.elapsed() < Duration::from_secs(5), "it waited for its end");
        Ok(())
    })
}

#[test]
fn a_call_that_is_given_up_takes_no_leases_with_it() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let given_up = tokio::time::timeout(Duration::from_millis(50), worker.lease_jobs(lease_waiting(10))).await;
        assert!(given_up.is_err(), "there was nothing to lease");
        let job_id = alice.submit_job(job()).await?.job_id;
        let leased = worker.lease_jobs(lease_waiting(10)).await?.jobs;
        assert_eq!(leased.iter().map(|job| (id_of(job), job.attempt)).collect::<Vec<_>>(), [(job_id, 1)]);
        Ok(())
    })
}

#[test]
fn only_the_intents_and_queues_asked_for_are_leased() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let plain = alice.submit_job(job()).await?.job_id;
        let other = alice.submit_job(job().intent("other.intent")).await?.job_id;
        let infra = alice.submit_job(job().infra()).await?.job_id;
        let asked = |intents: &[&str], queues: &[pb::Queue]| pb::LeaseJobsRequest {
            intents: intents.iter().map(ToString::to_string).collect(),
            queues: queues.iter().map(|queue| (*queue).into()).collect(),
            ..lease_waiting(10)
        };
        for (request, expected) in [
            (asked(&["other.intent"], &[pb::Queue::Project]), other),
            (asked(&["*"], &[pb::Queue::Infra]), infra),
            (asked(&[INTENT], &[pb::Queue::Project, pb::Queue::Infra]), plain),
        ] {
            let leased = worker.lease_jobs(request).await?.jobs;
            assert_eq!(leased.iter().map(id_of).collect::<Vec<_>>(), [expected]);
        }
        Ok(())
    })
}

#[test]
fn leases_are_extended_each_by_itself() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        alice.batch_submit_jobs(batch([job(), job()])).await?;
        let first = worker.lease_jobs(lease_waiting(1)).await?.jobs.remove(0);
        let second = worker.lease_jobs(lease_waiting(1)).await?.jobs.remove(0);
        let unknown = pb::LeaseRef {
            job_id: uuid::Uuid::now_v7().to_string(),
            lease_id: uuid::Uuid::now_v7().to_string(),
            fencing_token: 1,
        };
        let mut wrong_fence = second.lease.clone().expect("a lease");
        wrong_fence.fencing_token += 1;
        let leases = [second.lease.clone(), Some(unknown), first.lease.clone(), Some(wrong_fence)];
        let leases = leases.map(|lease| pb::LeaseExtension { lease, progress: None }).to_vec();
        let results = worker.extend_leases(pb::ExtendLeasesRequest { leases: leases.clone() }).await?.results;
        for (extension, result) in leases.iter().zip(&results) {
            assert_eq!(extension.lease, result.lease, "in the order asked");
        }
        assert!(matches!(results[0].outcome, Some(Outcome::LeaseExpiresAt(_))), "{results:?}");
        assert!(matches!(results[2].outcome, Some(Outcome::LeaseExpiresAt(_))), "{results:?}");
        for (result, reason) in [(&results[1], Reason::Job404NotFound), (&results[3], Reason::Job409StaleFence)] {
            match &result.outcome {
                Some(Outcome::Error(status)) => refused_item(status, reason),
                other => panic!("extended: {other:?}"),
            };
        }
        Ok(())
    })
}

#[test]
fn a_malformed_lease_does_not_keep_its_neighbours_from_being_extended() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        alice.submit_job(job()).await?;
        let leased = worker.lease_jobs(lease_waiting(1)).await?.jobs.remove(0);
        let malformed = pb::LeaseRef { lease_id: "not an id".to_owned(), ..leased.lease.clone().expect("a lease") };
        let extension = |lease| pb::LeaseExtension { lease, progress: None };
        let leases = [Some(malformed), None, leased.lease].map(extension).to_vec();
        let results = worker.extend_leases(pb::ExtendLeasesRequest { leases: leases.clone() }).await?.results;
        for (extension, result) in leases.iter().zip(&results) {
            assert_eq!(extension.lease, result.lease, "named as it was sent");
        }
        for (result, reason, field) in [
            (&results[0], Reason::Req400InvalidSchema, "leases[0].lease.lease_id"),
            (&results[1], Reason::Req400MissingField, "leases[1].lease"),
        ] {
            match &result.outcome {
                Some(Outcome::Error(status)) => assert_eq!(fields(&refused_item(status, reason)), [field]),
                other => panic!("extended: {other:?}"),
            }
        }
        assert!(matches!(results[2].outcome, Some(Outcome::LeaseExpiresAt(_))), "{results:?}");
        Ok(())
    })
}
