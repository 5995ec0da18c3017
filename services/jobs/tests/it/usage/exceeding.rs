//! What becomes of jobs whose budgets are exceeded.

use anyhow::Result;
use pb::work_response::Message as Out;
use pb::{BudgetScope, JobState};

use super::*;

/// A tenant for each budget, and one unit over it.
const CASES: [(&str, &str, (i64, i64)); 8] = [
    ("job.tokens", "job_tokens = 1000", (1001, 0)),
    ("job.cost", "job_cost_micro_usd = 50", (0, 51)),
    ("user.tokens", "user_day_tokens = 1000", (1001, 0)),
    ("user.cost", "user_day_cost_micro_usd = 50", (0, 51)),
    ("project.tokens", "project_day_tokens = 1000", (1001, 0)),
    ("project.cost", "project_day_cost_micro_usd = 50", (0, 51)),
    ("tenant.tokens", "tenant_month_tokens = 1000", (1001, 0)),
    ("tenant.cost", "tenant_month_cost_micro_usd = 50", (0, 51)),
];

fn tenant_of(name: &str) -> TenantId {
    TenantId::parse(&format!("over-{name}")).expect("a tenant")
}

fn with_cases() -> Settings {
    CASES.iter().fold(lively(), |settings, (name, limit, _)| {
        settings.with(&format!("[[budgets.tenants]]\ntenant = \"{}\"\n{limit}\n", tenant_of(name)))
    })
}

/// At its limit a budget holds; one beyond it ends the job, in the call that went beyond.
#[test]
fn each_budget_ends_the_job_that_exceeds_it() -> Result<()> {
    run(async {
        let world = World::with(with_cases()).await?;
        for (name, _, (tokens, cost)) in CASES {
            let tenant = tenant_of(name);
            let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
            let mut session = worker.session(hello(1)).await?;
            let job_id = alice.submit_job(job()).await?.job_id;
            let leased = session.leased().await?;
            let up_to = recorded(&worker, held(&leased, (tokens - 1).max(0), (cost - 1).max(0))).await?;
            assert_eq!((up_to.exceeded, up_to.job_state()), (false, JobState::Running), "{name}");
            let over = held(&leased, tokens.min(1), cost.min(1));
            let told = recorded(&worker, over.clone()).await?;
            assert_eq!(
                (told.exceeded, told.job_state(), told.replayed),
                (true, JobState::BudgetExceeded, false),
                "{name}"
            );

            // The lease is void at once, and its holder is told.
            let Out::Revoked(revoked) = session.next().await? else { panic!("{name}: not told") };
            assert_eq!(revoked.lease, leased.lease);
            refused_item(&revoked.cause.expect("a cause"), Reason::Job409AlreadyTerminal);
            refused(worker.complete_job(complete(&leased, json("7"))).await, Reason::Job409AlreadyTerminal);
            refused(alice.cancel_job(cancel(&job_id)).await, Reason::Job409AlreadyTerminal);
            let again = recorded(&worker, over).await?;
            assert!(again.replayed && again.exceeded && again.job_state() == JobState::BudgetExceeded, "{name}");

            let seen = alice.job(&job_id).await?;
            assert_eq!((seen.state(), seen.exceeded_budget.as_str(), seen.seq), (JobState::BudgetExceeded, name, 3));
            assert!(seen.finished_at.is_some());
            let history = alice.history(&job_id).await?;
            let last = history.last().expect("a history");
            assert_eq!((last.from_state(), last.to_state()), (JobState::Running, JobState::BudgetExceeded));
            assert!(last.actor_id == "worker-1" && last.detail.starts_with(&format!("{name}: ")), "{last:?}");
            let listed = alice.list_jobs(list()).await?.jobs;
            assert_eq!(listed[0].exceeded_budget, name);
            check_event(&world, &job_id, name).await?;
        }
        check_sums(world.db.admin()).await
    })
}

async fn check_event(world: &World, job_id: &str, name: &str) -> Result<()> {
    let sql = "SELECT event_payload FROM jobs.outbox WHERE ordering_key = $1 AND event_name = 'job.budget_exceeded'";
    let payloads: Vec<Vec<u8>> = sqlx::query_scalar(sql).bind(job_id).fetch_all(world.db.admin()).await?;
    let [payload] = payloads.as_slice() else { panic!("{} events", payloads.len()) };
    let envelope = holdfast_events::decode(payload)?;
    let data = envelope.data.expect("an event has data");
    let event: holdfast_proto::events::v1::JobBudgetExceeded = prost::Message::decode(data.value.as_slice())?;
    assert_eq!(format!("{}.{}", event.scope, event.measure), name);
    assert_eq!((event.used, event.limit, event.attempt), (event.limit + 1, event.limit, 1), "{event:?}");
    assert_eq!(event.resets_at.is_none(), event.scope == "job");
    Ok(())
}

