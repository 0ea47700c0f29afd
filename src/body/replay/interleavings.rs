//! Random interleavings of polls, drops, clones and takeovers, checked against a plain model.
//!
//! The `Model` knows the whole body from the start, the order of the attempts as a list, and the
//! progress of each. It predicts the result of every call. In addition, three properties hold after
//! every step: the recording is within the cap, a displaced attempt was woken, and an attempt that
//! ended without an error has yielded the whole body.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use fastrand::Rng;
use http::{HeaderMap, HeaderValue};
use http_body::{Body, Frame, SizeHint};
use tokio_test::task::{Spawn, spawn};

use super::{ReplayBody, ReplayError, attempt::Attempt};
use crate::{body::CloneBody, sync::lock};

const RUNS: u64 = 10_000;

/// P28-P32. A failure prints its seed.
#[test]
fn every_interleaving_matches_the_model() {
    let mut seen = Seen::default();
    for seed in 0..RUNS {
        let result = std::panic::catch_unwind(|| {
            let mut seen = Seen::default();
            Run::new(seed).drive(&mut seen);
            seen
        });
        match result {
            Ok(run) => seen.add(&run),
            Err(panic) => {
                eprintln!("failed with seed {seed}");
                std::panic::resume_unwind(panic);
            }
        }
    }
    // The generator must reach the cases that this test is about.
    let rare = RUNS / 50;
    assert!(seen.clean_ends > rare, "{seen:?}");
    assert!(seen.clean_ends_of_retries > rare, "{seen:?}");
    assert!(seen.woken_by_takeover > rare, "{seen:?}");
    assert!(seen.taken_over > rare, "{seen:?}");
    assert!(seen.gone > rare, "{seen:?}");
    assert!(seen.own_errors > rare, "{seen:?}");
}

#[derive(Clone, Debug)]
enum Step {
    Data(Bytes),
    Trailers(HeaderMap),
    Pending,
    Error,
}

/// The actual or expected result of a poll.
#[derive(Clone, Debug, PartialEq)]
enum Outcome {
    Data(Bytes),
    Trailers(HeaderMap),
    Pending,
    End,
    OwnError,
    TakenOver,
    Gone,
}

/// A body that follows a script. A pending step lasts until the test lifts it.
struct Scripted {
    script: Arc<Mutex<Script>>,
    exact: bool,
}

struct Script {
    steps: VecDeque<Step>,
    waker: Option<Waker>,
    ended: bool,
}

impl Scripted {
    fn lock(&self) -> std::sync::MutexGuard<'_, Script> {
        lock(&self.script)
    }
}

impl Body for Scripted {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let mut script = self.lock();
        assert!(!script.ended, "polled after its end");
        if let Some(Step::Pending) = script.steps.front() {
            script.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let step = script.steps.pop_front();
        script.ended = matches!(step, None | Some(Step::Error));
        Poll::Ready(step.map(|step| match step {
            Step::Data(data) => Ok(Frame::data(data)),
            Step::Trailers(trailers) => Ok(Frame::trailers(trailers)),
            Step::Pending => unreachable!(),
            Step::Error => Err(io::Error::other("own")),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.exact && self.lock().steps.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        if self.exact {
            SizeHint::with_exact(data_len(self.lock().steps.iter()))
        } else {
            SizeHint::new()
        }
    }
}

fn data_len<'a>(steps: impl Iterator<Item = &'a Step>) -> u64 {
    steps
        .map(|step| match step {
            Step::Data(data) => data.len() as u64,
            _ => 0,
        })
        .sum()
}

fn recorded_len(step: &Step) -> usize {
    match step {
        Step::Data(data) => data.len(),
        Step::Trailers(trailers) => trailers
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len())
            .sum(),
        Step::Pending | Step::Error => 0,
    }
}

/// The expected behavior, without buffers, locks or wakers.
struct Model {
    /// All frames of the body.
    frames: Vec<Step>,
    /// Whether the body fails after them.
    fails: bool,
    cap: usize,
    exact: bool,
    /// The number of frames read from the body.
    read: usize,
    ended: bool,
    failed: bool,
    /// Whether all frames read so far are still recorded.
    recorded: bool,
    /// All attempts, in order. The last one is the latest.
    order: Vec<usize>,
    /// The attempt that reads the body.
    owner: usize,
    attempts: Vec<Progress>,
}

struct Progress {
    /// The number of frames it has yielded.
    yielded: usize,
    started: bool,
    alive: bool,
    /// Whether the attempt is waiting to be woken.
    parked: bool,
}

impl Progress {
    fn new() -> Self {
        Self {
            yielded: 0,
            started: false,
            alive: true,
            parked: false,
        }
    }
}

impl Model {
    fn rank(&self, attempt: usize) -> usize {
        self.order.iter().position(|&s| s == attempt).unwrap()
    }

