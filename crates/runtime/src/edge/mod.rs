//! Everything that surrounds a call, in one layer.
//!
//! In this order, before the body is read: the method is looked up, the call gets its ids and its place in a trace, the
//! token is verified, the access table asked, the deadline set. Then the method runs. Whatever leaves as a failure is a
//! reason of the catalogue with RequestInfo, and is logged once.

mod body;
mod call;
mod deadline;
mod failure;
pub(crate) mod measures;
mod request;

use std::{
    convert::Infallible,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use futures::FutureExt as _;
use holdfast_caller::{Caller, Verifier, bearer_token};
use holdfast_fault::{Fault, Reason};
use holdfast_ids::RequestId;
use holdfast_telemetry::context::{CallIds, TraceContext, scope};
use http::{HeaderMap, Request, Response, header::AUTHORIZATION};
use tonic::{Status, body::Body};
use tower::{Layer, Service};
use tracing::Instrument as _;

use self::{body::EdgeBody, call::Call, failure::Place, request::RequestBody};
use crate::{
    context::{HalfClose, RequestContext},
    methods::{Admission, Methods},
};

pub(crate) const REQUEST_ID: &str = "x-request-id";

#[derive(Clone)]
pub(crate) struct EdgeLayer {
    pub(crate) methods: Arc<Methods>,
    pub(crate) verifier: Verifier,
    pub(crate) deadline_max: Duration,
}

impl<S> Layer<S> for EdgeLayer {
    type Service = Edge<S>;

    fn layer(&self, inner: S) -> Edge<S> {
        Edge { inner, shared: self.clone() }
    }
}

#[derive(Clone)]
pub(crate) struct Edge<S> {
    inner: S,
    shared: EdgeLayer,
}

type Answer = Result<Response<EdgeBody>, Infallible>;

impl<S> Service<Request<Body>> for Edge<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<EdgeBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let received = Instant::now();
        // The instance that was polled ready serves this call; a fresh clone takes its place.
        let fresh = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, fresh);
        let shared = self.shared.clone();

        let request_id = RequestId::received_or_new(header(request.headers(), REQUEST_ID));
        let parent = header(request.headers(), "traceparent").and_then(TraceContext::parse);
        let Some(method) = shared.methods.get(request.uri().path()) else {
            return Box::pin(std::future::ready(Ok(unknown_method(&shared.methods, &request_id, parent, received))));
        };
        let (span, trace) = match method.span(parent) {
            Some((span, trace)) => (Some(span), trace),
            None => (None, parent.unwrap_or_else(TraceContext::fresh)),
        };
        let ids = Arc::new(CallIds { request_id, trace });
        let call = Call::new(method.clone(), received, ids.clone(), span.clone());
        let serve = scope(ids, shared.serve(inner, request, call));
        match span {
            Some(span) => Box::pin(serve.instrument(span)),
            None => Box::pin(serve),
        }
    }
}

impl EdgeLayer {
    async fn serve<S>(self, inner: S, mut request: Request<Body>, mut call: Call) -> Answer
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Send,
    {
        if let Err(fault) = self.admit(&mut request, &mut call).await {
            return Ok(call.fail(Status::from(fault), Place::Head));
        }
        let response = match self.run(inner, request, &call).await {
            Ok(response) => response,
            Err(fault) => return Ok(call.fail(Status::from(fault), Place::Head)),
        };
        Ok(call.answer(response))
    }

    /// Lets the call through to its method, with its context.
    async fn admit(&self, request: &mut Request<Body>, call: &mut Call) -> Result<(), Fault> {
        let Admission::Authenticated(access) = &call.method.admission else {
            call.deadline = self.deadline(request, call, Duration::ZERO);
            return Ok(());
        };
        call.deadline = self.deadline(request, call, access.waits);
        let caller = self.caller(request.headers()).await?;
        call.caller = Some(caller.clone());
        access.permit(&caller)?;
        let tracestate = tracestate(request.headers());
        let half_close = HalfClose::default();
        if call.method.is_stream {
            let body = RequestBody::new(std::mem::take(request.body_mut()), half_close.clone());
            *request.body_mut() = Body::new(body);
        }
        request.extensions_mut().insert(RequestContext {
            caller,
            request_id: call.ids.request_id.clone(),
            traceparent: call.ids.trace.to_string(),
            tracestate,
            trace_id: call.ids.trace.trace_id_hex(),
            deadline: call.deadline,
            half_close,
        });
        Ok(())
    }

    /// Streams have none.
    fn deadline(&self, request: &Request<Body>, call: &Call, waits: Duration) -> Option<Instant> {
        let cap = self.deadline_max + waits;
        (!call.method.is_stream).then(|| deadline::of(request.headers(), call.received, cap))
    }

    async fn caller(&self, headers: &HeaderMap) -> Result<Arc<Caller>, Fault> {
        let missing = || Fault::new(Reason::Auth401MissingToken, "metadata authorization has no bearer token");
        let token = header(headers, AUTHORIZATION.as_str()).and_then(bearer_token).ok_or_else(missing)?;
        self.verifier.verify(token).await
    }

    async fn run<S>(&self, mut inner: S, request: Request<Body>, call: &Call) -> Result<Response<Body>, Fault>
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Send,
    {
        let work = AssertUnwindSafe(async move { inner.call(request).await }).catch_unwind();
        let outcome = match call.deadline {
            Some(deadline) => {
                let passed = || Fault::new(Reason::Req408Deadline, "the deadline of the call passed");
                tokio::time::timeout_at(deadline.into(), work).await.map_err(|_| passed())?
            }
            None => work.await,
        };
        match outcome {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(never)) => match never {},
            Err(panic) => Err(Fault::unexpected(failure::panic_message(panic.as_ref()))),
        }
    }
}

fn unknown_method(
    methods: &Methods,
    request_id: &RequestId,
    parent: Option<TraceContext>,
    received: Instant,
) -> Response<EdgeBody> {
    let status = Status::unimplemented("this server has no such method");
    methods.unknown.record(status.code(), received.elapsed());
    let ids = CallIds { request_id: request_id.clone(), trace: parent.unwrap_or_else(TraceContext::fresh) };
    failure::response(status, &ids)
}

/// The `tracestate` headers as one; without a `traceparent`, too long or not printable it counts as absent.
fn tracestate(headers: &HeaderMap) -> String {
    const CHARS_MAX: usize = 512;
    if header(headers, "traceparent").and_then(TraceContext::parse).is_none() {
        return String::new();
    }
    let states: Vec<&str> = headers.get_all("tracestate").iter().filter_map(|value| value.to_str().ok()).collect();
    let state = states.join(",").trim().to_owned();
    let well_formed = state.len() <= CHARS_MAX && state.bytes().all(|byte| (0x20..=0x7e).contains(&byte));
    if well_formed { state } else { String::new() }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
