//! The recorded frames of a body, and how many of them the current attempt has yielded.

use std::collections::VecDeque;

use bytes::Bytes;
use http::HeaderMap;
use http_body::Frame;

/// The number of frames that may be recorded for any body. One more is allowed per
/// [`BYTES_PER_FRAME`] of its cap.
const MIN_FRAMES: usize = 64;
/// Slightly more than the overhead of a recorded frame.
const BYTES_PER_FRAME: usize = 64;

/// Holds the frames that may be needed again.
///
/// While it is `complete`, it holds every frame since the start of the body. Otherwise it holds
/// only the frames that the current attempt has not yielded yet.
pub(super) struct Buffer {
    frames: VecDeque<Recorded>,
    complete: bool,
    cap: usize,
    /// Bytes of data and trailers in all frames.
    used: usize,
    /// Bytes of data in all frames.
    data: u64,
    /// The index of the frame that the current attempt yields next.
    position: usize,
    /// Bytes of data that the current attempt has not yielded yet.
    ahead: u64,
}

impl Buffer {
    /// Creates an empty buffer. `announced` is the lower bound of the body's size.
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

    /// Returns whether the current attempt has yielded all frames.
    pub(super) fn is_yielded(&self) -> bool {
        self.position == self.frames.len()
    }

    /// Returns the bytes of data that the current attempt has not yielded yet.
    pub(super) fn ahead(&self) -> u64 {
        self.ahead
    }

    /// Returns to the first frame, for another attempt.
    pub(super) fn rewind(&mut self) {
        debug_assert!(self.complete);
        self.position = 0;
        self.ahead = self.data;
    }

    /// Returns the next recorded frame for the current attempt.
    pub(super) fn next(&mut self) -> Option<Frame<Bytes>> {
        let recorded = if self.complete {
            let recorded = self.frames.get(self.position)?.clone();
            self.position += 1;
            recorded
        } else {
            self.frames.pop_front()?
        };
        Some(match recorded {
            Recorded::Data(data) => {
                self.ahead -= data.len() as u64;
                Frame::data(data)
            }
            Recorded::Trailers(trailers) => Frame::trailers(*trailers),
        })
    }

    /// Records a frame that the current attempt has just read and is about to yield.
    pub(super) fn push(&mut self, frame: &Frame<Bytes>) {
        if !self.complete || frame.data_ref().is_some_and(Bytes::is_empty) {
            return;
        }
        let Some(recorded) = Recorded::new(frame) else {
            return self.stop_recording();
        };
        let used = self.used.saturating_add(recorded.bytes());
        if used > self.cap || self.frames.len() >= MIN_FRAMES + self.cap / BYTES_PER_FRAME {
            return self.stop_recording();
        }
        self.used = used;
        self.data += frame.data_ref().map_or(0, |data| data.len() as u64);
        self.frames.push_back(recorded);
        self.position += 1;
    }

    /// Rules out further attempts, and drops the frames that the current one has yielded.
    pub(super) fn stop_recording(&mut self) {
        if self.complete {
            self.complete = false;
            self.frames = self.frames.split_off(self.position);
            self.position = 0;
        }
    }

    /// Returns the number of recorded bytes.
    #[cfg(test)]
    pub(super) fn recorded(&self) -> usize {
        self.frames.iter().map(Recorded::bytes).sum()
    }
}

#[derive(Clone)]
enum Recorded {
    Data(Bytes),
    Trailers(Box<HeaderMap>),
}

impl Recorded {
    /// Copies a frame. Returns `None` for an unknown kind of frame.
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
