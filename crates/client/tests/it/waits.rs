//! Waiting for jobs: by a watch that outlasts its instances, by looks where there is none, and not for ever.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use anyhow::{Result, ensure};
use futures::{TryStreamExt as _, future::try_join_all};
use holdfast_client::{
    AccessToken, Client, ErrorKind, JobState, Reason,
    pb::{WatchJobsRequest, WatchedProject, watch_jobs_request::Scope},
    token_fn,
};
use holdfast_testkit::{JobsInstance, eventually, free_port, http_get};
use tokio::time::timeout;
use tonic::Status;

use crate::{
    peer::{Peer, Reply},
    support::{PROJECT, SOON, Site, builder, echo, job, lively, run},
};

fn project() -> WatchJobsRequest {
    let project = WatchedProject { tenant_id: String::new(), project_id: PROJECT.to_owned() };
    WatchJobsRequest { scope: Some(Scope::Project(project)), ..WatchJobsRequest::default() }
}

/// The sum of an instance's metrics of this name; 0 where there is none yet.
async fn metric(instance: &JobsInstance, name: &str, label: &str) -> Result<f64> {
    let port = instance.process.http_port().expect("every instance has one");
    let page = http_get(port, "/metrics").await?.body;
    let lines = page.lines().filter(|line| line.starts_with(name) && line.contains(label));
    Ok(lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
}

#[test]
fn whoever_waits_is_told_and_does_not_ask() -> Result<()> {
    run(async {
        let stack = lively().start().await?;
        let jobs = builder(&stack.jobs[0].endpoint(), &stack.tokens.owner("ada", "acme")?).build()?.jobs();
        let submitted = jobs.submit_all((0..20).map(job)).await;
        let ids: Vec<String> = submitted.into_iter().map(|one| Ok(one?.job_id)).collect::<Result<_>>()?;
        let (waiting, looking) = (jobs.clone(), ids.clone());
        let waits =
            tokio::spawn(async move { try_join_all(looking.iter().map(|job_id| waiting.wait(job_id, SOON))).await });
        let are_open = || async { metric(&stack.jobs[0], "jobs_watches", "").await.is_ok_and(|open| open > 19.5) };
        eventually(are_open, SOON).await?;
        let stop = echo(builder(&stack.jobs[0].endpoint(), &stack.tokens.worker("w", "acme")?).build()?);
        assert!(waits.await??.iter().all(|job| job.state() == JobState::Done));
        stop.cancel();
        // One look each, for the answer.
        let looks = || async {
            let looks = metric(&stack.jobs[0], "grpc_server_handled_total", "grpc_method=\"GetJob\"").await?;
            ensure!(looks > 19.5, "only {looks} yet");
            anyhow::Ok(looks)
        };
        assert!(eventually(looks, SOON).await? < 20.5);
        Ok(())
    })
}

#[test]
fn a_wait_outlasts_the_instances_that_it_watches() -> Result<()> {
    run(async {
        let stack = lively().jobs(2).start().await?;
        let [one, other] = &stack.jobs[..] else { anyhow::bail!("two were asked for") };
        let both = |token: String| builder(&one.endpoint(), &token).endpoint(other.endpoint()).build();
        let jobs = both(stack.tokens.owner("ada", "acme")?)?.jobs();
        let job_id = jobs.submit(job(1)).await?.job_id;
        let waited_for = job_id.clone();
        let wait = tokio::spawn(async move { jobs.wait(&waited_for, 3 * SOON).await });
        for instance in [one, other, one, other] {
            let is_watched = || async {
                let open = metric(one, "jobs_watches", "").await? + metric(other, "jobs_watches", "").await?;
                ensure!(open > 0.5, "nobody watches");
                anyhow::Ok(())
            };
            eventually(is_watched, SOON).await?;
            instance.process.kill().await?;
            instance.process.restart()?;
            instance.process.ready(SOON).await?;
        }
        let stop = echo(both(stack.tokens.worker("w", "acme")?)?);
        assert_eq!(timeout(3 * SOON, wait).await???.state(), JobState::Done);
        stop.cancel();
        Ok(())
    })
}

#[test]
fn where_an_instance_has_no_room_for_a_watch_the_job_is_looked_at() -> Result<()> {
    run(async {
        let stack = lively().jobs_env("WATCH__WATCHES_MAX", 1).start().await?;
        let jobs = builder(&stack.jobs[0].endpoint(), &stack.tokens.owner("ada", "acme")?).build()?.jobs();
        let mut taken = jobs.watch(project());
        taken.try_next().await?;
        let refused = jobs.watch(project()).try_next().await.unwrap_err();
        assert!(refused.is(Reason::Rate429Throttled), "{refused:?}");
        let job_id = jobs.submit(job(1)).await?.job_id;
        let stop = echo(builder(&stack.jobs[0].endpoint(), &stack.tokens.worker("w", "acme")?).build()?);
        assert_eq!(jobs.wait(&job_id, SOON).await?.state(), JobState::Done);
        stop.cancel();
        Ok(())
    })
}

#[test]
fn of_many_waits_some_have_a_watch_and_all_end() -> Result<()> {
    run(async {
        let site = Site::patient().await?;
        let jobs = site.owner()?.jobs();
        let submitted = jobs.submit_all((0..100).map(job)).await;
        let ids: Vec<String> = submitted.into_iter().map(|one| Ok(one?.job_id)).collect::<Result<_>>()?;
        let waits = try_join_all(ids.iter().map(|job_id| jobs.wait(job_id, SOON)));
        let stop = echo(site.worker()?);
        assert!(waits.await?.iter().all(|job| job.state() == JobState::Done));
        stop.cancel();
        Ok(())
    })
}

#[test]
fn of_a_service_without_watches_the_job_is_looked_at() -> Result<()> {
    run(async {
        let script = [Status::unimplemented("no such method").into(), Reply::Job, Reply::Job, Reply::Ended];
        let peer = Peer::start(script).await?;
        let job = Client::builder(&peer.endpoint).build()?.jobs().wait("j", SOON).await?;
        assert_eq!((job.state(), peer.seen().len()), (JobState::Done, 4));
        Ok(())
    })
}

#[test]
fn nobody_waits_longer_than_he_wants_to() -> Result<()> {
    run(async {
        const BRIEFLY: Duration = Duration::from_millis(300);
        let site = Site::patient().await?;
        let jobs = site.owner()?.jobs();
        let job_id = jobs.submit(job(1)).await?.job_id;
        let error = jobs.wait(&job_id, BRIEFLY).await.unwrap_err();
        assert!(error.kind == ErrorKind::NotEnded && error.is_retryable() && !error.is_ambiguous(), "{error:?}");
        assert!(error.message.contains(&job_id), "{error}");

        let nobody = site.owner_at(&format!("http://127.0.0.1:{}", free_port()?))?;
        let error = nobody.jobs().wait(&job_id, BRIEFLY).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unreachable, "why it is not known whether it has ended: {error:?}");
        Ok(())
    })
}

