//! LockClassService.

use holdfast_proto::locks::v1 as pb;
use holdfast_proto::locks::v1::lock_class_service_server::LockClassService;
use tonic::{Request, Response, Status, async_trait};

use super::Rpc;

#[async_trait]
impl LockClassService for Rpc {
    async fn list_lock_classes(
        &self,
        _: Request<pb::ListLockClassesRequest>,
    ) -> Result<Response<pb::ListLockClassesResponse>, Status> {
        let classes = self.app.registry().classes().iter().map(Into::into).collect();
        Ok(Response::new(pb::ListLockClassesResponse { classes }))
    }
}
