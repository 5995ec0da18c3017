//! Takes those out of their queues who waited through an instance that is gone, so that nobody behind them, and nothing that was reserved for them, waits
//! for it.

use futures::future::try_join_all;
use holdfast_fault::Fault;
use holdfast_ids::{LeaseId, TenantId};
use holdfast_runtime::tasks::Report;

use crate::app::App;
use crate::domain::command::{Command, Outcome, Unattended};
use crate::metrics;
use crate::store::StoreError;
use crate::store::instances::{instances_forget, waits_abandoned};

/// Of one round; those that are left wait for the next.
const LEASES_MAX: i64 = 1000;

pub(super) async fn run_once(app: &App) -> Result<Report, Fault> {
    let mut report = Report::default();
    if !app.core.signs.may_judge(app.core.limits.instance_ttl) {
        return Ok(report);
    }
    let abandoned = app.core.task_db.bounded(look(app)).await?;
    let commands = abandoned.into_iter().map(|(lease_id, tenant_id)| Command::Abandon {
        tenant_id,
        lease_id,
        why: Unattended::Instance,
    });
    // Together, so that they share transactions. Each is looked at again under lock: its instance, or its caller through another one, may be back.
    let outcomes = try_join_all(commands.map(|command| app.command(command))).await?;
    let left = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Ended { .. })).count();
    if left > 0 {
        tracing::info!(left, "waits of instances that are gone were ended");
        metrics::abandoned(left);
    }
    app.core.task_db.bounded(forget(app)).await?;
    report.did(left as u64);
    Ok(report)
}

async fn look(app: &App) -> Result<Vec<(LeaseId, TenantId)>, StoreError> {
    let mut tx = app.core.task_db.begin().await?;
    let abandoned = waits_abandoned(&mut tx, LEASES_MAX).await?;
    tx.rollback().await?;
    Ok(abandoned)
}

async fn forget(app: &App) -> Result<u64, StoreError> {
    let mut tx = app.core.task_db.begin().await?;
    let forgotten = instances_forget(&mut tx).await?;
    tx.commit().await?;
    Ok(forgotten)
}
