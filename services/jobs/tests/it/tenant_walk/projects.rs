//! Steps about the settings of projects.

use anyhow::Result;
use rand::Rng as _;

use super::side::{By, PROJECTS};
use super::{Walk, Who};
use crate::support::*;

impl Walk {
    /// A new weight, over the version that stands; that of the other tenant's project of the same name is its own.
    pub async fn update_project(&mut self, own: Who) -> Result<()> {
        let (project, weight) = (self.one_of(&PROJECTS).expect("a project"), self.rng.random_range(1..=10_000));
        let versions = |weights: Option<&Vec<i32>>| weights.map_or(0, Vec::len) as u64;
        let expected_version = versions(self.sides[own].model.weights.get(project));
        let settings = pb::ProjectSettings { weight, ..Default::default() };
        let request = update(project, expected_version, settings);
        let of_tenant = |tenant_id| pb::UpdateProjectRequest { tenant_id, ..request.clone() };
        let (others, nobodys) = self.foreign_tenants(own);
        let requests = (of_tenant(others), of_tenant(nobodys));
        let reason = self.refused_alike(own, By::Olga, "ProjectService.UpdateProject", requests).await;
        assert_eq!(reason, Reason::Auth403Scope);
        let method = "ProjectService.UpdateProject";
        let answer = self.call::<pb::UpdateProjectResponse>(own, By::Olga, method, &request).await;
        let answer = answer.expect("its own").project.expect("a project");
        assert_eq!((answer.version, answer.updated_by.as_str()), (expected_version + 1, By::Olga.actor()));
        self.sides[own].model.weights.entry(project.to_owned()).or_default().push(weight);
        Ok(())
    }

    pub async fn get_project(&mut self, own: Who) -> Result<()> {
        let project = self.one_of(&PROJECTS).expect("a project");
        let of_tenant = |tenant_id| pb::GetProjectRequest { tenant_id, project_id: project.to_owned() };
        let (others, nobodys) = self.foreign_tenants(own);
        let requests = (of_tenant(others), of_tenant(nobodys));
        let reason = self.refused_alike(own, By::Alice, "ProjectService.GetProject", requests).await;
        assert_eq!(reason, Reason::Auth403Scope);
        let (method, request) = ("ProjectService.GetProject", of_tenant(String::new()));
        let answer = self.call::<pb::GetProjectResponse>(own, By::Alice, method, &request).await;
        self.is_as_set(own, &answer.expect("its own").project.expect("a project"));
        Ok(())
    }

    pub async fn list_projects(&mut self, own: Who) -> Result<()> {
        let of_tenant = |tenant_id| pb::ListProjectsRequest { tenant_id, ..Default::default() };
        let (others, nobodys) = self.foreign_tenants(own);
        let requests = (of_tenant(others), of_tenant(nobodys));
        let reason = self.refused_alike(own, By::Alice, "ProjectService.ListProjects", requests).await;
        assert_eq!(reason, Reason::Auth403Scope);
        let (method, request) = ("ProjectService.ListProjects", of_tenant(String::new()));
        let answer = self.call::<pb::ListProjectsResponse>(own, By::Alice, method, &request).await;
        let projects = answer.expect("its own").projects;
        let model = &self.sides[own].model;
        let mut expected: Vec<&str> = model.jobs.values().map(|job| job.key.project.as_str()).collect();
        expected.extend(model.weights.keys().map(String::as_str));
        expected.sort_unstable();
        expected.dedup();
        assert_eq!(projects.iter().map(|project| project.project_id.as_str()).collect::<Vec<_>>(), expected);
        projects.iter().for_each(|project| self.is_as_set(own, project));
        Ok(())
    }

    fn is_as_set(&self, own: Who, project: &pb::Project) {
        let weights = self.sides[own].model.weights.get(&project.project_id).cloned().unwrap_or_default();
        let weight = project.settings.as_ref().map(|settings| settings.weight);
        assert_eq!(project.tenant_id, self.sides[own].tenant.as_str());
        assert_eq!((project.version, weight), (weights.len() as u64, Some(weights.last().copied().unwrap_or(0))));
    }
}