/// The others that draw on it follow: those that would spend before it resets, and only those.
#[test]
fn an_exceeded_budget_ends_the_other_jobs_that_would_spend_on_it() -> Result<()> {
    run(async {
        let world = World::with(lively().set("budgets.project_day_tokens", 1000)).await?;
        let tenant = tenant();
        let (alice, bob, worker) =
            (world.user("alice", &tenant), world.user("bob", &tenant), world.worker("worker-1", &tenant));
        let elsewhere = running(&world, &tenant, "beta").await?;
        let (spender, other) = (running(&world, &tenant, "alpha").await?, running(&world, &tenant, "alpha").await?);
        let soon = chrono::Utc::now() + chrono::TimeDelta::seconds(5);
        let later = chrono::Utc::now() + chrono::TimeDelta::days(2);
        let waits = bob.submit_job(job().not_before(soon)).await?.job_id;
        let next_week = bob.submit_job(job().not_before(later)).await?.job_id;
        let undecided = bob.submit_job(job().tier(pb::RiskTier::C)).await?.job_id;

        recorded(&worker, held(&spender, 1001, 0)).await?;
        for (job_id, from) in [(id_of(&other), JobState::Running), (waits, JobState::Queued)] {
            let ended = || async {
                let history = alice.history(&job_id).await?;
                let last = history.last().expect("a history");
                anyhow::ensure!(last.to_state() == JobState::BudgetExceeded, "{last:?}");
                anyhow::Ok((last.from_state(), last.actor_id.clone(), last.detail.clone()))
            };
            let (was, actor, detail) = eventually(ended, SOON).await?;
            assert_eq!(
                (was, actor.as_str(), detail.as_str()),
                (from, "system:budgets", "project.tokens: 1001 used of 1000")
            );
        }
        refused(worker.complete_job(complete(&other, json("7"))).await, Reason::Job409AlreadyTerminal);
        for (job_id, state) in [
            (next_week, JobState::Queued),
            (undecided.clone(), JobState::WaitingHumanDecision),
            (id_of(&elsewhere), JobState::Running),
        ] {
            assert_eq!(alice.job(&job_id).await?.state(), state);
        }
        // Once it is approved it would spend.
        let olga = world.caller(holdfast_caller::issuer::TokenSpec::user(
            actor("olga"),
            tenant.clone(),
            holdfast_caller::Role::Owner,
        ));
        let approval = pb::DecideJobRequest {
            job_id: undecided.clone(),
            decision: pb::Decision::Approve.into(),
            idempotency_key: fresh_key(),
            ..Default::default()
        };
        olga.decide_job(approval).await?;
        let ended = || async { alice.job(&undecided).await.is_ok_and(|job| job.state() == JobState::BudgetExceeded) };
        eventually(ended, SOON).await?;
        check_sums(world.db.admin()).await
    })
}

/// A retrying job draws on its submitter's budget like any other.
#[test]
fn retrying_jobs_end_too() -> Result<()> {
    run(async {
        let world = World::with(lively().set("budgets.user_day_tokens", 1000)).await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        // Fails, and is retried in an hour.
        let job_id = alice.submit_job(job().intent("slow.retry")).await?.job_id;
        let leased = worker.lease_jobs(lease_waiting(1)).await?.jobs.remove(0);
        worker.fail_job(fail(&leased, true)).await?;
        let bobs = world.user("bob", &tenant).submit_job(job()).await?.job_id;
        let bobs_lease = worker.lease_jobs(lease_waiting(1)).await?.jobs.remove(0);
        let told = recorded(&worker, held(&leased, 1001, 0)).await?;
        assert_eq!(told.job_state(), JobState::BudgetExceeded);
        let history = alice.history(&job_id).await?;
        assert_eq!(history.last().expect("a history").from_state(), JobState::Retrying);
        // Of another submitter, and it goes on.
        worker.complete_job(complete(&bobs_lease, json("7"))).await?;
        assert_eq!(alice.job(&bobs).await?.state(), JobState::Done);
        assert_eq!(used(&told.budgets, BudgetScope::User), (1001, 0));
        Ok(())
    })
}

/// Off: usage is recorded and counted, and nothing comes of it.
#[test]
fn without_budgets_usage_is_only_recorded() -> Result<()> {
    run(async {
        let world = World::with(lively().set("budgets.enabled", false)).await?;
        let tenant = tenant();
        let leased = running(&world, &tenant, "alpha").await?;
        let worker = world.worker("worker-1", &tenant);
        let told = recorded(&worker, held(&leased, 1_000_000_000, 10_000_000_000)).await?;
        assert_eq!((told.exceeded, told.job_state()), (false, JobState::Running));
        world.user("alice", &tenant).submit_job(job()).await?;
        worker.complete_job(complete(&leased, json("7"))).await?;
        check_sums(world.db.admin()).await
    })
}
