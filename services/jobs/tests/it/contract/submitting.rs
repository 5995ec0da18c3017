//! SubmitJob: one job a key and window, whoever asks how often.

use anyhow::Result;
use chrono::{TimeDelta, Utc};
use holdfast_caller::Kind;
use holdfast_caller::issuer::TokenSpec;

use crate::support::*;

#[test]
fn a_repeated_submission_is_answered_with_the_first_job() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let alice = world.user("alice", &tenant);
        let request = job();

        let first = alice.submit_job(request.clone()).await?;
        assert!(!first.replayed);
        assert_eq!(first.generation, 1);
        assert_eq!(first.state(), pb::JobState::Queued);

        let second = alice.submit_job(request).await?;
        assert_eq!(second, pb::SubmitJobResponse { replayed: true, ..first });
        for table in ["jobs", "job_events", "outbox", "job_queue", "idempotency_heads", "idempotency_ledger"] {
            assert_eq!(rows::of_tenant(world.db.admin(), table, &tenant).await?, 1, "rows of {table}");
        }
        Ok(())
    })
}

#[test]
fn a_replay_tells_the_state_as_it_is_now() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let alice = world.user("alice", &tenant);
        let request = job();
        let submitted = alice.submit_job(request.clone()).await?;
        alice.cancel_job(cancel(&submitted.job_id)).await?;
        let replay = alice.submit_job(request).await?;
        assert_eq!((replay.job_id.as_str(), replay.state()), (submitted.job_id.as_str(), pb::JobState::Cancelled));
        Ok(())
    })
}

#[test]
fn every_field_with_a_meaning_makes_another_submission_of_it() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let alice = world.user("alice", &tenant);
        let first = job();
        alice.submit_job(first.clone()).await?;
        let soon = Utc::now() + TimeDelta::hours(1);
        for other in [
            first.clone().payload(json("{\"a\":1}")),
            first.clone().payload(binary(b"{}")),
            first.clone().priority(1),
            first.clone().infra(),
            first.clone().tier(pb::RiskTier::B),
            first.clone().not_before(soon),
            first.clone().attempts_at_most(2),
            first.clone().run_budget_s(60),
        ] {
            refused(alice.submit_job(other).await, Reason::Job409IdempotencyConflict);
        }
        assert_eq!(rows::of_tenant(world.db.admin(), "jobs", &tenant).await?, 1);
        Ok(())
    })
}

#[test]
fn a_key_may_be_used_anew_when_its_window_is_over() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let alice = world.user("alice", &tenant);
        let request = job().intent("short.window");
        let other = request.clone().payload(json("[1]"));

        let first = alice.submit_job(request).await?;
        refused(alice.submit_job(other.clone()).await, Reason::Job409IdempotencyConflict);
        let second = eventually(|| alice.submit_job(other.clone()), SOON).await?;
        assert_ne!(second.job_id, first.job_id);
        assert_eq!(second.generation, 2);
        assert!(!second.replayed);
        assert!(second.window_end.unwrap().seconds >= first.window_end.unwrap().seconds);

        let generations = sqlx::query_scalar::<_, i64>(
            "SELECT generation FROM jobs.idempotency_ledger WHERE tenant_id = $1 ORDER BY generation",
        );
        assert_eq!(
            generations.bind(tenant.as_str()).fetch_all(world.db.admin()).await?,
            [1, 2],
            "the history of the key"
        );
        Ok(())
    })
}

#[test]
fn many_callers_at_the_end_of_a_window_open_one_new_one() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let other = world.another_instance().await?;
        let tenant = tenant();
        let alice = world.user("alice", &tenant);
        let apis = [alice.clone(), alice.over(&other)];
        let request = job().intent("short.window");
        alice.submit_job(request.clone()).await?;

        // Until the window is over everybody is told of the first job; then exactly one opens the second.
        let callers = (0..16).map(|number: usize| {
            let (api, request) = (apis[number % 2].clone(), request.clone());
            async move {
                eventually(
                    || async {
                        let answer = api.submit_job(request.clone()).await?;
                        anyhow::ensure!(answer.generation == 2, "still in generation {}", answer.generation);
                        anyhow::Ok(answer)
                    },
                    SOON,
                )
                .await
            }
        });
        let answers = futures::future::try_join_all(callers).await?;
        assert!(answers.iter().all(|answer| answer.job_id == answers[0].job_id), "{answers:?}");
        assert_eq!(answers.iter().filter(|answer| !answer.replayed).count(), 1, "{answers:?}");
        Ok(())
    })
}

