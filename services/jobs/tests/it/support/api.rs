//! One caller: a token and a connection, and every call of the contracts.

use std::time::Duration;

use holdfast_proto::jobs::v1 as pb;
use pb::idempotency_service_client::IdempotencyServiceClient;
use pb::job_service_client::JobServiceClient;
use pb::project_service_client::ProjectServiceClient;
use pb::usage_service_client::UsageServiceClient;
use pb::worker_service_client::WorkerServiceClient;
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;
use tonic::{Request, Status};

use super::raw::{self, Method};
use super::session::WorkSession;
use super::watch::Watch;

#[derive(Clone)]
pub struct Api {
    channel: Channel,
    token: String,
    headers: Vec<(&'static str, String)>,
    timeout: Option<Duration>,
}

macro_rules! calls {
    ($($name:ident: $client:ident($request:ident) -> $response:ident;)*) => {
        impl Api {
            $(pub async fn $name(&self, request: pb::$request) -> Result<pb::$response, Status> {
                let mut client = $client::new(self.channel.clone());
                Ok(client.$name(self.request(request)).await?.into_inner())
            })*
        }
    };
}

calls! {
    submit_job: JobServiceClient(SubmitJobRequest) -> SubmitJobResponse;
    batch_submit_jobs: JobServiceClient(BatchSubmitJobsRequest) -> BatchSubmitJobsResponse;
    list_jobs: JobServiceClient(ListJobsRequest) -> ListJobsResponse;
    cancel_job: JobServiceClient(CancelJobRequest) -> CancelJobResponse;
    decide_job: JobServiceClient(DecideJobRequest) -> DecideJobResponse;
    list_approvals: JobServiceClient(ListApprovalsRequest) -> ListApprovalsResponse;
    resubmit_job: JobServiceClient(ResubmitJobRequest) -> ResubmitJobResponse;
    list_job_events: JobServiceClient(ListJobEventsRequest) -> ListJobEventsResponse;
    get_project: ProjectServiceClient(GetProjectRequest) -> GetProjectResponse;
    update_project: ProjectServiceClient(UpdateProjectRequest) -> UpdateProjectResponse;
    list_projects: ProjectServiceClient(ListProjectsRequest) -> ListProjectsResponse;
    lease_jobs: WorkerServiceClient(LeaseJobsRequest) -> LeaseJobsResponse;
    extend_leases: WorkerServiceClient(ExtendLeasesRequest) -> ExtendLeasesResponse;
    complete_job: WorkerServiceClient(CompleteJobRequest) -> CompleteJobResponse;
    fail_job: WorkerServiceClient(FailJobRequest) -> FailJobResponse;
    record_usage: UsageServiceClient(RecordUsageRequest) -> RecordUsageResponse;
    get_budget: UsageServiceClient(GetBudgetRequest) -> GetBudgetResponse;
    reserve_key: IdempotencyServiceClient(ReserveKeyRequest) -> ReserveKeyResponse;
    complete_key: IdempotencyServiceClient(CompleteKeyRequest) -> CompleteKeyResponse;
    get_key: IdempotencyServiceClient(GetKeyRequest) -> GetKeyResponse;
}

impl Api {
    pub fn new(channel: Channel, token: String) -> Self {
        Self { channel, token, headers: Vec::new(), timeout: None }
    }

    /// The same caller over another instance.
    pub fn over(&self, instance: &super::Instance) -> Self {
        Self { channel: instance.channel(), ..self.clone() }
    }

    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let metadata = request.metadata_mut();
        if !self.token.is_empty() {
            let bearer = MetadataValue::try_from(format!("Bearer {}", self.token)).expect("a token is printable");
            metadata.insert("authorization", bearer);
        }
        for (name, value) in &self.headers {
            metadata.insert(*name, MetadataValue::try_from(value).expect("tests send printable headers"));
        }
        if let Some(timeout) = self.timeout {
            request.set_timeout(timeout);
        }
        request
    }

    pub async fn job(&self, job_id: &str) -> Result<pb::Job, Status> {
        let request = self.request(pb::GetJobRequest { job_id: job_id.to_owned() });
        let response = JobServiceClient::new(self.channel.clone()).get_job(request).await?.into_inner();
        response.job.ok_or_else(|| Status::internal("an answer without a job"))
    }

    /// The whole history, in order.
    pub async fn history(&self, job_id: &str) -> Result<Vec<pb::JobEvent>, Status> {
        let request = pb::ListJobEventsRequest { job_id: job_id.to_owned(), page_size: 1000, ..Default::default() };
        Ok(self.list_job_events(request).await?.events)
    }

    /// A watch that has told its place.
    pub async fn watch(&self, request: pb::WatchJobsRequest) -> Result<Watch, Status> {
        let stream = JobServiceClient::new(self.channel.clone()).watch_jobs(self.request(request)).await?;
        let mut watch = Watch::new(stream.into_inner());
        watch.next().await?;
        Ok(watch)
    }

    /// A worker's session that has been welcomed.
    pub async fn session(&self, hello: pb::work_request::Hello) -> Result<WorkSession, Status> {
        WorkSession::open(WorkerServiceClient::new(self.channel.clone()), |stream| self.request(stream), hello).await
    }

    /// Any method by its descriptor, with messages as bytes; answers everything that came before the end.
    pub async fn raw(&self, method: &Method, messages: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, Status> {
        raw::call(self.channel.clone(), method, |stream| self.request(stream), messages).await
    }
}
