//! A body that can be sent again, whatever it is made of.

mod buffer;
mod error;
mod layer;
mod sending;

#[cfg(test)]
mod interleavings;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use self::sending::Sending;
pub use self::{
    error::ReplayError,
    layer::{Replay, ReplayLayer},
};
use crate::{body::CloneBody, error::BoxError};

/// How much is kept unless the caller says otherwise: 64 KiB.
const DEFAULT_CAP: usize = 64 * 1024;

/// Makes any body replayable while it streams.
///
/// Nothing is read ahead and nothing is copied: as the first sending reads the wrapped body, the
/// frames that pass are kept as shared [`Bytes`] for as long as a clone exists that may need them.
/// (A body whose data is not `Bytes` is converted with `Buf::copy_to_bytes`, which may copy.)
///
/// **The cap** bounds what is kept: the bytes of data and trailers, and beside them at most one
/// frame per 64 bytes of the cap plus 64, so that many tiny frames don't outweigh their data. It
/// counts the bytes of the frames, not of larger buffers they may be slices of. Once a body is
/// beyond its cap, all that was kept is dropped, the sending goes on, and the clones say that they
/// [cannot be replayed](CloneBody::can_replay). A body that announces more than the cap is never
/// kept at all. The default is 64 KiB.
///
/// **Several sendings** share the wrapped body, and one of them has it. A clone that
/// [takes over](CloneBody::take_over), or is polled after the body it was cloned from, yields what
/// was read so far and then goes on reading where the other one stood. The other one is woken, and
/// fails with a [`ReplayError`], so that no request ever looks complete without being so. Which
/// sending is the later one: that of the body that was cloned later, or cloned from later, or took
/// over later.
///
/// **Errors** of the wrapped body go, as they are, to whoever polls; after that there is no replay.
///
/// The size hint and with it the framing (`Content-Length` or chunked) is that of the wrapped body,
/// and so are trailers and the end of the stream.
///
/// The default is an empty body.
pub struct ReplayBody<B> {
    /// `None` for a body that was empty from the start: there is nothing to share.
    sending: Option<Sending<B>>,
}

impl<B: Body> ReplayBody<B> {
    /// A body that keeps up to 64 KiB.
    pub fn new(body: B) -> Self {
        Self::with_cap(body, DEFAULT_CAP)
    }

    /// A body that keeps up to `bytes` bytes.
    pub fn with_cap(body: B, bytes: usize) -> Self {
        let sending = (!body.is_end_stream()).then(|| Sending::new(body, bytes));
        Self { sending }
    }
}

impl<B: Body> CloneBody for ReplayBody<B> {
    /// `None` also for a body that was polled already.
    fn try_clone_body(&self) -> Option<Self> {
        let sending = match &self.sending {
            Some(sending) => Some(sending.try_clone()?),
            None => None,
        };
        Some(Self { sending })
    }

    fn can_replay(&self) -> bool {
        self.sending.as_ref().is_none_or(Sending::can_replay)
    }

    fn take_over(&mut self) -> bool {
        self.sending.as_mut().is_none_or(Sending::take_over)
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
        match &mut self.sending {
            Some(sending) => sending.poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.sending.as_ref().is_none_or(Sending::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.sending {
            Some(sending) => sending.size_hint(),
            None => SizeHint::with_exact(0),
        }
    }
}

impl<B> Default for ReplayBody<B> {
    fn default() -> Self {
        Self { sending: None }
    }
}

impl<B> fmt::Debug for ReplayBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplayBody").finish_non_exhaustive()
    }
}
