//! LockService.

use holdfast_fault::Fault;
use holdfast_ids::TenantId;
use holdfast_proto::locks::v1 as pb;
use holdfast_proto::locks::v1::lock_service_server::LockService;
use holdfast_runtime::RequestContext;
use holdfast_runtime::field::{optional_id, text};
use holdfast_runtime::page::within_answer;
use tonic::{Request, Response, Status, Streaming, async_trait};

use super::{Rpc, hold, open, watch};
use crate::app::{authorise, read};
use crate::wire::acquire::{self, Bounds};
use crate::wire::lock::{fencing_token, lease, named, renewal};
use crate::wire::page;

const REASON_CHARS_MAX: usize = 512;

#[async_trait]
impl LockService for Rpc {
    type HoldLockStream = hold::Held;
    type WatchLockStream = watch::Watched;

    async fn acquire_lock(
        &self,
        request: Request<pb::AcquireLockRequest>,
    ) -> Result<Response<pb::AcquireLockResponse>, Status> {
        let (asking, request) = open(request)?;
        let request = self.bounded(|bounds| acquire::one(request, bounds))?;
        Ok(Response::new(self.app.acquire(&asking, request, None).await?.into()))
    }

    async fn acquire_locks(
        &self,
        request: Request<pb::AcquireLocksRequest>,
    ) -> Result<Response<pb::AcquireLocksResponse>, Status> {
        let (asking, request) = open(request)?;
        let request = self.bounded(|bounds| acquire::several(request, bounds))?;
        Ok(Response::new(self.app.acquire(&asking, request, None).await?.into()))
    }

    async fn renew_lock(
        &self,
        request: Request<pb::RenewLockRequest>,
    ) -> Result<Response<pb::RenewLockResponse>, Status> {
        let (asking, request) = open(request)?;
        let (tenant_id, lease_id) = lease(request.lease)?;
        let renewal = renewal("renewal", request.renewal)?;
        let renewed = self.app.renew(&asking, tenant_id, lease_id, renewal).await.map_err(of_lease)?;
        Ok(Response::new(renewed.into()))
    }

    async fn release_lock(
        &self,
        request: Request<pb::ReleaseLockRequest>,
    ) -> Result<Response<pb::ReleaseLockResponse>, Status> {
        let (asking, request) = open(request)?;
        let (tenant_id, lease_id) = lease(request.lease)?;
        let ended = self.app.release(&asking, tenant_id, lease_id).await.map_err(of_lease)?;
        Ok(Response::new(ended.into()))
    }

    async fn hold_lock(
        &self,
        request: Request<Streaming<pb::HoldLockRequest>>,
    ) -> Result<Response<Self::HoldLockStream>, Status> {
        let half_close = RequestContext::of(&request)?.half_close.clone();
        let (asking, messages) = open(request)?;
        Ok(Response::new(hold::begin(self, asking, messages, half_close)?))
    }

    async fn get_lock(&self, request: Request<pb::GetLockRequest>) -> Result<Response<pb::GetLockResponse>, Status> {
        let (asking, request) = open(request)?;
        let (tenant_id, resource) = named(&request.tenant_id, request.resource)?;
        let seen = self.app.get(&asking, tenant_id, resource).await?;
        Ok(Response::new(pb::GetLockResponse { lock: Some(seen.into()) }))
    }

    async fn list_locks(
        &self,
        request: Request<pb::ListLocksRequest>,
    ) -> Result<Response<pb::ListLocksResponse>, Status> {
        let (asking, request) = open(request)?;
        let tenant_id = optional_id("tenant_id", &request.tenant_id, TenantId::parse)?;
        let listing = page::listing(authorise::tenant(&asking.caller, tenant_id)?, &request)?;
        let read::Page { locks: seen, mut next } = self.app.list(&asking, &listing).await?;
        let places: Vec<_> = seen.iter().map(|seen| read::place(&seen.name.resource)).collect();
        let mut locks: Vec<pb::Lock> = seen.into_iter().map(Into::into).collect();
        within_answer(&mut locks);
        if locks.len() < places.len() {
            next = places.into_iter().nth(locks.len() - 1);
        }
        let next_page_token = next.map(|last| page::token(&listing, &last)).unwrap_or_default();
        Ok(Response::new(pb::ListLocksResponse { locks, next_page_token }))
    }

    async fn watch_lock(
        &self,
        request: Request<pb::WatchLockRequest>,
    ) -> Result<Response<Self::WatchLockStream>, Status> {
        let (asking, request) = open(request)?;
        let (tenant_id, resource) = named(&request.tenant_id, request.resource)?;
        Ok(Response::new(watch::begin(self, asking, tenant_id, resource).await?))
    }

    async fn check_fence(
        &self,
        request: Request<pb::CheckFenceRequest>,
    ) -> Result<Response<pb::CheckFenceResponse>, Status> {
        let (asking, request) = open(request)?;
        let (tenant_id, resource) = named(&request.tenant_id, request.resource)?;
        let token = fencing_token(request.fencing_token)?;
        let checked = self.app.check_fence(&asking, tenant_id, resource, token).await?;
        let highest_token = checked.highest.unsigned_abs();
        Ok(Response::new(pb::CheckFenceResponse { current: checked.is_current, highest_token }))
    }

    async fn force_release_lock(
        &self,
        request: Request<pb::ForceReleaseLockRequest>,
    ) -> Result<Response<pb::ForceReleaseLockResponse>, Status> {
        let (asking, request) = open(request)?;
        let (tenant_id, lease_id) = lease(request.lease)?;
        if request.reason.is_empty() {
            return Err(Fault::missing("reason").into());
        }
        let reason = text("reason", request.reason, REASON_CHARS_MAX)?;
        let ended = self.app.force_release(&asking, tenant_id, lease_id, reason).await.map_err(of_lease)?;
        Ok(Response::new(ended.into()))
    }
}

/// A tenant that has to be named is one of the lease's reference.
fn of_lease(fault: Fault) -> Fault {
    fault.under("lease.")
}

impl Rpc {
    /// Converts under the bounds of the configuration and of the registry.
    pub(super) fn bounded<T>(&self, convert: impl FnOnce(Bounds<'_>) -> Result<T, Fault>) -> Result<T, Fault> {
        let order = self.app.registry();
        convert(Bounds { ttl_max: self.app.core.limits.ttl_max, order: &order })
    }
}
