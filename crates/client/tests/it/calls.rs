//! When a call is sent again, and what of it stays the same.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Result;
use futures::future::join_all;
use holdfast_client::{
    AccessToken, CallContext, CancellationToken, Client, ErrorKind, IdempotencyKey, Job, JobError, Reason, Retry,
    Worker, WorkerSpec, json, token_fn,
};
use holdfast_fault::Fault;
use holdfast_testkit::free_port;
use tonic::Status;

use crate::{
    peer::{Peer, Reply},
    proxy::Proxy,
    support::{SOON, Site, job_under, run},
};

const MILLIS: fn(u64) -> Duration = Duration::from_millis;

fn down(retry_after: Duration) -> Reply {
    Reply::Fault(Fault::dependency_down("postgres", "by the script").retry_after(retry_after))
}

#[test]
fn a_call_waits_as_long_as_the_service_asks_and_is_the_same_call_each_time() -> Result<()> {
    run(async {
        let peer = Peer::start([down(MILLIS(200)), down(MILLIS(300)), Reply::Job]).await?;
        let client = Client::builder(&peer.endpoint).token(AccessToken::from("t")).build()?;
        let context = CallContext { traceparent: Some("00-abc-def-01".into()), ..CallContext::default() };
        let job = client.within(context).jobs().get("j").await?;
        assert_eq!(job.job_id, "j");

        let seen = peer.seen();
        assert_eq!(seen.len(), 3);
        assert!(seen[1].at - seen[0].at >= MILLIS(200) && seen[2].at - seen[1].at >= MILLIS(300));
        let ids: BTreeSet<&str> = seen.iter().map(|seen| seen.header("x-request-id")).collect();
        assert_eq!(ids.len(), 1, "one id for all attempts");
        for seen in &seen {
            assert_eq!((seen.job_id.as_str(), seen.header("traceparent")), ("j", "00-abc-def-01"));
            assert_eq!(seen.header("authorization"), "Bearer t");
            assert!(!seen.header("grpc-timeout").is_empty(), "every attempt has a deadline");
        }
        Ok(())
    })
}

#[test]
fn an_instance_that_stops_is_left_at_once_over_a_new_connection() -> Result<()> {
    run(async {
        // It asks for a minute; going elsewhere needs no wait.
        let draining = Fault::new(Reason::Infra503Draining, "by the script").retry_after(Duration::from_secs(60));
        let peer = Peer::start([Reply::Fault(draining), Reply::Job]).await?;
        let began = Instant::now();
        Client::builder(&peer.endpoint).build()?.jobs().get("j").await?;
        assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
        assert_eq!((peer.seen().len(), peer.connections()), (2, 2));
        Ok(())
    })
}

#[test]
fn one_endpoint_that_is_gone_is_not_noticed() -> Result<()> {
    run(async {
        let peer = Peer::start([Reply::Job]).await?;
        let gone = format!("http://127.0.0.1:{}", free_port()?);
        let client = Client::builder(gone).endpoint(&peer.endpoint).build()?;
        let began = Instant::now();
        for _ in 0..20 {
            client.jobs().get("j").await?;
        }
        assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
        Ok(())
    })
}

#[test]
fn an_answer_without_a_job_is_none_and_may_mean_anything() -> Result<()> {
    run(async {
        let peer = Peer::start([Reply::Empty]).await?;
        let error = Client::builder(&peer.endpoint).build()?.jobs().get("j").await.unwrap_err();
        assert_eq!(
            (error.kind.clone(), error.is_ambiguous(), error.is_retryable()),
            (ErrorKind::BadAnswer, true, false)
        );
        Ok(())
    })
}

#[test]
fn a_token_that_does_not_come_fails_the_call_and_stops_no_worker_from_stopping() -> Result<()> {
    run(async {
        let peer = Peer::start([Reply::Job]).await?;
        let hangs = token_fn(|| async { std::future::pending().await });
        let client = Client::builder(&peer.endpoint).token(hangs).attempt_timeout(MILLIS(50)).build()?;
        let error = client.jobs().get("j").await.unwrap_err();
        assert_eq!((error.kind.clone(), peer.seen().len()), (ErrorKind::NoToken, 0));

        let (stop, spec) = (CancellationToken::new(), WorkerSpec::new("w", ["echo"]));
        let worker = Worker::new(client, spec);
        let handler = |job: Job| async move { Ok::<_, JobError>(json(&job.id())?) };
        let (ended, ()) = tokio::join!(tokio::time::timeout(SOON, worker.run(handler, &stop)), async {
            stop.cancel();
        });
        drop(ended?);
        Ok(())
    })
}

#[test]
fn what_the_service_refuses_for_good_is_asked_once() -> Result<()> {
    run(async {
        for reason in [Reason::Job404NotFound, Reason::Auth403Role, Reason::Internal500Unexpected] {
            let peer = Peer::start([reason.into()]).await?;
            let error = Client::builder(&peer.endpoint).build()?.jobs().get("j").await.unwrap_err();
            assert_eq!((error.kind.clone(), error.attempts), (ErrorKind::Refused(reason), 1));
            assert_eq!(peer.seen().len(), 1);
            assert_eq!(error.request_id.as_deref(), Some(peer.seen()[0].header("x-request-id")));
        }
        Ok(())
    })
}

