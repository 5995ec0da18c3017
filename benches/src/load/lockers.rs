//! Clients of the locks service: those that take a lock and give it back at once, and those that keep theirs with heartbeats.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use hdrhistogram::Histogram;
use holdfast_proto::locks::v1::{
    AcquireLockRequest, AcquireTerms, LeaseRef, MirrorState, ReleaseLockRequest, RenewLockRequest, Resource,
    lock_service_client::LockServiceClient,
};
use tokio::{task::JoinSet, time::sleep_until};
use tonic::{
    Request,
    metadata::{Ascii, MetadataValue},
    transport::{Channel, Endpoint},
};

use super::{
    Timing,
    pairs::{Crowd, OWN_KEYS, Pair, Pairs},
};
use crate::{
    measure::percentiles::{Percentiles, histogram},
    population::{TENANTS, project},
    stack::Target,
};

/// Of every lease, here and of the others'.
pub const TTL: Duration = Duration::from_secs(30);
const CLASS: &str = "project";
/// The longest that the service gives: what is kept by heartbeats is not to run out while the machine is slow.
const HELD_TTL: Duration = Duration::from_secs(300);
/// Longer than anybody waits.
const WAIT: Duration = Duration::from_secs(60);

/// One connection.
struct Locker {
    client: LockServiceClient<Channel>,
    callers: Vec<MetadataValue<Ascii>>,
    owner: String,
    /// So that no two grants share an idempotency key.
    run: u64,
    asked: u64,
}

struct Granted {
    lease: LeaseRef,
    mirrored: bool,
}

impl Locker {
    async fn connect(target: &Target, owner: String) -> Result<Self> {
        let channel = Endpoint::from_shared(target.url.clone())?.tcp_nodelay(true).connect().await?;
        let client = LockServiceClient::new(channel);
        Ok(Self { client, callers: target.callers.clone(), owner, run: rand::random(), asked: 0 })
    }

    async fn acquire(&mut self, tenant: usize, resource: Resource, owner: String, ttl: Duration) -> Result<Granted> {
        self.asked += 1;
        let terms = AcquireTerms {
            owner,
            idempotency_key: format!("{:016x}-{}", self.run, self.asked),
            ttl: Some(ttl.try_into()?),
            wait: Some(WAIT.try_into()?),
            require_mirror: None,
        };
        let message = AcquireLockRequest { tenant_id: String::new(), resource: Some(resource), terms: Some(terms) };
        let answer = self.client.acquire_lock(self.request(tenant, message)).await.context("AcquireLock")?.into_inner();
        let lease_id = answer.lease.context("a grant without a lease")?.lease_id;
        let mirrored = answer.mirror == MirrorState::Written as i32;
        Ok(Granted { lease: LeaseRef { tenant_id: String::new(), lease_id }, mirrored })
    }

    async fn release(&mut self, tenant: usize, lease: LeaseRef) -> Result<()> {
        let message = ReleaseLockRequest { lease: Some(lease) };
        self.client.release_lock(self.request(tenant, message)).await.context("ReleaseLock")?;
        Ok(())
    }

    async fn renew(&mut self, tenant: usize, lease: LeaseRef, renewal: u32) -> Result<()> {
        let message = RenewLockRequest { lease: Some(lease), renewal };
        self.client.renew_lock(self.request(tenant, message)).await.context("RenewLock")?;
        Ok(())
    }

    fn request<T>(&self, tenant: usize, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", self.callers[tenant].clone());
        request
    }
}

/// Locks are spread over the tenants; all who share one are of its tenant.
fn tenant_of(crowd: Crowd, key: usize) -> usize {
    let group = if crowd.shared_keys.is_some() { key } else { key / OWN_KEYS };
    group % TENANTS
}

fn resource(kind: &str, key: usize) -> Resource {
    Resource { project_id: project(key), class: CLASS.to_owned(), key: format!("{kind}/{key}") }
}

/// What a crowd did.
pub struct Taken {
    pub pairs: Pairs,
    /// Grants that Redis, or as many replicas as are configured, did not confirm in time.
    pub not_mirrored: u64,
}

/// A crowd at work. Its clock begins when all of it is connected.
pub struct Taking {
    pub origin: Instant,
    clients: JoinSet<Result<Taken>>,
}

/// Each takes a lock and gives it back at once, and again, until the window has closed.
pub async fn take(target: &Target, crowd: Crowd, timing: Timing) -> Result<Taking> {
    let mut connected = Vec::with_capacity(crowd.clients);
    for index in 0..crowd.clients {
        connected.push(Locker::connect(target, format!("bench-{index}")).await?);
    }
    let origin = Instant::now();
    let until = origin + timing.warm_up + timing.window;
    let mut clients = JoinSet::new();
    for (index, locker) in connected.into_iter().enumerate() {
        clients.spawn(one_after_the_other(locker, crowd, index, origin, until));
    }
    Ok(Taking { origin, clients })
}

impl Taking {
    pub async fn end(mut self) -> Result<Taken> {
        let mut all = Taken { pairs: Pairs::default(), not_mirrored: 0 };
        while let Some(ended) = self.clients.join_next().await {
            let taken = ended??;
            all.pairs.0.extend(taken.pairs.0);
            all.not_mirrored += taken.not_mirrored;
        }
        Ok(all)
    }
}

