//! JobService.

use holdfast_fault::Fault;
use holdfast_ids::{IdempotencyKey, Intent, JobId, ProjectId, TenantId};
use holdfast_proto::jobs::v1 as pb;
use holdfast_proto::jobs::v1::job_service_server::JobService;
use holdfast_runtime::page::within_answer;
use tonic::{Request, Response, Status, async_trait};

use super::{Rpc, open, watch};
use crate::app::Listing;
use crate::app::admit::Requested;
use crate::app::decide::Ordered;
use crate::wire::approval::approval;
use crate::wire::field::{elements, id, named, optional_id, text};
use crate::wire::job::known_state;
use crate::wire::{page, submit};

const REASON_CHARS_MAX: usize = 512;

#[async_trait]
impl JobService for Rpc {
    type WatchJobsStream = watch::Watched;

    async fn submit_job(
        &self,
        request: Request<pb::SubmitJobRequest>,
    ) -> Result<Response<pb::SubmitJobResponse>, Status> {
        let (asking, request) = open(request)?;
        let submitted = self.app.submit(&asking, Requested::try_from(request)?).await?;
        Ok(Response::new(submitted.into()))
    }

    async fn batch_submit_jobs(
        &self,
        request: Request<pb::BatchSubmitJobsRequest>,
    ) -> Result<Response<pb::BatchSubmitJobsResponse>, Status> {
        let (asking, request) = open(request)?;
        let items = elements("jobs", request.jobs, 1)?.into_iter().map(Requested::try_from).collect();
        let outcomes = self.app.submit_all(&asking, items).await;
        let results = outcomes.into_iter().enumerate().map(|(index, outcome)| submit::result(index, outcome)).collect();
        Ok(Response::new(pb::BatchSubmitJobsResponse { results }))
    }

    async fn get_job(&self, request: Request<pb::GetJobRequest>) -> Result<Response<pb::GetJobResponse>, Status> {
        let (asking, request) = open(request)?;
        let job = self.app.get(&asking, id("job_id", &request.job_id, JobId::parse)?).await?;
        Ok(Response::new(pb::GetJobResponse { job: Some(job.into()) }))
    }

    async fn list_jobs(&self, request: Request<pb::ListJobsRequest>) -> Result<Response<pb::ListJobsResponse>, Status> {
        let (asking, request) = open(request)?;
        let tenant_id = crate::app::authorise::tenant(
            &asking.caller,
            optional_id("tenant_id", &request.tenant_id, TenantId::parse)?,
        )?;
        let (mut listing, page_token) = listing(tenant_id, request)?;
        listing.before = page::jobs_before(&listing, &page_token)?;
        let page_size = listing.jobs_max;
        listing.jobs_max += 1;
        let seen = self.app.list(&asking, listing.clone()).await?;
        let ids: Vec<JobId> = seen.iter().map(|job| job.job_id).collect();
        let mut jobs: Vec<pb::Job> = seen.into_iter().take(page_size as usize).map(Into::into).collect();
        within_answer(&mut jobs);
        let next_page_token = match jobs.len() {
            shown if shown < ids.len() => page::jobs_token(&listing, ids[shown - 1]),
            _ => String::new(),
        };
        Ok(Response::new(pb::ListJobsResponse { jobs, next_page_token }))
    }

    async fn cancel_job(
        &self,
        request: Request<pb::CancelJobRequest>,
    ) -> Result<Response<pb::CancelJobResponse>, Status> {
        let (asking, request) = open(request)?;
        let job_id = id("job_id", &request.job_id, JobId::parse)?;
        let key = id("idempotency_key", &request.idempotency_key, IdempotencyKey::parse)?;
        let reason = text("reason", request.reason, REASON_CHARS_MAX)?;
        let cancelled = self.app.cancel(&asking, job_id, reason, key).await?;
        Ok(Response::new(pb::CancelJobResponse { job: Some(cancelled.job.into()), replayed: cancelled.replayed }))
    }

    async fn decide_job(
        &self,
        request: Request<pb::DecideJobRequest>,
    ) -> Result<Response<pb::DecideJobResponse>, Status> {
        let (asking, request) = open(request)?;
        let decided = self.app.decide(&asking, Ordered::try_from(request)?).await?;
        Ok(Response::new(decided.into()))
    }

    async fn list_approvals(
        &self,
        request: Request<pb::ListApprovalsRequest>,
    ) -> Result<Response<pb::ListApprovalsResponse>, Status> {
        let (asking, request) = open(request)?;
        let approvals = self.app.approvals(&asking, id("job_id", &request.job_id, JobId::parse)?).await?;
        let approvals = approvals.into_iter().map(|record| approval(&request.job_id, record)).collect();
        Ok(Response::new(pb::ListApprovalsResponse { approvals }))
    }

    async fn resubmit_job(
        &self,
        request: Request<pb::ResubmitJobRequest>,
    ) -> Result<Response<pb::ResubmitJobResponse>, Status> {
        let (asking, request) = open(request)?;
        let job_id = id("job_id", &request.job_id, JobId::parse)?;
        let key = id("idempotency_key", &request.idempotency_key, IdempotencyKey::parse)?;
        let submitted = self.app.resubmit(&asking, job_id, key).await?;
        Ok(Response::new(pb::ResubmitJobResponse { job: Some(submitted.into()) }))
    }

    async fn list_job_events(
        &self,
        request: Request<pb::ListJobEventsRequest>,
    ) -> Result<Response<pb::ListJobEventsResponse>, Status> {
        let (asking, request) = open(request)?;
        let job_id = id("job_id", &request.job_id, JobId::parse)?;
        let page_size = page::size("page_size", request.page_size, 100)?;
        let after_seq = page::events_after(job_id, &request.page_token)?;
        let seen = self.app.events(&asking, job_id, after_seq, page_size + 1).await?;
        let found = seen.len();
        let mut events: Vec<pb::JobEvent> = seen.into_iter().take(page_size as usize).map(Into::into).collect();
        within_answer(&mut events);
        let next_page_token = match events.last() {
            Some(last) if events.len() < found => page::events_token(job_id, last.seq),
            _ => String::new(),
        };
        Ok(Response::new(pb::ListJobEventsResponse { events, next_page_token }))
    }

    async fn watch_jobs(
        &self,
        request: Request<pb::WatchJobsRequest>,
    ) -> Result<Response<Self::WatchJobsStream>, Status> {
        let (asking, request) = open(request)?;
        Ok(Response::new(watch::begin(self, asking, request).await?))
    }
}

fn listing(tenant_id: TenantId, request: pb::ListJobsRequest) -> Result<(Listing, String), Fault> {
    let states = elements("states", request.states, 0)?
        .into_iter()
        .enumerate()
        .map(|(index, state)| named(&format!("states[{index}]"), state, known_state))
        .collect::<Result<_, _>>()?;
    let intent = optional_id("intent", &request.intent, Intent::parse)?;
    let listing = Listing {
        tenant_id,
        project_id: id("project_id", &request.project_id, ProjectId::parse)?,
        states,
        intent: intent.map(|intent| intent.to_string()),
        before: None,
        jobs_max: page::size("page_size", request.page_size, 50)?,
    };
    Ok((listing, request.page_token))
}
