//! Background work: each task does a bounded amount in `run_once`, is safe to repeat, and runs on one instance at a time.

mod clear_leftovers;
mod end_over_budget;
mod follow_settings;
mod holds;
mod make_partitions;
mod measure_growth;
mod measure_outbox;
mod promote_due;
mod prune_budgets;
mod queue_clock;
mod reconcile_budgets;
mod remind;
mod settle;
mod sweep;
mod turn_outbox_ring;
mod watch_growth;

use std::sync::Arc;

use holdfast_fault::Fault;
use holdfast_pg::leadership::TaskLease;
use holdfast_runtime::tasks::{Report, TaskSet};
use tokio::sync::Mutex;
use uuid::Uuid;

pub use self::follow_settings::follow_settings;
use self::sweep::Sweep;
use crate::app::Core;
use crate::config::Tasks;
use crate::store::StoreError;

const SCHEMA: &str = "jobs";

/// Starts every task. Those that change what all instances share run under a lease row; each instance measures for itself.
pub fn start(core: &Arc<Core>, config: &Tasks, holder: &str, tasks: &mut TaskSet) {
    let lease = |task| Some(TaskLease::new(core.task_db.clone(), SCHEMA, task, holder, config.leadership_ttl()));
    let config = *config;

    let expiring = core.clone();
    tasks.spawn("lease_expiry", config.lease_expiry_period(), lease("lease_expiry"), move || {
        let core = expiring.clone();
        async move { Sweep::Leases.run_once(&core).await }
    });
    let promoting = core.clone();
    tasks.spawn("due_jobs", config.due_jobs_period(), lease("due_jobs"), move || {
        let core = promoting.clone();
        async move { promote_due::run_once(&core).await }
    });
    let deciding = core.clone();
    tasks.spawn("decision_clock", config.decision_clock_period(), lease("decision_clock"), move || {
        let core = deciding.clone();
        async move { Sweep::Decisions.run_once(&core).await }
    });
    let reminding = core.clone();
    tasks.spawn("decision_reminders", config.decision_reminders_period(), lease("decision_reminders"), move || {
        let core = reminding.clone();
        async move { remind::run_once(&core).await }
    });
    let aging = core.clone();
    tasks.spawn("max_age", config.max_age_period(), lease("max_age"), move || {
        let core = aging.clone();
        async move { Sweep::Age.run_once(&core).await }
    });
    let (waiting, walk) = (core.clone(), Arc::<Mutex<queue_clock::Walk>>::default());
    tasks.spawn("queue_clock", config.queue_clock_period(), lease("queue_clock"), move || {
        let (core, walk) = (waiting.clone(), walk.clone());
        async move { queue_clock::run_once(&core, config.queue_clock_period(), &walk).await }
    });
    let (clearing, after) = (core.clone(), Arc::<Mutex<Uuid>>::default());
    tasks.spawn("leftovers", config.leftovers_period(), lease("leftovers"), move || {
        let (core, after) = (clearing.clone(), after.clone());
        async move { clear_leftovers::run_once(&core, &after).await }
    });
    let settling = core.clone();
    tasks.spawn("settle", config.settle_period(), lease("settle"), move || {
        let core = settling.clone();
        async move { settle::run_once(&core).await }
    });
    let checking = core.clone();
    tasks.spawn("settle_check", config.settle_check_period(), lease("settle_check"), move || {
        let core = checking.clone();
        async move { settle::add_missing(&core).await }
    });
    let ending = core.clone();
    tasks.spawn("budget_sweep", config.budget_sweep_period(), lease("budget_sweep"), move || {
        let core = ending.clone();
        async move { end_over_budget::run_once(&core).await }
    });
    let comparing = core.clone();
    tasks.spawn("budget_counters", config.budget_counters_period(), lease("budget_counters"), move || {
        let core = comparing.clone();
        async move { reconcile_budgets::run_once(&core).await }
    });
    let holding = core.clone();
    tasks.spawn("holds", config.holds_period(), lease("holds"), move || {
        let core = holding.clone();
        async move { holds::run_once(&core).await }
    });
    let making = core.clone();
    tasks.spawn("partitions", config.partitions_period(), lease("partitions"), move || {
        let core = making.clone();
        async move { make_partitions::run_once(&core, config.partition_weeks_ahead).await }
    });
    let turning = core.clone();
    tasks.spawn("outbox_ring", config.outbox_ring_period(), lease("outbox_ring"), move || {
        let core = turning.clone();
        async move { turn_outbox_ring::run_once(&core, config.outbox_slot_age(), config.outbox_keep()).await }
    });
    let growing = core.clone();
    tasks.spawn("growth", config.growth_period(), lease("growth"), move || {
        let core = growing.clone();
        async move { watch_growth::run_once(&core).await }
    });
    let pruning = core.clone();
    tasks.spawn("budget_retention", config.growth_period(), lease("budget_retention"), move || {
        let core = pruning.clone();
        async move { prune_budgets::run_once(&core).await }
    });
    let sizing = core.clone();
    tasks.spawn("growth_gauges", config.growth_gauges_period(), None, move || {
        let core = sizing.clone();
        async move { measure_growth::run_once(&core, config.partition_weeks_ahead).await }
    });
    let measuring = core.clone();
    tasks.spawn("outbox_pending", config.outbox_pending_period(), None, move || {
        let core = measuring.clone();
        async move { measure_outbox::run_once(&core).await }
    });
}

/// What the service cannot run without, before it is ready: partitions, and what projects may do.
pub async fn prepare(core: &Core, weeks_ahead: i32) -> Result<(), Fault> {
    make_partitions::run_once(core, weeks_ahead).await?;
    follow_settings::run_once(core).await?;
    Ok(())
}

/// Rounds of at most `items_max` each, until one finds fewer: what is left after too many waits for the next run.
async fn rounds<R>(items_max: i64, round: impl Fn() -> R) -> Result<Report, Fault>
where
    R: Future<Output = Result<u64, StoreError>>,
{
    const ROUNDS_MAX: usize = 20;
    let mut report = Report::default();
    for _ in 0..ROUNDS_MAX {
        let did = round().await?;
        report.did(did);
        if did < items_max.unsigned_abs() {
            break;
        }
    }
    Ok(report)
}