async fn one_after_the_other(
    mut locker: Locker,
    crowd: Crowd,
    index: usize,
    origin: Instant,
    until: Instant,
) -> Result<Taken> {
    let now_us = || origin.elapsed().as_micros() as u64;
    let mut taken = Taken { pairs: Pairs::default(), not_mirrored: 0 };
    for turn in 0.. {
        if Instant::now() >= until {
            break;
        }
        let key = crowd.key(index, turn);
        let tenant = tenant_of(crowd, key);
        let asked_us = now_us();
        let granted = locker.acquire(tenant, resource("bench", key), locker.owner.clone(), TTL).await?;
        let granted_us = now_us();
        locker.release(tenant, granted.lease).await?;
        taken.pairs.0.push(Pair { key: key as u64, asked_us, granted_us, released_us: now_us() });
        taken.not_mirrored += u64::from(!granted.mirrored);
    }
    Ok(taken)
}

/// A connection and the locks that are held through it.
struct Holder {
    locker: Locker,
    held: Vec<Held>,
}

struct Held {
    tenant: usize,
    lease: LeaseRef,
    renewals: u32,
}

/// Many locks, held through a few connections.
pub struct Holders {
    holders: Vec<Holder>,
}

#[derive(Debug, Clone, Copy)]
pub struct Beaten {
    pub heartbeats_per_s: f64,
    pub latency: Percentiles,
}

impl Holders {
    /// An owner a lock: none of them takes two.
    pub async fn hold(target: &Target, connections: usize, locks: usize) -> Result<Self> {
        let mut tasks = JoinSet::new();
        for index in 0..connections {
            let mut locker = Locker::connect(target, String::new()).await?;
            tasks.spawn(async move {
                let mut held = Vec::new();
                for key in (index..locks).step_by(connections) {
                    let tenant = key % TENANTS;
                    let (resource, owner) = (resource("held", key), format!("holder-{key}"));
                    let granted = locker.acquire(tenant, resource, owner, HELD_TTL).await?;
                    held.push(Held { tenant, lease: granted.lease, renewals: 0 });
                }
                anyhow::Ok(Holder { locker, held })
            });
        }
        Ok(Self { holders: joined(tasks).await? })
    }

    /// Heartbeats of all of them, over and over: `rate` a second, or the next one as soon as the last is answered.
    pub async fn beat(&mut self, rate: Option<f64>, timing: Timing) -> Result<Beaten> {
        let origin = Instant::now();
        let opens = origin + timing.warm_up;
        let closes = opens + timing.window;
        let connections = self.holders.len();
        let mut tasks = JoinSet::new();
        for (index, holder) in self.holders.drain(..).enumerate() {
            let pace = Pace { origin, index, connections, rate };
            tasks.spawn(beats(holder, pace, opens, closes));
        }
        let mut all = histogram();
        for (holder, latency) in joined(tasks).await? {
            all.add(&latency)?;
            self.holders.push(holder);
        }
        let heartbeats_per_s = all.len() as f64 / timing.window.as_secs_f64();
        Ok(Beaten { heartbeats_per_s, latency: (&all).into() })
    }

    /// Gives all of them back.
    pub async fn release(self) -> Result<()> {
        let mut tasks = JoinSet::new();
        for mut holder in self.holders {
            tasks.spawn(async move {
                for held in holder.held {
                    holder.locker.release(held.tenant, held.lease).await?;
                }
                anyhow::Ok(())
            });
        }
        joined(tasks).await?;
        Ok(())
    }
}

async fn joined<T: 'static>(mut tasks: JoinSet<Result<T>>) -> Result<Vec<T>> {
    let mut all = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        all.push(ended??);
    }
    Ok(all)
}

#[derive(Clone, Copy)]
struct Pace {
    origin: Instant,
    index: usize,
    connections: usize,
    rate: Option<f64>,
}

impl Pace {
    /// Waits for this connection's turn; answers from when its call counts: a call that is late counts from when it was due.
    async fn turn(self, turn: u64) -> Instant {
        let Some(rate) = self.rate else { return Instant::now() };
        let number = self.index as f64 + turn as f64 * self.connections as f64;
        let due = self.origin + Duration::from_secs_f64(number / rate);
        if due <= Instant::now() {
            return due;
        }
        sleep_until(due.into()).await;
        Instant::now()
    }
}

async fn beats(mut holder: Holder, pace: Pace, opens: Instant, closes: Instant) -> Result<(Holder, Histogram<u64>)> {
    let mut latency = histogram();
    for turn in 0_u64.. {
        let began = pace.turn(turn).await;
        if began >= closes {
            break;
        }
        let at = turn as usize % holder.held.len();
        let held = &mut holder.held[at];
        held.renewals += 1;
        holder.locker.renew(held.tenant, held.lease.clone(), held.renewals).await?;
        let answered = Instant::now();
        if (opens..closes).contains(&answered) {
            latency.saturating_record(answered.duration_since(began).as_micros() as u64);
        }
    }
    Ok((holder, latency))
}