#[test]
fn a_call_ends_at_its_deadline_whatever_it_is_told() -> Result<()> {
    run(async {
        let peer = Peer::start([Reply::Foreign(Status::unavailable("502 Bad Gateway"))]).await?;
        let client = Client::builder(&peer.endpoint).call_timeout(MILLIS(800)).build()?;
        let began = Instant::now();
        let error = client.jobs().get("j").await.unwrap_err();
        assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
        assert!(error.kind == ErrorKind::Foreign && error.attempts > 1, "{error:?}");

        // It would have to wait for longer than it has: it is told now.
        let peer = Peer::start([down(Duration::from_secs(60))]).await?;
        let began = Instant::now();
        let error = Client::builder(&peer.endpoint).build()?.jobs().get("j").await.unwrap_err();
        assert!(began.elapsed() < Duration::from_secs(5) && error.is(Reason::Infra503DependencyDown));
        Ok(())
    })
}

#[test]
fn silence_is_an_unknown_outcome_and_is_asked_again() -> Result<()> {
    run(async {
        let peer = Peer::start([Reply::Silence, Reply::Job]).await?;
        let patient = Client::builder(&peer.endpoint).attempt_timeout(MILLIS(200)).build()?;
        patient.jobs().get("j").await?;
        assert_eq!(peer.seen().len(), 2);

        let peer = Peer::start([Reply::Silence]).await?;
        let client = Client::builder(&peer.endpoint).attempt_timeout(MILLIS(100)).call_timeout(MILLIS(500)).build()?;
        let error = client.jobs().get("j").await.unwrap_err();
        assert!(error.kind == ErrorKind::Lost && error.is_ambiguous() && error.is_retryable(), "{error:?}");
        Ok(())
    })
}

#[test]
fn nobody_there_is_no_unknown_outcome() -> Result<()> {
    run(async {
        let client = Client::builder(format!("http://127.0.0.1:{}", free_port()?));
        let client = client.call_timeout(MILLIS(400)).build()?;
        let error = client.jobs().get("j").await.unwrap_err();
        assert!(error.kind == ErrorKind::Unreachable && !error.is_ambiguous(), "{error:?}");
        assert!(error.attempts > 1, "it may come up meanwhile");
        assert!(error.message.contains("refused"), "{error:?}");
        let error = client.connect().await.unwrap_err();
        assert!(error.kind == ErrorKind::Unreachable && error.message.contains("http://127.0.0.1"), "{error:?}");
        assert!(error.message.contains("refused"), "{error:?}");
        Ok(())
    })
}

#[test]
fn who_speaks_no_tls_is_told_from_nobody() -> Result<()> {
    run(async {
        let peer = Peer::start([Reply::Silence]).await?;
        let client = Client::builder(peer.endpoint.replace("http://", "https://")).call_timeout(MILLIS(400)).build()?;
        for error in [client.connect().await.unwrap_err(), client.jobs().get("j").await.unwrap_err()] {
            assert!(error.kind == ErrorKind::Unreachable && error.message.contains("corrupt"), "{error:?}");
        }
        Ok(())
    })
}

#[test]
fn a_fleet_in_trouble_sends_little_more_than_its_calls() -> Result<()> {
    run(async {
        let peer = Peer::start([Reply::Foreign(Status::unavailable("overloaded"))]).await?;
        let retry = Retry { budget_share: 0.1, budget_per_s: 1, delay_first: MILLIS(10), ..Retry::default() };
        let client = Client::builder(&peer.endpoint).retry(retry).call_timeout(Duration::from_secs(5)).build()?;
        let jobs = client.jobs();
        let outcomes = join_all((0..200).map(|_| jobs.get("j"))).await;
        assert!(outcomes.iter().all(Result::is_err));
        let sent = peer.seen().len();
        // A tenth of the calls, and one a second out of ten.
        assert!((200..=200 + 20 + 10 + 5).contains(&sent), "{sent} requests for 200 calls");
        Ok(())
    })
}

#[test]
fn a_token_that_has_run_out_is_renewed_once() -> Result<()> {
    run(async {
        let peer = Peer::start([Reason::Auth401InvalidToken.into(), Reply::Job]).await?;
        let issued = Arc::new(AtomicU32::new(0));
        let source = issued.clone();
        let source = token_fn(move || {
            let number = source.fetch_add(1, Ordering::Relaxed);
            async move { Ok(AccessToken { value: format!("t{number}"), fresh_for: None }) }
        });
        Client::builder(&peer.endpoint).token(source).build()?.jobs().get("j").await?;
        let presented: Vec<String> = peer.seen().iter().map(|seen| seen.header("authorization").to_owned()).collect();
        assert_eq!(presented, ["Bearer t0", "Bearer t1"]);

        let peer = Peer::start([Reason::Auth401InvalidToken.into()]).await?;
        let client = Client::builder(&peer.endpoint).token(AccessToken::from("only one")).build()?;
        let error = client.jobs().get("j").await.unwrap_err();
        assert!(error.is(Reason::Auth401InvalidToken) && peer.seen().len() == 1);
        Ok(())
    })
}

#[test]
fn a_call_whose_answer_was_lost_converges_on_one_job() -> Result<()> {
    run(async {
        let site = Site::patient().await?;
        let proxy = Proxy::start(site.stack.jobs[0].grpc_port).await?;
        let jobs = site.owner_at(&proxy.endpoint())?.jobs();
        let mut ids = BTreeSet::new();
        for number in 0..10 {
            proxy.lose_answer();
            let key = IdempotencyKey::from_content("lost", [number.to_string()]);
            let submitted = jobs.submit(job_under(key, number)).await?;
            assert!(submitted.replayed, "the first attempt had queued it");
            ids.insert(submitted.job_id);
        }
        assert_eq!((proxy.lost(), ids.len()), (10, 10));

        proxy.lose_answer();
        let key = IdempotencyKey::random();
        let job_id = ids.first().expect("ten jobs").clone();
        assert!(jobs.cancel(&job_id, "not needed", &key).await?.replayed);
        Ok(())
    })
}
