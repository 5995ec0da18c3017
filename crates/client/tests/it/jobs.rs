//! Jobs from submission to their end, as a caller sees them.

use std::{collections::BTreeSet, time::Duration};

use anyhow::Result;
use chrono::{TimeDelta, Utc};
use futures::TryStreamExt as _;
use holdfast_client::{
    Decision, IdempotencyKey, JobExt as _, JobFilter, JobState, NewDecision, NewJob, Reason, RiskTier,
};
use holdfast_testkit::eventually;

use crate::support::{PROJECT, SOON, Site, builder, echo, job, job_under, run};

fn all(project: &str) -> JobFilter {
    JobFilter { project: project.to_owned(), ..JobFilter::default() }
}

#[test]
fn a_job_is_submitted_once_and_waited_for() -> Result<()> {
    run(async {
        let site = Site::patient().await?;
        let jobs = site.owner()?.jobs();
        let key = IdempotencyKey::from_content("greeting", ["ada"]);
        let first = jobs.submit(job_under(key.clone(), "hello")).await?;
        let again = jobs.submit(job_under(key, "hello")).await?;
        assert_eq!((&first.job_id, first.replayed, first.generation), (&again.job_id, false, 1));
        assert!(again.replayed && first.window_end > Some(Utc::now() + TimeDelta::hours(23)));

        let stop = echo(site.worker()?);
        let done = jobs.wait(&first.job_id, SOON).await?;
        assert_eq!((done.state(), done.result_json::<String>()?), (JobState::Done, "hello".to_owned()));
        stop.cancel();

        let events: Vec<JobState> = jobs.events(&first.job_id).map_ok(|event| event.to_state()).try_collect().await?;
        assert_eq!(events, [JobState::Queued, JobState::Running, JobState::Done]);
        let anew = jobs.resubmit(&first.job_id, &IdempotencyKey::random()).await?;
        assert_eq!(jobs.get(&anew.job_id).await?.resubmits, first.job_id);
        Ok(())
    })
}

#[test]
fn what_a_job_is_told_arrives() -> Result<()> {
    run(async {
        let site = Site::patient().await?;
        let jobs = site.owner()?.jobs();
        let parent = jobs.submit(job(1)).await?.job_id;
        let at = Utc::now() + TimeDelta::hours(1);
        let told = NewJob {
            tenant: Some(site.tenant.clone()),
            tier: RiskTier::B,
            priority: 7,
            run_after: Some(at),
            run_budget: Some(Duration::from_millis(1_500)),
            max_attempts: Some(2),
            parent: Some(parent.clone()),
            ..job(2)
        };
        let kept = jobs.get(&jobs.submit(told).await?.job_id).await?;
        assert_eq!((kept.tier(), kept.priority, kept.max_attempts), (RiskTier::B, 7, 2));
        assert_eq!((kept.parent_job_id, kept.depth), (parent, 1));
        let budget = kept.constraints.and_then(|constraints| constraints.run_budget);
        assert_eq!(budget.map(Duration::try_from), Some(Ok(Duration::from_millis(1_500))));
        let run_after = holdfast_client::time(kept.run_after.as_ref()).expect("it has one");
        assert!((run_after - at).abs() < TimeDelta::microseconds(2), "{run_after} for {at}");
        Ok(())
    })
}

