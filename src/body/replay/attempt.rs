//! The attempts to send one body, and the state they share.

use std::{
    mem,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker, ready},
};

use http_body::{Body, SizeHint};

use super::{
    buffer::Buffer,
    error::{Kind, ReplayError},
    source::{PolledFrame, Source},
};
use crate::{error::BoxError, sync::lock};

/// One attempt to send a body. Of all attempts that share a body, only the one whose turn it is
/// reads it.
pub(super) struct Attempt<B> {
    shared: Arc<Shared<B>>,
    /// The position in the order of attempts. A later attempt takes over from an earlier one, never
    /// the reverse. Changed through `&self`, but only under the lock.
    turn: AtomicU64,
    /// Whether the attempt has been polled during its turn.
    started: bool,
    /// The source, once nothing is recorded anymore and only this attempt can read it. The lock
    /// exists only because a body need not be `Sync`; no attempt ever waits for it.
    own: Option<Mutex<Source<B>>>,
}

/// The state that the attempts to send one body share.
///
/// The lock is held while the body is polled, which makes every step of an attempt atomic. Nothing
/// that runs under the lock can try to take it again: tasks are woken after it is released, and
/// dropping an attempt, which dropping a waker can cause, never waits for it.
struct Shared<B> {
    state: Mutex<State<B>>,
    /// The number of attempts that have not started. As long as there are any, frames must be
    /// recorded. Once the count is zero, it stays zero, because only an attempt that has not
    /// started can be cloned.
    unstarted: AtomicUsize,
    /// The size of the body before it was polled. Every attempt must announce the same size.
    original: SizeHint,
}

struct State<B> {
    source: Source<B>,
    buffer: Buffer,
    /// The turn of the attempt that reads the body.
    turn: u64,
    /// The last turn that was assigned to an attempt.
    last_turn: u64,
    /// The task that polled last, which is woken when another attempt takes over.
    waker: Option<Waker>,
}

impl<B: Body> Attempt<B> {
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
        // Being cloned means that this attempt is sent next. That matters for a copy that a layer
        // has kept while a layer beneath it has sent other copies.
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
        // If it is this attempt's turn and it has not started, the body is complete.
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

    /// Handles the first poll. An attempt that was superseded before its first poll fails, because
    /// it would otherwise take the body away from the retry.
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

    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> PolledFrame
    where
        B::Error: Into<BoxError>,
    {
        if let Some(own) = &self.own {
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
            // No attempt can take over anymore, so this one keeps the body for itself.
            state.waker = None;
            let source = mem::replace(&mut state.source, Source::Failed);
            drop(state);
            return lock(self.own.insert(Mutex::new(source))).poll_frame(cx);
        }
        if self.shared.unstarted.load(Relaxed) > 0 {
            // Set the waker at every poll, not only when the body is pending: the task may wait for
            // something else next, such as a full socket.
            state.set_waker(cx.waker());
        } else {
            state.waker = None;
            state.buffer.stop_recording();
        }
        state.poll_frame(cx)
    }

    pub(super) fn is_end_stream(&self) -> bool {
        // A body that was at its end before it was polled has no attempts, so this one is not at
        // its end.
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
        // Return the original size even if more is known by now, because the framing must match
        // that of the first attempt.
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

    /// Returns the number of bytes that are recorded for all attempts.
    #[cfg(test)]
    pub(super) fn recorded(&self) -> usize {
        self.shared.lock().buffer.recorded()
    }
}

impl<B> Drop for Attempt<B> {
    fn drop(&mut self) {
        // If the lock is taken, the next poll stops the recording.
        if !self.started
            && self.shared.unstarted.fetch_sub(1, Relaxed) == 1
            && let Ok(mut state) = self.shared.state.try_lock()
        {
            state.buffer.stop_recording();
        }
    }
}

impl<B> Shared<B> {
    fn lock(&self) -> MutexGuard<'_, State<B>> {
        self.state.lock().unwrap_or_else(|poisoned| {
            // The body panicked while it was polled, so it must not be polled again.
            let mut state = poisoned.into_inner();
            state.source = Source::Failed;
            state
        })
    }
}

impl<B> State<B> {
    /// Returns whether an attempt can begin at the start of the body.
    fn is_replayable(&self) -> bool {
        self.buffer.is_complete() && !self.source.is_failed()
    }

    fn next_turn(&mut self) -> u64 {
        self.last_turn += 1;
        self.last_turn
    }

    /// Passes the body to another attempt. Returns the waker of the displaced one.
    fn pass_to(&mut self, turn: u64) -> Option<Waker> {
        self.turn = turn;
        self.buffer.rewind();
        self.waker.take()
    }

    fn set_waker(&mut self, waker: &Waker) {
        match &mut self.waker {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> PolledFrame
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
            Some(Err(_)) => self.buffer.stop_recording(),
            None => {}
        }
        Poll::Ready(polled)
    }
}

fn wake(displaced: Option<Waker>) {
    if let Some(waker) = displaced {
        waker.wake();
    }
}
