//! The LockService: leases on resources, in order, and fenced.
//!
//! [`Acquire`] asks for a lease and [`LockGuard`] holds it: it heartbeats by itself and tells its holder when the lease is at
//! risk, and when it is lost, before anybody else can be granted it. A program that was paused may learn that too
//! late: what keeps its writes out is the fencing token, compared by whatever it writes to.

mod acquire;
mod guard;
mod term;

use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::{FutureExt as _, StreamExt as _, future, stream::BoxStream};
use pb::{
    CheckFenceResponse, LeaseRef, Lock, LockClass, RenewLockResponse, Resource, WatchLockRequest, WatchLockResponse,
    lock_class_service_client::LockClassServiceClient, lock_service_client::LockServiceClient,
};
use tonic::{Request, Response, transport::Channel};

use crate::{
    Client, Error,
    client::Terms,
    jobs::{PAGE_ITEMS, pages},
    locks_pb as pb,
    payload::{duration, time},
    watch::{Followed, Opening, follow},
};
use term::Stretch;

pub use acquire::{Acquire, Granted};
pub use guard::LockGuard;
pub use term::LockLoss;

/// What is locked: a key of a class, `"project"`, in a project.
pub fn resource(project: impl Into<String>, class: impl Into<String>, key: impl Into<String>) -> Resource {
    Resource { project_id: project.into(), class: class.into(), key: key.into() }
}

/// Which of a project's locks are listed; all that are held or waited for where nothing is said.
#[derive(Debug, Clone, Default)]
pub struct LockFilter {
    pub project: String,
    /// Needed only where the token names several tenants.
    pub tenant: Option<String>,
    pub class: Option<String>,
    /// The label of the holder.
    pub owner: Option<String>,
    /// The principal of the holder.
    pub actor: Option<String>,
}

/// How a lease ended that was released.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Released {
    pub at: Option<DateTime<Utc>>,
    /// It had ended before.
    pub replayed: bool,
}

/// Calls about locks, of a client that is connected to the locks service.
#[derive(Debug, Clone)]
pub struct Locks {
    pub(crate) client: Client,
}

/// One call by the name of its method.
macro_rules! call {
    ($self:ident, $method:ident, $message:expr) => {
        $self
            .client
            .call($message, |channel, request| async move { LockServiceClient::new(channel).$method(request).await })
    };
}

