//! Lists and histories: complete, in order, page by page.

use std::collections::BTreeSet;

use anyhow::Result;
use uuid::Uuid;

use crate::support::*;

async fn all_pages(api: &Api, request: pb::ListJobsRequest) -> Result<Vec<pb::Job>> {
    let (mut jobs, mut page_token) = (Vec::new(), String::new());
    loop {
        let page = api.list_jobs(pb::ListJobsRequest { page_token, ..request.clone() }).await?;
        assert!(page.jobs.len() <= request.page_size as usize, "a page is not longer than asked");
        jobs.extend(page.jobs);
        if page.next_page_token.is_empty() {
            return Ok(jobs);
        }
        page_token = page.next_page_token;
    }
}

#[test]
fn a_list_is_complete_newest_first_and_without_payloads() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let alice = world.user("alice", &tenant);
        let mut submitted = Vec::new();
        for number in 0..7 {
            submitted.push(alice.submit_job(job().payload(json(&number.to_string()))).await?.job_id);
        }
        alice.submit_job(job().project("beta")).await?;
        submitted.reverse();
        for page_size in [1, 3, 7, 1000] {
            let seen = all_pages(&alice, pb::ListJobsRequest { page_size, ..list() }).await?;
            assert_eq!(
                seen.iter().map(|job| job.job_id.clone()).collect::<Vec<_>>(),
                submitted,
                "pages of {page_size}"
            );
            assert!(seen.iter().all(|job| job.payload.is_none() && job.result.is_none()));
        }
        assert_eq!(alice.list_jobs(list()).await?.jobs.len(), 7, "fifty by default");
        Ok(())
    })
}

#[test]
fn a_list_is_filtered_by_state_and_intent() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let alice = world.user("alice", &tenant);
        let queued = alice.submit_job(job()).await?.job_id;
        let other = alice.submit_job(job().intent("other.intent")).await?.job_id;
        let cancelled = alice.submit_job(job()).await?.job_id;
        alice.cancel_job(cancel(&cancelled)).await?;
        for (states, intent, expected) in [
            (vec![pb::JobState::Queued], "", vec![&queued, &other]),
            (vec![pb::JobState::Cancelled], "", vec![&cancelled]),
            (vec![pb::JobState::Queued, pb::JobState::Cancelled], INTENT, vec![&queued, &cancelled]),
            (vec![], "other.intent", vec![&other]),
            (vec![pb::JobState::Done], "", vec![]),
        ] {
            let states = states.into_iter().map(Into::into).collect();
            let request = pb::ListJobsRequest { states, intent: intent.to_owned(), page_size: 1, ..list() };
            let seen: BTreeSet<_> = all_pages(&alice, request).await?.into_iter().map(|job| job.job_id).collect();
            assert_eq!(seen, expected.into_iter().cloned().collect());
        }
        Ok(())
    })
}

#[test]
fn a_page_token_belongs_to_its_listing() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let alice = world.user("alice", &tenant);
        for project in [PROJECT, PROJECT, "beta", "beta"] {
            alice.submit_job(job().project(project)).await?;
        }
        let first = pb::ListJobsRequest { page_size: 1, ..list() };
        let page_token = alice.list_jobs(first.clone()).await?.next_page_token;
        assert!(!page_token.is_empty());
        for foreign in [
            pb::ListJobsRequest { project_id: "beta".to_owned(), page_token: page_token.clone(), ..first.clone() },
            pb::ListJobsRequest { intent: INTENT.to_owned(), page_token: page_token.clone(), ..first.clone() },
            pb::ListJobsRequest { states: vec![1], page_token: page_token.clone(), ..first.clone() },
            pb::ListJobsRequest { page_token: "?".repeat(40), ..first.clone() },
            pb::ListJobsRequest { page_token: page_token.replace('-', "").chars().rev().collect(), ..first.clone() },
        ] {
            assert_eq!(fields(&refused(alice.list_jobs(foreign).await, Reason::Req400InvalidSchema)), ["page_token"]);
        }
        let other_tenant = world.user("alice", &crate::support::tenant());
        let foreign = other_tenant.list_jobs(pb::ListJobsRequest { page_token, ..first }).await;
        assert_eq!(fields(&refused(foreign, Reason::Req400InvalidSchema)), ["page_token"]);
        Ok(())
    })
}

