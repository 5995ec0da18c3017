//! Batches whose items depend on each other.

use anyhow::Result;
use pb::batch_submit_jobs_result::Outcome;
use pb::{JobState, OnFailure};

use super::{comes_to, done, on, on_item};
use crate::support::*;

fn item(on: &[i32]) -> pb::SubmitJobRequest {
    pb::SubmitJobRequest { dependencies: on.iter().copied().map(on_item).collect(), ..job() }
}

async fn outcomes(api: &Api, jobs: Vec<pb::SubmitJobRequest>) -> Result<Vec<Outcome>> {
    let results = api.batch_submit_jobs(batch(jobs)).await?.results;
    Ok(results.into_iter().map(|result| result.outcome.expect("an outcome")).collect())
}

fn taken(outcome: &Outcome) -> &pb::SubmitJobResponse {
    match outcome {
        Outcome::Job(job) => job,
        Outcome::Error(status) => panic!("refused: {status:?}"),
    }
}

fn refusal(outcome: &Outcome, reason: Reason) -> holdfast_fault::Received {
    match outcome {
        Outcome::Job(job) => panic!("taken: {job:?}"),
        Outcome::Error(status) => refused_item(status, reason),
    }
}

#[test]
fn a_whole_graph_goes_in_one_batch_in_any_order() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        // A diamond, written from its end.
        let jobs = vec![item(&[1, 2]), item(&[3]), item(&[3]), item(&[])];
        let first = outcomes(&alice, jobs.clone()).await?;
        let ids: Vec<String> = first.iter().map(|outcome| taken(outcome).job_id.clone()).collect();
        let states: Vec<_> = first.iter().map(|outcome| taken(outcome).state()).collect();
        assert_eq!(states, [JobState::Blocked, JobState::Blocked, JobState::Blocked, JobState::Queued]);
        // Sent again, it is the same graph.
        for (outcome, job_id) in outcomes(&alice, jobs).await?.iter().zip(&ids) {
            assert_eq!((taken(outcome).replayed, &taken(outcome).job_id), (true, job_id));
        }
        let mut blocked_by = alice.job(&ids[0]).await?.blocked_by;
        blocked_by.sort();
        let mut expected = [ids[1].clone(), ids[2].clone()];
        expected.sort();
        assert_eq!(blocked_by, expected);
        done(&worker, &ids[3]).await?;
        for side in &ids[1..3] {
            comes_to(&alice, side, JobState::Queued).await?;
        }
        assert_eq!(alice.job(&ids[0]).await?.state(), JobState::Blocked);
        for leased in worker.lease_jobs(lease_waiting(2)).await?.jobs {
            worker.complete_job(complete(&leased, json("1"))).await?;
        }
        comes_to(&alice, &ids[0], JobState::Queued).await?;
        done(&worker, &ids[0]).await
    })
}

#[test]
fn circles_are_refused_and_the_rest_is_taken() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let alice = world.user("alice", &tenant);
        // On itself; two on each other; one behind those; one that has nothing to do with it.
        let outcomes = outcomes(&alice, vec![item(&[0]), item(&[2]), item(&[1]), item(&[2, 4]), item(&[])]).await?;
        for outcome in &outcomes[..4] {
            refusal(outcome, Reason::Job422DependencyCycle);
        }
        assert_eq!(taken(&outcomes[4]).state(), JobState::Queued);
        assert_eq!(rows::of_tenant(world.db.admin(), "jobs", &tenant).await?, 1);
        Ok(())
    })
}

#[test]
fn what_depends_on_a_refused_item_fails_as_it_did() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let alice = world.user("alice", &tenant());
        let outcomes =
            outcomes(&alice, vec![item(&[]).priority(10), item(&[0]), item(&[1]), item(&[9]), item(&[])]).await?;
        assert_eq!(fields(&refusal(&outcomes[0], Reason::Req400InvalidSchema)), ["jobs[0].priority"]);
        for outcome in &outcomes[1..3] {
            let received = refusal(outcome, Reason::Req400InvalidSchema);
            assert!(received.message.contains("on which it depends"), "{}", received.message);
        }
        let received = refusal(&outcomes[3], Reason::Req400InvalidSchema);
        assert_eq!(fields(&received), ["jobs[3].dependencies[0].batch_item"]);
        taken(&outcomes[4]);
        Ok(())
    })
}

#[test]
fn items_of_several_tenants_see_each_their_own() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let (here, elsewhere) = (tenant(), tenant());
        let of_both = world.caller(user("alice", &here).tenants([here.clone(), elsewhere.clone()]));
        let first = of_both.submit_job(job().tenant(&elsewhere)).await?.job_id;
        let after_first = || pb::SubmitJobRequest { dependencies: vec![on(&first, OnFailure::Block)], ..job() };
        let outcomes =
            outcomes(&of_both, [&here, &elsewhere].map(|tenant| after_first().tenant(tenant)).into()).await?;
        let received = refusal(&outcomes[0], Reason::Job404NotFound);
        assert_eq!(fields(&received), ["jobs[0].dependencies[0].job_id"]);
        assert_eq!(taken(&outcomes[1]).state(), JobState::Blocked);
        Ok(())
    })
}

#[test]
fn an_item_names_each_job_once_under_whatever_name() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let alice = world.user("alice", &tenant());
        let twin = job();
        let outcomes = outcomes(&alice, vec![twin.clone(), twin, item(&[0, 1])]).await?;
        assert_eq!(taken(&outcomes[0]).job_id, taken(&outcomes[1]).job_id);
        let received = refusal(&outcomes[2], Reason::Req400InvalidSchema);
        assert_eq!(fields(&received), ["jobs[2].dependencies[1]"]);
        let received = refused(alice.submit_job(item(&[0])).await, Reason::Req400InvalidSchema);
        assert_eq!(fields(&received), ["dependencies[0].batch_item"]);
        Ok(())
    })
}
