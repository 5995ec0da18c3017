//! The ids that tie what happens to the call it happens for.

use std::{fmt, future::Future, sync::Arc};

use holdfast_ids::RequestId;
use opentelemetry::{
    SpanId, TraceFlags, TraceId,
    trace::{SpanContext, TraceState},
};
use tokio::task::futures::TaskLocalFuture;

tokio::task_local! {
    static CALL: Arc<CallIds>;
}

/// A position in a distributed trace, as W3C `traceparent` says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    pub trace_id: u128,
    pub span_id: u64,
    pub sampled: bool,
}

impl TraceContext {
    /// A trace that begins here. Not sampled: nobody records it.
    pub fn fresh() -> Self {
        // Zero is not an id; the odd bit keeps it out.
        Self { trace_id: rand::random::<u128>() | 1, span_id: rand::random::<u64>() | 1, sampled: false }
    }

    /// Reads a `traceparent` header. None where it is malformed, which W3C treats as absent.
    pub fn parse(header: &str) -> Option<Self> {
        let (version, rest) = header.split_at_checked(2)?;
        let future_version = version != "00";
        if version == "ff" || !is_lower_hex(version) {
            return None;
        }
        let fields = rest.strip_prefix('-')?;
        let (fields, more) = fields.split_at_checked(52)?;
        if !(more.is_empty() || future_version && more.starts_with('-')) {
            return None;
        }
        let mut parts = fields.split('-');
        let (trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?);
        let well_formed = trace.len() == 32 && span.len() == 16 && flags.len() == 2 && parts.next().is_none();
        if !well_formed || ![trace, span, flags].into_iter().all(is_lower_hex) {
            return None;
        }
        let trace_id = u128::from_str_radix(trace, 16).ok().filter(|id| *id != 0)?;
        let span_id = u64::from_str_radix(span, 16).ok().filter(|id| *id != 0)?;
        let flags = u8::from_str_radix(flags, 16).ok()?;
        Some(Self { trace_id, span_id, sampled: flags & 1 == 1 })
    }

    /// 32 hexadecimal digits.
    pub fn trace_id_hex(&self) -> String {
        format!("{:032x}", self.trace_id)
    }

    /// 16 hexadecimal digits.
    pub fn span_id_hex(&self) -> String {
        format!("{:016x}", self.span_id)
    }

    pub(crate) fn to_remote(self) -> SpanContext {
        let flags = if self.sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
        SpanContext::new(TraceId::from(self.trace_id), SpanId::from(self.span_id), flags, true, TraceState::NONE)
    }

    pub(crate) fn of(span: &SpanContext) -> Option<Self> {
        span.is_valid().then(|| Self {
            trace_id: u128::from_be_bytes(span.trace_id().to_bytes()),
            span_id: u64::from_be_bytes(span.span_id().to_bytes()),
            sampled: span.is_sampled(),
        })
    }
}

fn is_lower_hex(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

impl fmt::Display for TraceContext {
    /// As a `traceparent` header.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, u8::from(self.sampled))
    }
}

/// What every log line of a call carries.
#[derive(Debug, Clone)]
pub struct CallIds {
    pub request_id: RequestId,
    pub trace: TraceContext,
}

/// Runs `future` with these ids in scope of its log lines. A task that it spawns has none, unless it does the same.
pub fn scope<F: Future>(ids: Arc<CallIds>, future: F) -> TaskLocalFuture<Arc<CallIds>, F> {
    CALL.scope(ids, future)
}

/// Runs `body` with these ids in scope of its log lines.
pub fn enter<T>(ids: Arc<CallIds>, body: impl FnOnce() -> T) -> T {
    CALL.sync_scope(ids, body)
}

/// The ids in scope, if any.
pub fn current() -> Option<Arc<CallIds>> {
    CALL.try_with(Arc::clone).ok()
}
