//! Watches under faults: of Redis, and of the instances that serve them.

use rand::Rng as _;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use std::time::{Duration, Instant};

use super::*;

/// Redis dies with its streams while a watch goes on, comes back, and is flushed: nothing is lost, and nothing comes twice.
#[test]
fn redis_may_go_and_come_back_empty() -> Result<()> {
    run(async {
        let (stack, tenant) = (stack().start().await?, tenant());
        let alice = api(&stack, 0, user("alice", &tenant))?;
        let worker = api(&stack, 0, worker("worker-1", &tenant))?;
        let mut watch = alice.watch(watch_project(PROJECT)).await?;
        do_jobs(&alice, &worker, 10).await?;
        watch.until(30).await?;
        stack.redis.kill().await?;
        do_jobs(&alice, &worker, 10).await?;
        watch.until(60).await?;
        check_once(&watch, &history(&stack, &tenant).await?)?;
        // A watch begins, and resumes, without Redis too.
        let mut other = alice.watch(resumed(&watch.token)).await?;
        let mut fresh = alice.watch(watch_project(PROJECT)).await?;
        submit(&alice, 1).await?;
        fresh.until(1).await?;
        other.until(1).await?;

        stack.redis.restart().await?;
        do_jobs(&alice, &worker, 10).await?;
        published(&stack).await?;
        watch.until(91).await?;
        // All that is in the streams comes once more, under other entries.
        stack.redis.flush().await?;
        do_jobs(&alice, &worker, 10).await?;
        published(&stack).await?;
        watch.until(121).await?;
        let read_again = || async {
            ensure!(metric(&stack, 0, "jobs_watch_reads_begun_total").await? > 2.5, "the loss was not noticed");
            anyhow::Ok(())
        };
        eventually(read_again, SOON).await?;
        submit(&alice, 1).await?;
        watch.until(122).await?;
        check_once(&watch, &history(&stack, &tenant).await?)
    })
}

/// An instance that stands still while the streams are trimmed finds some of what it has not read gone.
#[test]
fn what_was_trimmed_before_it_was_read_comes_all_the_same() -> Result<()> {
    run(async {
        let (stack, tenant) = (stack().jobs(2).start().await?, tenant());
        let (here, there) = (api(&stack, 0, user("alice", &tenant))?, api(&stack, 1, user("alice", &tenant))?);
        let mut watch = here.watch(watch_project(PROJECT)).await?;
        submit(&there, 100).await?;
        watch.until(100).await?;
        stack.jobs[0].process.pause()?;
        submit(&there, 100).await?;
        published(&stack).await?;
        trim(&stack).await?;
        stack.jobs[0].process.resume()?;
        watch.until(200).await?;
        submit(&there, 1).await?;
        watch.until(201).await?;
        check_once(&watch, &history(&stack, &tenant).await?)
    })
}

/// What no relay passes on comes behind the next bookmark, and not again once one does.
#[test]
fn watches_go_on_while_the_relays_are_away() -> Result<()> {
    run(async {
        let (stack, tenant) = (stack().start().await?, tenant());
        let alice = api(&stack, 0, user("alice", &tenant))?;
        let worker = api(&stack, 0, worker("worker-1", &tenant))?;
        let mut watch = alice.watch(watch_project(PROJECT)).await?;
        stack.relays[0].kill().await?;
        let job_id = alice.submit_job(job()).await?.job_id;
        let mut of_job = alice.watch(watch_job(&job_id)).await?;
        let leased = worker.lease_jobs(lease_waiting(1)).await?.jobs.remove(0);
        worker.complete_job(complete(&leased, json("1"))).await?;
        of_job.drained().await?;
        assert_eq!(of_job.seen().last(), Some(&(job_id, 3)));
        watch.until(3).await?;

        stack.relays[0].restart()?;
        published(&stack).await?;
        submit(&alice, 1).await?;
        watch.until(4).await?;
        check_once(&watch, &history(&stack, &tenant).await?)
    })
}

/// Two instances under load, one of them killed again and again, the relay and Redis too: whoever resumes misses nothing.
#[test]
fn killed_instances_leave_no_gap() -> Result<()> {
    const FAULTS_FOR: Duration = Duration::from_secs(12);
    let seed = std::env::var("HOLDFAST_WALK_SEED").ok().map_or_else(|| Ok(rand::random()), |seed| seed.parse())?;
    println!("HOLDFAST_WALK_SEED={seed}");
    run(async move {
        let mut chance = StdRng::seed_from_u64(seed);
        let (stack, tenant) = (stack().jobs(2).jobs_env("WATCH__PAGE_EVENTS_MAX", 4).start().await?, tenant());
        let alices = [api(&stack, 0, user("alice", &tenant))?, api(&stack, 1, user("alice", &tenant))?];
        let workers = [api(&stack, 0, worker("worker-1", &tenant))?, api(&stack, 1, worker("worker-1", &tenant))?];
        let begun = alices[0].watch(watch_project(PROJECT)).await?.token;
        let until = Instant::now() + FAULTS_FOR;
        let load = async {
            let mut number = 0;
            while Instant::now() < until {
                number += 1;
                // Some fail: an instance is away, or takes its answer with it.
                let _ = alices[number % 2].batch_submit_jobs(batch((0..5).map(|_| job()))).await;
                let Ok(leased) = workers[(number + 1) % 2].lease_jobs(lease(5)).await else { continue };
                for leased in leased.jobs {
                    let _ = workers[number % 2].complete_job(complete(&leased, json("1"))).await;
                }
            }
            anyhow::Ok(())
        };
        let watching = async {
            let (mut seen, mut token, mut resumptions) = (Vec::new(), begun, 0);
            for instance in (0..2).cycle() {
                let Ok(mut watch) = alices[instance].watch(resumed(&token)).await else {
                    tokio::task::yield_now().await;
                    continue;
                };
                resumptions += 1;
                // Until it breaks, or is left in the middle.
                let patience = Duration::from_millis(300 + 200 * resumptions % 700);
                let _ = tokio::time::timeout(patience, watch.drained()).await;
                seen.extend(watch.seen());
                token = watch.token;
                if Instant::now() > until {
                    break;
                }
            }
            anyhow::Ok((seen, token, resumptions))
        };
        let faults = async {
            while Instant::now() < until {
                let pause = Duration::from_millis(chance.random_range(200..1200));
                let _ = tokio::time::timeout(pause, std::future::pending::<()>()).await;
                match chance.random_range(0..4) {
                    0 => {
                        stack.redis.kill().await?;
                        stack.redis.restart().await?;
                    }
                    1 => {
                        stack.relays[0].kill().await?;
                        stack.relays[0].restart()?;
                    }
                    instance => {
                        let process = &stack.jobs[instance - 2].process;
                        process.kill().await?;
                        process.restart()?;
                    }
                }
            }
            stack.ready().await
        };
        let ((), (mut seen, token, resumptions), ()) = tokio::try_join!(load, watching, faults)?;
        assert!(resumptions > 5, "only {resumptions} resumptions");
        let mut rest = alices[0].watch(pb::WatchJobsRequest { catch_up_only: true, ..resumed(&token) }).await?;
        rest.drained().await?;
        seen.extend(rest.seen());
        let expected = history(&stack, &tenant).await?;
        println!("{} transitions, {} came, {resumptions} resumptions", expected.len(), seen.len());
        ensure!(expected.len() > 50, "only {} transitions", expected.len());
        check(&seen, &expected)
    })
}
