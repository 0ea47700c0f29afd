//! States what must hold after each step of a random program, independently of the state's code.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use super::{Got, secs};
use crate::{error::Class, provider::Reason, time::Moment};

#[derive(Default)]
pub(super) struct Reference {
    current: Option<Held>,
    generations: u64,
    invalidated: bool,
    logged_out: bool,
    epoch: u64,
    running: Option<Running>,
    failing: Option<Failing>,
    /// The times at which rejections caused refreshes since the budget was last reset externally.
    rejected_at: Vec<Instant>,
    pub(super) seen: Seen,
}

struct Held {
    token: u32,
    generation: u64,
    arrived: Moment,
    requested_at: Instant,
    lifetime: Duration,
    rejected: bool,
}

struct Running {
    epoch: u64,
    started_at: Instant,
}

struct Failing {
    class: Class,
    earlier: i32,
    /// No attempt may start before this time; `None` means that no attempt may start.
    until: Option<Instant>,
}

/// Counts how often each case that the rules mention occurred.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) counts: BTreeMap<&'static str, usize>,
}

impl Seen {
    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    pub(super) fn add(&mut self, other: Self) {
        for (what, count) in other.counts {
            *self.counts.entry(what).or_default() += count;
        }
    }
}

impl Held {
    /// Returns the current time, including time that the monotonic clock missed (rule 11).
    fn now(&self, now: Moment) -> Instant {
        let monotonic = now.monotonic - self.arrived.monotonic;
        let wall = now.wall.duration_since(self.arrived.wall).unwrap();
        let missed = wall - monotonic;
        now.monotonic
            + if missed > secs(2.0) {
                missed
            } else {
                Duration::ZERO
            }
    }

    /// Returns the time that is `margin` before the expiry, but at least a second after the
    /// arrival.
    fn before_expiry(&self, margin: Duration) -> Instant {
        let at = self.requested_at + (self.lifetime - margin);
        at.max(self.arrived.monotonic + secs(1.0))
    }

    fn is_valid(&self, now: Moment) -> bool {
        self.now(now) < self.before_expiry(Duration::ZERO)
    }

    /// Returns whether callers wait for a refresh (rule 12).
    fn is_expiring(&self, now: Moment) -> bool {
        let margin = secs(10.0).min(self.lifetime / 20);
        self.now(now) >= self.before_expiry(margin)
    }

    /// Returns whether an early refresh may start (rule 12).
    fn may_be_early(&self, now: Moment) -> bool {
        let margin = secs(300.0).min(self.lifetime * 2 / 5);
        self.now(now) >= self.before_expiry(margin)
    }

    /// Returns whether an early refresh must have started, regardless of the random draw (rule 12).
    fn must_be_early(&self, now: Moment) -> bool {
        let margin = secs(300.0).min(self.lifetime * 2 / 5);
        self.now(now) >= self.before_expiry(margin.mul_f64(0.74))
    }
}

impl Reference {
    pub(super) fn current(&self) -> Option<(u32, u64)> {
        let current = self.current.as_ref()?;
        Some((current.token, current.generation))
    }

    pub(super) fn lifetime(&self) -> Option<Duration> {
        Some(self.current.as_ref()?.lifetime)
    }

    pub(super) fn is_running(&self) -> bool {
        self.running.is_some()
    }

    fn is_usable(&self, now: Moment) -> bool {
        let current = self.current.as_ref();
        !self.invalidated && current.is_some_and(|current| current.is_valid(now))
    }

    fn is_backing_off(&self, now: Moment) -> bool {
        self.failing
            .as_ref()
            .is_some_and(|failing| failing.until.is_none_or(|until| now.monotonic < until))
    }

    /// Checks what a caller got. `started` is the reason for the refresh that was started for the
    /// caller, if there is one.
    pub(super) fn acquired(&mut self, got: &Got, started: Option<Reason>, now: Moment) {
        let was_running = self.is_running();
        if let Some(reason) = started {
            self.starts(reason, now);
        }
        if self.logged_out {
            assert!(matches!(got, Got::Fail(_)), "{got:?} though logged out");
            return self.seen.count("logged out");
        }
        let current = self.current.as_ref();
        let is_usable = self.is_usable(now);
        let serves = is_usable && current.is_some_and(|current| !current.is_expiring(now));
        match got {
            Got::Use(token) => {
                self.seen.count("use");
                let current = self.current.as_ref().unwrap();
                assert!(is_usable && current.token == *token);
                if current.must_be_early(now) && !self.is_backing_off(now) {
                    assert!(self.is_running(), "no early refresh");
                }
            }
            Got::Wait | Got::WaitOr(_) => {
                self.seen.count("wait");
                assert!(self.is_running() && !serves, "a needless wait");
                assert_eq!(matches!(got, Got::WaitOr(_)), is_usable, "the fallback");
            }
            Got::Fail(_) => {
                self.seen.count("fail");
                assert!(self.is_backing_off(now) && !was_running && !is_usable);
            }
            Got::AskInitial | Got::TooMany(_) => panic!("{got:?}"),
        }
    }