#[test]
fn a_watch_goes_on_with_the_next_token() -> Result<()> {
    run(async {
        const LIFETIME: Duration = Duration::from_secs(2);
        let site = Site::patient().await?;
        let (issued, tenant) = (Arc::new(AtomicU32::new(0)), site.tenant.clone());
        let (count, stack) = (issued.clone(), site.stack);
        let source = token_fn(move || {
            count.fetch_add(1, Ordering::AcqRel);
            let value = stack.tokens.brief_owner("ada", &tenant, LIFETIME);
            async move { Ok(AccessToken { value: value?, fresh_for: None }) }
        });
        let jobs = Client::builder(site.endpoint()).token(source).build()?.jobs();
        let mut messages = jobs.watch(project());
        messages.try_next().await?;
        let mut events = tokio::spawn(async move {
            let mut events = Vec::new();
            while events.len() < 2 {
                events.extend(messages.try_next().await?.expect("it does not end").events);
            }
            Ok::<_, holdfast_client::Error>(events)
        });
        let other = site.owner()?.jobs();
        let first = other.submit(job(1)).await?.job_id;
        // Nothing else asks the source: the watch was ended, and has another token.
        eventually(|| async { issued.load(Ordering::Acquire) > 1 }, SOON).await?;
        let second = other.submit(job(2)).await?.job_id;
        let ids: Vec<String> = timeout(SOON, &mut events).await???.into_iter().map(|event| event.job_id).collect();
        assert_eq!(ids, [first, second]);

        // Where there is no other, the watch is over.
        let value = stack.tokens.brief_owner("ada", &site.tenant, LIFETIME)?;
        let mut messages = builder(&site.endpoint(), &value).build()?.jobs().watch(project());
        let end = async {
            loop {
                if let Err(error) = messages.try_next().await {
                    return error;
                }
            }
        };
        let error = timeout(SOON, end).await?;
        assert!(error.is(Reason::Auth401InvalidToken), "{error:?}");
        Ok(())
    })
}
