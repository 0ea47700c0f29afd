//! Random interleavings of polls, drops, clones and takeovers, against a plain model.
//!
//! The model (`Model`) knows the whole body from the start, the order of the sendings as a list,
//! and how far each has got. It says what every single call must answer; beside that, after every
//! step, these hold for all sendings: what is held is within the cap, whoever is displaced was
//! woken, and whoever came to a clean end has yielded the whole body.

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

use super::{ReplayBody, ReplayError, sending::Sending};
use crate::{body::CloneBody, sync::lock};

const RUNS: u64 = 10_000;

/// P28-P32. A failure prints its seed.
#[test]
fn every_interleaving_does_what_the_model_says() {
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
    // The generator has to reach what this test is about.
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

/// What a poll gave, or has to give.
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

/// A body that follows a script. A pending step lasts until it is lifted from outside.
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

fn kept_len(step: &Step) -> usize {
    match step {
        Step::Data(data) => data.len(),
        Step::Trailers(trailers) => trailers
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len())
            .sum(),
        Step::Pending | Step::Error => 0,
    }
}

/// What must happen, said without buffers, locks or wakers.
struct Model {
    /// All frames of the body.
    frames: Vec<Step>,
    /// Whether it fails after them.
    fails: bool,
    cap: usize,
    exact: bool,
    /// How many frames were read from the body.
    read: usize,
    ended: bool,
    failed: bool,
    /// Whether all that was read is still there.
    kept: bool,
    /// All sendings in the order in which they count; the last one is the latest.
    order: Vec<usize>,
    /// The one that has the body.
    owner: usize,
    sendings: Vec<Progress>,
}

struct Progress {
    /// How many frames it has yielded.
    yielded: usize,
    started: bool,
    alive: bool,
    /// It waits for being woken.
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
    fn rank(&self, sending: usize) -> usize {
        self.order.iter().position(|&s| s == sending).unwrap()
    }

    fn make_latest(&mut self, sending: usize) {
        self.order.retain(|&s| s != sending);
        self.order.push(sending);
    }

    fn is_replayable(&self) -> bool {
        self.kept && !self.failed
    }

    fn can_replay(&self, sending: usize) -> bool {
        !self.sendings[sending].started && (sending == self.owner || self.is_replayable())
    }

    fn clone_of(&mut self, sending: usize) -> bool {
        if self.sendings[sending].started || !self.is_replayable() {
            return false;
        }
        if sending != self.owner {
            self.make_latest(sending);
        }
        self.order.push(self.sendings.len());
        self.sendings.push(Progress::new());
        true
    }

    fn take_over(&mut self, sending: usize) -> bool {
        let can = self.can_replay(sending);
        if can && sending != self.owner {
            self.make_latest(sending);
            self.owner = sending;
        }
        can
    }

    /// Nobody can need what was read once no unstarted sending is left.
    fn forget_if_unneeded(&mut self) {
        self.kept &= self.sendings.iter().any(|s| s.alive && !s.started);
    }

    fn drop_sending(&mut self, sending: usize) {
        self.sendings[sending].alive = false;
        self.forget_if_unneeded();
    }

    /// What polling has to give; `blocked` says that the body has nothing for now.
    fn poll(&mut self, sending: usize, blocked: bool) -> Outcome {
        if self.rank(sending) < self.rank(self.owner) {
            return Outcome::TakenOver;
        }
        if sending != self.owner {
            if !self.is_replayable() {
                return Outcome::Gone;
            }
            self.owner = sending;
        }
        self.sendings[sending].started = true;
        self.forget_if_unneeded();
        if self.sendings[sending].yielded == self.read {
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
            let used: usize = self.frames[..self.read].iter().map(kept_len).sum();
            self.kept &= used <= self.cap;
        }
        let progress = &mut self.sendings[sending];
        progress.yielded += 1;
        match &self.frames[progress.yielded - 1] {
            Step::Data(data) => Outcome::Data(data.clone()),
            Step::Trailers(trailers) => Outcome::Trailers(trailers.clone()),
            Step::Pending | Step::Error => unreachable!(),
        }
    }

    fn exact_size(&self, sending: usize) -> Option<u64> {
        let progress = &self.sendings[sending];
        if progress.started && (self.owner != sending || self.failed) {
            return None;
        }
        // What is not exact before it was read is so once it was.
        let known = self.exact || progress.started && self.ended;
        known.then(|| data_len(self.frames[progress.yielded..].iter()))
    }

    fn is_end_stream(&self, sending: usize) -> bool {
        let progress = &self.sendings[sending];
        let sees_the_end = self.ended || self.exact && !self.fails && !self.failed;
        progress.started
            && self.owner == sending
            && progress.yielded == self.frames.len()
            && sees_the_end
    }
}

