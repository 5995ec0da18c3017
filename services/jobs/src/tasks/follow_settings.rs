//! Keeps this instance's copy of projects' settings up to date: when another one hints at a change, and by a slow poll.

use std::sync::Arc;
use std::time::Duration;

use holdfast_fault::Fault;
use tokio_util::sync::CancellationToken;

use crate::app::Core;
use crate::domain::job::Time;
use crate::domain::project::Project;
use crate::store::StoreError;
use crate::store::projects::projects_changed_since;

/// A change is told with a time from before its commit, and may be seen this much later than a later one: longer than any
/// transaction takes.
const COMMITS_WITHIN: Duration = Duration::from_secs(60);

/// Runs on every instance, until shutdown.
pub async fn follow_settings(core: Arc<Core>, period: Duration, shutdown: CancellationToken) {
    let wake = core.hints.wakes().settings;
    loop {
        tokio::select! {
            () = wake.notified() => {}
            () = tokio::time::sleep(period) => {}
            () = shutdown.cancelled() => return,
        }
        // What is known stays in force meanwhile; submissions need the same database.
        if let Err(fault) = run_once(&core).await {
            tracing::warn!(error_code = fault.wire_name(), cause = fault.causes(), "settings of projects not read");
        }
    }
}

pub(super) async fn run_once(core: &Core) -> Result<(), Fault> {
    let since = core.in_force.seen_up_to().map(|at| at - COMMITS_WITHIN);
    let changed = core.task_db.bounded(round(core, since)).await?;
    core.in_force.polled(changed);
    Ok(())
}

async fn round(core: &Core, since: Option<Time>) -> Result<Vec<Project>, StoreError> {
    let mut tx = core.task_db.begin().await?;
    let changed = projects_changed_since(&mut tx, since).await?;
    tx.rollback().await?;
    Ok(changed)
}
