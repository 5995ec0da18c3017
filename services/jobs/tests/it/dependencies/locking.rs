//! In which order what several transactions want is locked: jobs, then what they wait for, then projects.

use anyhow::{Result, bail, ensure};
use holdfast_pg::TenantScope;
use holdfast_testkit::Database;
use pb::JobState;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{after, comes_to, held, on, submitted};
use crate::support::*;

async fn locks(rival: &mut PgConnection, statement: &'static str, bound: &str) -> Result<()> {
    let rows = sqlx::query(statement).bind(bound).fetch_all(rival).await?;
    ensure!(!rows.is_empty(), "there is nothing to lock");
    Ok(())
}

/// Somebody ends a dependent of a failed job while that is done anew, and then wants the project's row: the new job, which
/// meets a worker that waits, must not have that yet.
#[test]
fn who_waits_for_a_dependent_holds_no_project() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let mut failed = submitted(&alice, job()).await?;
        let leased = held(&worker, &failed).await?;
        worker.fail_job(fail(&leased, false)).await?;
        let dependent = submitted(&alice, after([&failed])).await?;
        let mut session = worker.session(hello(4)).await?;
        // Until it meets the worker, which it does once the dispatcher has found that nothing else waits.
        for _ in 0..100 {
            let mut rival = world.db.admin().begin().await?;
            let row = "SELECT 1 FROM jobs.job_dependencies WHERE job_id = $1::uuid FOR UPDATE";
            locks(&mut rival, row, &dependent).await?;
            let request = pb::ResubmitJobRequest { job_id: failed, idempotency_key: fresh_key() };
            let resubmission = alice.resubmit_job(request);
            let rivalry = async {
                world.db.is_waited_for(&mut rival, 1).await?;
                let slots = "SELECT 1 FROM jobs.project_slots WHERE tenant_id = $1 FOR UPDATE NOWAIT";
                let outcome = locks(&mut rival, slots, tenant.as_str()).await;
                rival.rollback().await?;
                outcome
            };
            let (answer, rivalry) = tokio::join!(resubmission, rivalry);
            rivalry?;
            let anew = answer?.job.expect("a job");
            assert_eq!(alice.job(&dependent).await?.blocked_by, [anew.job_id.as_str()]);
            let leased = session.leased().await?;
            if anew.state() == JobState::Running {
                session.complete(&leased).await;
                comes_to(&alice, &dependent, JobState::Running).await?;
                return Ok(());
            }
            worker.fail_job(fail(&leased, false)).await?;
            failed = anew.job_id;
        }
        bail!("no job that was done anew ever met the worker that waits")
    })
}

/// Two statements that lock what the same dependents wait for begin with the same one, whatever order they are asked in.
#[test]
fn what_dependents_wait_for_is_locked_in_their_order() -> Result<()> {
    run(async {
        let (db, tenant) = (Database::create().await?, tenant());
        let (dependents, failed) = ([Uuid::now_v7(), Uuid::now_v7()], [Uuid::now_v7(), Uuid::now_v7()]);
        // The first of the failed blocks the last of the dependents.
        for (dependent, other) in [(dependents[0], failed[1]), (dependents[1], failed[0])] {
            sqlx::query("INSERT INTO jobs.job_dependencies VALUES ($1, $2, $3, 'block')")
                .bind(dependent)
                .bind(other)
                .bind(tenant.as_str())
                .execute(db.admin())
                .await?;
        }
        let (app, tenants) = (db.app()?, vec![tenant.to_string(); 2]);
        for name in ["dependencies_move", "dependencies_delete"] {
            let file = format!("{}/src/store/queries/{name}.sql", env!("CARGO_MANIFEST_DIR"));
            let statement = sqlx::AssertSqlSafe(std::fs::read_to_string(file)?);
            let mut rival = db.admin().begin().await?;
            let row = "SELECT 1 FROM jobs.job_dependencies WHERE job_id = $1::uuid FOR UPDATE NOWAIT";
            locks(&mut rival, row, &dependents[0].to_string()).await?;
            let mut tx = app.begin(&TenantScope::one(&tenant), None).await?;
            let statement = match name {
                "dependencies_move" => {
                    let anew = vec![Uuid::now_v7(), Uuid::now_v7()];
                    sqlx::query(statement).bind(failed.to_vec()).bind(anew).bind(tenants.clone())
                }
                "dependencies_delete" => {
                    sqlx::query(statement).bind(vec![dependents[1], dependents[0]]).bind(tenants.clone())
                }
                other => bail!("{other} is not asked"),
            };
            let rivalry = async {
                db.is_waited_for(&mut rival, 1).await?;
                let outcome = locks(&mut rival, row, &dependents[1].to_string()).await;
                rival.rollback().await?;
                outcome
            };
            let (done, rivalry) = tokio::join!(statement.fetch_all(&mut *tx), rivalry);
            done?;
            rivalry?;
            tx.rollback().await?;
        }
        Ok(())
    })
}

/// A failed job goes on blocking whom it blocks, and telling the others is no reason to wait for those.
#[test]
fn those_that_a_failed_job_goes_on_blocking_are_in_nobodys_way() -> Result<()> {
    run(async {
        let world = World::with(Settings::default()).await?;
        let alice = world.user("alice", &tenant());
        let failed = submitted(&alice, job()).await?;
        alice.cancel_job(cancel(&failed)).await?;
        let blocked = submitted(&alice, after([&failed])).await?;
        let mut rival = world.db.admin().begin().await?;
        locks(&mut rival, "SELECT 1 FROM jobs.jobs WHERE job_id = $1::uuid FOR UPDATE", &blocked).await?;
        let dependencies = vec![on(&failed, pb::OnFailure::Cancel)];
        let cancelled = submitted(&alice, pb::SubmitJobRequest { dependencies, ..job() }).await?;
        comes_to(&alice, &cancelled, JobState::Cancelled).await?;
        rival.rollback().await?;
        Ok(())
    })
}
