//! The contracts: convert, call, convert.

mod classes;
mod hold;
mod locks;
mod watch;

use holdfast_fault::Fault;
use holdfast_proto::locks::v1::lock_class_service_server::LockClassServiceServer;
use holdfast_proto::locks::v1::lock_service_server::LockServiceServer;
use holdfast_runtime::{REQUEST_BYTES_MAX, RequestContext};
use tonic::Request;
use tonic::service::Routes;

use crate::app::{App, Asking};

/// What every method works with.
#[derive(Clone)]
struct Rpc {
    app: App,
}

/// The services of the contracts.
pub fn routes(app: App) -> Routes {
    let rpc = Rpc { app };
    Routes::new(LockServiceServer::new(rpc.clone()).max_decoding_message_size(REQUEST_BYTES_MAX))
        .add_service(LockClassServiceServer::new(rpc).max_decoding_message_size(REQUEST_BYTES_MAX))
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