    fn make_latest(&mut self, attempt: usize) {
        self.order.retain(|&s| s != attempt);
        self.order.push(attempt);
    }

    fn is_replayable(&self) -> bool {
        self.recorded && !self.failed
    }

    fn can_replay(&self, attempt: usize) -> bool {
        !self.attempts[attempt].started && (attempt == self.owner || self.is_replayable())
    }

    fn clone_of(&mut self, attempt: usize) -> bool {
        if self.attempts[attempt].started || !self.is_replayable() {
            return false;
        }
        if attempt != self.owner {
            self.make_latest(attempt);
        }
        self.order.push(self.attempts.len());
        self.attempts.push(Progress::new());
        true
    }

    fn take_over(&mut self, attempt: usize) -> bool {
        let can = self.can_replay(attempt);
        if can && attempt != self.owner {
            self.make_latest(attempt);
            self.owner = attempt;
        }
        can
    }

    /// Without an unstarted attempt, no frame is needed again.
    fn stop_recording_if_unneeded(&mut self) {
        self.recorded &= self.attempts.iter().any(|s| s.alive && !s.started);
    }

    fn drop_attempt(&mut self, attempt: usize) {
        self.attempts[attempt].alive = false;
        self.stop_recording_if_unneeded();
    }

    /// Predicts a poll. `blocked` means that the body is pending.
    fn poll(&mut self, attempt: usize, blocked: bool) -> Outcome {
        if self.rank(attempt) < self.rank(self.owner) {
            return Outcome::TakenOver;
        }
        if attempt != self.owner {
            if !self.is_replayable() {
                return Outcome::Gone;
            }
            self.owner = attempt;
        }
        self.attempts[attempt].started = true;
        self.stop_recording_if_unneeded();
        if self.attempts[attempt].yielded == self.read {
            if self.failed {
                return Outcome::Gone;
            }
            if self.ended {
                return Outcome::End;
            }
            if blocked {
                return Outcome::Pending;
            }
            if self.read == self.frames.len() {
                self.failed = self.fails;
                self.ended = !self.fails;
                return [Outcome::End, Outcome::OwnError][usize::from(self.fails)].clone();
            }
            self.read += 1;
            let used: usize = self.frames[..self.read].iter().map(recorded_len).sum();
            self.recorded &= used <= self.cap;
        }
        let progress = &mut self.attempts[attempt];
        progress.yielded += 1;
        match &self.frames[progress.yielded - 1] {
            Step::Data(data) => Outcome::Data(data.clone()),
            Step::Trailers(trailers) => Outcome::Trailers(trailers.clone()),
            Step::Pending | Step::Error => unreachable!(),
        }
    }

    fn exact_size(&self, attempt: usize) -> Option<u64> {
        let progress = &self.attempts[attempt];
        if progress.started && (self.owner != attempt || self.failed) {
            return None;
        }
        // An unknown size is known once the body has been read to its end.
        let known = self.exact || progress.started && self.ended;
        known.then(|| data_len(self.frames[progress.yielded..].iter()))
    }

