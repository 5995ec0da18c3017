//! The contracts: convert, call, convert.

mod jobs;
mod keys;
mod projects;
mod session;
mod usage;
mod watch;
mod workers;

use holdfast_fault::Fault;
use holdfast_proto::jobs::v1::idempotency_service_server::IdempotencyServiceServer;
use holdfast_proto::jobs::v1::job_service_server::JobServiceServer;
use holdfast_proto::jobs::v1::project_service_server::ProjectServiceServer;
use holdfast_proto::jobs::v1::usage_service_server::UsageServiceServer;
use holdfast_proto::jobs::v1::worker_service_server::WorkerServiceServer;
use holdfast_runtime::{REQUEST_BYTES_MAX, RequestContext};
use tokio_util::sync::CancellationToken;
use tonic::Request;
use tonic::service::Routes;

use crate::app::{App, Asking};

/// What every method works with.
#[derive(Clone)]
struct Rpc {
    app: App,
    /// Cancelled when the instance begins to drain.
    draining: CancellationToken,
    drain_timeout: std::time::Duration,
}

/// The services of the contracts.
pub fn routes(app: App, draining: CancellationToken, drain_timeout: std::time::Duration) -> Routes {
    let rpc = Rpc { app, draining, drain_timeout };
    Routes::new(JobServiceServer::new(rpc.clone()).max_decoding_message_size(REQUEST_BYTES_MAX))
        .add_service(ProjectServiceServer::new(rpc.clone()).max_decoding_message_size(REQUEST_BYTES_MAX))
        .add_service(WorkerServiceServer::new(rpc.clone()).max_decoding_message_size(REQUEST_BYTES_MAX))
        .add_service(UsageServiceServer::new(rpc.clone()).max_decoding_message_size(REQUEST_BYTES_MAX))
        .add_service(IdempotencyServiceServer::new(rpc).max_decoding_message_size(REQUEST_BYTES_MAX))
}

/// Splits a request into who asks and what for.
fn open<T>(request: Request<T>) -> Result<(Asking, T), Fault> {
    let context = RequestContext::of(&request)?;
    let asking = Asking {
        caller: context.caller.clone(),
        request_id: context.request_id.to_string(),
        traceparent: [context.traceparent.as_str(), &context.tracestate].join(" ").trim_end().to_owned(),
        deadline: context.deadline,
    };
    Ok((asking, request.into_inner()))
}
