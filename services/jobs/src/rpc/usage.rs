//! UsageService.

use holdfast_proto::jobs::v1 as pb;
use holdfast_proto::jobs::v1::usage_service_server::UsageService;
use tonic::{Request, Response, Status, async_trait};

use super::{Rpc, open};
use crate::wire::usage::{budget, recorded, reports, sought};

#[async_trait]
impl UsageService for Rpc {
    async fn record_usage(
        &self,
        request: Request<pb::RecordUsageRequest>,
    ) -> Result<Response<pb::RecordUsageResponse>, Status> {
        let (asking, request) = open(request)?;
        let outcomes = self.app.record_usage(&asking, reports(request)?).await?;
        Ok(Response::new(pb::RecordUsageResponse { results: outcomes.into_iter().map(recorded).collect() }))
    }

    async fn get_budget(
        &self,
        request: Request<pb::GetBudgetRequest>,
    ) -> Result<Response<pb::GetBudgetResponse>, Status> {
        let (asking, request) = open(request)?;
        let (tenant_id, sought) = sought(request)?;
        Ok(Response::new(budget(self.app.budget(&asking, tenant_id, sought).await?)))
    }
}
