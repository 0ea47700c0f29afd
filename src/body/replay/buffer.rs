//! What was read so far, and how much of it the current sending has yielded.

use std::collections::VecDeque;

use bytes::Bytes;
use http::HeaderMap;
use http_body::Frame;

/// Any body may have this many frames, and one more per [`BYTES_PER_FRAME`] of its cap.
const FREE_FRAMES: usize = 64;
/// Somewhat above what a kept frame costs beside its data.
const BYTES_PER_FRAME: usize = 64;

/// The frames that were read, for as long as they may be needed again.
///
/// While it is `complete` it holds every frame since the start. Otherwise only those that the
/// current sending has yet to yield.
pub(super) struct Buffer {
    frames: VecDeque<Kept>,
    complete: bool,
    cap: usize,
    /// Bytes of all frames: data and trailers.
    used: usize,
    /// Bytes of all frames: data.
    data: u64,
    /// The frame that the current sending yields next.
    position: usize,
    /// The data that the current sending has yet to yield.
    ahead: u64,
}

impl Buffer {
    /// An empty buffer; `announced` is the least number of bytes that are to come.
    pub(super) fn new(cap: usize, announced: u64) -> Self {
        Self {
            frames: VecDeque::new(),
            complete: usize::try_from(announced).is_ok_and(|bytes| bytes <= cap),
            cap,
            used: 0,
            data: 0,
            position: 0,
            ahead: 0,
        }
    }

    pub(super) fn is_complete(&self) -> bool {
        self.complete
    }

    /// Whether the current sending has yielded all that was read.
    pub(super) fn is_yielded(&self) -> bool {
        self.position == self.frames.len()
    }

    /// Bytes of data that the current sending has yet to yield.
    pub(super) fn ahead(&self) -> u64 {
        self.ahead
    }

    /// Starts a new sending.
    pub(super) fn rewind(&mut self) {
        debug_assert!(self.complete);
        self.position = 0;
        self.ahead = self.data;
    }

    /// The next frame for the current sending.
    pub(super) fn next(&mut self) -> Option<Frame<Bytes>> {
        let kept = if self.complete {
            let kept = self.frames.get(self.position)?.clone();
            self.position += 1;
            kept
        } else {
            self.frames.pop_front()?
        };
        Some(match kept {
            Kept::Data(data) => {
                self.ahead -= data.len() as u64;
                Frame::data(data)
            }
            Kept::Trailers(trailers) => Frame::trailers(*trailers),
        })
    }

    /// Keeps a frame that was just read, and that the current sending is about to yield.
    pub(super) fn push(&mut self, frame: &Frame<Bytes>) {
        if !self.complete || frame.data_ref().is_some_and(Bytes::is_empty) {
            return;
        }
        let Some(kept) = Kept::new(frame) else {
            return self.forget();
        };
        let used = self.used.saturating_add(kept.bytes());
        if used > self.cap || self.frames.len() >= FREE_FRAMES + self.cap / BYTES_PER_FRAME {
            return self.forget();
        }
        self.used = used;
        self.data += frame.data_ref().map_or(0, |data| data.len() as u64);
        self.frames.push_back(kept);
        self.position += 1;
    }

    /// There will be no further sending: drops what the current one has yielded.
    pub(super) fn forget(&mut self) {
        if self.complete {
            self.complete = false;
            self.frames = self.frames.split_off(self.position);
            self.position = 0;
        }
    }

    /// Bytes that are held.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.frames.iter().map(Kept::bytes).sum()
    }
}

#[derive(Clone)]
enum Kept {
    Data(Bytes),
    Trailers(Box<HeaderMap>),
}

impl Kept {
    /// `None` for a kind of frame that is neither data nor trailers.
    fn new(frame: &Frame<Bytes>) -> Option<Self> {
        let data = frame.data_ref().cloned().map(Self::Data);
        data.or_else(|| {
            let trailers = frame.trailers_ref()?;
            Some(Self::Trailers(Box::new(trailers.clone())))
        })
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Data(data) => data.len(),
            Self::Trailers(trailers) => trailers
                .iter()
                .map(|(name, value)| name.as_str().len() + value.len())
                .sum(),
        }
    }
}
