//! The events of the operations streams.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use holdfast_events::{Envelope, EventData, StreamReader, VerifyingKeys, unpack};
use holdfast_proto::events::v1::{KillSwitchActivated, KillSwitchDeactivated};
use holdfast_redis::{Redis, RedisError};
use tokio_util::sync::CancellationToken;

use super::Heard;
use crate::app::Core;
use crate::domain::hold::{Scope, Switch};
use crate::metrics;

const DOMAIN: &str = "operations";
/// How soon a switch takes effect. Each look costs Redis a read of 16 short streams.
const POLL: Duration = Duration::from_millis(200);

pub(super) struct Events {
    core: Arc<Core>,
    redis: Redis,
    keys: VerifyingKeys,
    heard: Arc<Heard>,
}

/// A change of a switch, as its event says it.
struct Change {
    switch: Option<Switch>,
    version: u64,
    is_on: bool,
    reason: String,
    actor_id: String,
}

impl Events {
    pub(super) fn new(core: Arc<Core>, redis: Redis, keys: VerifyingKeys, heard: Arc<Heard>) -> Self {
        Self { core, redis, keys, heard }
    }

    pub(super) async fn run(self, shutdown: CancellationToken) {
        let mut reader = None;
        loop {
            let read = self.read(&mut reader).await;
            self.heard.follows.store(read.is_ok(), Ordering::Relaxed);
            if let Err(error) = read {
                tracing::debug!(%error, "the operations streams are not read");
            }
            tokio::select! {
                () = tokio::time::sleep(POLL) => {}
                () = shutdown.cancelled() => return,
            }
        }
    }

    /// Applies what is new. Begins at the end of the streams: what lies there already is in a snapshot that is asked for from now on.
    async fn read(&self, reader: &mut Option<StreamReader>) -> Result<(), RedisError> {
        let reader = match reader {
            Some(reader) => reader,
            None => {
                let opened = StreamReader::from_end(&self.redis, DOMAIN, self.keys.clone()).await?;
                self.heard.missed.notify_one();
                reader.insert(opened)
            }
        };
        for delivery in reader.poll().await? {
            match delivery.event {
                Ok(event) => self.apply(&event),
                Err(refusal) => {
                    metrics::policy_event_refused();
                    tracing::warn!(shard = delivery.shard, entry = %delivery.entry_id, %refusal, "an entry was refused");
                }
            }
        }
        Ok(())
    }

    fn apply(&self, event: &Envelope) {
        let Some(change) = change(event) else { return };
        let Change { switch: Some(switch), version, is_on, reason, actor_id } = change else {
            // A snapshot has it, or cannot be understood either.
            self.heard.missed.notify_one();
            metrics::policy_event_refused();
            tracing::warn!(event_id = event.event_id, "a kill switch of an unknown kind");
            return;
        };
        let name = switch.to_string();
        if self.core.guard.hear(switch, version, is_on) {
            tracing::warn!(
                switch = name,
                tenant = event.tenant_id,
                is_on,
                reason,
                actor_id,
                "a kill switch was turned"
            );
        }
    }
}

/// None for an event that is none of a switch.
fn change(event: &Envelope) -> Option<Change> {
    let switch = |scope: &str, tenant_id: &str, target: &str| {
        Scope::from_name(scope).and_then(|scope| Switch::new(scope, tenant_id, target))
    };
    match event.event_name.as_str() {
        KillSwitchActivated::EVENT_NAME => {
            let said: KillSwitchActivated = unpack(event).unwrap_or_default();
            let KillSwitchActivated { scope, target, tenant_id, reason, actor_id, version } = said;
            Some(Change { switch: switch(&scope, &tenant_id, &target), version, is_on: true, reason, actor_id })
        }
        KillSwitchDeactivated::EVENT_NAME => {
            let said: KillSwitchDeactivated = unpack(event).unwrap_or_default();
            let KillSwitchDeactivated { scope, target, tenant_id, reason, actor_id, version } = said;
            Some(Change { switch: switch(&scope, &tenant_id, &target), version, is_on: false, reason, actor_id })
        }
        _ => None,
    }
}