    fn is_end_stream(&self, attempt: usize) -> bool {
        let progress = &self.attempts[attempt];
        let sees_the_end = self.ended || self.exact && !self.fails && !self.failed;
        progress.started
            && self.owner == attempt
            && progress.yielded == self.frames.len()
            && sees_the_end
    }
}

struct Run {
    rng: Rng,
    script: Arc<Mutex<Script>>,
    model: Model,
    /// The tested attempts, the same ones as in the model, and what each has yielded.
    attempts: Vec<Option<Spawn<ReplayBody<Scripted>>>>,
    yielded: Vec<Vec<Outcome>>,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let mut frames: Vec<Step> = (0..rng.usize(0..8))
            .map(|_| {
                let len = rng.usize(1..20);
                Step::Data(std::iter::repeat_with(|| rng.u8(..)).take(len).collect())
            })
            .collect();
        if rng.u8(..4) == 0 {
            let value = HeaderValue::from(rng.u16(..));
            let name = http::HeaderName::from_static("checksum");
            frames.push(Step::Trailers(HeaderMap::from_iter([(name, value)])));
        }
        let fails = rng.u8(..4) == 0;
        // A body that is empty from the start has no attempts.
        let exact = rng.bool() && !frames.is_empty();
        // The body fits in most runs, but not in all.
        let size: usize = frames.iter().map(recorded_len).sum();
        let cap = size * 2 * rng.usize(1..=4) / 4;

        let mut steps = VecDeque::new();
        let end = fails.then_some(Step::Error);
        for step in frames.iter().cloned().chain(end) {
            if rng.bool() {
                steps.push_back(Step::Pending);
            }
            steps.push_back(step);
        }
        if !exact && rng.u8(..3) == 0 {
            steps.push_back(Step::Pending);
        }
        let script = Arc::new(Mutex::new(Script {
            steps,
            waker: None,
            ended: false,
        }));
        let body = Scripted {
            script: Arc::clone(&script),
            exact,
        };
        let announced = body.size_hint().lower() as usize;
        let model = Model {
            recorded: announced <= cap,
            frames,
            fails,
            cap,
            exact,
            read: 0,
            ended: false,
            failed: false,
            order: vec![0],
            owner: 0,
            attempts: vec![Progress::new()],
        };
        Self {
            rng,
            script,
            model,
            attempts: vec![Some(spawn(ReplayBody::with_cap(body, cap)))],
            yielded: vec![vec![]],
        }
    }

    fn drive(mut self, seen: &mut Seen) {
        for _ in 0..60 {
            let alive: Vec<usize> = (0..self.attempts.len())
                .filter(|&s| self.attempts[s].is_some())
                .collect();
            let Some(&attempt) = self.rng.choice(&alive) else {
                return;
            };
            match self.rng.u8(..20) {
                0..11 => self.poll(attempt, seen),
                11..14 => self.lift_pending(),
                14..17 => self.clone_of(attempt),
                17..19 => self.take_over(attempt, seen),
                _ => self.drop_attempt(attempt),
            }
            self.check();
        }
    }