#[test]
fn concurrent_duplicates_through_two_instances_are_one_job() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let other = world.another_instance().await?;
        let tenant = tenant();
        let alice = world.user("alice", &tenant);
        let apis = [alice.clone(), alice.over(&other)];
        let request = job();
        let conflicting = request.clone().payload(json("[2]"));
        let calls = (0..64).map(|number: usize| {
            let request = if number % 4 == 3 { conflicting.clone() } else { request.clone() };
            let api = apis[number % 2].clone();
            async move { (number % 4 == 3, api.submit_job(request).await) }
        });
        let (mut winners, mut job_ids) = (Vec::new(), std::collections::BTreeSet::new());
        let mut refusals = 0;
        for (conflicting, outcome) in futures::future::join_all(calls).await {
            match outcome {
                Ok(answer) => {
                    job_ids.insert(answer.job_id);
                    winners.push((conflicting, answer.replayed));
                }
                refusal => {
                    refused(refusal, Reason::Job409IdempotencyConflict);
                    refusals += 1;
                }
            }
        }
        assert_eq!(job_ids.len(), 1);
        assert_eq!(winners.iter().filter(|(_, replayed)| !replayed).count(), 1);
        assert!(winners.iter().all(|(conflicting, _)| *conflicting == winners[0].0), "both payloads were taken");
        assert_eq!(refusals, if winners[0].0 { 48 } else { 16 });
        assert_eq!(rows::of_tenant(world.db.admin(), "jobs", &tenant).await?, 1);
        Ok(())
    })
}

#[test]
fn keys_of_two_actors_projects_and_intents_never_meet() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let (alice, bob) = (world.user("alice", &tenant), world.user("bob", &tenant));
        let request = job();
        let mut job_ids = std::collections::BTreeSet::new();
        for (api, request) in [
            (&alice, request.clone()),
            (&bob, request.clone()),
            (&alice, request.clone().project("beta")),
            (&alice, request.clone().intent("other.intent")),
        ] {
            let answer = api.submit_job(request).await?;
            assert!(!answer.replayed);
            job_ids.insert(answer.job_id);
        }
        assert_eq!(job_ids.len(), 4);
        Ok(())
    })
}

#[test]
fn a_service_that_acts_for_a_user_shares_the_users_keys() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let alice = world.user("alice", &tenant);
        let acting = TokenSpec { kind: Kind::Service, act: Some(actor("gateway")), ..user("alice", &tenant) };
        let gateway_for_alice = world.caller(acting);
        let gateway_itself = world.service("gateway", &tenant);
        let request = job();

        let first = alice.submit_job(request.clone()).await?;
        assert_eq!(alice.job(&first.job_id).await?.actor_id, "alice");
        let delegated = gateway_for_alice.submit_job(request.clone()).await?;
        assert_eq!((delegated.job_id.as_str(), delegated.replayed), (first.job_id.as_str(), true));
        let own = gateway_itself.submit_job(request).await?;
        assert_ne!(own.job_id, first.job_id);
        Ok(())
    })
}

