//! The sendings of one body, and what they share.

use std::{
    mem,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker, ready},
};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};

use super::{
    buffer::Buffer,
    error::{Kind, ReplayError},
};
use crate::{error::BoxError, sync::lock};

/// One sending of a body. Of all sendings that share a body, the one whose turn it is reads it.
pub(super) struct Sending<B> {
    shared: Arc<Shared<B>>,
    /// The place in the order of the sendings; a later one takes over from an earlier one, never
    /// the other way round. Changed through `&self`, but only under the lock.
    turn: AtomicU64,
    /// Whether it was polled, and had its turn then.
    started: bool,
    /// What it reads alone, because nothing is kept any more. The lock is never waited for; it is
    /// there because a body need not be `Sync`.
    own: Option<Mutex<Source<B>>>,
}

/// What the sendings of one body share.
///
/// The lock is held while the body is polled, which makes every step of a sending atomic. Nothing
/// that runs under it can come back for the lock: tasks are woken after it is released, and
/// dropping a sending (which dropping a waker can lead to) never waits for it.
struct Shared<B> {
    state: Mutex<State<B>>,
    /// Sendings that were not started. While there are any, what is read has to be kept. None can
    /// be added to zero, as only such a sending is cloned.
    unstarted: AtomicUsize,
    /// The size of the body before it was polled: every sending has to announce the same.
    original: SizeHint,
}

struct State<B> {
    source: Source<B>,
    buffer: Buffer,
    /// Whose turn it is.
    turn: u64,
    /// The last turn that was given to a sending.
    last_turn: u64,
    /// The task that polled last, to be woken if another sending takes over.
    waker: Option<Waker>,
}

enum Source<B> {
    Open(Pin<Box<B>>),
    Ended,
    Failed,
}

impl<B: Body> Sending<B> {
    pub(super) fn new(body: B, cap: usize) -> Self {
        let original = body.size_hint();
        let state = State {
            buffer: Buffer::new(cap, original.lower()),
            source: Source::Open(Box::pin(body)),
            turn: 0,
            last_turn: 0,
            waker: None,
        };
        Self {
            shared: Arc::new(Shared {
                state: Mutex::new(state),
                unstarted: AtomicUsize::new(1),
                original,
            }),
            turn: AtomicU64::new(0),
            started: false,
            own: None,
        }
    }

    pub(super) fn try_clone(&self) -> Option<Self> {
        let mut state = self.shared.lock();
        if self.started || !state.is_replayable() {
            return None;
        }
        // Being cloned means being sent next. That matters to a copy that was kept for long, by a
        // layer above one that has sent other copies meanwhile.
        if self.turn.load(Relaxed) != state.turn {
            self.turn.store(state.next_turn(), Relaxed);
        }
        self.shared.unstarted.fetch_add(1, Relaxed);
        Some(Self {
            shared: Arc::clone(&self.shared),
            turn: AtomicU64::new(state.next_turn()),
            started: false,
            own: None,
        })
    }

    pub(super) fn can_replay(&self) -> bool {
        let state = self.shared.lock();
        // With its turn, and nothing yielded, nobody can have taken anything from it.
        !self.started && (self.turn.load(Relaxed) == state.turn || state.is_replayable())
    }

    pub(super) fn take_over(&mut self) -> bool {
        if self.started {
            return false;
        }
        let mut state = self.shared.lock();
        let turn = self.turn.get_mut();
        if *turn == state.turn {
            return true;
        }
        if !state.is_replayable() {
            return false;
        }
        *turn = state.next_turn();
        let displaced = state.pass_to(*turn);
        drop(state);
        wake(displaced);
        true
    }

    /// The first poll. A sending that was superseded before it began stays out: it would take the
    /// body away from the retry.
    fn start(&mut self) -> Result<(), ReplayError> {
        let mut state = self.shared.lock();
        let turn = *self.turn.get_mut();
        if turn < state.turn {
            return Err(Kind::TakenOver.into());
        }
        let mut displaced = None;
        if turn > state.turn {
            if !state.is_replayable() {
                return Err(Kind::Gone.into());
            }
            displaced = state.pass_to(turn);
        }
        drop(state);
        self.started = true;
        self.shared.unstarted.fetch_sub(1, Relaxed);
        wake(displaced);
        Ok(())
    }

    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>>
    where
        B::Error: Into<BoxError>,
    {
        if let Some(own) = &mut self.own {
            return lock(own).poll_frame(cx);
        }
        if !self.started
            && let Err(error) = self.start()
        {
            return Poll::Ready(Some(Err(error.into())));
        }
        let mut state = self.shared.lock();
        if *self.turn.get_mut() != state.turn {
            return Poll::Ready(Some(Err(ReplayError::from(Kind::TakenOver).into())));
        }
        if !state.buffer.is_complete() && state.buffer.is_yielded() {
            // Nobody can take over any more, so nobody else needs the body.
            state.waker = None;
            let source = mem::replace(&mut state.source, Source::Failed);
            drop(state);
            let own = self.own.insert(Mutex::new(source));
            return lock(own).poll_frame(cx);
        }
        if self.shared.unstarted.load(Relaxed) > 0 {
            // At every poll, not only when the body is pending: the task may go on to wait for
            // something else, such as a full socket.
            state.remember(cx.waker());
        } else {
            state.waker = None;
            state.buffer.forget();
        }
        state.poll_frame(cx)
    }

