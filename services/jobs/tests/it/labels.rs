//! What a job's data is and where it may be kept: kept with the job, inherited, refused where it may not be held.

use anyhow::Result;
use holdfast_caller::Role;
use holdfast_caller::issuer::TokenSpec;
use holdfast_events::unpack;
use holdfast_proto::events::v1::{JobQueued, JobWaitingHumanDecision};
use pb::Classification::{self, Internal, Public, Sensitive};
use pb::Residency::{self, Eu, Global, Us};

use crate::support::*;

trait Labelled: Sized {
    fn classified(self, classification: Classification) -> Self;
    fn residing(self, residency: Residency) -> Self;
}

impl Labelled for pb::SubmitJobRequest {
    fn classified(self, classification: Classification) -> Self {
        Self { classification: classification.into(), ..self }
    }

    fn residing(self, residency: Residency) -> Self {
        Self { residency: residency.into(), ..self }
    }
}

fn child(parent_job_id: &str) -> pb::SubmitJobRequest {
    pb::SubmitJobRequest { parent_job_id: parent_job_id.to_owned(), ..job() }
}

/// In the EU, for a tenant that has declared the EU and one that has declared the US.
fn in_the_eu(european: &holdfast_ids::TenantId, american: &holdfast_ids::TenantId) -> Settings {
    Settings::default().set("residency.region", "EU").with(&format!(
        r#"
            [[residency.tenants]]
            tenant = "{european}"
            residency = "EU"

            [[residency.tenants]]
            tenant = "{american}"
            residency = "US"
        "#
    ))
}

async fn labels(api: &Api, request: pb::SubmitJobRequest) -> Result<(Classification, Residency)> {
    let job = api.job(&api.submit_job(request).await?.job_id).await?;
    Ok((job.classification(), job.residency()))
}

#[test]
fn labels_are_kept_with_the_job_wherever_it_is_told_of() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let job_id = alice.submit_job(job().classified(Public).residing(Global)).await?.job_id;
        let seen = alice.job(&job_id).await?;
        assert_eq!((seen.classification(), seen.residency()), (Public, Global));
        let listed = alice.list_jobs(list()).await?.jobs.remove(0);
        assert_eq!((listed.classification(), listed.residency()), (Public, Global));
        let leased = worker.lease_jobs(lease_waiting(1)).await?.jobs.remove(0);
        assert_eq!((leased.classification(), leased.residency()), (Public, Global));
        let queued: JobQueued = unpack(&rows::events(world.db.admin(), &job_id).await?[0])?;
        assert_eq!((queued.classification.as_str(), queued.residency.as_str()), ("public", "global"));
        let waiting = alice.submit_job(job().tier(pb::RiskTier::C).classified(Sensitive)).await?.job_id;
        let waiting: JobWaitingHumanDecision = unpack(&rows::events(world.db.admin(), &waiting).await?[0])?;
        assert_eq!((waiting.classification.as_str(), waiting.residency.as_str()), ("sensitive", "global"));
        // What goes without saying.
        assert_eq!(labels(&alice, job()).await?, (Internal, Global));
        Ok(())
    })
}

#[test]
fn what_may_not_be_held_here_is_refused_and_leaves_nothing() -> Result<()> {
    run(async {
        let (european, american, other) = (tenant(), tenant(), tenant());
        let settings = in_the_eu(&european, &american).set("residency.classification_max", "internal");
        let world = World::with(settings).await?;
        let denied = async |tenant: &holdfast_ids::TenantId, request: pb::SubmitJobRequest, field: &str| {
            let refusal = refused(world.user("alice", tenant).submit_job(request).await, Reason::Policy403Denied);
            assert_eq!(fields(&refusal), [field]);
        };
        denied(&american, job(), "residency").await;
        denied(&american, job().residing(Us), "residency").await;
        denied(&american, job().residing(Eu), "residency").await;
        denied(&european, job().residing(Global), "residency").await;
        denied(&other, job().residing(Us), "residency").await;
        denied(&other, job().classified(Sensitive), "classification").await;
        for table in ["jobs", "job_events", "idempotency_heads", "outbox"] {
            let kept = [&european, &american, &other].map(|tenant| rows::of_tenant(world.db.admin(), table, tenant));
            assert_eq!(futures::future::try_join_all(kept).await?, [0, 0, 0], "{table}");
        }
        let (of_european, of_other) = (world.user("alice", &european), world.user("alice", &other));
        assert_eq!(labels(&of_european, job()).await?, (Internal, Eu));
        assert_eq!(labels(&of_other, job()).await?, (Internal, Eu), "the deployment's region");
        assert_eq!(labels(&of_other, job().residing(Global)).await?, (Internal, Global));
        // Each item of a batch by itself.
        let results = of_other.batch_submit_jobs(batch([job().residing(Us), job()])).await?.results;
        let Some(pb::batch_submit_jobs_result::Outcome::Error(status)) = &results[0].outcome else {
            anyhow::bail!("{results:?}")
        };
        assert_eq!(fields(&refused_item(status, Reason::Policy403Denied)), ["jobs[0].residency"]);
        assert!(matches!(results[1].outcome, Some(pb::batch_submit_jobs_result::Outcome::Job(_))));
        Ok(())
    })
}