#[test]
fn constraints_tighten_and_never_widen() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let alice = world.user("alice", &tenant());
        let tight = alice.submit_job(job().intent("quick.retry").attempts_at_most(2).run_budget_s(5)).await?;
        let seen = alice.job(&tight.job_id).await?;
        assert_eq!(seen.max_attempts, 2);
        assert_eq!(
            seen.constraints.and_then(|constraints| constraints.run_budget).map(|budget| budget.seconds),
            Some(5)
        );

        let loose = alice.submit_job(job().intent("quick.retry")).await?;
        let seen = alice.job(&loose.job_id).await?;
        assert_eq!(seen.max_attempts, 3);
        assert_eq!(
            seen.constraints.and_then(|constraints| constraints.run_budget).map(|budget| budget.seconds),
            Some(20 * 60)
        );

        let more = refused(
            alice.submit_job(job().intent("quick.retry").attempts_at_most(4)).await,
            Reason::Req400InvalidSchema,
        );
        assert_eq!(fields(&more), ["constraints.max_attempts"]);
        let longer = refused(alice.submit_job(job().run_budget_s(20 * 60 + 1)).await, Reason::Req400InvalidSchema);
        assert_eq!(fields(&longer), ["constraints.run_budget"]);
        Ok(())
    })
}

#[test]
fn a_job_is_not_leased_before_its_time() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let later = alice.submit_job(job().not_before(Utc::now() + TimeDelta::hours(1)).priority(9)).await?;
        let now = alice.submit_job(job()).await?;
        let leased = worker.lease_jobs(lease_waiting(10)).await?.jobs;
        assert_eq!(leased.iter().map(id_of).collect::<Vec<_>>(), [now.job_id]);
        assert_eq!(alice.job(&later.job_id).await?.state(), pb::JobState::Queued);

        let due = Utc::now() + TimeDelta::milliseconds(300);
        let soon = alice.submit_job(job().not_before(due)).await?;
        let leased = worker.lease_jobs(lease_waiting(10)).await?.jobs;
        assert_eq!(leased.iter().map(id_of).collect::<Vec<_>>(), [soon.job_id]);
        assert!(Utc::now() >= due, "leased before its time");

        let past = alice.submit_job(job().not_before(Utc::now() - TimeDelta::hours(1))).await?;
        let leased = worker.lease_jobs(lease_waiting(10)).await?.jobs;
        assert_eq!(leased.iter().map(id_of).collect::<Vec<_>>(), [past.job_id]);
        let far = job().not_before(Utc::now() + TimeDelta::days(8));
        assert_eq!(fields(&refused(alice.submit_job(far).await, Reason::Req400InvalidSchema)), ["run_after"]);
        Ok(())
    })
}

#[test]
fn jobs_of_a_project_are_leased_by_priority_then_age() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let mut submitted = Vec::new();
        for priority in [0, 9, 5, 0, 9] {
            submitted.push(alice.submit_job(job().priority(priority)).await?.job_id);
        }
        let mut leased = Vec::new();
        for _ in 0..submitted.len() {
            leased.extend(worker.lease_jobs(lease_waiting(1)).await?.jobs.iter().map(id_of));
        }
        let expected: Vec<String> = [1, 4, 2, 0, 3].into_iter().map(|index: usize| submitted[index].clone()).collect();
        assert_eq!(leased, expected);
        Ok(())
    })
}

#[test]
fn the_request_id_and_the_trace_go_with_the_job() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let trace_id = "4bf92f3577b34da6a3ce929d0e0e4736";
        let alice = world
            .user("alice", &tenant())
            .header("x-request-id", "request-of-alice")
            .header("traceparent", &format!("00-{trace_id}-00f067aa0ba902b7-01"))
            .header("tracestate", "vendor=opaque");
        let submitted = alice.submit_job(job()).await?;
        let seen = alice.job(&submitted.job_id).await?;
        assert_eq!((seen.request_id.as_str(), seen.trace_id.as_str()), ("request-of-alice", trace_id));
        let history = alice.history(&submitted.job_id).await?;
        assert_eq!((history[0].request_id.as_str(), history[0].trace_id.as_str()), ("request-of-alice", trace_id));
        let unknown = refused(alice.job(&uuid::Uuid::now_v7().to_string()).await, Reason::Job404NotFound);
        assert_eq!(unknown.request_id.as_deref(), Some("request-of-alice"));
        Ok(())
    })
}
