//! How watches end, and which do not begin.

use std::time::Duration;

use super::*;

#[test]
fn an_instance_that_stops_sends_its_watches_on() -> Result<()> {
    run(async {
        let (stack, tenant) = (stack().jobs(2).start().await?, tenant());
        let (here, there) = (api(&stack, 0, user("alice", &tenant))?, api(&stack, 1, user("alice", &tenant))?);
        let mut watch = here.watch(watch_project(PROJECT)).await?;
        submit(&there, 10).await?;
        watch.until(10).await?;
        let stopping = stack.jobs[0].process.terminate(SOON);
        let end = async { watch.drained().await };
        let (stopped, end) = tokio::join!(stopping, end);
        stopped?;
        let received = refused(end, Reason::Infra503Draining);
        assert!(received.retryable());
        submit(&there, 10).await?;
        let mut seen = watch.seen();
        let mut watch = there.watch(resumed(&watch.token)).await?;
        watch.until(10).await?;
        seen.extend(watch.seen());
        check(&seen, &history(&stack, &tenant).await?)
    })
}

#[test]
fn a_watch_ends_with_its_callers_token() -> Result<()> {
    run(async {
        let (stack, tenant) = (stack().start().await?, tenant());
        let short = user("alice", &tenant).lifetime(Duration::from_secs(2));
        let mut watch = api(&stack, 0, short)?.watch(watch_project(PROJECT)).await?;
        refused(watch.drained().await, Reason::Auth401InvalidToken);
        // Nothing is lost by it.
        let alice = api(&stack, 0, user("alice", &tenant))?;
        submit(&alice, 3).await?;
        let mut again = alice.watch(resumed(&watch.token)).await?;
        again.until(3).await?;
        Ok(())
    })
}

/// A caller that takes nothing is told so in the end, and has lost nothing.
#[test]
fn a_slow_caller_is_let_go_and_resumes() -> Result<()> {
    run(async {
        let stack =
            stack().jobs_env("WATCH__STALL_MAX_MS", 1000).jobs_env("WATCH__FEED_EVENTS_MAX", 16).start().await?;
        let tenant = tenant();
        let alice = api(&stack, 0, user("alice", &tenant))?;
        // A window that is soon full: what is not read piles up on the other side.
        let narrow = Endpoint::from_shared(stack.jobs[0].endpoint())?.initial_stream_window_size(65_535).connect_lazy();
        let slow = Api::new(narrow, stack.tokens.issue(user("alice", &tenant)));
        let mut watch = slow.watch(watch_project(PROJECT)).await?;
        let given_up = async {
            loop {
                submit(&alice, 200).await?;
                if metric(&stack, 0, "jobs_watch_slow_closed_total").await? > 0.5 {
                    return anyhow::Ok(());
                }
            }
        };
        tokio::time::timeout(SOON, given_up).await??;
        refused(watch.drained().await, Reason::Req408SlowConsumer);
        let expected = history(&stack, &tenant).await?;
        assert!(watch.events.len() < expected.len());
        let mut rest = alice.watch(pb::WatchJobsRequest { catch_up_only: true, ..resumed(&watch.token) }).await?;
        rest.drained().await?;
        check(&[watch.seen(), rest.seen()].concat(), &expected)
    })
}

#[test]
fn an_instance_has_so_many_watches_and_no_more() -> Result<()> {
    run(async {
        let stack = stack().jobs_env("WATCH__WATCHES_MAX", 2).start().await?;
        let alice = api(&stack, 0, user("alice", &tenant()))?;
        let first = alice.watch(watch_project(PROJECT)).await?;
        let _second = alice.watch(watch_project("beta")).await?;
        let third = || alice.watch(watch_project(PROJECT));
        refused(third().await.map(|watch| watch.token), Reason::Rate429Throttled);
        drop(first);
        eventually(third, SOON).await?;
        Ok(())
    })
}

#[test]
fn a_token_that_was_bent_is_refused() -> Result<()> {
    run(async {
        let (stack, tenant) = (stack().start().await?, tenant());
        let alice = api(&stack, 0, user("alice", &tenant))?;
        let mut watch = alice.watch(watch_project(PROJECT)).await?;
        submit(&alice, 20).await?;
        watch.until(20).await?;
        let is_bad = async |request: pb::WatchJobsRequest| {
            let received = refused(alice.watch(request).await.map(|watch| watch.token), Reason::Req400InvalidSchema);
            assert_eq!(fields(&received), ["resume_token"]);
        };
        for at in 0..watch.token.len() {
            let mut bytes = watch.token.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            is_bad(resumed(&String::from_utf8(bytes)?)).await;
        }
        is_bad(pb::WatchJobsRequest { resume_token: watch.token.clone(), ..watch_project("beta") }).await;
        let job_id = watch.events[0].job_id.clone();
        is_bad(pb::WatchJobsRequest { resume_token: watch.token.clone(), ..watch_job(&job_id) }).await;
        Ok(())
    })
}
