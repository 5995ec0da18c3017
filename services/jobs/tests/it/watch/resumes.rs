//! Watches that break and go on: no transition is lost, whatever happened meanwhile.

use holdfast_events::{Envelope, decode, encode, shard_of};
use uuid::Uuid;

use super::*;

#[test]
fn a_watch_goes_on_where_it_broke_on_another_instance_too() -> Result<()> {
    run(async {
        let (stack, tenant) = (stack().jobs(2).jobs_env("WATCH__PAGE_EVENTS_MAX", 2).start().await?, tenant());
        let alice = api(&stack, 0, user("alice", &tenant))?;
        let worker = api(&stack, 1, worker("worker-1", &tenant))?;
        let mut watch = alice.watch(watch_project(PROJECT)).await?;
        let before = watch.token.clone();
        do_jobs(&alice, &worker, 10).await?;
        watch.until(7).await?;
        let (mut seen, mut token) = (watch.seen(), watch.token.clone());
        drop(watch);
        // More than one page, on every shard.
        do_jobs(&alice, &worker, 100).await?;
        published(&stack).await?;
        let expected = history(&stack, &tenant).await?;
        // Taken in small pieces: each token holds.
        for instance in [1, 0, 1, 0] {
            let mut watch = api(&stack, instance, user("alice", &tenant))?.watch(resumed(&token)).await?;
            watch.until(40).await?;
            seen.extend(watch.seen());
            token = watch.token;
        }
        let rest = pb::WatchJobsRequest { catch_up_only: true, ..resumed(&token) };
        let mut watch = alice.watch(rest).await?;
        watch.drained().await?;
        seen.extend(watch.seen());
        check(&seen, &expected)?;

        let all = pb::WatchJobsRequest { catch_up_only: true, ..resumed(&before) };
        let mut watch = alice.watch(all).await?;
        watch.drained().await?;
        check_once(&watch, &expected)?;

        // A job's, from the middle of its history.
        let (job_id, _) = expected.first().expect("there are jobs").clone();
        let from_start =
            pb::WatchJobsRequest { from_start: true, states: vec![pb::JobState::Queued.into()], ..watch_job(&job_id) };
        let mut watch = alice.watch(from_start).await?;
        watch.drained().await?;
        assert_eq!(watch.seen(), [(job_id, 1)]);
        Ok(())
    })
}

/// A transition whose transaction began first, and took the lower position in the outbox, commits last: behind what the
/// watch has seen, and behind the token that it resumes from.
#[test]
fn a_late_commit_with_a_lower_position_comes() -> Result<()> {
    run(async {
        let (stack, tenant) = (stack().start().await?, tenant());
        let alice = api(&stack, 0, user("alice", &tenant))?;
        let mut live = alice.watch(watch_project(PROJECT)).await?;
        submit(&alice, 1).await?;
        live.until(1).await?;
        let (job_id, _) = live.seen().remove(0);

        let mut late = stack.database.admin().begin().await?;
        let position = second_transition(&mut late, &job_id).await?;
        let shard = i16::try_from(shard_of(&job_id))?;
        // Enough of them that the shard of the late one goes on.
        submit(&alice, 200).await?;
        live.until(201).await?;
        published(&stack).await?;
        let passed: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM jobs.outbox WHERE shard = $1 AND position > $2 AND stream_ms IS NOT NULL",
        )
        .bind(shard)
        .bind(position)
        .fetch_one(stack.database.admin())
        .await?;
        assert!(passed > 0, "nothing of the shard went by, so nothing is proved");
        let token = live.token.clone();
        // One resumes while it is open, one once it is committed.
        let mut early = alice.watch(resumed(&token)).await?;
        late.commit().await?;
        let mut resumes = alice.watch(resumed(&token)).await?;
        let late = (job_id, 2);
        // What came shortly before the token may come again; nothing else does.
        let before = live.seen();
        let brings_the_late_one = |seen: Vec<(String, i64)>| {
            assert_eq!(seen.iter().filter(|event| **event == late).count(), 1, "{seen:?}");
            assert!(seen.iter().all(|event| *event == late || before.contains(event)), "{seen:?}");
        };
        for watch in [&mut early, &mut resumes] {
            while !watch.seen().contains(&late) {
                let seen = watch.seen().len();
                watch.until(seen + 1).await?;
            }
            brings_the_late_one(watch.seen());
        }
        live.until(202).await?;
        check_once(&live, &history(&stack, &tenant).await?)?;
        // Looked for where it now stands: published.
        published(&stack).await?;
        let again = pb::WatchJobsRequest { catch_up_only: true, ..resumed(&token) };
        let mut again = alice.watch(again).await?;
        again.drained().await?;
        brings_the_late_one(again.seen());
        Ok(())
    })
}