    /// Checks the result of a rejection of the current generation.
    pub(super) fn rejected(&mut self, got: &Got, started: Option<Reason>, now: Moment) {
        self.current.as_mut().unwrap().rejected = true;
        let was_running = self.is_running();
        if let Some(reason) = started {
            assert_eq!(reason, Reason::Rejected);
            if !self.invalidated {
                self.spends(now);
            }
            self.starts(reason, now);
        }
        match got {
            Got::Wait => {
                self.seen.count("wait after a rejection");
                assert!(self.is_running());
            }
            Got::Fail(_) => assert!(self.is_backing_off(now) && !was_running),
            Got::TooMany(wait) => {
                self.seen.count("held back");
                assert!(!was_running && !self.invalidated && !self.rejected_at.is_empty());
                assert!(*wait > Duration::ZERO && *wait <= secs(300.0));
            }
            _ => panic!("{got:?}"),
        }
    }

    /// Records that a report of the current generation made the credential unusable.
    pub(super) fn report_is_heeded(&mut self, now: Moment) {
        self.seen.count("report");
        assert!(!self.invalidated && !self.is_running() && !self.is_backing_off(now));
        self.spends(now);
        self.current.as_mut().unwrap().rejected = true;
        self.invalidated = true;
    }

    /// Records a refresh caused by a rejection. Rule 7 allows five in 30 s, plus those of the
    /// backoff after 1, 2, 4 and 8 s.
    fn spends(&mut self, now: Moment) {
        self.rejected_at.push(now.monotonic);
        let lately = |at: &&Instant| now.monotonic - **at < secs(30.0);
        let lately = self.rejected_at.iter().filter(lately).count();
        assert!(lately <= 9, "{lately} refreshes in 30 s");
    }

    /// Checks that a refresh starts only if it may (rules 1, 3, 5, 11 and 12).
    fn starts(&mut self, reason: Reason, now: Moment) {
        assert!(!self.is_running(), "two refreshes at once");
        assert!(!self.is_backing_off(now), "an attempt before it was due");
        assert!(!self.logged_out, "a refresh after the logout");
        let current = self.current.as_ref();
        match reason {
            Reason::Initial => assert!(current.is_none()),
            Reason::Early => {
                self.seen.count("early");
                assert!(current.unwrap().may_be_early(now), "too early");
            }
            Reason::Expired => assert!(current.unwrap().is_expiring(now)),
            Reason::Rejected => assert!(current.unwrap().rejected),
            _ => assert!(self.invalidated),
        }
        self.running = Some(Running {
            epoch: self.epoch,
            started_at: now.monotonic,
        });
    }

    /// Ends the refresh. Returns when the refresh was started, if its result is for this epoch.
    fn ends(&mut self) -> Option<Instant> {
        let running = self.running.take().unwrap();
        (running.epoch == self.epoch).then_some(running.started_at)
    }

    /// Returns whether the credential has to be published.
    pub(super) fn brings(&mut self, token: u32, lifetime: Duration, now: Moment) -> bool {
        match self.ends() {
            Some(requested_at) => {
                self.publishes(token, lifetime, requested_at, now);
                true
            }
            None => {
                self.seen.count("superseded");
                false
            }
        }
    }

    pub(super) fn fails(&mut self, class: Class, asked: Duration, draw: f64, now: Moment) -> bool {
        let is_wanted = self.ends().is_some();
        if is_wanted {
            self.failure(class, asked, draw, now);
        }
        is_wanted
    }

    pub(super) fn is_overdue(&mut self, draw: f64, now: Moment) -> bool {
        let is_wanted = self.running.as_ref().unwrap().epoch == self.epoch;
        if is_wanted {
            self.seen.count("overdue");
            self.failure(Class::Transient, Duration::ZERO, draw, now);
        }
        is_wanted
    }

    /// Records a failure (rule 3).
    fn failure(&mut self, class: Class, asked: Duration, draw: f64, now: Moment) {
        self.seen.count("failure");
        let earlier = match &self.failing {
            Some(failing) if failing.class == class => failing.earlier + 1,
            _ => 0,
        };
        let doubled = 2f64.powi(earlier.min(20));
        let pause = match class {
            Class::Transient => secs((0.5 * doubled).min(30.0) * draw),
            _ => secs((2.0 * doubled).min(60.0)),
        };
        let pause = pause.max(asked.min(secs(300.0))).max(secs(0.05));
        let until = (class != Class::LoginRequired).then_some(now.monotonic + pause);
        self.failing = Some(Failing {
            class,
            earlier,
            until,
        });
    }

    fn publishes(&mut self, token: u32, lifetime: Duration, requested_at: Instant, now: Moment) {
        let same = self.current.as_ref().filter(|it| it.token == token);
        let (generation, rejected) = match same {
            Some(same) => (same.generation, same.rejected),
            None => {
                self.generations += 1;
                (self.generations, false)
            }
        };
        self.current = Some(Held {
            token,
            generation,
            arrived: now,
            requested_at,
            lifetime,
            rejected,
        });
        self.invalidated = false;
        self.failing = None;
    }

    pub(super) fn invalidates(&mut self) {
        self.invalidated = self.current.is_some();
    }

    pub(super) fn sets(&mut self, token: u32, lifetime: Duration, now: Moment) {
        self.epoch += 1;
        self.logged_out = false;
        self.rejected_at.clear();
        self.publishes(token, lifetime, now.monotonic, now);
    }

    pub(super) fn logs_out(&mut self) {
        self.epoch += 1;
        self.logged_out = true;
        self.rejected_at.clear();
        self.current = None;
        self.invalidated = false;
        self.failing = None;
    }

    pub(super) fn resumes(&mut self) {
        self.logged_out = false;
        self.failing = None;
    }

    pub(super) fn is_abandoned(&mut self) {
        self.running = None;
    }
}