    fn poll(&mut self, attempt: usize, seen: &mut Seen) {
        let blocked = matches!(self.lock_script().steps.front(), Some(Step::Pending));
        let owner = self.model.owner;
        let expected = self.model.poll(attempt, blocked);
        let body = self.attempts[attempt].as_mut().unwrap();
        let outcome = match body.enter(|cx, body| body.poll_frame(cx)) {
            Poll::Pending => Outcome::Pending,
            Poll::Ready(None) => Outcome::End,
            Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) => Outcome::Data(data),
                Err(frame) => Outcome::Trailers(frame.into_trailers().unwrap()),
            },
            Poll::Ready(Some(Err(error))) => match error.downcast_ref::<ReplayError>() {
                None => Outcome::OwnError,
                Some(error) if error.is_taken_over() => Outcome::TakenOver,
                Some(_) => Outcome::Gone,
            },
        };
        assert_eq!(outcome, expected, "attempt {attempt}");

        self.check_woken(owner, seen);
        self.model.attempts[attempt].parked = outcome == Outcome::Pending;
        match outcome {
            Outcome::Data(_) | Outcome::Trailers(_) => self.yielded[attempt].push(outcome),
            Outcome::End => {
                self.check_whole(attempt);
                seen.clean_ends += 1;
                seen.clean_ends_of_retries += u64::from(attempt > 0);
            }
            Outcome::OwnError => seen.own_errors += 1,
            Outcome::TakenOver => seen.taken_over += 1,
            Outcome::Gone => seen.gone += 1,
            Outcome::Pending => {}
        }
    }

    fn lift_pending(&mut self) {
        let waker = {
            let mut script = self.lock_script();
            if !matches!(script.steps.front(), Some(Step::Pending)) {
                return;
            }
            script.steps.pop_front();
            script.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        // The owner is woken if it is waiting for the body.
        let owner = self.model.owner;
        if self.model.attempts[owner].parked
            && let Some(body) = &self.attempts[owner]
        {
            assert!(body.is_woken(), "attempt {owner} is left parked");
            self.model.attempts[owner].parked = false;
        }
    }

    fn clone_of(&mut self, attempt: usize) {
        let copy = self.attempts[attempt].as_ref().unwrap().try_clone_body();
        assert_eq!(copy.is_some(), self.model.clone_of(attempt));
        if let Some(copy) = copy {
            self.attempts.push(Some(spawn(copy)));
            self.yielded.push(vec![]);
        }
    }

    fn take_over(&mut self, attempt: usize, seen: &mut Seen) {
        let owner = self.model.owner;
        let taken = self.attempts[attempt].as_mut().unwrap().take_over();
        assert_eq!(taken, self.model.take_over(attempt));
        self.check_woken(owner, seen);
    }

    fn drop_attempt(&mut self, attempt: usize) {
        self.attempts[attempt] = None;
        self.model.drop_attempt(attempt);
    }

    /// Checks that an attempt that was parked when another one took over was woken.
    fn check_woken(&mut self, owner_before: usize, seen: &mut Seen) {
        let before = &mut self.model.attempts[owner_before];
        if owner_before != self.model.owner
            && std::mem::take(&mut before.parked)
            && let Some(body) = &self.attempts[owner_before]
        {
            assert!(body.is_woken(), "attempt {owner_before} is left parked");
            seen.woken_by_takeover += 1;
        }
    }

    /// Checks that the attempt has yielded the original bytes and trailers.
    fn check_whole(&self, attempt: usize) {
        let (mut bytes, mut trailers) = (vec![], None);
        for outcome in &self.yielded[attempt] {
            match outcome {
                Outcome::Data(data) => bytes.extend_from_slice(data),
                Outcome::Trailers(map) => trailers = Some(map),
                _ => unreachable!(),
            }
        }
        let (mut whole, mut whole_trailers) = (vec![], None);
        for step in &self.model.frames {
            match step {
                Step::Data(data) => whole.extend_from_slice(data),
                Step::Trailers(map) => whole_trailers = Some(map),
                _ => unreachable!(),
            }
        }
        assert_eq!((bytes, trailers), (whole, whole_trailers));
        assert!(!self.model.fails);
    }

    /// Checks what must hold for every attempt after every step.
    fn check(&self) {
        for (index, body) in self.attempts.iter().enumerate() {
            let Some(body) = body else { continue };
            let recorded = body.attempt.as_ref().map_or(0, Attempt::recorded);
            assert!(recorded <= self.model.cap);
            assert_eq!(
                body.can_replay(),
                self.model.can_replay(index),
                "can_replay of {index}"
            );
            assert_eq!(
                body.size_hint().exact(),
                self.model.exact_size(index),
                "size of {index}"
            );
            assert_eq!(
                body.is_end_stream(),
                self.model.is_end_stream(index),
                "end of {index}"
            );
            if !self.model.recorded
                && self.model.attempts[self.model.owner].yielded == self.model.read
            {
                assert_eq!(recorded, 0, "no attempt needs it");
            }
        }
    }

    fn lock_script(&self) -> std::sync::MutexGuard<'_, Script> {
        lock(&self.script)
    }
}

/// The number of times that the runs reached each interesting case.
#[derive(Debug, Default)]
struct Seen {
    clean_ends: u64,
    clean_ends_of_retries: u64,
    woken_by_takeover: u64,
    taken_over: u64,
    gone: u64,
    own_errors: u64,
}

impl Seen {
    fn add(&mut self, run: &Self) {
        self.clean_ends += run.clean_ends;
        self.clean_ends_of_retries += run.clean_ends_of_retries;
        self.woken_by_takeover += run.woken_by_takeover;
        self.taken_over += run.taken_over;
        self.gone += run.gone;
        self.own_errors += run.own_errors;
    }
}
