//! Faults onto the wire: google.rpc.Status with ErrorInfo, RetryInfo, BadRequest and RequestInfo.

use std::sync::Arc;

use prost::Message as _;
use prost_types::Any;
use tonic_types::pb;

use crate::{Fault, RETRY_AFTER_DEFAULT};

/// The domain of every ErrorInfo of this platform.
pub const DOMAIN: &str = "holdfast";

pub(crate) const ERROR_INFO: &str = "type.googleapis.com/google.rpc.ErrorInfo";
pub(crate) const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";
pub(crate) const BAD_REQUEST: &str = "type.googleapis.com/google.rpc.BadRequest";
pub(crate) const REQUEST_INFO: &str = "type.googleapis.com/google.rpc.RequestInfo";

impl Fault {
    /// The fault as an item's error in a batch: the same code, message and details as a failed call has.
    pub fn to_rpc_status(&self) -> tonic_types::Status {
        let mut details = vec![any(ERROR_INFO, &self.error_info())];
        if self.retryable() {
            details.push(any(RETRY_INFO, &self.retry_info()));
        }
        if !self.violations.is_empty() {
            details.push(any(BAD_REQUEST, &self.bad_request()));
        }
        tonic_types::Status { code: self.code() as i32, message: self.message.clone(), details }
    }

    fn error_info(&self) -> pb::ErrorInfo {
        pb::ErrorInfo {
            reason: self.wire_name().to_owned(),
            domain: DOMAIN.to_owned(),
            metadata: self.metadata.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
        }
    }

    fn retry_info(&self) -> pb::RetryInfo {
        let delay = self.retry_after.unwrap_or(RETRY_AFTER_DEFAULT);
        // A delay beyond what protobuf can say is centuries away: not saying it loses nothing.
        pb::RetryInfo { retry_delay: delay.try_into().ok() }
    }

    fn bad_request(&self) -> pb::BadRequest {
        let violation = |violation: &crate::Violation| pb::bad_request::FieldViolation {
            field: violation.field.clone(),
            description: violation.description.clone(),
            ..Default::default()
        };
        pb::BadRequest { field_violations: self.violations.iter().map(violation).collect() }
    }
}

impl From<Fault> for tonic::Status {
    /// The fault itself travels along as the status's source, for whoever logs the call; it is never encoded.
    fn from(fault: Fault) -> Self {
        let details = fault.to_rpc_status().encode_to_vec();
        let mut status = tonic::Status::with_details(fault.code(), fault.message.clone(), details.into());
        status.set_source(Arc::new(fault));
        status
    }
}

/// Adds RequestInfo, so that whoever reports the error can be helped: the request id, and the trace id as serving data.
pub fn attach_request(status: tonic::Status, request_id: &str, trace_id: &str) -> tonic::Status {
    let mut rpc = decode(status.details()).unwrap_or_default();
    if rpc.details.iter().any(|detail| detail.type_url == REQUEST_INFO) {
        return status;
    }
    rpc.code = status.code() as i32;
    rpc.message = status.message().to_owned();
    let info = pb::RequestInfo { request_id: request_id.to_owned(), serving_data: trace_id.to_owned() };
    rpc.details.push(any(REQUEST_INFO, &info));
    tonic::Status::with_details_and_metadata(
        status.code(),
        status.message(),
        rpc.encode_to_vec().into(),
        status.metadata().clone(),
    )
}

/// Whether a status came from a [`Fault`]; one that did not was made by the transport.
pub fn has_reason(status: &tonic::Status) -> bool {
    decode(status.details()).is_some_and(|rpc| rpc.details.iter().any(|detail| detail.type_url == ERROR_INFO))
}

pub(crate) fn decode(details: &[u8]) -> Option<tonic_types::Status> {
    if details.is_empty() { None } else { tonic_types::Status::decode(details).ok() }
}

fn any(type_url: &str, message: &impl prost::Message) -> Any {
    Any { type_url: type_url.to_owned(), value: message.encode_to_vec() }
}
