//! Errors off the wire, for clients.

use std::{collections::BTreeMap, time::Duration};

use prost::Message;
use prost_types::Any;
use tonic_types::pb;

use crate::{
    Reason, Violation, reason_by_wire_name, traits,
    wire::{BAD_REQUEST, DOMAIN, ERROR_INFO, REQUEST_INFO, RETRY_INFO, decode},
};

/// What a failed call or item said.
#[derive(Debug, Clone)]
pub struct Received {
    pub code: tonic::Code,
    /// None where the error did not come from this platform, or from a newer one than this client.
    pub reason: Option<Reason>,
    /// The reason as it stood on the wire: what a newer platform says is known by its name at least.
    pub wire_name: Option<String>,
    pub message: String,
    pub violations: Vec<Violation>,
    pub retry_after: Option<Duration>,
    pub metadata: BTreeMap<String, String>,
    pub request_id: Option<String>,
    pub trace_id: Option<String>,
}

impl Received {
    pub fn from_status(status: &tonic::Status) -> Self {
        let details = decode(status.details()).map(|rpc| rpc.details).unwrap_or_default();
        Self::read(status.code(), status.message(), &details)
    }

    pub fn from_rpc(status: &tonic_types::Status) -> Self {
        Self::read(tonic::Code::from_i32(status.code), &status.message, &status.details)
    }

    /// Whether the same request, sent again after [`retry_after`](Self::retry_after), can succeed. Of a reason that this
    /// client does not know, RetryInfo tells; without any reason only UNAVAILABLE says so, the code of a connection that
    /// was refused or lost.
    pub fn retryable(&self) -> bool {
        match self.reason {
            Some(reason) => traits(reason).retryable,
            None if self.wire_name.is_some() => self.retry_after.is_some(),
            None => self.code == tonic::Code::Unavailable,
        }
    }

    /// The reason as it stands on the wire, or the code where there is none.
    pub fn name(&self) -> String {
        self.wire_name.clone().unwrap_or_else(|| format!("{:?}", self.code))
    }

    fn read(code: tonic::Code, message: &str, details: &[Any]) -> Self {
        let mut received = Self {
            code,
            reason: None,
            wire_name: None,
            message: message.to_owned(),
            violations: Vec::new(),
            retry_after: None,
            metadata: BTreeMap::new(),
            request_id: None,
            trace_id: None,
        };
        for detail in details {
            received.take(detail);
        }
        received
    }

    fn take(&mut self, detail: &Any) {
        match detail.type_url.as_str() {
            ERROR_INFO => self.take_error_info(message(detail)),
            RETRY_INFO => {
                let info: pb::RetryInfo = message(detail);
                self.retry_after = info.retry_delay.and_then(|delay| delay.try_into().ok());
            }
            BAD_REQUEST => {
                let bad: pb::BadRequest = message(detail);
                self.violations =
                    bad.field_violations.into_iter().map(|v| Violation::new(v.field, v.description)).collect();
            }
            REQUEST_INFO => {
                let info: pb::RequestInfo = message(detail);
                self.request_id = Some(info.request_id);
                self.trace_id = Some(info.serving_data).filter(|trace_id| !trace_id.is_empty());
            }
            _ => {}
        }
    }

    fn take_error_info(&mut self, info: pb::ErrorInfo) {
        if info.domain == DOMAIN {
            self.reason = reason_by_wire_name(&info.reason);
            self.wire_name = Some(info.reason);
            self.metadata = info.metadata.into_iter().collect();
        }
    }
}

/// A detail that does not decode reads as an empty one: an error about an error helps nobody.
fn message<M: Message + Default>(detail: &Any) -> M {
    M::decode(detail.value.as_slice()).unwrap_or_default()
}
