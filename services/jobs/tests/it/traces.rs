//! A job's trace and key go through its whole life, whoever moves it.

use anyhow::Result;
use holdfast_events::Envelope;

use crate::support::*;

const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

async fn events(world: &World, job_id: &str) -> Result<Vec<Envelope>> {
    rows::events(world.db.admin(), job_id).await
}

fn traced(api: Api) -> Api {
    api.header("traceparent", &format!("00-{TRACE_ID}-00f067aa0ba902b7-01")).header("tracestate", "vendor=opaque")
}

#[test]
fn every_event_of_a_job_is_in_the_trace_of_its_submission() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let (alice, worker) = (traced(world.user("alice", &tenant)), world.worker("worker-1", &tenant));
        let request = job().intent("quick.retry");
        let job_id = alice.submit_job(request.clone()).await?.job_id;
        let leased = worker.lease_jobs(lease_waiting(1)).await?.jobs.remove(0);
        assert!(leased.traceparent.contains(TRACE_ID) && !leased.traceparent.contains(' '), "{}", leased.traceparent);
        assert_eq!(leased.tracestate, "vendor=opaque");
        worker.fail_job(fail(&leased, true)).await?;
        // Through a session, whose own trace is another.
        let mut session = worker.session(hello(1)).await?;
        let leased = session.leased().await?;
        session.complete(&leased).await;
        session.answered().await?;
        let events = events(world, &job_id).await?;
        let names: Vec<&str> = events.iter().map(|event| event.event_name.as_str()).collect();
        assert_eq!(names, ["job.queued", "job.running", "job.retrying", "job.running", "job.done"]);
        for event in &events {
            assert_eq!((event.trace_id.as_str(), event.tracestate.as_str()), (TRACE_ID, "vendor=opaque"), "{event:?}");
            assert_eq!(event.idempotency_key, request.idempotency_key, "{event:?}");
        }
        Ok(())
    })
}

#[test]
fn a_workers_own_span_within_the_trace_is_kept() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let alice = traced(world.user("alice", &tenant));
        let job_id = alice.submit_job(job()).await?.job_id;
        let worker = world.worker("worker-1", &tenant);
        let leased = worker.lease_jobs(lease_waiting(1)).await?.jobs.remove(0);
        let own = format!("00-{TRACE_ID}-b7ad6b7169203331-01");
        worker.clone().header("traceparent", &own).complete_job(complete(&leased, json("1"))).await?;
        let done = events(world, &job_id).await?.pop().expect("an event");
        assert_eq!((done.event_name.as_str(), done.trace_id.as_str()), ("job.done", TRACE_ID));
        assert!(!done.traceparent.contains("00f067aa0ba902b7"), "the submission's span: {}", done.traceparent);
        Ok(())
    })
}

#[test]
fn a_cancellation_carries_its_own_key() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let alice = world.user("alice", &tenant());
        let job_id = alice.submit_job(job()).await?.job_id;
        let request = pb::CancelJobRequest {
            job_id: job_id.clone(),
            reason: String::new(),
            idempotency_key: "the-cancellation".to_owned(),
        };
        alice.cancel_job(request).await?;
        let cancelled = events(world, &job_id).await?.pop().expect("an event");
        assert_eq!(
            (cancelled.event_name.as_str(), cancelled.idempotency_key.as_str()),
            ("job.cancelled", "the-cancellation")
        );
        Ok(())
    })
}
