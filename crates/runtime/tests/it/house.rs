//! A server with everything around it and a small business inside, and clients of it.

use std::{net::SocketAddr, pin::Pin, sync::Arc, time::Duration};

use holdfast_caller::KeySource;
use holdfast_caller::{
    Kind, Role, Verifier, VerifierConfig,
    issuer::{AUDIENCE, DevIssuer, ISSUER, TokenSpec},
};
use holdfast_fault::{Fault, Reason};
use holdfast_ids::{ActorId, TenantId};
use holdfast_proto::jobs::v1::{
    self as pb,
    job_service_client::JobServiceClient,
    job_service_server::{JobService, JobServiceServer},
    worker_service_client::WorkerServiceClient,
    worker_service_server::{WorkerService, WorkerServiceServer},
};
use holdfast_runtime::{Access, GrpcConfig, Health, REQUEST_BYTES_MAX, RequestContext, Server, ServerError, Shutdown};
use tempfile::TempDir;
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
};
use tokio_stream::{Stream, StreamExt as _, wrappers::ReceiverStream};
use tonic::{
    Request, Response, Status, Streaming,
    metadata::MetadataValue,
    service::Routes,
    transport::{Channel, Endpoint},
};

const PEOPLE: &[Kind] = &[Kind::User, Kind::Service];
const WORKERS: &[Kind] = &[Kind::Worker];

const fn people(method: &'static str) -> Access {
    Access::new(method, PEOPLE, &[Role::Owner, Role::Admin])
}

const fn workers(method: &'static str) -> Access {
    Access::new(method, WORKERS, &[])
}

pub(crate) const ACCESS: &[Access] = &[
    people("/holdfast.jobs.v1.JobService/SubmitJob"),
    people("/holdfast.jobs.v1.JobService/BatchSubmitJobs"),
    people("/holdfast.jobs.v1.JobService/GetJob"),
    people("/holdfast.jobs.v1.JobService/ListJobs"),
    people("/holdfast.jobs.v1.JobService/CancelJob"),
    people("/holdfast.jobs.v1.JobService/ListJobEvents"),
    people("/holdfast.jobs.v1.JobService/DecideJob"),
    people("/holdfast.jobs.v1.JobService/ListApprovals"),
    people("/holdfast.jobs.v1.JobService/ResubmitJob"),
    people("/holdfast.jobs.v1.JobService/WatchJobs"),
    workers("/holdfast.jobs.v1.WorkerService/Work"),
    workers("/holdfast.jobs.v1.WorkerService/LeaseJobs"),
    workers("/holdfast.jobs.v1.WorkerService/ExtendLeases"),
    workers("/holdfast.jobs.v1.WorkerService/CompleteJob"),
    workers("/holdfast.jobs.v1.WorkerService/FailJob"),
];

/// What a call asks the business to do is said by its idempotency key, or its job id.
#[derive(Clone, Default)]
pub(crate) struct Business {
    pub(crate) entered: Arc<Notify>,
    pub(crate) go_on: Arc<Notify>,
    /// Of the last stream of work that the client ended: whether a half-close was seen.
    pub(crate) half_close_seen: watch::Sender<Option<bool>>,
    pub(crate) shutdown: Shutdown,
}

#[tonic::async_trait]
impl JobService for Business {
    type WatchJobsStream = tokio_stream::Empty<Result<pb::WatchJobsResponse, Status>>;

    /// Answers with what the context says: trace id as the job id.
    async fn submit_job(
        &self,
        request: Request<pb::SubmitJobRequest>,
    ) -> Result<Response<pb::SubmitJobResponse>, Status> {
        let context = RequestContext::of(&request)?.clone();
        assert!(context.traceparent.contains(&context.trace_id));
        assert!(context.deadline.is_some());
        // Whoever prints the headers does not print the token.
        let headers = format!("{:?}", request.metadata());
        assert!(headers.contains("authorization") && !headers.contains("Bearer"), "{headers}");
        match request.get_ref().idempotency_key.as_str() {
            "fault" => Err(Fault::new(Reason::Job503QueueUnavailable, "full").with("project_id", "alpha"))?,
            "defect" => Err(Fault::unexpected("secret cause"))?,
            "panic" => panic!("deliberate"),
            "hang" => std::future::pending().await,
            "wait" => {
                self.entered.notify_one();
                self.go_on.notified().await;
            }
            _ => {}
        }
        Ok(Response::new(pb::SubmitJobResponse { job_id: context.trace_id, ..Default::default() }))
    }

