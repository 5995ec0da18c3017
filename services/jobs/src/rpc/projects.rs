//! ProjectService.

use holdfast_ids::{ProjectId, TenantId};
use holdfast_proto::jobs::v1 as pb;
use holdfast_proto::jobs::v1::project_service_server::ProjectService;
use holdfast_runtime::page::within_answer;
use tonic::{Request, Response, Status, async_trait};

use super::{Rpc, open};
use crate::app::projects::{ProjectListing, Wanted};
use crate::wire::field::{id, optional_id};
use crate::wire::page;
use crate::wire::project::project;

#[async_trait]
impl ProjectService for Rpc {
    async fn get_project(
        &self,
        request: Request<pb::GetProjectRequest>,
    ) -> Result<Response<pb::GetProjectResponse>, Status> {
        let (asking, request) = open(request)?;
        let tenant_id = optional_id("tenant_id", &request.tenant_id, TenantId::parse)?;
        let project_id = id("project_id", &request.project_id, ProjectId::parse)?;
        let found = self.app.project(&asking, tenant_id, project_id).await?;
        let in_force = self.app.in_force(&found);
        Ok(Response::new(pb::GetProjectResponse { project: Some(project(found, in_force)) }))
    }

    async fn update_project(
        &self,
        request: Request<pb::UpdateProjectRequest>,
    ) -> Result<Response<pb::UpdateProjectResponse>, Status> {
        let (asking, request) = open(request)?;
        let updated = self.app.update_project(&asking, Wanted::try_from(request)?).await?;
        let in_force = self.app.in_force(&updated.project);
        let project = Some(project(updated.project, in_force));
        Ok(Response::new(pb::UpdateProjectResponse { project, replayed: updated.replayed }))
    }

    async fn list_projects(
        &self,
        request: Request<pb::ListProjectsRequest>,
    ) -> Result<Response<pb::ListProjectsResponse>, Status> {
        let (asking, request) = open(request)?;
        let tenant_id = crate::app::authorise::tenant(
            &asking.caller,
            optional_id("tenant_id", &request.tenant_id, TenantId::parse)?,
        )?;
        let page_size = page::size("page_size", request.page_size, 50)?;
        let (after_project_id, projects) = (String::new(), Vec::new());
        let mut listing = ProjectListing { tenant_id, after_project_id, projects, projects_max: page_size + 1 };
        listing.after_project_id = page::projects_after(&listing, &request.page_token)?;
        let found = self.app.projects(&asking, listing.clone()).await?;
        let count = found.len();
        let shown = found.into_iter().take(page_size as usize).map(|found| {
            let in_force = self.app.in_force(&found);
            project(found, in_force)
        });
        let mut projects: Vec<pb::Project> = shown.collect();
        within_answer(&mut projects);
        let next_page_token = match projects.last() {
            Some(last) if projects.len() < count => page::projects_token(&listing, &last.project_id),
            _ => String::new(),
        };
        Ok(Response::new(pb::ListProjectsResponse { projects, next_page_token }))
    }
}
