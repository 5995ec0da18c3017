//! What jobs use of models: counted once, and the end of the work where a budget is exceeded.

use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result};
use holdfast_client::{
    BudgetOf, CancellationToken, Client, ErrorKind, Handler, IdempotencyKey, Job, JobError, JobState, ModelUsage,
    Reason, UsageError, Worker, WorkerSpec, json,
    pb::{Budget, BudgetScope},
};
use holdfast_testkit::eventually;

use crate::{
    proxy::Proxy,
    support::{INTENT, PROJECT, SOON, Site, builder, job, lively, run},
};

fn used(input_tokens: u32, cost_micro_usd: u64) -> ModelUsage {
    ModelUsage { input_tokens, cost_micro_usd, ..ModelUsage::of("acme", "large-3") }
}

fn work(client: Client, handler: impl Handler) -> CancellationToken {
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    tokio::spawn(async move {
        let spec = WorkerSpec::new("metered", [INTENT]);
        Worker::new(client, spec).run(handler, &stopped).await.expect("the worker ends well");
    });
    stop
}

/// Tokens and money.
fn counted(budget: &Budget) -> (i64, i64) {
    (budget.tokens.map_or(0, |amount| amount.used), budget.cost_micro_usd.map_or(0, |amount| amount.used))
}

#[test]
fn a_call_is_paid_for_once_by_its_name_and_again_in_another_attempt() -> Result<()> {
    run(async {
        let site = Site::patient().await?;
        let told = Arc::new(Mutex::new(Vec::new()));
        let log = told.clone();
        let handler = move |job: Job| {
            let log = log.clone();
            async move {
                let say = |line: String| log.lock().unwrap().push(line);
                for (call, tokens) in [("draft", 100), ("draft", 100), ("final", 50)] {
                    let recorded = job.record_usage(call, used(tokens, 7)).await?;
                    say(format!("{} {call} {}", job.attempt, recorded.replayed));
                }
                match job.record_usage("draft", used(1, 1)).await {
                    Err(UsageError::Failed(error)) => say(error.name()),
                    other => say(format!("{other:?}")),
                }
                if job.attempt == 1 { Err(JobError::retryable("again", "")) } else { Ok(json("done")?) }
            }
        };
        let stop = work(site.worker()?, handler);
        let owner = site.owner()?;
        let job_id = owner.jobs().submit(job(1)).await?.job_id;
        assert_eq!(owner.jobs().wait(&job_id, SOON).await?.state(), JobState::Done);
        stop.cancel();
        let of_attempt = |attempt: u32| {
            let lines = ["draft false", "draft true", "final false"].map(|line| format!("{attempt} {line}"));
            lines.into_iter().chain(["JOB_409_IDEMPOTENCY_CONFLICT".to_owned()])
        };
        let expected: Vec<String> = of_attempt(1).chain(of_attempt(2)).collect();
        assert_eq!(*told.lock().unwrap(), expected);
        assert_eq!(counted(&owner.usage().budget("", BudgetOf::Job(&job_id)).await?), (300, 28));
        Ok(())
    })
}

