//! What a real service's refusals are in this crate's types.

use anyhow::Result;
use holdfast_client::{
    Decision, Error, ErrorKind, IdempotencyKey, JobState, NewDecision, NewJob, Reason, RiskTier, TokenFile, json,
};

use crate::support::{Site, builder, job, job_under, run};

fn fields(error: &Error) -> Vec<&str> {
    error.fields.iter().map(|violation| violation.field.as_str()).collect()
}

#[test]
fn each_refusal_has_its_reason_its_fields_and_its_ids() -> Result<()> {
    run(async {
        let site = Site::patient().await?;
        let jobs = site.owner()?.jobs();

        let malformed = NewJob { priority: 77, ..NewJob::new("", "No Intent", IdempotencyKey::random(), json(&1)?) };
        let error = jobs.submit(malformed).await.unwrap_err();
        assert!(error.kind == ErrorKind::Refused(Reason::Req400MissingField) || error.is(Reason::Req400InvalidSchema));
        assert!(fields(&error).contains(&"project_id"), "{error:?}");
        assert!(error.request_id.is_some() && error.trace_id.is_some(), "{error:?}");

        let error = jobs.get("nonsense").await.unwrap_err();
        assert_eq!((error.reason(), fields(&error)), (Some(Reason::Req400InvalidSchema), vec!["job_id"]));

        let error = jobs.get("01900000-0000-7000-8000-000000000000").await.unwrap_err();
        assert!(error.is(Reason::Job404NotFound) && !error.is_retryable() && !error.is_ambiguous());

        let key = IdempotencyKey::random();
        let submitted = jobs.submit(job_under(key.clone(), 1)).await?;
        let error = jobs.submit(job_under(key, 2)).await.unwrap_err();
        assert!(error.is(Reason::Job409IdempotencyConflict), "{error:?}");

        jobs.cancel(&submitted.job_id, "", &IdempotencyKey::random()).await?;
        let error = jobs.cancel(&submitted.job_id, "", &IdempotencyKey::random()).await.unwrap_err();
        assert!(error.is(Reason::Job409AlreadyTerminal), "{error:?}");
        Ok(())
    })
}

#[test]
fn who_may_not_is_told_so() -> Result<()> {
    run(async {
        let site = Site::patient().await?;
        let error = site.worker()?.jobs().submit(job(1)).await.unwrap_err();
        assert!(error.is(Reason::Auth403Role), "{error:?}");

        let other = NewJob { tenant: Some("somebody-else".into()), ..job(1) };
        let error = site.owner()?.jobs().submit(other).await.unwrap_err();
        assert!(error.is(Reason::Auth403Scope), "{error:?}");

        let error = builder(&site.endpoint(), "garbage").build()?.jobs().get("x").await.unwrap_err();
        assert!(error.is(Reason::Auth401InvalidToken), "{error:?}");

        let nameless = holdfast_client::Client::builder(site.endpoint()).build()?;
        let error = nameless.jobs().get("x").await.unwrap_err();
        assert!(error.is(Reason::Auth401MissingToken), "{error:?}");

        let missing = TokenFile("/nonexistent/token".into());
        let nobody = holdfast_client::Client::builder(site.endpoint()).token(missing).build()?;
        let error = nobody.jobs().get("x").await.unwrap_err();
        assert!(error.kind == ErrorKind::NoToken && error.message.contains("/nonexistent/token"), "{error:?}");
        Ok(())
    })
}

#[test]
fn a_second_decision_is_a_conflict() -> Result<()> {
    run(async {
        let site = Site::patient().await?;
        let jobs = site.owner()?.jobs();
        let submitted = jobs.submit(NewJob { tier: RiskTier::C, ..job(1) }).await?;
        assert_eq!(submitted.state, JobState::WaitingHumanDecision);
        let decision = |decision, reason: &str| NewDecision {
            decision,
            reason: reason.to_owned(),
            corrects: None,
            key: IdempotencyKey::random(),
        };
        jobs.decide(&submitted.job_id, decision(Decision::Reject, "too dangerous")).await?;
        let error = jobs.decide(&submitted.job_id, decision(Decision::Approve, "")).await.unwrap_err();
        assert!(error.is(Reason::Approval409DecisionConflict), "{error:?}");
        Ok(())
    })
}
