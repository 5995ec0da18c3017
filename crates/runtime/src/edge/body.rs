//! A response's body on its way out: its trailers tell how the call ended.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use holdfast_telemetry::context;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tonic::{Status, body::Body};

use super::{call::Call, failure::Place};

pub(crate) struct EdgeBody {
    inner: Body,
    /// None for the empty body of a failure in the headers.
    call: Option<Call>,
}

impl EdgeBody {
    pub(super) fn new(inner: Body, call: Call) -> Self {
        Self { inner, call: Some(call) }
    }

    pub(super) fn empty() -> Self {
        Self { inner: Body::empty(), call: None }
    }
}

impl HttpBody for EdgeBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Self { inner, call } = self.get_mut();
        let Some(call) = call else { return Pin::new(inner).poll_frame(cx) };
        // The method's own code runs in here where it answers with a stream.
        let ids = call.ids.clone();
        context::enter(ids, || {
            let _span = call.span.clone().map(tracing::Span::entered);
            let frame = std::task::ready!(Pin::new(inner).poll_frame(cx));
            Poll::Ready(frame.map(|frame| finish(frame, call)))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

fn finish(frame: Result<Frame<Bytes>, Status>, call: &mut Call) -> Result<Frame<Bytes>, Status> {
    match frame {
        Ok(frame) => match frame.into_trailers() {
            Ok(trailers) => Ok(Frame::trailers(call.end_in_trailers(trailers))),
            Err(data) => Ok(data),
        },
        Err(status) => Err(call.end_with(status, Place::Trailers)),
    }
}