#[test]
fn the_work_ends_where_a_budget_does() -> Result<()> {
    run(async {
        let stack = lively().jobs_env("BUDGETS__JOB_TOKENS", 100).start().await?;
        let endpoint = stack.jobs[0].endpoint();
        let owner = builder(&endpoint, &stack.tokens.owner("ada", "acme")?).build()?;
        let stopped_by = Arc::new(Mutex::new(Vec::new()));
        let log = stopped_by.clone();
        let handler = move |job: Job| {
            let log = log.clone();
            async move {
                for call in 1.. {
                    if let Err(error) = job.record_usage(&format!("call-{call}"), used(30, 0)).await {
                        log.lock().unwrap().push((call, error.clone()));
                        return Err(error.into());
                    }
                }
                Err(JobError::permanent("no_end", "there is always one more call"))
            }
        };
        let stop = work(builder(&endpoint, &stack.tokens.worker("w", "acme")?).build()?, handler);
        let job_id = owner.jobs().submit(job(1)).await?.job_id;
        let ended = owner.jobs().wait(&job_id, SOON).await?;
        assert_eq!((ended.state(), ended.exceeded_budget.as_str()), (JobState::BudgetExceeded, "job.tokens"));
        eventually(|| async { !stopped_by.lock().unwrap().is_empty() }, SOON).await?;
        let stopped_by = stopped_by.lock().unwrap().clone();
        stop.cancel();
        let [(4, UsageError::Exceeded(exceeded))] = &stopped_by[..] else { panic!("{stopped_by:?}") };
        assert_eq!(exceeded.recorded.job_state(), JobState::BudgetExceeded);
        let budgets: Vec<&Budget> = exceeded.budgets().collect();
        assert_eq!(budgets.iter().map(|budget| budget.scope()).collect::<Vec<_>>(), [BudgetScope::Job]);
        assert_eq!((budgets[0].scope_id.as_str(), counted(budgets[0]).0), (job_id.as_str(), 120));

        // The money is spent, whatever has become of the job.
        let billing = builder(&endpoint, &stack.tokens.service("billing", "acme")?).build()?;
        let late = billing.usage().record(&job_id, &IdempotencyKey::random(), used(5, 0)).await;
        assert!(matches!(&late, Err(UsageError::Exceeded(late)) if !late.recorded.replayed), "{late:?}");
        let told = owner.usage().budget("", BudgetOf::Job(&job_id)).await?;
        assert_eq!((told.exceeded, counted(&told).0), (true, 125));
        Ok(())
    })
}

#[test]
fn usage_whose_answer_was_lost_is_recorded_once() -> Result<()> {
    run(async {
        let site = Site::patient().await?;
        let owner = site.owner()?;
        let job_id = owner.jobs().submit(job(1)).await?.job_id;
        let proxy = Proxy::start(site.stack.jobs[0].grpc_port).await?;
        let token = site.stack.tokens.service("billing", &site.tenant)?;
        let billing = builder(&proxy.endpoint(), &token).build()?;
        billing.usage().budget("", BudgetOf::Me).await?;
        proxy.lose_answer();
        let recorded = billing.usage().record(&job_id, &IdempotencyKey::random(), used(10, 3)).await?;
        assert_eq!((recorded.replayed, proxy.lost()), (true, 1));
        assert_eq!(counted(&owner.usage().budget("", BudgetOf::Job(&job_id)).await?), (10, 3));
        Ok(())
    })
}

#[test]
fn a_budget_is_asked_for_by_whose_it_is() -> Result<()> {
    run(async {
        let site = Site::patient().await?;
        let owner = site.owner()?;
        for (of, scope, scope_id) in [
            (BudgetOf::Me, BudgetScope::User, "ada"),
            (BudgetOf::Actor("bob"), BudgetScope::User, "bob"),
            (BudgetOf::Project(PROJECT), BudgetScope::Project, PROJECT),
            (BudgetOf::Tenant, BudgetScope::Tenant, site.tenant.as_str()),
        ] {
            let budget = owner.usage().budget(&site.tenant, of).await?;
            assert_eq!((budget.scope(), budget.scope_id.as_str(), budget.exceeded), (scope, scope_id, false));
            budget.resets_at.with_context(|| format!("{of:?} begins anew some time"))?;
        }
        let error = owner.usage().budget("", BudgetOf::Job("no-id")).await.unwrap_err();
        assert!(error.is(Reason::Req400InvalidSchema) && error.fields[0].field == "scope_id", "{error:?}");
        let job_id = owner.jobs().submit(job(1)).await?.job_id;
        let refused =
            site.service()?.usage().record(&job_id, &IdempotencyKey::random(), ModelUsage::of("", "large-3")).await;
        let Err(UsageError::Failed(error)) = refused else { panic!("{refused:?}") };
        assert!(matches!(error.kind, ErrorKind::Refused(Reason::Req400InvalidSchema | Reason::Req400MissingField)));
        assert_eq!(error.fields[0].field, "usages[0].provider");
        Ok(())
    })
}
