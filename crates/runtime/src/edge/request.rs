//! A stream's messages on their way in: how they end is known here and nowhere later.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tonic::{Status, body::Body};

use crate::context::HalfClose;

/// Notes END_STREAM. Above, an RST_STREAM with CANCEL or NO_ERROR looks the same: the transport ends the body for both.
pub(super) struct RequestBody {
    inner: Body,
    half_close: HalfClose,
}

impl RequestBody {
    pub(super) fn new(inner: Body, half_close: HalfClose) -> Self {
        let body = Self { inner, half_close };
        // END_STREAM on the headers: nobody will poll an empty body.
        body.note_end();
        body
    }

    /// True only of END_STREAM, and only once all that came before it has been read.
    fn note_end(&self) -> bool {
        let has_ended = self.inner.is_end_stream();
        if has_ended {
            self.half_close.note();
        }
        has_ended
    }
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = std::task::ready!(Pin::new(&mut self.inner).poll_frame(cx));
        // After every frame: END_STREAM may ride on the last one, and a reset that follows would hide it.
        self.note_end();
        Poll::Ready(frame)
    }

    /// Whoever learns the end from here does not poll for it.
    fn is_end_stream(&self) -> bool {
        self.note_end()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
