//! What becomes of a job where one that it depends on ends otherwise than done.

use anyhow::Result;
use pb::{JobState, OnFailure};

use super::{after, comes_to, done, held, on, submitted};
use crate::support::*;

fn after_one(job_id: &str, on_failure: OnFailure) -> pb::SubmitJobRequest {
    pb::SubmitJobRequest { dependencies: vec![on(job_id, on_failure)], ..job() }
}

async fn expect(alice: &Api, first: &str, blocked: &str, cancelled: &str, free: &str) -> Result<()> {
    let seen = comes_to(alice, cancelled, JobState::Cancelled).await?;
    let last = alice.history(cancelled).await?.pop().expect("a history");
    assert_eq!(last.actor_id, "system:dependencies");
    assert!(last.detail.contains(first), "{}", last.detail);
    assert!(seen.blocked_by.is_empty());
    comes_to(alice, free, JobState::Queued).await?;
    let seen = alice.job(blocked).await?;
    assert_eq!((seen.state(), seen.seq, &seen.blocked_by[..]), (JobState::Blocked, 1, &[first.to_owned()][..]));
    Ok(())
}

#[test]
fn what_was_asked_for_happens_however_the_other_ends() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        for fails in [true, false] {
            let tenant = tenant();
            let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
            let first = submitted(&alice, job()).await?;
            let mut waiting = Vec::new();
            for on_failure in [OnFailure::Block, OnFailure::Cancel, OnFailure::Run] {
                waiting.push(submitted(&alice, after_one(&first, on_failure)).await?);
            }
            if fails {
                let leased = held(&worker, &first).await?;
                worker.fail_job(fail(&leased, false)).await?;
            } else {
                alice.cancel_job(cancel(&first)).await?;
            }
            expect(&alice, &first, &waiting[0], &waiting[1], &waiting[2]).await?;
        }
        Ok(())
    })
}

#[test]
fn it_happens_too_where_the_other_had_ended_before() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let alice = world.user("alice", &tenant());
        let first = submitted(&alice, job()).await?;
        alice.cancel_job(cancel(&first)).await?;
        let blocked = submitted(&alice, after_one(&first, OnFailure::Block)).await?;
        let cancelled = submitted(&alice, after_one(&first, OnFailure::Cancel)).await?;
        let free = alice.submit_job(after_one(&first, OnFailure::Run)).await?;
        assert_eq!(free.state(), JobState::Queued);
        expect(&alice, &first, &blocked, &cancelled, &free.job_id).await
    })
}

#[test]
fn one_that_cancels_does_not_wait_for_the_others() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let alice = world.user("alice", &tenant());
        let (slow, failing) = (submitted(&alice, job()).await?, submitted(&alice, job()).await?);
        let dependencies = vec![on(&slow, OnFailure::Block), on(&failing, OnFailure::Cancel)];
        let third = submitted(&alice, pb::SubmitJobRequest { dependencies, ..job() }).await?;
        // Those who wait for it are cancelled after it.
        let fourth = submitted(&alice, after_one(&third, OnFailure::Cancel)).await?;
        alice.cancel_job(cancel(&failing)).await?;
        comes_to(&alice, &third, JobState::Cancelled).await?;
        comes_to(&alice, &fourth, JobState::Cancelled).await?;
        assert_eq!(alice.job(&slow).await?.state(), JobState::Queued);
        Ok(())
    })
}

#[test]
fn the_job_that_does_a_failed_one_anew_takes_its_place() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let first = submitted(&alice, job()).await?;
        let second = submitted(&alice, after_one(&first, OnFailure::Block)).await?;
        let mut failed = first.clone();
        for _ in 0..2 {
            let leased = held(&worker, &failed).await?;
            worker.fail_job(fail(&leased, false)).await?;
            let request = pb::ResubmitJobRequest { job_id: failed, idempotency_key: fresh_key() };
            let anew = alice.resubmit_job(request.clone()).await?.job.expect("a job").job_id;
            assert_eq!(alice.resubmit_job(request).await?.job.expect("a job").job_id, anew);
            assert_eq!(alice.job(&second).await?.blocked_by, [anew.as_str()]);
            failed = anew;
        }
        done(&worker, &failed).await?;
        comes_to(&alice, &second, JobState::Queued).await?;
        // As it was submitted: what took the place stands in the history of that.
        assert_eq!(alice.job(&second).await?.dependencies, [on(&first, OnFailure::Block)]);
        done(&worker, &second).await
    })
}

#[test]
fn what_is_done_anew_waits_for_nothing_that_has_ended() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let alice = world.user("alice", &tenant());
        let first = submitted(&alice, job()).await?;
        let second = submitted(&alice, after_one(&first, OnFailure::Cancel)).await?;
        alice.cancel_job(cancel(&first)).await?;
        comes_to(&alice, &second, JobState::Cancelled).await?;
        let request = pb::ResubmitJobRequest { job_id: second, idempotency_key: fresh_key() };
        let anew = alice.resubmit_job(request).await?.job.expect("a job");
        assert_eq!(anew.state(), JobState::Queued);
        assert!(alice.job(&anew.job_id).await?.dependencies.is_empty());
        Ok(())
    })
}

#[test]
fn what_is_done_anew_waits_for_what_goes_on() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let (first, ended) = (submitted(&alice, job()).await?, submitted(&alice, job()).await?);
        let dependencies = vec![on(&first, OnFailure::Cancel), on(&ended, OnFailure::Run)];
        let second = submitted(&alice, pb::SubmitJobRequest { dependencies, ..job() }).await?;
        for job_id in [&ended, &second] {
            alice.cancel_job(cancel(job_id)).await?;
        }
        let request = pb::ResubmitJobRequest { job_id: second, idempotency_key: fresh_key() };
        let anew = alice.resubmit_job(request.clone()).await?.job.expect("a job");
        assert_eq!(anew.state(), JobState::Blocked);
        let seen = alice.job(&anew.job_id).await?;
        assert_eq!(seen.dependencies, [on(&first, OnFailure::Cancel)], "as the old job did");
        assert_eq!(seen.blocked_by, [first.as_str()]);
        done(&worker, &first).await?;
        comes_to(&alice, &anew.job_id, JobState::Queued).await?;
        // What has ended since is no part of what the key stands for.
        let again = alice.resubmit_job(request).await?.job.expect("a job");
        assert_eq!((again.replayed, again.job_id), (true, anew.job_id));
        Ok(())
    })
}

#[test]
fn doing_a_done_job_anew_blocks_nobody() -> Result<()> {
    run(async {
        let world = World::with(Settings::default()).await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let (first, other) = (submitted(&alice, job()).await?, submitted(&alice, job()).await?);
        let waiting = submitted(&alice, after([&first, &other])).await?;
        // Nobody settles meanwhile.
        let mut rival = world.db.admin().begin().await?;
        let lock = sqlx::query("SELECT 1 FROM jobs.jobs WHERE job_id = $1::uuid FOR UPDATE").bind(&waiting);
        lock.fetch_one(&mut *rival).await?;
        done(&worker, &first).await?;
        let request = pb::ResubmitJobRequest { job_id: first, idempotency_key: fresh_key() };
        let anew = alice.resubmit_job(request).await?.job.expect("a job").job_id;
        assert_eq!(alice.job(&waiting).await?.blocked_by, [other.as_str()]);
        rival.rollback().await?;
        done(&worker, &other).await?;
        comes_to(&alice, &waiting, JobState::Queued).await?;
        assert_eq!(alice.job(&anew).await?.state(), JobState::Queued);
        Ok(())
    })
}