    async fn batch_submit_jobs(
        &self,
        _: Request<pb::BatchSubmitJobsRequest>,
    ) -> Result<Response<pb::BatchSubmitJobsResponse>, Status> {
        Ok(Response::new(Default::default()))
    }

    async fn get_job(&self, _: Request<pb::GetJobRequest>) -> Result<Response<pb::GetJobResponse>, Status> {
        Ok(Response::new(Default::default()))
    }

    async fn list_jobs(&self, _: Request<pb::ListJobsRequest>) -> Result<Response<pb::ListJobsResponse>, Status> {
        Ok(Response::new(Default::default()))
    }

    async fn cancel_job(&self, _: Request<pb::CancelJobRequest>) -> Result<Response<pb::CancelJobResponse>, Status> {
        Ok(Response::new(Default::default()))
    }

    async fn decide_job(&self, _: Request<pb::DecideJobRequest>) -> Result<Response<pb::DecideJobResponse>, Status> {
        Ok(Response::new(Default::default()))
    }

    async fn list_approvals(
        &self,
        _: Request<pb::ListApprovalsRequest>,
    ) -> Result<Response<pb::ListApprovalsResponse>, Status> {
        Ok(Response::new(Default::default()))
    }

    async fn resubmit_job(
        &self,
        _: Request<pb::ResubmitJobRequest>,
    ) -> Result<Response<pb::ResubmitJobResponse>, Status> {
        Ok(Response::new(Default::default()))
    }

    async fn list_job_events(
        &self,
        _: Request<pb::ListJobEventsRequest>,
    ) -> Result<Response<pb::ListJobEventsResponse>, Status> {
        Ok(Response::new(Default::default()))
    }

    async fn watch_jobs(&self, _: Request<pb::WatchJobsRequest>) -> Result<Response<Self::WatchJobsStream>, Status> {
        Ok(Response::new(tokio_stream::empty()))
    }
}

#[tonic::async_trait]
impl WorkerService for Business {
    type WorkStream = Pin<Box<dyn Stream<Item = Result<pb::WorkResponse, Status>> + Send>>;

    /// One message, then a failure: at the client's first message but a heartbeat, at its end, or when the server drains.
    async fn work(&self, request: Request<Streaming<pb::WorkRequest>>) -> Result<Response<Self::WorkStream>, Status> {
        let context = RequestContext::of(&request)?.clone();
        assert!(context.deadline.is_none());
        let mut inbound = request.into_inner();
        let (answers, outbound) = tokio::sync::mpsc::channel(4);
        let (shutdown, half_close_seen) = (self.shutdown.clone(), self.half_close_seen.clone());
        tokio::spawn(async move {
            let _ = answers.send(Ok(pb::WorkResponse::default())).await;
            let is_heartbeat =
                |message: &pb::WorkRequest| matches!(message.message, Some(pb::work_request::Message::Heartbeat(_)));
            let next = async {
                loop {
                    match inbound.next().await {
                        Some(Ok(message)) if is_heartbeat(&message) => {}
                        other => return other,
                    }
                }
            };
            let end = tokio::select! {
                message = next => match message {
                    Some(Err(status)) => {
                        half_close_seen.send_replace(Some(context.half_close.seen()));
                        status
                    }
                    None => {
                        half_close_seen.send_replace(Some(context.half_close.seen()));
                        Fault::new(Reason::Job409StaleFence, "stale").into()
                    }
                    Some(Ok(_)) => Fault::new(Reason::Job409StaleFence, "stale").into(),
                },
                () = shutdown.begun() => Fault::new(Reason::Infra503Draining, "stopping").into(),
            };
            let _ = answers.send(Err(end)).await;
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(outbound))))
    }

    async fn lease_jobs(&self, _: Request<pb::LeaseJobsRequest>) -> Result<Response<pb::LeaseJobsResponse>, Status> {
        Ok(Response::new(Default::default()))
    }

    async fn extend_leases(
        &self,
        _: Request<pb::ExtendLeasesRequest>,
    ) -> Result<Response<pb::ExtendLeasesResponse>, Status> {
        Ok(Response::new(Default::default()))
    }

    async fn complete_job(
        &self,
        _: Request<pb::CompleteJobRequest>,
    ) -> Result<Response<pb::CompleteJobResponse>, Status> {
        Ok(Response::new(Default::default()))
    }

    async fn fail_job(&self, _: Request<pb::FailJobRequest>) -> Result<Response<pb::FailJobResponse>, Status> {
        Ok(Response::new(Default::default()))
    }
}

