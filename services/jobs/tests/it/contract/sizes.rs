//! What is answered fits into what clients take: 4 MiB, where they are not told otherwise.

use anyhow::Result;
use prost::Message as _;

use crate::support::*;

const CLIENTS_TAKE: usize = 4 * 1024 * 1024;

#[test]
fn large_payloads_are_leased_in_answers_that_clients_take() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        for _ in 0..7 {
            alice.submit_job(job().payload(binary(&[7; 960 * 1024]))).await?;
        }
        let mut counts = Vec::new();
        while counts.iter().sum::<usize>() < 7 {
            let answer = worker.lease_jobs(lease_waiting(100)).await?;
            assert!(answer.encoded_len() < CLIENTS_TAKE, "{} bytes", answer.encoded_len());
            assert!(!answer.jobs.is_empty());
            counts.push(answer.jobs.len());
        }
        assert_eq!(counts, [3, 3, 1]);
        Ok(())
    })
}

#[test]
fn pages_are_cut_to_what_clients_take_and_go_on_where_they_were_cut() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let alice = world.user("alice", &tenant);
        let mut submitted = Vec::new();
        for chunk in 0..4 {
            let request = batch((0..250).map(|_| job()));
            for result in alice.batch_submit_jobs(request).await?.results {
                match result.outcome {
                    Some(pb::batch_submit_jobs_result::Outcome::Job(job)) => submitted.push(job.job_id),
                    other => panic!("in chunk {chunk}: {other:?}"),
                }
            }
        }
        // As long as the contract lets a failure be, in characters of four bytes.
        sqlx::query(
            "UPDATE jobs.jobs SET failure_code = 'long', failure_message = repeat(U&'\\+01F9A9', 1024), failed_at = now() \
             WHERE tenant_id = $1",
        )
        .bind(tenant.as_str())
        .execute(world.db.admin())
        .await?;
        let mut listed = Vec::new();
        let mut request = pb::ListJobsRequest { project_id: PROJECT.to_owned(), page_size: 1000, ..Default::default() };
        loop {
            let page = alice.list_jobs(request.clone()).await?;
            assert!(page.encoded_len() < CLIENTS_TAKE, "{} bytes", page.encoded_len());
            listed.extend(page.jobs.into_iter().map(|job| job.job_id));
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
        submitted.sort_unstable_by(|one, other| other.cmp(one));
        assert_eq!(listed, submitted);
        Ok(())
    })
}
