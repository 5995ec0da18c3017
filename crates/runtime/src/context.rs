//! What a method knows of the call that it answers.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use holdfast_caller::Caller;
use holdfast_fault::Fault;
use holdfast_ids::RequestId;

/// Put into every request of an authenticated method before the method sees it.
#[derive(Debug, Clone)]
pub struct RequestContext {
    pub caller: Arc<Caller>,
    pub request_id: RequestId,
    /// The W3C trace context that work done for this call belongs to: the call's own span where spans are recorded, the
    /// client's where not, a fresh one where it sent none.
    pub traceparent: String,
    /// W3C `tracestate`, as the client sent it; empty where it sent none that is well-formed.
    pub tracestate: String,
    /// The trace id within [`traceparent`](Self::traceparent), 32 hexadecimal digits.
    pub trace_id: String,
    /// When a unary call's answer stops being of use. Streams have none.
    pub deadline: Option<Instant>,
    /// How a stream of the client's ended. Never seen of a unary call.
    pub half_close: HalfClose,
}

/// Whether the client ended its messages on purpose (END_STREAM). After the last message
/// [`Streaming::message`](tonic::Streaming::message) says the same of a client that is done and of one that dropped the
/// call; this tells them apart. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct HalfClose(Arc<AtomicBool>);

impl HalfClose {
    /// To be asked once the stream has ended: true only where the client half-closed it, false where the call was reset or
    /// its connection broke. A reset that comes before all messages were read hides a half-close before it.
    pub fn seen(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    pub(crate) fn note(&self) {
        self.0.store(true, Ordering::Release);
    }
}

impl RequestContext {
    /// Fails where the request did not come through [`Server`](crate::Server), which is a defect.
    pub fn of<T>(request: &tonic::Request<T>) -> Result<&Self, Fault> {
        request.extensions().get().ok_or_else(|| Fault::unexpected("the request has no context"))
    }
}
