//! Clients of one instance.

use std::time::Duration;

use anyhow::Result;
use holdfast_fault::Received;
use holdfast_proto::jobs::v1::{
    Payload, Queue, RiskTier, SubmitJobRequest, job_service_client::JobServiceClient,
    worker_service_client::WorkerServiceClient,
};
use tonic::{
    Code, Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};

const CONNECT_WITHIN: Duration = Duration::from_secs(1);
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

pub type Authorised = InterceptedService<Channel, Bearer>;

/// Puts the token on every call.
#[derive(Clone)]
pub struct Bearer(MetadataValue<Ascii>);

impl Bearer {
    pub fn of(token: &str) -> Result<Self> {
        Ok(Self(format!("Bearer {token}").parse()?))
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

/// One caller of one instance; connects again by itself.
#[derive(Clone)]
pub struct Client {
    pub jobs: JobServiceClient<Authorised>,
    pub workers: WorkerServiceClient<Authorised>,
    /// For sessions and watches, which outlive every deadline of a call.
    pub sessions: WorkerServiceClient<Authorised>,
    pub watches: JobServiceClient<Authorised>,
}

impl Client {
    pub fn new(endpoint: &str, token: &str) -> Result<Self> {
        let bearer = Bearer::of(token)?;
        let endpoint = Endpoint::from_shared(endpoint.to_owned())?.connect_timeout(CONNECT_WITHIN);
        let calls = endpoint.clone().timeout(ANSWER_WITHIN).connect_lazy();
        let sessions = endpoint.connect_lazy();
        Ok(Self {
            jobs: JobServiceClient::with_interceptor(calls.clone(), bearer.clone()),
            workers: WorkerServiceClient::with_interceptor(calls, bearer.clone()),
            sessions: WorkerServiceClient::with_interceptor(sessions.clone(), bearer.clone()),
            watches: JobServiceClient::with_interceptor(sessions, bearer),
        })
    }
}

/// Whether a failed call may be repeated: it says so, or nobody knows what became of it.
pub fn may_be_repeated(received: &Received) -> bool {
    let unheard = matches!(received.code, Code::Cancelled | Code::DeadlineExceeded | Code::Unknown | Code::Unavailable);
    received.retryable() || received.reason.is_none() && unheard
}

/// A submission of tier A to the project's queue.
pub fn submission(tenant: &str, project: &str, key: &str, payload: &str) -> SubmitJobRequest {
    SubmitJobRequest {
        tenant_id: tenant.to_owned(),
        project_id: project.to_owned(),
        intent: INTENT.to_owned(),
        queue: Queue::Project.into(),
        tier: RiskTier::A.into(),
        idempotency_key: key.to_owned(),
        payload: Some(Payload { data: payload.as_bytes().to_vec().into(), content_type: String::new() }),
        ..Default::default()
    }
}

/// The intent of every job of the proofs.
pub const INTENT: &str = "proof.work";
