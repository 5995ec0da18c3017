//! The ProjectService: what projects may do.

use crate::{
    Client, Error,
    pb::{self, Project, ProjectSettings, project_service_client::ProjectServiceClient},
};

/// Calls about projects.
#[derive(Clone)]
pub struct Projects {
    pub(crate) client: Client,
}

impl Projects {
    /// `tenant` may be empty where the token names one tenant alone, here as below.
    pub async fn get(&self, tenant: &str, project: &str) -> Result<Project, Error> {
        let request = pb::GetProjectRequest { tenant_id: tenant.to_owned(), project_id: project.to_owned() };
        let answer = self.client.call(request, |channel, request| async move {
            ProjectServiceClient::new(channel).get_project(request).await
        });
        Error::unless_there(answer.await?.project)
    }

    /// Replaces the settings of a project that is at `expected_version` (0: it has none yet).
    pub async fn update(
        &self,
        tenant: &str,
        project: &str,
        expected_version: u64,
        settings: ProjectSettings,
    ) -> Result<Project, Error> {
        let request = pb::UpdateProjectRequest {
            tenant_id: tenant.to_owned(),
            project_id: project.to_owned(),
            expected_version,
            settings: Some(settings),
        };
        let answer = self.client.call(request, |channel, request| async move {
            ProjectServiceClient::new(channel).update_project(request).await
        });
        Error::unless_there(answer.await?.project)
    }

    /// The projects of a tenant that have settings or have had a job, by name.
    pub async fn list(&self, tenant: &str) -> Result<Vec<Project>, Error> {
        const PAGE_ITEMS: i32 = 1000;
        let (mut projects, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = pb::ListProjectsRequest { tenant_id: tenant.to_owned(), page_size: PAGE_ITEMS, page_token };
            let page = self.client.call(request, |channel, request| async move {
                ProjectServiceClient::new(channel).list_projects(request).await
            });
            let page = page.await?;
            projects.extend(page.projects);
            if page.next_page_token.is_empty() {
                return Ok(projects);
            }
            page_token = page.next_page_token;
        }
    }
}
