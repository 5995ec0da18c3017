//! What a watch brings while nothing fails.

use super::*;

#[test]
fn every_transition_comes_once_and_a_job_ends_its_watch() -> Result<()> {
    run(async {
        let (stack, tenant) = (stack().start().await?, tenant());
        let alice = api(&stack, 0, user("alice", &tenant))?;
        let worker = api(&stack, 0, worker("worker-1", &tenant))?;
        let mut project = alice.watch(watch_project(PROJECT)).await?;
        assert!(project.events.is_empty() && !project.token.is_empty(), "a place, and nothing yet");

        let job_id = alice.submit_job(job()).await?.job_id;
        let mut from_start = alice.watch(pb::WatchJobsRequest { from_start: true, ..watch_job(&job_id) }).await?;
        let mut from_now = alice.watch(watch_job(&job_id)).await?;
        let filter = |states: &[pb::JobState], intent: &str| pb::WatchJobsRequest {
            states: states.iter().map(|state| (*state).into()).collect(),
            intent: intent.to_owned(),
            ..watch_project(PROJECT)
        };
        let mut done_only = alice.watch(filter(&[pb::JobState::Done], INTENT)).await?;
        let mut other_intent = alice.watch(filter(&[], "other.intent")).await?;
        let leased = worker.lease_jobs(lease_waiting(1)).await?.jobs.remove(0);
        worker.complete_job(complete(&leased, json("1"))).await?;
        do_jobs(&alice, &worker, 20).await?;
        let other = alice.submit_job(job().intent("other.intent")).await?.job_id;

        project.until(3 * 21 + 1).await?;
        check_once(&project, &history(&stack, &tenant).await?)?;
        let told = alice.history(&job_id).await?;
        let came: Vec<_> = project.events.iter().filter(|event| event.job_id == job_id).cloned().collect();
        assert_eq!(came, told, "a watch says of a transition what the history says");
        from_start.drained().await?;
        assert_eq!(from_start.events, told);
        from_now.drained().await?;
        assert_eq!(from_now.events.last().map(|event| event.seq), Some(3));
        done_only.until(21).await?;
        assert!(done_only.events.iter().all(|event| event.to_state() == pb::JobState::Done));
        other_intent.until(1).await?;
        assert_eq!(other_intent.seen(), [(other, 1)]);

        // Of a job that has ended nothing comes.
        let mut over = alice.watch(watch_job(&job_id)).await?;
        over.drained().await?;
        assert!(over.events.is_empty());
        let stood = pb::WatchJobsRequest { resume_token: from_start.token.clone(), ..watch_job(&job_id) };
        let mut over = alice.watch(stood).await?;
        over.drained().await?;
        assert!(over.events.is_empty());
        Ok(())
    })
}

#[test]
fn a_watch_in_which_nothing_happens_is_given_new_tokens() -> Result<()> {
    run(async {
        let stack = stack().start().await?;
        let mut watch = api(&stack, 0, user("alice", &tenant()))?.watch(watch_project(PROJECT)).await?;
        for _ in 0..3 {
            let token = watch.token.clone();
            assert_eq!(watch.next().await?.map(|events| events.len()), Some(0));
            assert_ne!(watch.token, token);
        }
        Ok(())
    })
}

#[test]
fn tenants_with_the_same_names_see_their_own() -> Result<()> {
    run(async {
        let (stack, tenants) = (stack().start().await?, [tenant(), tenant()]);
        let mut watches = Vec::new();
        for tenant in &tenants {
            let alice = api(&stack, 0, user("alice", tenant))?;
            watches.push(alice.watch(watch_project(PROJECT)).await?);
        }
        for (count, tenant) in [5, 7].into_iter().zip(&tenants) {
            let alice = api(&stack, 0, user("alice", tenant))?;
            do_jobs(&alice, &api(&stack, 0, worker("worker-1", tenant))?, count).await?;
        }
        for ((count, tenant), watch) in [5, 7].into_iter().zip(&tenants).zip(&mut watches) {
            watch.until(3 * count).await?;
            // The last event of all is past: what came of the other's would have come by now.
            watch.next().await?;
            check_once(watch, &history(&stack, tenant).await?)?;
        }
        let foreign = api(&stack, 0, user("alice", &tenants[1]))?;
        refused(foreign.watch(resumed(&watches[0].token)).await.map(|_| ()), Reason::Req400InvalidSchema);
        let theirs = watches[0].events[0].job_id.clone();
        refused(foreign.watch(watch_job(&theirs)).await.map(|_| ()), Reason::Job404NotFound);
        Ok(())
    })
}

#[test]
fn a_hundred_watches_have_one_reader() -> Result<()> {
    run(async {
        let (stack, tenant) = (stack().start().await?, tenant());
        let alice = api(&stack, 0, user("alice", &tenant))?;
        assert_eq!(readers(&stack).await?, 0, "nobody watches, nobody reads");
        let mut watches = try_join_all((0..100).map(|_| alice.watch(watch_project(PROJECT)))).await?;
        submit(&alice, 50).await?;
        let history = history(&stack, &tenant).await?;
        try_join_all(watches.iter_mut().map(|watch| watch.until(50))).await?;
        for watch in &watches {
            check_once(watch, &history)?;
        }
        eventually(
            || async { if readers(&stack).await? == 1 { Ok(()) } else { anyhow::bail!("not one reader") } },
            SOON,
        )
        .await?;
        assert!((metric(&stack, 0, "jobs_watches").await? - 100.0).abs() < 0.5);
        drop(watches);
        let none = || async {
            ensure!(metric(&stack, 0, "jobs_watches").await? < 0.5, "watches go on without callers");
            ensure!(blocked(&stack).await? == 0, "the streams are read for nobody");
            anyhow::Ok(())
        };
        eventually(none, SOON).await
    })
}

/// Connections whose latest command reads streams.
async fn readers(stack: &Stack) -> Result<usize> {
    Ok(clients(stack).await?.lines().filter(|client| client.contains("cmd=xread ")).count())
}

/// Connections that wait for entries of streams now.
async fn blocked(stack: &Stack) -> Result<usize> {
    let waits = |client: &&str| client.contains("cmd=xread ") && client.contains("flags=b");
    Ok(clients(stack).await?.lines().filter(waits).count())
}

async fn clients(stack: &Stack) -> Result<String> {
    use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", stack.redis.port())).await?;
    let mut stream = BufReader::new(stream);
    stream.write_all(b"CLIENT LIST\r\n").await?;
    let mut length = String::new();
    stream.read_line(&mut length).await?;
    let mut list = vec![0; length.trim().trim_start_matches('$').parse()?];
    stream.read_exact(&mut list).await?;
    Ok(String::from_utf8(list)?)
}
