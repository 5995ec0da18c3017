//! A submission that finds a worker waiting: the job is leased in the transaction that queues it.

use std::collections::BTreeSet;

use anyhow::{Result, bail, ensure};
use holdfast_ids::TenantId;
use pb::JobState;
use pb::work_response::Message as Out;
use tonic::Status;

use crate::support::*;

/// Submits until a job is matched, which it is once the dispatcher has found that nothing else waits; what was leased the
/// usual way before is answered.
async fn matched(alice: &Api, session: &mut WorkSession, request: impl Fn() -> pb::SubmitJobRequest) -> Result<String> {
    for _ in 0..500 {
        let submitted = alice.submit_job(request()).await?;
        if submitted.state() == JobState::Running {
            return Ok(submitted.job_id);
        }
        let job = session.leased().await?;
        session.complete(&job).await;
        session.answered().await?;
    }
    bail!("no submission ever met the worker that waits")
}

async fn slots(world: &World, tenant: &TenantId) -> Result<(i32, i64)> {
    let counts = "SELECT slots.running, intake.submitted - slots.dequeued FROM jobs.project_slots AS slots \
                  JOIN jobs.project_intake AS intake USING (tenant_id, project_id) WHERE tenant_id = $1";
    Ok(sqlx::query_as(counts).bind(tenant.as_str()).fetch_one(world.db.admin()).await?)
}

#[test]
fn a_waiting_worker_has_the_job_at_once_with_its_whole_history() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let mut session = worker.session(hello(4)).await?;
        let job_id = matched(&alice, &mut session, job).await?;

        let leased = session.leased().await?;
        assert_eq!((id_of(&leased), leased.payload.clone()), (job_id.clone(), Some(json("{}"))));
        assert_eq!(slots(world, &tenant).await?, (1, 0), "counted as running, and not as waiting");
        assert_eq!(rows::of_tenant(world.db.admin(), "job_queue", &tenant).await?, 0);
        assert_eq!(rows::of_tenant(world.db.admin(), "job_leases", &tenant).await?, 1);

        let history = alice.history(&job_id).await?;
        let states: Vec<_> = history.iter().map(|event| (event.seq, event.to_state())).collect();
        assert_eq!(states, [(1, JobState::Queued), (2, JobState::Running)]);
        assert_eq!((history[1].actor_id.as_str(), history[1].worker_id.as_str()), ("worker-1", "worker-1"));
        let events: Vec<(i64, String)> =
            sqlx::query_as("SELECT key_seq, event_name FROM jobs.outbox WHERE ordering_key = $1 ORDER BY position")
                .bind(&job_id)
                .fetch_all(world.db.admin())
                .await?;
        assert_eq!(events, [(1, "job.queued".to_owned()), (2, "job.running".to_owned())]);

        session.complete(&leased).await;
        session.answered().await?;
        let job = alice.job(&job_id).await?;
        assert_eq!((job.state(), job.attempt), (JobState::Done, 1));
        assert_eq!(slots(world, &tenant).await?, (0, 0));
        Ok(())
    })
}

#[test]
fn a_matched_lease_is_a_lease_like_any_other() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let mut session = worker.session(hello(4)).await?;
        let job_id = matched(&alice, &mut session, || job().intent("quick.retry")).await?;
        let first = session.leased().await?;
        rows::expire_lease(world.db.admin(), &job_id).await?;
        // Told that it is lost, and given the next attempt under a higher fence.
        let second = loop {
            match session.next().await? {
                Out::Leased(job) => break job,
                Out::Revoked(_) => {}
                other => bail!("neither lost nor leased: {other:?}"),
            }
        };
        let fence = |leased: &pb::LeasedJob| leased.lease.as_ref().map_or(0, |lease| lease.fencing_token);
        assert_eq!(id_of(&second), job_id);
        assert!(fence(&second) > fence(&first));
        refused(worker.complete_job(complete(&first, json("1"))).await, Reason::Job409StaleFence);
        Ok(())
    })
}

#[test]
fn nobody_is_overtaken_and_no_limit_passed() -> Result<()> {
    run(async {
        let settings = Settings::default().set("limits.running_per_project", 1);
        let world = World::with(settings).await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let mut session = worker.session(hello(8)).await?;
        let first = matched(&alice, &mut session, job).await?;
        let running = session.leased().await?;
        assert_eq!(id_of(&running), first);
        let mut waiting = Vec::new();
        for _ in 0..5 {
            let submitted = alice.submit_job(job()).await?;
            assert_eq!(submitted.state(), JobState::Queued, "the project is at its limit");
            waiting.push(submitted.job_id);
        }
        session.complete(&running).await;
        let mut order = Vec::new();
        while order.len() < waiting.len() {
            if let Out::Leased(leased) = session.next().await? {
                // One that comes now may find the project without a running job for a moment, and others before it.
                if waiting.len() < 8 {
                    waiting.push(alice.submit_job(job()).await?.job_id);
                }
                order.push(id_of(&leased));
                session.complete(&leased).await;
            }
        }
        assert_eq!(order, waiting, "in the order of their submission");
        Ok(())
    })
}

