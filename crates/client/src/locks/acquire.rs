//! Asking for a lease: under one key for as long as it takes, whichever instance serves.

use std::time::Duration;

use futures::{FutureExt as _, future::BoxFuture};
use pb::{
    AcquireLockRequest, AcquireLockResponse, AcquireLocksRequest, AcquireLocksResponse, AcquireTerms, Lease, LeaseRef,
    MirrorState, Resource, lock_service_client::LockServiceClient,
};
use tokio::time::Instant;
use tonic::{Request, Response, Status, transport::Channel};

use super::{LockGuard, Locks, lasting, term::Stretch};
use crate::{
    Error, IdempotencyKey, Reason,
    client::Terms,
    locks_pb as pb,
    payload::{duration, wire_duration},
    retry::in_future,
};

/// A request for a lease. Awaited, it gives a [`LockGuard`]; [`unguarded`](Self::unguarded) gives the bare lease.
///
/// It waits in one queue under one idempotency key: a call that was refused by an instance that stops, or that broke off
/// with its instance, is sent again at once and goes on waiting where it was; one whose connection alone broke has left, and
/// begins anew. Dropped, it leaves the queue; a grant that is on its way then runs out by itself.
#[derive(Clone)]
#[must_use = "nothing is asked for before it is awaited"]
pub struct Acquire {
    locks: Locks,
    resources: Vec<Resource>,
    /// Asked for by AcquireLock.
    is_one: bool,
    tenant: String,
    owner: String,
    key: Option<IdempotencyKey>,
    ttl: Option<Duration>,
    wait: Duration,
    require_mirror: Option<bool>,
}

/// A lease as it was granted.
#[derive(Debug, Clone, PartialEq)]
pub struct Granted {
    pub lease: Lease,
    pub mirror: MirrorState,
    /// An earlier request under its key was granted it.
    pub replayed: bool,
    /// In the queue.
    pub waited: Duration,
}

impl Acquire {
    pub(super) fn one(locks: Locks, resource: Resource) -> Self {
        Self { is_one: true, ..Self::several(locks, vec![resource]) }
    }

    pub(super) fn several(locks: Locks, resources: Vec<Resource>) -> Self {
        Self {
            locks,
            resources,
            is_one: false,
            tenant: String::new(),
            owner: String::new(),
            key: None,
            ttl: None,
            wait: Duration::ZERO,
            require_mirror: None,
        }
    }

    /// Who will hold it: a session, a task, a thread. Required: it is for each owner that the order of classes is kept, so
    /// what works apart has labels of its own.
    pub fn owner(mut self, label: impl Into<String>) -> Self {
        self.owner = label.into();
        self
    }

    /// How long to wait for it, up to 1 h; not at all by default.
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// How long it holds without a heartbeat; as the service is configured by default.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// Makes it the same request after a crash of this program, which then gets back the lease that it had. A random one by
    /// default.
    pub fn key(mut self, key: IdempotencyKey) -> Self {
        self.key = Some(key);
        self
    }

    /// Needed only where the token names several tenants.
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant = tenant.into();
        self
    }

    /// Whether a grant that Redis could not be told of is released again; as the service is configured by default.
    pub fn require_mirror(mut self, required: bool) -> Self {
        self.require_mirror = Some(required);
        self
    }

    /// The lease, which nobody renews but the caller.
    pub async fn unguarded(self) -> Result<Granted, Error> {
        Ok(self.grant().await?.0)
    }

    async fn guarded(self) -> Result<LockGuard, Error> {
        let locks = self.locks.clone();
        let (granted, mut stretch) = self.grant().await?;
        let lease = lease_ref(&granted.lease);
        let interval = duration(granted.lease.heartbeat_interval).unwrap_or_else(|| stretch.lasts() / 3);
        let mut renewals = granted.lease.renewals;
        // It was long on its way, or waited through several instances: what is known of its end is too little to work with.
        if stretch.until < Instant::now() + interval {
            match locks.beat(&lease, renewals + 1, locks.client.shared.call_timeout).await {
                Ok(beat) => (renewals, stretch) = beat,
                Err(error) => {
                    let _ = locks.release(&lease).await;
                    return Err(error);
                }
            }
        }
        Ok(LockGuard::hold(locks, granted, lease, stretch, interval, renewals))
    }

    async fn grant(self) -> Result<(Granted, Stretch), Error> {
        if self.owner.is_empty() {
            return Err(Error::invalid("say who will hold the lock: `owner` is empty"));
        }
        let key = self.key.clone().unwrap_or_else(IdempotencyKey::random);
        let (asked_at, wait_until) = (Instant::now(), in_future(self.wait));
        let terms = || AcquireTerms {
            owner: self.owner.clone(),
            idempotency_key: String::from(&key),
            ttl: self.ttl.map(wire_duration),
            // What is left of it.
            wait: Some(wire_duration(wait_until.saturating_duration_since(Instant::now()))),
            require_mirror: self.require_mirror,
        };
        let call = self.locks.client.shared.terms();
        let call = Terms {
            call_timeout: call.call_timeout.saturating_add(self.wait),
            attempt_timeout: call.attempt_timeout.saturating_add(self.wait),
            // Whoever wanted to wait has waited.
            is_final: |error| error.is(Reason::Job409Locked),
            waits: !self.wait.is_zero(),
        };
        let answer = if self.is_one {
            let message = || AcquireLockRequest {
                tenant_id: self.tenant.clone(),
                resource: self.resources.first().cloned(),
                terms: Some(terms()),
            };
            self.locks.client.call_within(call, message, acquire_one).await
        } else {
            let message = || AcquireLocksRequest {
                tenant_id: self.tenant.clone(),
                resources: self.resources.clone(),
                terms: Some(terms()),
            };
            self.locks.client.call_within(call, message, acquire_several).await
        };
        let (sent_at, answer) = answer?;
        let lease = Error::unless_there(answer.lease)?;
        let waited = duration(answer.waited).unwrap_or_default();
        // Answered after it was sent, and granted after it had waited since it was first asked for. A grant that
        // was made before has waited at another time.
        let granted_from = if answer.replayed { sent_at } else { sent_at.max(asked_at + waited) };
        let stretch = Stretch::new(granted_from.min(Instant::now()), lasting(lease.expires_in)?);
        let mirror = MirrorState::try_from(answer.mirror).unwrap_or_default();
        Ok((Granted { lease, mirror, replayed: answer.replayed, waited }, stretch))
    }
}

impl IntoFuture for Acquire {
    type Output = Result<LockGuard, Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        self.guarded().boxed()
    }
}

type Answer = Result<Response<(Instant, AcquireLockResponse)>, Status>;

async fn acquire_one(channel: Channel, request: Request<AcquireLockRequest>) -> Answer {
    let sent_at = Instant::now();
    let answer = LockServiceClient::new(channel).acquire_lock(request).await?;
    Ok(Response::new((sent_at, answer.into_inner())))
}

async fn acquire_several(channel: Channel, request: Request<AcquireLocksRequest>) -> Answer {
    let sent_at = Instant::now();
    let answer = LockServiceClient::new(channel).acquire_locks(request).await?;
    let AcquireLocksResponse { lease, mirror, replayed, waited } = answer.into_inner();
    Ok(Response::new((sent_at, AcquireLockResponse { lease, mirror, replayed, waited })))
}

fn lease_ref(lease: &Lease) -> LeaseRef {
    LeaseRef { tenant_id: lease.tenant_id.clone(), lease_id: lease.lease_id.clone() }
}
