//! What Redis is told of grants: who has a resource, under which token, until when. For others to look at; nothing here reads it to decide.
//!
//! Every script compares tokens, so that one that runs late changes nothing newer. What a late one may leave behind is an entry of a lease that
//! has ended: it goes when that lease would have been stale, by the time that is written with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::join_all;
use holdfast_ids::LeaseId;
use holdfast_redis::fred::interfaces::KeysInterface as _;
use holdfast_redis::fred::types::Value;
use holdfast_redis::{Confirmation, Confirmed, Confirming, Redis, RedisError, Script};
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::domain::Time;
use crate::domain::entry::{Entry, What};
use crate::domain::lease::Lease;
use crate::domain::order::Order;
use crate::domain::resource::Name;
use crate::store::renew::RenewedLease;

/// Writes of a rebuild in flight.
const REBUILD_WRITES: usize = 128;

pub struct Mirror {
    redis: Redis,
    confirming: Confirming,
    scripts: Arc<Scripts>,
    /// Whether something was not written, or may have been lost: as long as it is, the mirror is not whole.
    missed: AtomicBool,
    /// Of the last rebuild by this instance.
    incarnation: Mutex<Option<String>>,
}

struct Scripts {
    put: Script,
    extend: Script,
    drop: Script,
    registry: Script,
}

impl std::fmt::Debug for Mirror {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mirror").finish_non_exhaustive()
    }
}

/// What a lease has of a resource.
struct Part {
    name: Name,
    lease_id: LeaseId,
    fence: i64,
    expires_at: Time,
    stale_at: Time,
}

impl Mirror {
    /// A grant counts as mirrored once `replicas` have it, which are waited for as long as `within`. Must be called inside a tokio runtime.
    pub fn new(redis: &Redis, replicas: u32, within: Duration) -> Result<Self, RedisError> {
        let scripts = Scripts {
            put: Script::new(include_str!("mirror/put.lua")),
            extend: Script::new(include_str!("mirror/extend.lua")),
            drop: Script::new(include_str!("mirror/drop.lua")),
            registry: Script::new(include_str!("mirror/registry.lua")),
        };
        Ok(Self {
            redis: redis.clone(),
            confirming: redis.confirming(replicas, within)?,
            scripts: Arc::new(scripts),
            missed: AtomicBool::default(),
            incarnation: Mutex::default(),
        })
    }

    /// Waits until Redis can be written to, or `patience` is over.
    pub async fn connected(&self, patience: Duration) {
        if let Err(error) = self.confirming.wait_until_connected(patience).await {
            tracing::warn!(%error, "no mirror yet");
        }
    }

    /// Writes a grant; whether all of it is there, on as many replicas as are configured. False at once while Redis is known to be away.
    pub async fn granted(&self, lease: &Lease) -> bool {
        let Some(held) = lease.held() else { return false };
        let parts = lease.facts.names().zip(&held.fences).map(|(name, fence)| Part {
            name,
            lease_id: lease.facts.lease_id,
            fence: *fence,
            expires_at: held.expires_at,
            stale_at: held.stale_at,
        });
        // One call each: in a Cluster their keys are on different nodes.
        let written = join_all(parts.map(|part| self.put(part))).await;
        written.into_iter().all(|written| match written {
            Ok(Confirmed { answer: 1, confirmation: Confirmation::Full }) => true,
            Ok(confirmed) => {
                tracing::debug!(?confirmed, "grant not mirrored as configured");
                false
            }
            Err(error) => {
                tracing::debug!(%error, "grant not mirrored");
                self.missed.store(true, Ordering::Relaxed);
                false
            }
        })
    }

    /// Extends a renewed lease's entries soon, without waiting for it.
    pub fn renewed(&self, lease: &RenewedLease) {
        for (name, fence) in lease.names().zip(&lease.fences) {
            let args = vec![fence.to_string().into(), millis(lease.expires_at), millis(lease.stale_at)];
            self.confirming.send(&self.scripts.extend, vec![self.key(&name)], args);
        }
    }

