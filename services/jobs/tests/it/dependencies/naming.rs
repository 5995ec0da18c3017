//! What may be named as a dependency.

use anyhow::Result;
use holdfast_ids::ProjectId;
use pb::OnFailure;

use super::{after, on, submitted};
use crate::support::*;

#[test]
fn a_dependency_out_of_reach_is_none() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let (here, elsewhere) = (tenant(), tenant());
        let alice = world.user("alice", &here);
        let (known, other) = (submitted(&alice, job()).await?, submitted(&alice, job().project("beta")).await?);
        let foreign = submitted(&world.user("alice", &elsewhere), job()).await?;
        let of_alpha = world.caller(user("alice", &here).projects([ProjectId::parse(PROJECT)?]));
        let of_both = world.caller(user("alice", &here).tenants([here.clone(), elsewhere.clone()]));
        let unknown = uuid::Uuid::now_v7().to_string();
        for (caller, hidden) in [(&alice, &foreign), (&alice, &unknown), (&of_alpha, &other), (&of_both, &foreign)] {
            let request = after([&known, hidden]).tenant(&here);
            let received = refused(caller.submit_job(request).await, Reason::Job404NotFound);
            assert_eq!(fields(&received), ["dependencies[1].job_id"]);
        }
        // Another project is none where the caller may see it.
        submitted(&alice, after([&known, &other])).await?;
        Ok(())
    })
}

#[test]
fn a_child_cannot_wait_for_those_on_whose_behalf_it_is_done() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let alice = world.user("alice", &tenant());
        let child = |parent_job_id: &str| pb::SubmitJobRequest { parent_job_id: parent_job_id.to_owned(), ..job() };
        let top = submitted(&alice, job()).await?;
        let middle = submitted(&alice, child(&top)).await?;
        let sibling = submitted(&alice, child(&top)).await?;
        for ancestor in [&top, &middle] {
            let request = pb::SubmitJobRequest { dependencies: vec![on(ancestor, OnFailure::Run)], ..child(&middle) };
            refused(alice.submit_job(request).await, Reason::Job422DependencyCycle);
        }
        let request = pb::SubmitJobRequest { dependencies: vec![on(&sibling, OnFailure::Run)], ..child(&middle) };
        submitted(&alice, request).await?;
        Ok(())
    })
}

#[test]
fn dependencies_are_part_of_what_a_key_stands_for() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let alice = world.user("alice", &tenant());
        let (one, two) = (submitted(&alice, job()).await?, submitted(&alice, job()).await?);
        let request = after([&one, &two]);
        let first = submitted(&alice, request.clone()).await?;
        // Their order means nothing.
        let turned = pb::SubmitJobRequest {
            dependencies: request.dependencies.iter().rev().cloned().collect(),
            ..request.clone()
        };
        assert_eq!(submitted(&alice, turned).await?, first);
        let others =
            [vec![], vec![on(&one, OnFailure::Block)], vec![on(&one, OnFailure::Block), on(&two, OnFailure::Cancel)]];
        for dependencies in others {
            let other = pb::SubmitJobRequest { dependencies, ..request.clone() };
            refused(alice.submit_job(other).await, Reason::Job409IdempotencyConflict);
        }
        Ok(())
    })
}

#[test]
fn a_job_names_another_once_and_a_hundred_at_most() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let alice = world.user("alice", &tenant());
        let one = submitted(&alice, job()).await?;
        let received = refused(alice.submit_job(after([&one, &one])).await, Reason::Req400InvalidSchema);
        assert_eq!(fields(&received), ["dependencies[1]"]);
        let mut many = Vec::new();
        for _ in 0..101 {
            many.push(job());
        }
        let results = alice.batch_submit_jobs(batch(many)).await?.results;
        let ids: Vec<String> = results
            .into_iter()
            .filter_map(|result| match result.outcome {
                Some(pb::batch_submit_jobs_result::Outcome::Job(job)) => Some(job.job_id),
                _ => None,
            })
            .collect();
        let received = refused(alice.submit_job(after(&ids)).await, Reason::Req400InvalidSchema);
        assert_eq!(fields(&received), ["dependencies"]);
        let hundred = submitted(&alice, after(&ids[..100])).await?;
        assert_eq!(alice.job(&hundred).await?.blocked_by.len(), 100);
        Ok(())
    })
}
