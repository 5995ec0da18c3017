//! BatchSubmitJobs: every item by itself, in the order sent.

use anyhow::Result;
use pb::batch_submit_jobs_result::Outcome;

use crate::support::*;

fn outcomes(response: pb::BatchSubmitJobsResponse) -> Vec<Outcome> {
    response.results.into_iter().map(|result| result.outcome.expect("every result has an outcome")).collect()
}

fn queued(outcome: &Outcome) -> &pb::SubmitJobResponse {
    match outcome {
        Outcome::Job(job) => job,
        Outcome::Error(status) => panic!("refused: {status:?}"),
    }
}

fn error(outcome: &Outcome) -> &tonic_types::Status {
    match outcome {
        Outcome::Error(status) => status,
        Outcome::Job(job) => panic!("not refused: {job:?}"),
    }
}

#[test]
fn items_are_answered_in_the_order_sent() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let alice = world.user("alice", &tenant);
        let jobs: Vec<_> = (0..300).map(|number| job().payload(json(&format!("{{\"n\":{number}}}")))).collect();
        let answers = outcomes(alice.batch_submit_jobs(batch(jobs.clone())).await?);
        assert_eq!(answers.len(), jobs.len());
        for (request, answer) in jobs.iter().zip(&answers).step_by(29) {
            let seen = alice.job(&queued(answer).job_id).await?;
            assert_eq!((&seen.payload, &seen.idempotency_key), (&request.payload, &request.idempotency_key));
        }
        for (first, again) in answers.iter().zip(outcomes(alice.batch_submit_jobs(batch(jobs)).await?)) {
            assert_eq!(*queued(&again), pb::SubmitJobResponse { replayed: true, ..queued(first).clone() });
        }
        assert_eq!(rows::of_tenant(world.db.admin(), "jobs", &tenant).await?, 300);
        Ok(())
    })
}

#[test]
fn duplicates_within_a_batch_are_folded_onto_the_first() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let alice = world.user("alice", &tenant);
        let (one, two) = (job(), job());
        let conflicting = one.clone().payload(json("[1]"));
        let sent = [one.clone(), two.clone(), one.clone(), conflicting.clone(), two.clone().payload(json(" { } "))];
        let answers = outcomes(alice.batch_submit_jobs(batch(sent.clone())).await?);
        assert!(!queued(&answers[0]).replayed && !queued(&answers[1]).replayed);
        assert_eq!(queued(&answers[2]).job_id, queued(&answers[0]).job_id);
        assert!(queued(&answers[2]).replayed);
        refused_item(error(&answers[3]), Reason::Job409IdempotencyConflict);
        assert_eq!(queued(&answers[4]).job_id, queued(&answers[1]).job_id);
        assert_eq!(rows::of_tenant(world.db.admin(), "jobs", &tenant).await?, 2);

        // The same against what is stored: also where the first of the fold is the one that conflicts.
        let answers = outcomes(alice.batch_submit_jobs(batch([conflicting, one, two])).await?);
        refused_item(error(&answers[0]), Reason::Job409IdempotencyConflict);
        assert!(queued(&answers[1]).replayed && queued(&answers[2]).replayed);
        Ok(())
    })
}

#[test]
fn a_bad_item_does_not_fail_its_neighbours() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let alice = world.user("alice", &tenant);
        let answers = outcomes(
            alice
                .batch_submit_jobs(batch([
                    job(),
                    job().project(""),
                    job().payload(json("{")),
                    job().payload(json("{")).key(""),
                    job().project("Not A Project").priority(10),
                    job(),
                ]))
                .await?,
        );
        queued(&answers[0]);
        assert_eq!(fields(&refused_item(error(&answers[1]), Reason::Req400MissingField)), ["jobs[1].project_id"]);
        assert_eq!(fields(&refused_item(error(&answers[2]), Reason::Req400InvalidSchema)), ["jobs[2].payload.data"]);
        assert_eq!(fields(&refused_item(error(&answers[3]), Reason::Req400MissingField)), ["jobs[3].idempotency_key"]);
        let both = refused_item(error(&answers[4]), Reason::Req400InvalidSchema);
        assert_eq!(fields(&both), ["jobs[4].project_id", "jobs[4].priority"], "every violation at once");
        queued(&answers[5]);
        assert_eq!(rows::of_tenant(world.db.admin(), "jobs", &tenant).await?, 2);
        Ok(())
    })
}

#[test]
fn a_batch_may_mix_tenants_of_the_token() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let (here, there, elsewhere) = (tenant(), tenant(), tenant());
        let both = world.caller(user("alice", &here).tenants([here.clone(), there.clone()]));
        let request = job();
        let answers = outcomes(
            both.batch_submit_jobs(batch([
                request.clone().tenant(&here),
                request.clone().tenant(&there),
                request.clone().tenant(&elsewhere),
                request,
            ]))
            .await?,
        );
        assert_ne!(queued(&answers[0]).job_id, queued(&answers[1]).job_id);
        assert!(!queued(&answers[1]).replayed, "equal keys of two tenants are two jobs");
        refused_item(error(&answers[2]), Reason::Auth403Scope);
        assert_eq!(fields(&refused_item(error(&answers[3]), Reason::Req400MissingField)), ["jobs[3].tenant_id"]);
        assert_eq!(rows::of_tenant(world.db.admin(), "jobs", &elsewhere).await?, 0);
        refused(world.user("alice", &here).job(&queued(&answers[1]).job_id).await, Reason::Job404NotFound);
        Ok(())
    })
}