#[test]
fn a_worker_never_holds_more_than_its_capacity() -> Result<()> {
    const CAPACITY: usize = 3;
    const JOBS: usize = 120;
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let mut session = worker.session(hello(CAPACITY as i32)).await?;
        let submitting = tokio::spawn(futures::future::join_all((0..JOBS).map(|_| {
            let alice = alice.clone();
            async move { alice.submit_job(job()).await }
        })));
        let (mut held, mut done) = (Vec::new(), BTreeSet::new());
        while done.len() < JOBS {
            match session.next().await? {
                Out::Leased(job) => held.push(job),
                Out::Answered(answered) => {
                    done.insert(answered.lease.map(|lease| lease.job_id).unwrap_or_default());
                }
                other => bail!("neither leased nor answered: {other:?}"),
            }
            ensure!(held.len() <= CAPACITY, "{} jobs held", held.len());
            // Answered only when all room is taken, or when no more will come.
            if held.len() == CAPACITY || done.len() + held.len() == JOBS {
                for job in held.drain(..) {
                    session.complete(&job).await;
                }
            }
        }
        submitting.await?.into_iter().collect::<Result<Vec<_>, Status>>()?;
        assert_eq!(slots(world, &tenant).await?, (0, 0));
        Ok(())
    })
}

#[test]
fn replays_and_refusals_take_no_room() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let mut session = worker.session(hello(1)).await?;
        let original = job();
        let job_id = matched(&alice, &mut session, || original.clone().key(&fresh_key())).await?;
        let leased = session.leased().await?;
        session.complete(&leased).await;
        session.answered().await?;
        let again = job();
        matched_key(&alice, &mut session, &again).await?;
        for _ in 0..20 {
            assert!(alice.submit_job(again.clone()).await?.replayed);
            let other = again.clone().payload(json("{\"other\": 1}"));
            refused(alice.submit_job(other).await, Reason::Job409IdempotencyConflict);
        }
        // The one place is still there.
        let next = matched(&alice, &mut session, job).await?;
        assert_ne!(next, job_id);
        assert_eq!(id_of(&session.leased().await?), next);
        Ok(())
    })
}

/// Submits under this key and does the job.
async fn matched_key(alice: &Api, session: &mut WorkSession, request: &pb::SubmitJobRequest) -> Result<()> {
    alice.submit_job(request.clone()).await?;
    let job = session.leased().await?;
    session.complete(&job).await;
    session.answered().await?;
    Ok(())
}

#[test]
fn a_request_that_waits_has_its_turn_beside_a_session_with_room() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let mut session = worker.session(hello(1000)).await?;
        matched(&alice, &mut session, job).await?;
        let waiting = tokio::spawn({
            let worker = worker.clone();
            async move { worker.lease_jobs(lease_waiting(1)).await }
        });
        for _ in 0..100 {
            if waiting.is_finished() {
                break;
            }
            alice.submit_job(job()).await?;
        }
        assert_eq!(waiting.await??.jobs.len(), 1);
        Ok(())
    })
}

#[test]
fn jobs_matched_to_a_worker_that_leaves_go_to_another() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        for _ in 0..8 {
            let tenant = tenant();
            let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
            let mut leaving = worker.session(hello(8)).await?;
            let mut jobs = BTreeSet::from([matched(&alice, &mut leaving, job).await?]);
            // Half-closed while further submissions are on their way.
            let submissions = futures::future::try_join_all((0..4).map(|_| alice.submit_job(job())));
            let (submitted, left) = tokio::join!(submissions, leaving.leave());
            left?;
            jobs.extend(submitted?.into_iter().map(|submitted| submitted.job_id));
            // What the worker was told and did not answer runs out.
            for job_id in &jobs {
                let _ = rows::expire_lease(world.db.admin(), job_id).await;
            }
            let mut staying = worker.session(hello(8)).await?;
            let mut done = BTreeSet::new();
            while done.len() < jobs.len() {
                match staying.next().await? {
                    Out::Leased(job) => staying.complete(&job).await,
                    Out::Answered(answered) => {
                        done.insert(answered.lease.map(|lease| lease.job_id).unwrap_or_default());
                    }
                    other => bail!("neither leased nor answered: {other:?}"),
                }
            }
            assert_eq!(done, jobs);
            assert_eq!(slots(world, &tenant).await?, (0, 0));
        }
        Ok(())
    })
}
