//! Signs of life of this instance. Who waits through it stands in the queues for as long as they come.

use std::sync::Arc;
use std::time::Duration;

use holdfast_fault::Fault;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::app::Core;
use crate::store::StoreError;
use crate::store::instances::instance_beat;

/// Two signs may be lost before the instance counts as gone.
const BEATS_PER_TTL: u32 = 3;

/// Until shutdown; then once more, so that those who waited here have as long as the instance had to find another one.
pub async fn stay_alive(core: Arc<Core>, shutdown: CancellationToken) {
    let period = core.limits.instance_ttl / BEATS_PER_TTL;
    loop {
        let due = Instant::now() + period;
        tokio::select! { biased; () = shutdown.cancelled() => break, () = sleep_until(due) => {} }
        beat(&core, period).await;
    }
    beat(&core, period).await;
}

async fn beat(core: &Core, within: Duration) {
    // One that is not answered in time is followed by the next.
    match timeout(within, run_once(core)).await {
        Ok(Ok(())) => {}
        Ok(Err(fault)) => {
            tracing::warn!(error_code = fault.wire_name(), cause = fault.causes(), "no sign of life could be given");
        }
        Err(_) => tracing::warn!("no sign of life could be given in time"),
    }
}

pub(super) async fn run_once(core: &Core) -> Result<(), Fault> {
    core.signs_db.bounded(round(core)).await?;
    core.signs.given(Instant::now(), core.limits.instance_ttl);
    Ok(())
}

async fn round(core: &Core) -> Result<(), StoreError> {
    let mut tx = core.signs_db.begin().await?;
    instance_beat(&mut tx, core.instance_id, core.limits.instance_ttl).await?;
    Ok(tx.commit().await?)
}