    /// Takes away the entries of leases that have ended soon, without waiting for it.
    pub fn ended(&self, entries: &[Entry]) {
        for Entry { what, name, fence, .. } in entries {
            if matches!(what, What::Released { .. } | What::Expired { .. } | What::Forced { .. }) {
                self.confirming.send(&self.scripts.drop, vec![self.key(name)], vec![fence.to_string().into()]);
            }
        }
    }

    /// Looks whether Redis may lack something that this instance wrote, and says so to whoever rebuilds the mirror, once it is back.
    pub async fn own_up(&self) -> Result<(), RedisError> {
        if !self.confirming.is_connected() {
            self.missed.store(true, Ordering::Relaxed);
        } else if self.missed.swap(false, Ordering::Relaxed) {
            let forgotten = self.redis.client().del::<(), _>(self.redis.keys().lock_marker()).await;
            forgotten.inspect_err(|_| self.missed.store(true, Ordering::Relaxed))?;
        }
        Ok(())
    }

    /// Whether Redis has everything that this instance wrote at its last rebuild: it has not where it lost its data, or somebody else rebuilt
    /// the mirror since.
    pub async fn is_whole(&self) -> Result<bool, RedisError> {
        let known = self.incarnation.lock().await;
        let there: Option<String> = self.redis.client().get(self.redis.keys().lock_marker()).await?;
        Ok(there.is_some() && there == *known)
    }

    /// Begins to write all leases again: before they are read, so that whoever misses a write from here on makes it begin once more. Answers what
    /// [`Mirror::rebuilt`] is to be told.
    pub async fn begin_rebuild(&self) -> Result<String, RedisError> {
        let incarnation = Uuid::now_v7().to_string();
        let (marker, client) = (self.redis.keys().lock_marker(), self.redis.client());
        client.set::<(), _, _>(marker, &incarnation, None, None, false).await?;
        Ok(incarnation)
    }

    pub async fn put_again(&self, leases: &[RenewedLease]) -> Result<(), RedisError> {
        let mut parts = Vec::new();
        for lease in leases {
            parts.extend(lease.names().zip(&lease.fences).map(|(name, fence)| Part {
                name,
                lease_id: lease.lease_id,
                fence: *fence,
                expires_at: lease.expires_at,
                stale_at: lease.stale_at,
            }));
        }
        while !parts.is_empty() {
            let rest = parts.split_off(parts.len().min(REBUILD_WRITES));
            for written in join_all(parts.into_iter().map(|part| self.put(part))).await {
                written?;
            }
            parts = rest;
        }
        Ok(())
    }

    pub async fn rebuilt(&self, incarnation: String) {
        *self.incarnation.lock().await = Some(incarnation);
    }

    /// Makes the mirror of the order registry what it is; whether it was not.
    pub async fn registry(&self, order: &Order) -> Result<bool, RedisError> {
        let ranks = order.classes().iter();
        let args = ranks.flat_map(|class| [class.name.as_str().into(), class.rank.to_string().into()]).collect();
        let changed: i64 =
            self.scripts.registry.run(&self.redis, vec![self.redis.keys().lock_registry()], args).await?;
        Ok(changed == 1)
    }

    async fn put(&self, part: Part) -> Result<Confirmed<i64>, RedisError> {
        let args = vec![
            part.fence.to_string().into(),
            part.lease_id.to_string().into(),
            millis(part.expires_at),
            millis(part.stale_at),
        ];
        self.confirming.run(&self.scripts.put, vec![self.key(&part.name)], args).await
    }

    fn key(&self, name: &Name) -> String {
        let resource = &name.resource;
        self.redis.keys().lock(
            name.tenant_id.as_str(),
            resource.project_id.as_str(),
            resource.class.as_str(),
            resource.key.as_str(),
        )
    }
}

fn millis(time: Time) -> Value {
    time.timestamp_millis().to_string().into()
}