pub(crate) struct House {
    pub(crate) issuer: DevIssuer,
    pub(crate) business: Business,
    pub(crate) health: Health,
    pub(crate) shutdown: Shutdown,
    pub(crate) address: SocketAddr,
    pub(crate) serving: JoinHandle<Result<(), ServerError>>,
    dir: TempDir,
}

pub(crate) fn config() -> GrpcConfig {
    GrpcConfig {
        listen: "127.0.0.1:0".parse().unwrap(),
        deadline_max_ms: 10_000,
        drain_timeout_ms: 10_000,
        ..GrpcConfig::default()
    }
}

pub(crate) async fn verifier(issuer: &DevIssuer, dir: &TempDir) -> Verifier {
    let keys = KeySource::File(issuer.save(dir.path()).unwrap());
    Verifier::new(VerifierConfig { issuer: ISSUER.to_owned(), audience: AUDIENCE.to_owned(), keys }).await.unwrap()
}

impl House {
    pub(crate) async fn open() -> Self {
        Self::open_with(config()).await
    }

    /// With other settings than the usual.
    pub(crate) async fn open_with(config: GrpcConfig) -> Self {
        let dir = TempDir::new().unwrap();
        let issuer = DevIssuer::generate().unwrap();
        let verifier = verifier(&issuer, &dir).await;
        let shutdown = Shutdown::new();
        let health = Health::new(&shutdown);
        let business = Business { shutdown: shutdown.clone(), ..Business::default() };
        let routes = Routes::new(JobServiceServer::new(business.clone()).max_decoding_message_size(REQUEST_BYTES_MAX))
            .add_service(WorkerServiceServer::new(business.clone()).max_decoding_message_size(REQUEST_BYTES_MAX));
        let server = Server::bind(config, verifier, ACCESS).unwrap();
        let address = server.local_addr();
        let (serves, stops) = (health.clone(), shutdown.clone());
        let serving = tokio::spawn(async move { server.serve(routes, &serves, &stops).await });
        Self { issuer, business, health, shutdown, address, serving, dir }
    }

    pub(crate) async fn channel(&self) -> Channel {
        Endpoint::from_shared(format!("http://{}", self.address)).unwrap().connect().await.unwrap()
    }

    pub(crate) async fn jobs(&self) -> JobServiceClient<Channel> {
        JobServiceClient::new(self.channel().await)
    }

    pub(crate) async fn workers(&self) -> WorkerServiceClient<Channel> {
        WorkerServiceClient::new(self.channel().await)
    }

    pub(crate) fn token(&self, kind: Kind) -> String {
        let actor = ActorId::parse("jane").unwrap();
        let tenant = TenantId::parse("acme").unwrap();
        self.issuer.issue(match kind {
            Kind::User => TokenSpec::user(actor, tenant, Role::Owner),
            Kind::Agent => TokenSpec::agent(actor, tenant, vec![], holdfast_caller::Tier::A),
            kind => TokenSpec::new(kind, actor, tenant),
        })
    }

    /// A request of an owner.
    pub(crate) fn asked<T>(&self, message: T) -> Request<T> {
        with_token(message, &self.token(Kind::User))
    }

    pub(crate) fn submission(&self, idempotency_key: &str) -> Request<pb::SubmitJobRequest> {
        self.asked(pb::SubmitJobRequest { idempotency_key: idempotency_key.to_owned(), ..Default::default() })
    }

    /// Stops the server, which must end well, and soon.
    pub(crate) async fn close(self) {
        self.shutdown.begin();
        tokio::time::timeout(Duration::from_secs(15), self.serving).await.unwrap().unwrap().unwrap();
        drop(self.dir);
    }
}

pub(crate) fn with_token<T>(message: T, token: &str) -> Request<T> {
    let mut request = Request::new(message);
    let value: MetadataValue<_> = format!("Bearer {token}").parse().unwrap();
    request.metadata_mut().insert("authorization", value);
    request
}
