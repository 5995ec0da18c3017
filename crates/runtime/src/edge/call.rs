//! One call, from its arrival to its end: what is measured and logged of it, exactly once.

use std::{sync::Arc, time::Instant};

use holdfast_caller::Caller;
use holdfast_telemetry::context::CallIds;
use http::{HeaderMap, HeaderValue, Response};
use tonic::{Code, Status, body::Body};
use tracing::Span;

use super::{
    REQUEST_ID,
    body::EdgeBody,
    failure::{self, Place},
};
use crate::methods::{Admission, Method, code_name};

pub(super) struct Call {
    pub(super) method: Arc<Method>,
    pub(super) received: Instant,
    pub(super) ids: Arc<CallIds>,
    pub(super) caller: Option<Arc<Caller>>,
    pub(super) deadline: Option<Instant>,
    pub(super) span: Option<Span>,
    has_ended: bool,
}

impl Call {
    pub(super) fn new(method: Arc<Method>, received: Instant, ids: Arc<CallIds>, span: Option<Span>) -> Self {
        Self { method, received, ids, caller: None, deadline: None, span, has_ended: false }
    }

    /// The answer of a call that failed before its method answered.
    pub(super) fn fail(mut self, status: Status, place: Place) -> Response<EdgeBody> {
        let status = self.end_with(status, place);
        failure::response(status, &self.ids)
    }

    /// The method's answer: a failure that it put into the headers, or a body that tells in its trailers how it ended.
    pub(super) fn answer(mut self, mut response: Response<Body>) -> Response<EdgeBody> {
        if response.headers().contains_key(Status::GRPC_STATUS) {
            let status = response.extensions_mut().remove::<Status>();
            let status = status.or_else(|| Status::from_header_map(response.headers()));
            if let Some(status) = status.filter(|status| status.code() != Code::Ok) {
                return self.fail(status, Place::Head);
            }
            self.end(Code::Ok);
        }
        if let Ok(value) = HeaderValue::from_str(self.ids.request_id.as_str()) {
            response.headers_mut().insert(REQUEST_ID, value);
        }
        response.map(|body| EdgeBody::new(body, self))
    }

    /// The trailers of a call whose body was sent, with the details added where it failed.
    pub(super) fn end_in_trailers(&mut self, trailers: HeaderMap) -> HeaderMap {
        match Status::from_header_map(&trailers) {
            Some(status) if status.code() != Code::Ok => {
                let status = self.end_with(status, Place::Trailers);
                failure::trailers(status, &self.ids)
            }
            _ => {
                self.end(Code::Ok);
                trailers
            }
        }
    }

    /// What is sent for a failure, which is logged here and nowhere else.
    pub(super) fn end_with(&mut self, status: Status, place: Place) -> Status {
        // Health and reflection speak for themselves, in the codes of their own contracts.
        let status = match self.method.admission {
            Admission::Open => status,
            Admission::Authenticated(_) => failure::catalogued(status, place),
        };
        if !self.has_ended {
            failure::log(&status, &self.method.path, self.received.elapsed(), self.caller.as_deref());
        }
        self.end(status.code());
        status
    }

    fn end(&mut self, code: Code) {
        if std::mem::replace(&mut self.has_ended, true) {
            return;
        }
        let duration = self.received.elapsed();
        self.method.measures.record(code, duration);
        if let Some(span) = &self.span {
            span.record("rpc.grpc.status_code", code as i64);
            if matches!(code, Code::Unknown | Code::Internal | Code::Unavailable | Code::DataLoss) {
                span.record("otel.status_code", "ERROR");
            }
        }
        if code == Code::Ok {
            tracing::debug!(method = self.method.path, duration_ms = duration.as_secs_f64() * 1e3, "call done");
        } else if code == Code::Cancelled {
            let code = code_name(code);
            tracing::debug!(
                method = self.method.path,
                code,
                duration_ms = duration.as_secs_f64() * 1e3,
                "call abandoned"
            );
        }
    }
}

impl Drop for Call {
    /// The client went away before the end.
    fn drop(&mut self) {
        self.end(Code::Cancelled);
    }
}
