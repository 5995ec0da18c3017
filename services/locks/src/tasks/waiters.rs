//! Looks for all who wait here at once whether one of them can go on: for hints that were lost, and for all of them while Redis is away. A wait that no call of
//! this instance attends to, as after a commit that came to its end long after its answer was given up, is withdrawn.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use holdfast_fault::Fault;
use holdfast_ids::LeaseId;
use holdfast_runtime::tasks::Report;
use uuid::Uuid;

use crate::app::{App, Core};
use crate::domain::command::{Command, Unattended};
use crate::store::StoreError;
use crate::store::instances::{Wait, waiters_look};

/// What the look before found. One call that is just leaving, or just coming, is no reason for anything.
#[derive(Debug, Default)]
pub(super) struct Seen(Mutex<Before>);

#[derive(Debug, Default, Clone)]
struct Before {
    /// Fewer stood in queues than wait here.
    short: bool,
    unattended: HashSet<(LeaseId, Uuid)>,
}

pub(super) async fn run_once(app: &App, seen: &Seen) -> Result<Report, Fault> {
    let mut report = Report::default();
    let core = &app.core;
    let (standing, is_idle) = (core.waiters.standing(), core.waiters.count() == 0);
    let waits = core.task_db.bounded(round(core)).await?;
    let mut now = Before { short: waits.len() < standing, unattended: HashSet::new() };
    let before = std::mem::take(&mut *seen.0.lock().unwrap_or_else(PoisonError::into_inner));
    for wait in waits {
        if is_idle || !core.waiters.attends(wait.call_id) {
            if before.unattended.contains(&(wait.lease_id, wait.call_id)) {
                tracing::warn!(lease_id = %wait.lease_id, "a wait that no call attends to is withdrawn");
                let why = Unattended::Call(wait.call_id);
                app.command(Command::Abandon { tenant_id: wait.tenant_id, lease_id: wait.lease_id, why }).await?;
                report.did(1);
            } else {
                now.unattended.insert((wait.lease_id, wait.call_id));
            }
        } else if wait.is_ready {
            core.waiters.wake(wait.lease_id);
            report.did(1);
        }
    }
    if before.short && now.short {
        // Somebody was taken out of a queue without a word, as after this instance was away for too long: each of them looks.
        core.waiters.wake_all();
    }
    *seen.0.lock().unwrap_or_else(PoisonError::into_inner) = now;
    Ok(report)
}

async fn round(core: &Core) -> Result<Vec<Wait>, StoreError> {
    let mut tx = core.task_db.begin().await?;
    let judges = core.signs.may_judge(core.limits.instance_ttl);
    let waits = waiters_look(&mut tx, core.instance_id, judges).await?;
    tx.rollback().await?;
    Ok(waits)
}
