//! A wrapper that makes any body replayable.

mod attempt;
mod buffer;
mod error;
mod layer;
mod source;

#[cfg(test)]
mod interleavings;
#[cfg(test)]
mod tests;

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use self::attempt::Attempt;
pub use self::{
    error::ReplayError,
    layer::{Replay, ReplayLayer},
};
use crate::{body::CloneBody, error::BoxError};

/// The cap of a body that is wrapped without an explicit cap.
const DEFAULT_CAP: usize = 64 * 1024;

/// A wrapper that makes any body replayable while it streams.
///
/// Nothing is read ahead and nothing is copied. While the first attempt reads the wrapped body, its
/// frames are recorded as shared [`Bytes`] for as long as there is a clone that may need them. (A
/// body whose data is not `Bytes` is converted with `Buf::copy_to_bytes`, which may copy.)
///
/// **The cap** bounds the recording: the bytes of data and trailers, and the number of frames (64,
/// plus one per 64 bytes of the cap), so that many tiny frames cannot cost more than their data. It
/// counts the bytes of the frames, not of larger buffers that they may be slices of. When a body
/// exceeds its cap, the recording is dropped, the attempt continues, and the clones [cannot be
/// replayed](CloneBody::can_replay). A body that announces more than the cap is never recorded. The
/// default is 64 KiB.
///
/// **Several attempts** share the wrapped body, and only one of them reads it at a time. A clone
/// that [takes over](CloneBody::take_over), or is polled after the body that it was cloned from,
/// yields the recorded frames and then continues to read where the earlier attempt stopped. The
/// earlier attempt is woken and fails with a [`ReplayError`], so that no truncated request looks
/// complete. Of two attempts, the later one is the one that more recently was created as a clone,
/// was cloned itself, or took over.
///
/// **Errors** of the wrapped body are returned unchanged. After an error, the body can no longer be
/// replayed.
///
/// The size hint (and with it the framing, `Content-Length` or chunked), the trailers and the end
/// of the stream are those of the wrapped body.
///
/// The default is an empty body.
pub struct ReplayBody<B> {
    /// `None` for a body that was empty from the start, which has nothing to share.
    attempt: Option<Attempt<B>>,
}

impl<B: Body> ReplayBody<B> {
    /// Wraps a body, recording up to 64 KiB of it.
    pub fn new(body: B) -> Self {
        Self::with_cap(body, DEFAULT_CAP)
    }

    /// Wraps a body, recording up to `bytes` bytes of it.
    pub fn with_cap(body: B, bytes: usize) -> Self {
        let attempt = (!body.is_end_stream()).then(|| Attempt::new(body, bytes));
        Self { attempt }
    }
}

impl<B: Body> CloneBody for ReplayBody<B> {
    /// Also returns `None` for a body that has already been polled.
    fn try_clone_body(&self) -> Option<Self> {
        let attempt = match &self.attempt {
            Some(attempt) => Some(attempt.try_clone()?),
            None => None,
        };
        Some(Self { attempt })
    }

    fn can_replay(&self) -> bool {
        self.attempt.as_ref().is_none_or(Attempt::can_replay)
    }

    fn take_over(&mut self) -> bool {
        self.attempt.as_mut().is_none_or(Attempt::take_over)
    }
}

impl<B> Body for ReplayBody<B>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.attempt {
            Some(attempt) => attempt.poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.attempt.as_ref().is_none_or(Attempt::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.attempt {
            Some(attempt) => attempt.size_hint(),
            None => SizeHint::with_exact(0),
        }
    }
}

impl<B> Default for ReplayBody<B> {
    fn default() -> Self {
        Self { attempt: None }
    }
}

partial_debug!(ReplayBody<B>);