#[test]
fn a_child_is_as_sensitive_as_its_parent_and_stays_where_that_is() -> Result<()> {
    run(async {
        let world = World::with(in_the_eu(&tenant(), &tenant())).await?;
        let alice = world.user("alice", &tenant());
        let parent = alice.submit_job(job().classified(Sensitive).residing(Eu)).await?.job_id;
        assert_eq!(labels(&alice, child(&parent)).await?, (Sensitive, Eu));
        assert_eq!(labels(&alice, child(&parent).classified(Public).residing(Eu)).await?, (Sensitive, Eu));
        let refusal = refused(alice.submit_job(child(&parent).residing(Global)).await, Reason::Policy403Denied);
        assert_eq!(fields(&refusal), ["residency"]);
        let parent = alice.submit_job(job().classified(Public).residing(Global)).await?.job_id;
        assert_eq!(labels(&alice, child(&parent)).await?, (Public, Global));
        assert_eq!(labels(&alice, child(&parent).classified(Sensitive).residing(Eu)).await?, (Sensitive, Eu));
        Ok(())
    })
}

#[test]
fn what_is_done_anew_keeps_its_labels_and_is_refused_where_they_are_no_longer_held() -> Result<()> {
    run(async {
        let (european, american) = (tenant(), tenant());
        let world = World::with(in_the_eu(&european, &american)).await?;
        let alice = world.user("alice", &european);
        let old = alice.submit_job(job().classified(Sensitive)).await?.job_id;
        alice.cancel_job(cancel(&old)).await?;
        let request = pb::ResubmitJobRequest { job_id: old, idempotency_key: fresh_key() };
        let anew = alice.resubmit_job(request.clone()).await?.job.expect("a job").job_id;
        let anew = alice.job(&anew).await?;
        assert_eq!((anew.classification(), anew.residency()), (Sensitive, Eu));
        let elsewhere = Settings::default().set("residency.region", "US");
        let instance = world.another_instance_with(&elsewhere).await?;
        let request = pb::ResubmitJobRequest { idempotency_key: fresh_key(), ..request };
        refused(alice.over(&instance).resubmit_job(request).await, Reason::Policy403Denied);
        Ok(())
    })
}

#[test]
fn labels_are_part_of_what_a_key_stands_for() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let alice = world.user("alice", &tenant());
        let request = job().classified(Sensitive).residing(Global);
        let first = alice.submit_job(request.clone()).await?;
        assert_eq!(alice.submit_job(request.clone()).await?.job_id, first.job_id);
        for other in [request.clone().classified(Public), request.clone().residing(Residency::Unspecified)] {
            refused(alice.submit_job(other).await, Reason::Job409IdempotencyConflict);
        }
        Ok(())
    })
}

/// A version of before the labels writes rows without them.
#[test]
fn jobs_of_earlier_versions_have_the_labels_that_go_without_saying() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let alice = world.user("alice", &tenant);
        let job_id = alice.submit_job(job().classified(Sensitive)).await?.job_id;
        sqlx::query("UPDATE jobs.jobs SET classification = DEFAULT, residency = DEFAULT WHERE job_id = $1::uuid")
            .bind(&job_id)
            .execute(world.db.admin())
            .await?;
        let seen = alice.job(&job_id).await?;
        assert_eq!((seen.classification(), seen.residency()), (Internal, Global));
        let owner = world.caller(TokenSpec::user(actor("olga"), tenant, Role::Owner));
        owner.cancel_job(cancel(&job_id)).await?;
        for (column, name) in [("classification", "secret"), ("residency", "Mars")] {
            let statement = format!("UPDATE jobs.jobs SET {column} = $1 WHERE job_id = $2::uuid");
            let unknown = sqlx::query(sqlx::AssertSqlSafe(statement)).bind(name).bind(&job_id);
            let error = unknown.execute(world.db.admin()).await.expect_err("no such label");
            assert!(error.to_string().contains(&format!("job_{column}_is_known")), "{error}");
        }
        Ok(())
    })
}