/// A transition as the service would write it, of a job that nobody else moves; answers its position in the outbox.
async fn second_transition(connection: &mut sqlx::PgConnection, job_id: &str) -> Result<i64> {
    let job: Uuid = job_id.parse()?;
    let first: Vec<u8> = sqlx::query_scalar("SELECT event_payload FROM jobs.outbox WHERE ordering_key = $1")
        .bind(job_id)
        .fetch_one(&mut *connection)
        .await?;
    let event_id = Uuid::now_v7();
    let envelope = Envelope { event_id: event_id.to_string(), key_seq: 2, ..decode(&first)? };
    sqlx::query("UPDATE jobs.jobs SET seq = 2 WHERE job_id = $1").bind(job).execute(&mut *connection).await?;
    let history = "INSERT INTO jobs.job_events (job_id, seq, tenant_id, project_id, event_id, from_state, to_state, attempt, fence, \
                   actor_id, detail, occurred_at, request_id, traceparent) \
                   SELECT job_id, 2, tenant_id, project_id, $2, 'queued', 'queued', attempt, fence, actor_id, detail, \
                   clock_timestamp(), request_id, traceparent FROM jobs.job_events WHERE job_id = $1 AND seq = 1";
    sqlx::query(history).bind(job).bind(event_id).execute(&mut *connection).await?;
    let event = "INSERT INTO jobs.outbox (slot, outbox_id, shard, tenant_id, project_id, ordering_key, key_seq, event_name, \
                 event_payload, traceparent, created_at) \
                 SELECT slot, $2, shard, tenant_id, project_id, ordering_key, 2, event_name, $3, traceparent, clock_timestamp() \
                 FROM jobs.outbox WHERE ordering_key = $1 RETURNING position";
    Ok(sqlx::query_scalar(event).bind(job_id).bind(event_id).bind(encode(&envelope)).fetch_one(connection).await?)
}

/// What the streams no longer hold is served from the outbox: trimmed, and with another life in their place.
#[test]
fn what_the_streams_no_longer_hold_comes_from_the_outbox() -> Result<()> {
    run(async {
        let (stack, tenant) = (stack().start().await?, tenant());
        let alice = api(&stack, 0, user("alice", &tenant))?;
        let begun = alice.watch(watch_project(PROJECT)).await?.token;
        submit(&alice, 100).await?;
        published(&stack).await?;
        let mut middle = alice.watch(pb::WatchJobsRequest { catch_up_only: true, ..resumed(&begun) }).await?;
        middle.drained().await?;
        assert_eq!(middle.events.len(), 100);
        submit(&alice, 100).await?;
        published(&stack).await?;
        trim(&stack).await?;
        let expected = history(&stack, &tenant).await?;
        for flushed in [false, true] {
            if flushed {
                stack.redis.flush().await?;
                // The relay has noticed, and published again.
                submit(&alice, 1).await?;
                published(&stack).await?;
            }
            let mut all = alice.watch(pb::WatchJobsRequest { catch_up_only: true, ..resumed(&begun) }).await?;
            all.drained().await?;
            let mut half = alice.watch(pb::WatchJobsRequest { catch_up_only: true, ..resumed(&middle.token) }).await?;
            half.drained().await?;
            let expected = if flushed { history(&stack, &tenant).await? } else { expected.clone() };
            check_once(&all, &expected)?;
            let seen = [middle.seen(), half.seen()].concat();
            check(&seen, &expected)?;
            if !flushed {
                assert_eq!(half.events.len(), 100, "nothing comes again");
            }
        }
        Ok(())
    })
}

#[test]
fn a_token_older_than_events_are_kept_is_refused() -> Result<()> {
    run(async {
        let (stack, tenant) = (stack().jobs_env("TASKS__OUTBOX_KEEP_MS", 2000).start().await?, tenant());
        let alice = api(&stack, 0, user("alice", &tenant))?;
        let mut watch = alice.watch(watch_project(PROJECT)).await?;
        let old = watch.token.clone();
        let job_id = alice.submit_job(job()).await?.job_id;
        let first = alice.watch(pb::WatchJobsRequest { from_start: true, ..watch_job(&job_id) }).await?.token;
        let is_refused = || async {
            match alice.watch(resumed(&old)).await {
                Ok(_) => anyhow::bail!("not yet"),
                Err(status) => Ok(status),
            }
        };
        let status = eventually(is_refused, SOON).await?;
        assert_eq!(status.code(), tonic::Code::OutOfRange);
        refused(Err::<(), _>(status), Reason::Req416TokenExpired);
        // A watch that goes on is as old as its last token, not as its first.
        let renewed = async {
            loop {
                watch.next().await?;
                if let Ok(again) = alice.watch(resumed(&watch.token)).await {
                    return Ok::<_, tonic::Status>(again);
                }
            }
        };
        tokio::time::timeout(SOON, renewed).await??;
        // A job's history is kept for longer.
        alice.watch(pb::WatchJobsRequest { resume_token: first, ..watch_job(&job_id) }).await?;
        Ok(())
    })
}
