//! Background work: each task does a bounded amount in `run_once`, and is safe to repeat.

mod abandoned;
mod expiry;
mod follow_registry;
mod instance;
mod make_partitions;
mod measure_outbox;
mod mirror;
mod turn_outbox_ring;
mod waiters;

use std::sync::Arc;

use holdfast_fault::Fault;
use holdfast_pg::leadership::TaskLease;
use holdfast_runtime::tasks::TaskSet;

pub use self::instance::stay_alive;
use crate::app::{App, Core};
use crate::config::Config;

const SCHEMA: &str = "locks";

/// Starts every task. Those that change what all instances share run under a lease row, but for the one that takes the waits of dead instances out of
/// their queues: it has to be quick whoever has died.
pub fn start(app: &App, config: &Config, tasks: &mut TaskSet) {
    let (core, rebuild_period, config) = (&app.core, config.mirror.rebuild_period(), config.tasks);
    let holder = core.instance_id.to_string();
    let lease =
        |task| Some(TaskLease::new(core.task_db.clone(), SCHEMA, task, holder.as_str(), config.leadership_ttl()));

    let expiring = app.clone();
    tasks.spawn("expiry", config.expiry_period(), lease("expiry"), move || {
        let app = expiring.clone();
        async move { expiry::run_once(&app).await }
    });
    let leaving = app.clone();
    tasks.spawn("abandoned", config.abandoned_period(), None, move || {
        let app = leaving.clone();
        async move { abandoned::run_once(&app).await }
    });
    let (looking, seen) = (app.clone(), Arc::<waiters::Seen>::default());
    tasks.spawn("waiters", core.limits.poll, None, move || {
        let (app, seen) = (looking.clone(), seen.clone());
        async move { waiters::run_once(&app, &seen).await }
    });
    let following = core.clone();
    tasks.spawn("registry", config.registry_period(), None, move || {
        let core = following.clone();
        async move { follow_registry::run_once(&core).await }
    });
    let owning_up = core.clone();
    tasks.spawn("mirror_missed", rebuild_period, None, move || {
        let core = owning_up.clone();
        async move { mirror::own_up(&core).await }
    });
    let rebuilding = core.clone();
    tasks.spawn("mirror", rebuild_period, lease("mirror"), move || {
        let core = rebuilding.clone();
        async move { mirror::run_once(&core).await }
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
    let measuring = core.clone();
    tasks.spawn("outbox_pending", config.outbox_pending_period(), None, move || {
        let core = measuring.clone();
        async move { measure_outbox::run_once(&core).await }
    });
}

/// What the service cannot run without, before it is ready: partitions, the order of classes, and a sign of life.
pub async fn prepare(core: &Core, weeks_ahead: i32) -> Result<(), Fault> {
    make_partitions::run_once(core, weeks_ahead).await?;
    follow_registry::run_once(core).await?;
    instance::run_once(core).await
}
