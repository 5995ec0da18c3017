//! The loop of one source: round after round while there is something to publish, otherwise a wait for a hint or the next poll.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use holdfast_redis::Listener;
use tokio_util::sync::CancellationToken;

use crate::{
    Parts, backlog, config::PublishConfig, domain::source::Source, membership::Holdings, metrics, publisher::Publisher,
};

const BACK_OFF_FIRST: Duration = Duration::from_millis(50);
const BACK_OFF_MAX: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Without a hint, how long until the outbox is looked at again.
    pub poll: Duration,
    /// From the start of one round to the start of the next, while rows trickle: they are then gathered into fewer,
    /// larger rounds. A backlog is drained without it.
    pub gather: Duration,
}

/// Publishes one source until told to stop. A round that has begun is finished; the leases are given up.
pub async fn run(parts: Parts, hints: Listener, config: PublishConfig, stop: CancellationToken) {
    let source = parts.store.source();
    let Parts { store, holdings, membership, publisher } = parts;
    tokio::join!(
        membership.run(config.renew_every(), stop.clone()),
        backlog::run(store, holdings.clone(), i64::from(config.pending_count_max), stop.clone()),
        publish(source, publisher, hints, holdings, config.pace(), stop),
    );
}

async fn publish(
    source: Source,
    mut publisher: Publisher,
    mut hints: Listener,
    holdings: Arc<Holdings>,
    pace: Pace,
    stop: CancellationToken,
) {
    let mut back_off = BACK_OFF_FIRST;
    while !stop.is_cancelled() {
        let begun = Instant::now();
        match publisher.run_once().await {
            Ok(round) => {
                back_off = BACK_OFF_FIRST;
                if round.more {
                    continue;
                }
                if round.published > 0 {
                    let left = pace.gather.saturating_sub(begun.elapsed());
                    stop.run_until_cancelled(tokio::time::sleep(left)).await;
                    continue;
                }
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = hints.woken() => {}
                    () = holdings.changed() => {}
                    () = tokio::time::sleep(pace.poll) => {}
                }
            }
            Err(error) => {
                metrics::round_failed(source, error.component());
                tracing::warn!(source = source.name(), %error, retry_in_ms = back_off.as_millis() as u64, "round failed");
                stop.run_until_cancelled(tokio::time::sleep(back_off)).await;
                back_off = (back_off * 2).min(BACK_OFF_MAX);
            }
        }
    }
}