struct Run {
    rng: Rng,
    script: Arc<Mutex<Script>>,
    model: Model,
    /// What is tested: the same sendings as the model's, and what each has yielded.
    sendings: Vec<Option<Spawn<ReplayBody<Scripted>>>>,
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
        // A body that is empty from the start has no sendings.
        let exact = rng.bool() && !frames.is_empty();
        // In every second run all fits.
        let size: usize = frames.iter().map(kept_len).sum();
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
            kept: announced <= cap,
            frames,
            fails,
            cap,
            exact,
            read: 0,
            ended: false,
            failed: false,
            order: vec![0],
            owner: 0,
            sendings: vec![Progress::new()],
        };
        Self {
            rng,
            script,
            model,
            sendings: vec![Some(spawn(ReplayBody::with_cap(body, cap)))],
            yielded: vec![vec![]],
        }
    }

    fn drive(mut self, seen: &mut Seen) {
        for _ in 0..60 {
            let alive: Vec<usize> = (0..self.sendings.len())
                .filter(|&s| self.sendings[s].is_some())
                .collect();
            let Some(&sending) = self.rng.choice(&alive) else {
                return;
            };
            match self.rng.u8(..20) {
                0..11 => self.poll(sending, seen),
                11..14 => self.lift_pending(),
                14..17 => self.clone_of(sending),
                17..19 => self.take_over(sending, seen),
                _ => self.drop_sending(sending),
            }
            self.check();
        }
    }

    fn poll(&mut self, sending: usize, seen: &mut Seen) {
        let blocked = matches!(self.lock_script().steps.front(), Some(Step::Pending));
        let owner = self.model.owner;
        let expected = self.model.poll(sending, blocked);
        let body = self.sendings[sending].as_mut().unwrap();
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
        assert_eq!(outcome, expected, "sending {sending}");

        self.check_woken(owner, seen);
        self.model.sendings[sending].parked = outcome == Outcome::Pending;
        match outcome {
            Outcome::Data(_) | Outcome::Trailers(_) => self.yielded[sending].push(outcome),
            Outcome::End => {
                self.check_whole(sending);
                seen.clean_ends += 1;
                seen.clean_ends_of_retries += u64::from(sending > 0);
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
        // Whoever waits for the body by right is told that it goes on.
        let owner = self.model.owner;
        if self.model.sendings[owner].parked
            && let Some(body) = &self.sendings[owner]
        {
            assert!(body.is_woken(), "sending {owner} is left parked");
            self.model.sendings[owner].parked = false;
        }
    }

    fn clone_of(&mut self, sending: usize) {
        let copy = self.sendings[sending].as_ref().unwrap().try_clone_body();
        assert_eq!(copy.is_some(), self.model.clone_of(sending));
        if let Some(copy) = copy {
            self.sendings.push(Some(spawn(copy)));
            self.yielded.push(vec![]);
        }
    }

    fn take_over(&mut self, sending: usize, seen: &mut Seen) {
        let owner = self.model.owner;
        let taken = self.sendings[sending].as_mut().unwrap().take_over();
        assert_eq!(taken, self.model.take_over(sending));
        self.check_woken(owner, seen);
    }

    fn drop_sending(&mut self, sending: usize) {
        self.sendings[sending] = None;
        self.model.drop_sending(sending);
    }

    /// A sending that was parked when another one took over was woken.
    fn check_woken(&mut self, owner_before: usize, seen: &mut Seen) {
        let before = &mut self.model.sendings[owner_before];
        if owner_before != self.model.owner
            && std::mem::take(&mut before.parked)
            && let Some(body) = &self.sendings[owner_before]
        {
            assert!(body.is_woken(), "sending {owner_before} is left parked");
            seen.woken_by_takeover += 1;
        }
    }

    /// Byte for byte the original, with its trailers.
    fn check_whole(&self, sending: usize) {
        let (mut bytes, mut trailers) = (vec![], None);
        for outcome in &self.yielded[sending] {
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

    /// What holds after every step, for every sending.
    fn check(&self) {
        for (index, body) in self.sendings.iter().enumerate() {
            let Some(body) = body else { continue };
            let held = body.sending.as_ref().map_or(0, Sending::held);
            assert!(held <= self.model.cap);
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
            if !self.model.kept && self.model.sendings[self.model.owner].yielded == self.model.read
            {
                assert_eq!(held, 0, "nobody needs it");
            }
        }
    }

    fn lock_script(&self) -> std::sync::MutexGuard<'_, Script> {
        lock(&self.script)
    }
}

/// How often the runs came to what matters.
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
