//! IdempotencyService.

use holdfast_proto::jobs::v1 as pb;
use holdfast_proto::jobs::v1::idempotency_service_server::IdempotencyService;
use tonic::{Request, Response, Status, async_trait};

use super::{Rpc, open};
use crate::wire::field::timestamp;
use crate::wire::key::{Completion, Reservation, named_key};

#[async_trait]
impl IdempotencyService for Rpc {
    async fn reserve_key(
        &self,
        request: Request<pb::ReserveKeyRequest>,
    ) -> Result<Response<pb::ReserveKeyResponse>, Status> {
        let (asking, request) = open(request)?;
        let Reservation { key, request, content_type, lease } = request.try_into()?;
        let reserved = self.app.reserve_key(&asking, key, &request, &content_type, lease).await?;
        Ok(Response::new(reserved.into()))
    }

    async fn complete_key(
        &self,
        request: Request<pb::CompleteKeyRequest>,
    ) -> Result<Response<pb::CompleteKeyResponse>, Status> {
        let (asking, request) = open(request)?;
        let Completion { key, token, outcome } = request.try_into()?;
        let (completed_at, replayed) = self.app.complete_key(&asking, key, token, outcome).await?;
        Ok(Response::new(pb::CompleteKeyResponse { completed_at: Some(timestamp(completed_at)), replayed }))
    }

    async fn get_key(&self, request: Request<pb::GetKeyRequest>) -> Result<Response<pb::GetKeyResponse>, Status> {
        let (asking, request) = open(request)?;
        let key = self.app.get_key(&asking, named_key(request.scope)?).await?;
        Ok(Response::new(key.into()))
    }
}
