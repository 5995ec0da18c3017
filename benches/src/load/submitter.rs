//! One connection that submits jobs of one tenant.

use anyhow::Result;
use bytes::Bytes;
use holdfast_proto::jobs::v1::{
    BatchSubmitJobsRequest, Payload, Queue, RiskTier, SubmitJobRequest, batch_submit_jobs_result::Outcome,
    job_service_client::JobServiceClient,
};
use tonic::{
    Request,
    metadata::{Ascii, MetadataValue},
    transport::{Channel, Endpoint},
};

use super::{Board, tag::Tag};
use crate::{
    population::{INTENT, PROJECTS_PER_TENANT, TENANTS, payload, project, tenant},
    stack::Target,
};

/// Clones share the connection.
#[derive(Clone)]
pub struct Submitter {
    client: JobServiceClient<Channel>,
    bearer: MetadataValue<Ascii>,
    template: SubmitJobRequest,
    submitted: usize,
}

impl Submitter {
    /// As many connections, spread over the tenants.
    pub async fn connect(target: &Target, connections: usize) -> Result<Vec<Self>> {
        let mut submitters = Vec::with_capacity(connections);
        for index in 0..connections {
            let channel = Endpoint::from_shared(target.url.clone())?.tcp_nodelay(true).connect().await?;
            submitters.push(Self {
                client: JobServiceClient::new(channel),
                bearer: target.callers[index % TENANTS].clone(),
                template: template(index),
                // Connections of one tenant begin with different projects.
                submitted: index / TENANTS,
            });
        }
        Ok(submitters)
    }

    /// One job, one call; noted on the board.
    pub async fn submit(&mut self, board: &Board) {
        let tag = board.next_tag();
        let request = self.request(self.job(tag));
        self.submitted += 1;
        match self.client.submit_job(request).await {
            Ok(_) => board.submitted(tag),
            Err(status) => board.submission_failed(&status),
        }
    }

    /// Moves on to the next project for a call of a clone.
    pub fn fork(&mut self) -> Self {
        self.submitted += 1;
        self.clone()
    }

    /// Many jobs in one call, as fast as a backlog is made.
    pub async fn submit_many(&mut self, board: &Board, jobs: usize) -> Result<()> {
        let tags: Vec<Tag> = (0..jobs).map(|_| board.next_tag()).collect();
        let mut batch = BatchSubmitJobsRequest { jobs: Vec::with_capacity(jobs) };
        for tag in &tags {
            batch.jobs.push(self.job(*tag));
            self.submitted += 1;
        }
        let results = self.client.batch_submit_jobs(self.request(batch)).await?.into_inner().results;
        for (tag, result) in tags.into_iter().zip(results) {
            match result.outcome {
                Some(Outcome::Job(_)) => board.submitted(tag),
                other => board.failed(format!("BatchSubmitJobs: {other:?}")),
            }
        }
        Ok(())
    }

    fn job(&self, tag: Tag) -> SubmitJobRequest {
        let project_id = project(self.submitted % PROJECTS_PER_TENANT);
        SubmitJobRequest { project_id, idempotency_key: tag.to_string(), ..self.template.clone() }
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", self.bearer.clone());
        request
    }
}

fn template(index: usize) -> SubmitJobRequest {
    SubmitJobRequest {
        tenant_id: tenant(index),
        intent: INTENT.to_owned(),
        queue: Queue::Project.into(),
        tier: RiskTier::A.into(),
        // Shared by all clones.
        payload: Some(Payload { data: Bytes::from(payload()), content_type: String::new() }),
        ..SubmitJobRequest::default()
    }
}
