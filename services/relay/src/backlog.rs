//! Counts what waits, for the gauges. The holder of shard 0 counts for all; the others report nothing waiting.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::{
    membership::Holdings,
    metrics,
    store::{Backlog, Store},
};

const EVERY: Duration = Duration::from_secs(1);

pub async fn run(store: Store, holdings: Arc<Holdings>, pending_max: i64, stop: CancellationToken) {
    let mut turn = tokio::time::interval(EVERY);
    turn.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while stop.run_until_cancelled(turn.tick()).await.is_some() {
        let counts = holdings.leases().iter().any(|lease| lease.shard == 0);
        if !counts {
            metrics::backlog(store.source(), Backlog { pending: 0, oldest_age_seconds: 0.0 });
            continue;
        }
        match store.outbox_backlog(pending_max).await {
            Ok(backlog) => metrics::backlog(store.source(), backlog),
            Err(error) => tracing::debug!(source = store.source().name(), %error, "backlog not counted"),
        }
    }
}
