//! Keeps this instance's copy of the order registry up to date: migrations change it while instances run.

use holdfast_fault::Fault;
use holdfast_runtime::tasks::Report;

use crate::app::Core;
use crate::domain::order::Order;
use crate::store::StoreError;
use crate::store::maintenance::registry;

pub(super) async fn run_once(core: &Core) -> Result<Report, Fault> {
    let order = core.task_db.bounded(round(core)).await?;
    if *core.order() != order {
        tracing::info!(order = order.names(), "order of classes read");
        core.set_order(order);
    }
    Ok(Report::default())
}

async fn round(core: &Core) -> Result<Order, StoreError> {
    let mut tx = core.task_db.begin().await?;
    let order = registry(&mut tx).await?;
    tx.rollback().await?;
    Ok(order)
}