/// Through every state that is not final, and back.
async fn much_travelled(world: &World, tenant: &holdfast_ids::TenantId) -> Result<String> {
    let (alice, worker) = (world.user("alice", tenant), world.worker("worker-1", tenant));
    let job_id = alice.submit_job(job().intent("quick.retry")).await?.job_id;
    let first = worker.lease_jobs(lease_waiting(1)).await?.jobs.remove(0);
    worker.fail_job(fail(&first, true)).await?;
    let second = worker.lease_jobs(lease_waiting(1)).await?.jobs.remove(0);
    worker.complete_job(complete(&second, json("1"))).await?;
    Ok(job_id)
}

#[test]
fn a_history_tells_every_transition() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let alice = world.user("alice", &tenant);
        let job_id = much_travelled(world, &tenant).await?;
        let history = alice.history(&job_id).await?;
        use pb::JobState::*;
        let moves: Vec<_> =
            history.iter().map(|event| (event.seq, event.from_state(), event.to_state(), event.attempt)).collect();
        assert_eq!(
            moves,
            [
                (1, Unspecified, Queued, 0),
                (2, Queued, Running, 1),
                (3, Running, Retrying, 1),
                (4, Retrying, Running, 2),
                (5, Running, Done, 2),
            ]
        );
        assert_eq!(history[0].actor_id, "alice");
        assert!(history[1..].iter().all(|event| event.actor_id == "worker-1" && event.worker_id == "worker-1"));
        assert!(history[2].detail.contains("disk_full"), "{:?}", history[2]);
        assert!(history[3].fencing_token > history[1].fencing_token && history[1].fencing_token > 0);
        let times: Vec<_> = history.iter().map(|event| event.occurred_at.map(|at| (at.seconds, at.nanos))).collect();
        assert!(times.is_sorted(), "{times:?}");

        let seen = alice.job(&job_id).await?;
        assert_eq!((seen.seq, seen.state(), seen.attempt), (5, Done, 2));
        assert_eq!(seen.last_failure.map(|failure| failure.code), Some("disk_full".to_owned()));
        Ok(())
    })
}

#[test]
fn every_entry_of_a_history_has_its_event_in_the_outbox() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let job_id = much_travelled(world, &tenant).await?;
        let history = world.user("alice", &tenant).history(&job_id).await?;
        let told: Vec<(String, i64, Uuid)> = sqlx::query_as(
            "SELECT event_name, key_seq, outbox_id FROM jobs.outbox WHERE ordering_key = $1 ORDER BY position",
        )
        .bind(&job_id)
        .fetch_all(world.db.admin())
        .await?;
        let names: Vec<_> = told.iter().map(|(name, _, _)| name.as_str()).collect();
        assert_eq!(names, ["job.queued", "job.running", "job.retrying", "job.running", "job.done"]);
        for (event, (_, key_seq, outbox_id)) in history.iter().zip(&told) {
            assert_eq!((event.seq, event.event_id.as_str()), (*key_seq, outbox_id.to_string().as_str()));
        }
        Ok(())
    })
}

#[test]
fn a_history_comes_page_by_page() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let alice = world.user("alice", &tenant);
        let job_id = much_travelled(world, &tenant).await?;
        let other = alice.submit_job(job()).await?.job_id;
        let (mut seqs, mut page_token, mut tokens) = (Vec::new(), String::new(), Vec::new());
        loop {
            let request = pb::ListJobEventsRequest { job_id: job_id.clone(), page_size: 2, page_token };
            let page = alice.list_job_events(request).await?;
            seqs.extend(page.events.iter().map(|event| event.seq));
            if page.next_page_token.is_empty() {
                break;
            }
            page_token = page.next_page_token;
            tokens.push(page_token.clone());
        }
        assert_eq!(seqs, [1, 2, 3, 4, 5]);
        let foreign = pb::ListJobEventsRequest { job_id: other, page_size: 2, page_token: tokens[0].clone() };
        assert_eq!(fields(&refused(alice.list_job_events(foreign).await, Reason::Req400InvalidSchema)), ["page_token"]);
        Ok(())
    })
}

#[test]
fn a_job_outside_the_callers_reach_does_not_exist() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let job_id = world.user("alice", &tenant).submit_job(job()).await?.job_id;
        let elsewhere = [holdfast_ids::ProjectId::parse("elsewhere")?];
        for outsider in
            [world.user("alice", &crate::support::tenant()), world.caller(user("bob", &tenant).projects(elsewhere))]
        {
            refused(outsider.job(&job_id).await, Reason::Job404NotFound);
            refused(outsider.history(&job_id).await, Reason::Job404NotFound);
            refused(outsider.cancel_job(cancel(&job_id)).await, Reason::Job404NotFound);
        }
        refused(world.user("alice", &tenant).job(&Uuid::now_v7().to_string()).await, Reason::Job404NotFound);
        Ok(())
    })
}