    pub(super) fn is_end_stream(&self) -> bool {
        // A body that was at its end before it was polled has no sendings.
        if !self.started {
            return false;
        }
        if let Some(own) = &self.own {
            return lock(own).is_end_stream();
        }
        let state = self.shared.lock();
        self.turn.load(Relaxed) == state.turn
            && state.buffer.is_yielded()
            && state.source.is_end_stream()
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        // Even if more is known by now: the framing must not differ from the first sending's.
        if !self.started {
            return SizeHint::clone(&self.shared.original);
        }
        if let Some(own) = &self.own {
            return lock(own).size_hint();
        }
        let state = self.shared.lock();
        if self.turn.load(Relaxed) != state.turn {
            return SizeHint::default();
        }
        let rest = state.source.size_hint();
        let ahead = state.buffer.ahead();
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(ahead));
        if let Some(upper) = rest.upper().and_then(|upper| upper.checked_add(ahead)) {
            hint.set_upper(upper);
        }
        hint
    }

    /// Bytes that are held for all sendings.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.shared.lock().buffer.held()
    }
}

impl<B> Drop for Sending<B> {
    fn drop(&mut self) {
        // Where the lock is taken, the next poll sees to it.
        if !self.started
            && self.shared.unstarted.fetch_sub(1, Relaxed) == 1
            && let Ok(mut state) = self.shared.state.try_lock()
        {
            state.buffer.forget();
        }
    }
}

impl<B> Shared<B> {
    fn lock(&self) -> MutexGuard<'_, State<B>> {
        self.state.lock().unwrap_or_else(|poisoned| {
            // The body panicked while it was polled: it must not be polled again.
            let mut state = poisoned.into_inner();
            state.source = Source::Failed;
            state
        })
    }
}

impl<B> State<B> {
    /// Whether a sending can begin from the start.
    fn is_replayable(&self) -> bool {
        self.buffer.is_complete() && !matches!(self.source, Source::Failed)
    }

    fn next_turn(&mut self) -> u64 {
        self.last_turn += 1;
        self.last_turn
    }

    /// Makes it another sending's turn; the task of the one before is to be woken.
    fn pass_to(&mut self, turn: u64) -> Option<Waker> {
        self.turn = turn;
        self.buffer.rewind();
        self.waker.take()
    }

    fn remember(&mut self, waker: &Waker) {
        match &mut self.waker {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>>
    where
        B: Body,
        B::Error: Into<BoxError>,
    {
        if let Some(frame) = self.buffer.next() {
            return Poll::Ready(Some(Ok(frame)));
        }
        let polled = ready!(self.source.poll_frame(cx));
        match &polled {
            Some(Ok(frame)) => self.buffer.push(frame),
            Some(Err(_)) => self.buffer.forget(),
            None => {}
        }
        Poll::Ready(polled)
    }
}

impl<B: Body> Source<B> {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>>
    where
        B::Error: Into<BoxError>,
    {
        let body = match self {
            Self::Open(body) => body,
            Self::Ended => return Poll::Ready(None),
            Self::Failed => {
                return Poll::Ready(Some(Err(ReplayError::from(Kind::Gone).into())));
            }
        };
        Poll::Ready(match ready!(body.as_mut().poll_frame(cx)) {
            Some(Ok(frame)) => Some(Ok(
                frame.map_data(|mut data| data.copy_to_bytes(data.remaining()))
            )),
            Some(Err(error)) => {
                *self = Self::Failed;
                Some(Err(error.into()))
            }
            None => {
                *self = Self::Ended;
                None
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Open(body) => body.is_end_stream(),
            Self::Ended => true,
            Self::Failed => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Open(body) => body.size_hint(),
            Self::Ended => SizeHint::with_exact(0),
            Self::Failed => SizeHint::default(),
        }
    }
}

fn wake(displaced: Option<Waker>) {
    if let Some(waker) = displaced {
        waker.wake();
    }
}