impl Locks {
    /// Asks for one resource: awaited, it gives a guard that holds it.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use holdfast_client::{Client, resource};
    /// # async fn example(client: Client) -> Result<(), holdfast_client::Error> {
    /// # async fn write(token: u64) {}
    /// let locks = client.locks();
    /// let guard = locks.acquire(resource("billing", "project", "ledger")).owner("task-17").wait(Duration::from_secs(60)).await?;
    /// tokio::select! {
    ///     () = write(guard.token()) => {}
    ///     loss = guard.lost() => eprintln!("stopped: {loss}"),
    /// }
    /// guard.release().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn acquire(&self, resource: Resource) -> Acquire {
        Acquire::one(self.clone(), resource)
    }

    /// Asks for several resources of one tenant, all or none, under one lease. They are taken in the order of the registry,
    /// whatever order they are given in.
    pub fn acquire_all(&self, resources: impl IntoIterator<Item = Resource>) -> Acquire {
        Acquire::several(self.clone(), resources.into_iter().collect())
    }

    /// Extends a lease that no guard holds. `renewal` counts from 1, so that a repetition is not counted; 0 where nobody does.
    pub async fn renew(&self, lease: &LeaseRef, renewal: u32) -> Result<RenewLockResponse, Error> {
        let request = pb::RenewLockRequest { lease: Some(lease.clone()), renewal };
        call!(self, renew_lock, request).await
    }

    /// Ends a lease, all its resources. Repeated, it is answered the same.
    pub async fn release(&self, lease: &LeaseRef) -> Result<Released, Error> {
        let answer = call!(self, release_lock, pb::ReleaseLockRequest { lease: Some(lease.clone()) }).await?;
        Ok(Released { at: time(answer.released_at.as_ref()), replayed: answer.replayed })
    }

    /// Ends somebody's lease at once, for people that may. Its holder learns it with his next heartbeat.
    pub async fn force_release(&self, lease: &LeaseRef, reason: &str) -> Result<Released, Error> {
        let request = pb::ForceReleaseLockRequest { lease: Some(lease.clone()), reason: reason.to_owned() };
        let answer = call!(self, force_release_lock, request).await?;
        Ok(Released { at: time(answer.released_at.as_ref()), replayed: answer.replayed })
    }

    /// How a resource stands. `tenant` may be empty where the token names one tenant alone, here as below.
    pub async fn get(&self, tenant: &str, resource: &Resource) -> Result<Lock, Error> {
        let request = pb::GetLockRequest { tenant_id: tenant.to_owned(), resource: Some(resource.clone()) };
        Error::unless_there(call!(self, get_lock, request).await?.lock)
    }

    /// What is held or waited for, in the order of the registry. Pages are fetched as the stream is read.
    pub fn list(&self, filter: LockFilter) -> BoxStream<'static, Result<Lock, Error>> {
        let locks = self.clone();
        let first = pb::ListLocksRequest {
            tenant_id: filter.tenant.unwrap_or_default(),
            project_id: filter.project,
            class: filter.class.unwrap_or_default(),
            owner: filter.owner.unwrap_or_default(),
            actor_id: filter.actor.unwrap_or_default(),
            page_size: PAGE_ITEMS,
            page_token: String::new(),
        };
        pages(move |page_token| {
            let (locks, request) = (locks.clone(), pb::ListLocksRequest { page_token, ..first.clone() });
            async move {
                let page = call!(locks, list_locks, request).await?;
                Ok((page.locks, page.next_page_token))
            }
        })
    }

    /// Follows a resource: how it stands, and again after each change of its holder. States between two may be left out.
    /// A watch that breaks for what passes is opened again; one that never began fails.
    pub fn watch(&self, tenant: &str, resource: &Resource) -> BoxStream<'static, Result<Lock, Error>> {
        let request = WatchLockRequest { tenant_id: tenant.to_owned(), resource: Some(resource.clone()) };
        let mut told = None;
        let messages = follow(self.client.clone(), LockWatch { request, has_begun: false });
        let changes = messages.filter_map(move |message| {
            let lock = message.and_then(|message| Error::unless_there(message.lock));
            // Opened again, it begins with a state that may have been told.
            let is_news = lock.as_ref().map_or(true, |lock| {
                let holder = lock.holder.as_ref().map(|holder| holder.lease_id.clone());
                // A resource is reserved without a new version.
                let state = Some((lock.version, holder));
                std::mem::replace(&mut told, state.clone()) != state
            });
            future::ready(is_news.then_some(lock))
        });
        changes.boxed()
    }

    /// Whether a token is the current one of a resource that is held, for what cannot compare tokens by itself. It may be over
    /// when the answer arrives.
    pub async fn check_fence(
        &self,
        tenant: &str,
        resource: &Resource,
        fencing_token: u64,
    ) -> Result<CheckFenceResponse, Error> {
        let (tenant_id, resource) = (tenant.to_owned(), Some(resource.clone()));
        call!(self, check_fence, pb::CheckFenceRequest { tenant_id, resource, fencing_token }).await
    }

    /// The classes, in the order in which they are taken.
    pub async fn classes(&self) -> Result<Vec<LockClass>, Error> {
        let answer = self.client.call(pb::ListLockClassesRequest {}, |channel, request| async move {
            LockClassServiceClient::new(channel).list_lock_classes(request).await
        });
        Ok(answer.await?.classes)
    }

    /// A heartbeat: how often the lease was renewed, and for how long it lasts by this side's clock. Tried for as long as
    /// `round`.
    async fn beat(&self, lease: &LeaseRef, renewal: u32, round: Duration) -> Result<(u32, Stretch), Error> {
        let terms = self.client.shared.terms();
        let call_timeout = terms.call_timeout.min(round);
        let terms = Terms { call_timeout, attempt_timeout: terms.attempt_timeout.min(call_timeout), ..terms };
        let message = || pb::RenewLockRequest { lease: Some(lease.clone()), renewal };
        let answer = self.client.call_within(terms, message, |channel, request| {
            // Of this attempt alone: the lease lasts from when it was taken, which is later.
            let sent_at = tokio::time::Instant::now();
            async move {
                let answer = LockServiceClient::new(channel).renew_lock(request).await?;
                Ok(Response::new((sent_at, answer.into_inner())))
            }
        });
        let (sent_at, answer) = answer.await?;
        Ok((answer.renewals, Stretch::new(sent_at, lasting(answer.expires_in)?)))
    }
}

/// For how long an answer says that a lease lasts.
fn lasting(expires_in: Option<prost_types::Duration>) -> Result<Duration, Error> {
    duration(expires_in).ok_or_else(|| Error::bad_answer("the answer does not say for how long the lease lasts"))
}

struct LockWatch {
    request: WatchLockRequest,
    has_begun: bool,
}

impl Followed for LockWatch {
    type Request = WatchLockRequest;
    type Message = WatchLockResponse;

    fn request(&self) -> WatchLockRequest {
        self.request.clone()
    }

    fn open(channel: Channel, request: Request<WatchLockRequest>) -> Opening<WatchLockResponse> {
        async move { LockServiceClient::new(channel).watch_lock(request).await }.boxed()
    }

    fn came(&mut self, _: &WatchLockResponse) {
        self.has_begun = true;
    }

    fn has_begun(&self) -> bool {
        self.has_begun
    }
}
