//! Failures on their way out: into the catalogue, into the log, onto the wire.

use std::{any::Any, error::Error as _, time::Duration};

use holdfast_caller::Caller;
use holdfast_fault::{Fault, Reason, attach_request, has_reason};
use holdfast_telemetry::context::CallIds;
use http::{HeaderMap, HeaderValue, Response};
use tonic::{Code, Status};

use super::{REQUEST_ID, body::EdgeBody};
use crate::methods::code_name;

/// Where a failure became known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Before anything was sent.
    Head,
    /// After the answer had begun.
    Trailers,
}

/// Gives the transport's own failures a reason. Methods fail with faults, so that a status without a reason was made by
/// the transport: in the head while it read the request, in the trailers while it wrote the answer.
pub(super) fn catalogued(status: Status, place: Place) -> Status {
    if has_reason(&status) {
        return status;
    }
    // A stream's method hands on what reading the next message failed with.
    let is_too_large = status.code() == Code::OutOfRange && status.message().starts_with("Error, decoded message");
    match (status.code(), place) {
        (Code::Cancelled | Code::Unimplemented, _) => status,
        (Code::DeadlineExceeded, _) => {
            Fault::new(Reason::Req408Deadline, "the deadline of the call passed").caused_by(status).into()
        }
        _ if is_too_large => Fault::invalid("request", "is larger than 1 MiB").caused_by(status).into(),
        (_, Place::Head) if status.message().starts_with("h2 protocol error") => {
            // Of the connection, which is gone: nobody hears it.
            Status::cancelled("the connection broke while the request was read")
        }
        (Code::ResourceExhausted, Place::Head) => {
            Fault::invalid("request", "is larger than 1 MiB once decompressed").caused_by(status).into()
        }
        (Code::Internal | Code::InvalidArgument, Place::Head) => {
            Fault::invalid("request", "cannot be decoded").caused_by(status).into()
        }
        _ => Fault::unexpected(status).into(),
    }
}

/// One line a failed call: what is ours is a warning or an error, what is the caller's is for information.
pub(super) fn log(status: &Status, method: &str, duration: Duration, caller: Option<&Caller>) {
    let fault = status.source().and_then(|source| source.downcast_ref::<Fault>());
    let error_code = fault.map_or(code_name(status.code()), Fault::wire_name);
    let cause = fault.and_then(Fault::causes);
    let cause = cause.as_deref();
    let actor_id = caller.map(|caller| caller.actor.as_str());
    let duration_ms = duration.as_secs_f64() * 1e3;
    let message = status.message();
    match status.code() {
        Code::Internal | Code::Unknown | Code::DataLoss => {
            tracing::error!(method, error_code, duration_ms, actor_id, cause, "call failed: {message}");
        }
        Code::Unavailable => {
            tracing::warn!(method, error_code, duration_ms, actor_id, cause, "call failed: {message}");
        }
        Code::Cancelled => {}
        _ => tracing::info!(method, error_code, duration_ms, actor_id, cause, "call failed: {message}"),
    }
}

pub(super) fn response(status: Status, ids: &CallIds) -> Response<EdgeBody> {
    let status = attach_request(status, ids.request_id.as_str(), &ids.trace.trace_id_hex());
    let mut response = status.into_http::<()>().map(|()| EdgeBody::empty());
    insert_request_id(response.headers_mut(), ids);
    response
}

pub(super) fn trailers(status: Status, ids: &CallIds) -> HeaderMap {
    let status = attach_request(status, ids.request_id.as_str(), &ids.trace.trace_id_hex());
    let mut trailers = HeaderMap::new();
    if status.add_header(&mut trailers).is_err() {
        // A message that no header can hold: the code alone is still the truth.
        trailers.insert(Status::GRPC_STATUS, HeaderValue::from(status.code() as i32));
    }
    insert_request_id(&mut trailers, ids);
    trailers
}

fn insert_request_id(headers: &mut HeaderMap, ids: &CallIds) {
    if let Ok(value) = HeaderValue::from_str(ids.request_id.as_str()) {
        headers.insert(REQUEST_ID, value);
    }
}

pub(super) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("the method panicked: {}", text.unwrap_or("without a message"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_broke_with_its_connection_is_no_fault_of_the_request() {
        let broke = Status::resource_exhausted("h2 protocol error: error reading a body from connection");
        assert_eq!(catalogued(broke, Place::Head).code(), Code::Cancelled);
        let large = catalogued(Status::resource_exhausted("too much"), Place::Head);
        assert_eq!(large.code(), Code::InvalidArgument, "{large:?}");
    }
}