#[test]
fn many_jobs_take_several_calls_and_each_has_its_own_outcome() -> Result<()> {
    run(async {
        let site = Site::patient().await?;
        let jobs = site.owner()?.jobs();
        let (count, wrong) = (1_300, 700);
        let mut many: Vec<NewJob> =
            (0..count).map(|n: usize| job_under(IdempotencyKey::from_content("many", [n.to_string()]), n)).collect();
        many[wrong].intent = "Not An Intent".to_owned();
        let outcomes = jobs.submit_all(many.clone()).await;
        assert_eq!(outcomes.len(), count);
        let error = outcomes[wrong].as_ref().unwrap_err();
        assert!(error.is(Reason::Req400InvalidSchema) && error.fields[0].field.ends_with("intent"), "{error:?}");

        let again = jobs.submit_all(many).await;
        let ids = |outcomes: &[Result<_, _>]| {
            let submitted = outcomes.iter().flatten().map(|one: &holdfast_client::Submitted| one.job_id.clone());
            submitted.collect::<Vec<_>>()
        };
        assert_eq!(ids(&outcomes), ids(&again), "in the same order, under the same keys");
        assert!(again.iter().flatten().all(|one| one.replayed));

        // Three pages of them, each job once.
        let listed: Vec<_> = jobs.list(all(PROJECT)).try_collect().await?;
        let distinct: BTreeSet<&str> = listed.iter().map(|job| job.job_id.as_str()).collect();
        assert_eq!((listed.len(), distinct.len()), (count - 1, count - 1));
        let newest = jobs.list(all(PROJECT)).try_next().await?.expect("there are jobs");
        assert_eq!(Some(&newest.job_id), listed.first().map(|job| &job.job_id));
        let none: Vec<_> = jobs.list(JobFilter { states: vec![JobState::Done], ..all(PROJECT) }).try_collect().await?;
        assert!(none.is_empty());
        Ok(())
    })
}

#[test]
fn large_jobs_are_split_by_bytes_and_one_that_is_too_large_fails_alone() -> Result<()> {
    run(async {
        let site = Site::patient().await?;
        let jobs = site.owner()?.jobs();
        let of = |kib: usize| job("x".repeat(kib * 1024));
        let outcomes = jobs.submit_all([of(600), of(600), of(2_000), of(1)]).await;
        let ok: Vec<bool> = outcomes.iter().map(Result::is_ok).collect();
        assert_eq!(ok, [true, true, false, true], "{outcomes:?}");
        Ok(())
    })
}

#[test]
fn jobs_that_a_full_queue_refuses_are_sent_again() -> Result<()> {
    run(async {
        let site = Site::brief().await?;
        let jobs = site.owner()?.jobs();
        let outcomes = tokio::spawn(async move { jobs.submit_all((0..15).map(job)).await });
        let looking = site.owner()?.jobs();
        let queued =
            || async { looking.list(all(PROJECT)).try_collect::<Vec<_>>().await.is_ok_and(|jobs| jobs.len() == 10) };
        eventually(queued, SOON).await?;
        let stop = echo(site.worker()?);
        let outcomes = outcomes.await?;
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
        stop.cancel();

        // Nobody works on these, and the caller has no time.
        let token = site.stack.tokens.owner("ada", &site.tenant)?;
        let hasty = builder(&site.endpoint(), &token).call_timeout(Duration::from_secs(1)).build()?.jobs();
        let elsewhere = |n| NewJob { project: "stuck".into(), ..job(n) };
        let outcomes = hasty.submit_all((0..12).map(elsewhere)).await;
        let refused: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).collect();
        assert_eq!(refused.len(), 2);
        assert!(refused.iter().all(|error| error.is(Reason::Job503QueueUnavailable) && error.retry_after.is_some()));
        Ok(())
    })
}

#[test]
fn whoever_waits_hears_of_every_end() -> Result<()> {
    run(async {
        let site = Site::patient().await?;
        let jobs = site.owner()?.jobs();
        let cancelled = jobs.submit(job(1)).await?.job_id;
        let rejected = jobs.submit(NewJob { tier: RiskTier::C, ..job(2) }).await?.job_id;
        let deciding = async {
            jobs.cancel(&cancelled, "not needed", &IdempotencyKey::random()).await?;
            let (reason, key) = ("no".to_owned(), IdempotencyKey::random());
            let decision = NewDecision { decision: Decision::Reject, reason, corrects: None, key };
            let decided = jobs.decide(&rejected, decision.clone()).await?;
            assert!(!decided.replayed && jobs.decide(&rejected, decision).await?.replayed);
            Ok(decided.approval)
        };
        let (one, other, approval) =
            tokio::try_join!(jobs.wait(&cancelled, SOON), jobs.wait(&rejected, SOON), deciding)?;
        assert_eq!((one.state(), other.state()), (JobState::Cancelled, JobState::Rejected));
        assert_eq!(jobs.approvals(&rejected).await?, [approval]);
        let error = jobs.wait("01900000-0000-7000-8000-000000000000", SOON).await.unwrap_err();
        assert!(error.is(Reason::Job404NotFound), "what is not there will not end: {error:?}");
        Ok(())
    })
}
