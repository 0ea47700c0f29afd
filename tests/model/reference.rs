//! The rules, without locks, tasks or headers: the state of each credential, of the refresh and of
//! each request, and what may follow from it.

use std::time::Duration;

use tokio::time::Instant;
use tower_auth::Reason;

/// The layer's default limit on how long callers wait, and on how long an uncommitted refresh may
/// take.
const REFRESH_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Default)]
pub(crate) struct Reference {
    /// All credentials ever created, published or not. The number of a credential is its index.
    tokens: Vec<Token>,
    current: Option<usize>,
    /// Whether the current credential must not be used, regardless of its age.
    invalidated: bool,
    logged_out: bool,
    epoch: u64,
    running: Option<Running>,
    failing: Option<Failing>,
    /// The times at which rejections caused refreshes, since the budget was last reset externally.
    rejected_at: Vec<Instant>,
    requests: Vec<Request>,
    pub(crate) seen: Seen,
}

#[derive(Default)]
struct Token {
    published_at: Option<Instant>,
    expires_at: Option<Instant>,
    lifetime: Option<Duration>,
    /// Whether the API rejected it, or a user reported that.
    rejected: bool,
}

struct Running {
    deadline: Instant,
    epoch: u64,
}

struct Failing {
    class: Class,
    earlier: u32,
    /// The earliest time of the next attempt. If it is `None`, there is no next attempt.
    until: Option<Instant>,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Class {
    Transient,
    Permanent,
    LoginRequired,
}

struct Request {
    started_at: Instant,
    /// The current credential when the request started.
    current: Option<usize>,
    replayable: bool,
    logged_out: bool,
    /// Whether a usable credential has existed the whole time since the request started.
    served: bool,
    open: bool,
    sent: Vec<Sent>,
}

#[derive(Clone, Copy)]
struct Sent {
    token: usize,
    status: u16,
}

/// Counts how often each case that the rules mention occurred.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) requests: usize,
    pub(crate) errors: usize,
    pub(crate) retries: usize,
    pub(crate) rejections_returned: usize,
    pub(crate) refreshes: usize,
    pub(crate) early: usize,
    pub(crate) failures: usize,
    pub(crate) timeouts: usize,
    pub(crate) superseded: usize,
    pub(crate) cancelled: usize,
}

impl Seen {
    fn all(&mut self) -> [&mut usize; 10] {
        [
            &mut self.requests,
            &mut self.errors,
            &mut self.retries,
            &mut self.rejections_returned,
            &mut self.refreshes,
            &mut self.early,
            &mut self.failures,
            &mut self.timeouts,
            &mut self.superseded,
            &mut self.cancelled,
        ]
    }

    pub(crate) fn add(&mut self, mut other: Self) {
        for (sum, more) in self.all().into_iter().zip(other.all()) {
            *sum += *more;
        }
    }

    pub(crate) fn least(&mut self) -> usize {
        self.all()
            .into_iter()
            .map(|count| *count)
            .min()
            .unwrap_or_default()
    }
}

impl Reference {
    pub(crate) fn current(&self) -> Option<usize> {
        self.current
    }

    fn is_usable(&self) -> bool {
        let fresh = |token: usize| {
            let expires_at = self.tokens[token].expires_at;
            expires_at.is_none_or(|at| Instant::now() < at)
        };
        !self.invalidated && !self.logged_out && self.current.is_some_and(fresh)
    }

    /// Records for all open requests whether a usable credential exists.
    fn note_usability(&mut self) {
        if !self.is_usable() {
            for request in &mut self.requests {
                request.served &= !request.open;
            }
        }
    }

    // Actions of users.

    pub(crate) fn starts(&mut self, replayable: bool) -> usize {
        self.seen.requests += 1;
        self.requests.push(Request {
            started_at: Instant::now(),
            current: self.current,
            replayable,
            logged_out: self.logged_out,
            served: true,
            open: true,
            sent: Vec::new(),
        });
        self.note_usability();
        self.requests.len() - 1
    }

    pub(crate) fn cancelled(&mut self, request: usize) {
        self.seen.cancelled += 1;
        self.requests[request].open = false;
    }

    pub(crate) fn invalidates(&mut self) {
        self.invalidated = self.current.is_some();
        self.note_usability();
    }

    /// Records that a user's report of a rejection invalidated the credential.
    pub(crate) fn reports(&mut self) {
        self.spends();
        let current = self.current.unwrap();
        self.tokens[current].rejected = true;
        self.invalidated = true;
        self.note_usability();
    }

    pub(crate) fn logs_out(&mut self) {
        self.epoch += 1;
        self.logged_out = true;
        self.current = None;
        self.invalidated = false;
        self.failing = None;
        self.rejected_at.clear();
        self.note_usability();
    }

    pub(crate) fn resumes(&mut self) {
        self.logged_out = false;
        self.failing = None;
    }

    pub(crate) fn sets_credential(&mut self, lifetime: Option<Duration>) -> usize {
        self.note_usability();
        self.epoch += 1;
        self.logged_out = false;
        self.rejected_at.clear();
        let token = self.make_token();
        self.publish(token, lifetime, Instant::now());
        token
    }

    // Observations of the provider.

    /// Checks rules 1, 3, 5, 7, 11 and 12: a refresh starts only when it is allowed.
    pub(crate) fn refresh_starts(&mut self, reason: Reason, deadline: Instant) {
        let now = Instant::now();
        self.seen.refreshes += 1;
        assert!(self.running.is_none(), "two refreshes at once");
        if let Some(failing) = &self.failing {
            assert!(
                failing.until.is_some_and(|until| until <= now),
                "an attempt before it was due"
            );
        }
        assert!(!self.logged_out, "a refresh after the logout");
        let current = self.current.map(|token| &self.tokens[token]);
        match reason {
            Reason::Initial => assert!(current.is_none()),
            Reason::Early => {
                self.seen.early += 1;
                let current = current.unwrap();
                let margin = (current.lifetime.unwrap() * 2 / 5).min(Duration::from_secs(300));
                assert!(
                    now + margin >= current.expires_at.unwrap(),
                    "early, too early"
                );
            }
            _ => {}
        }
        if matches!(reason, Reason::Early | Reason::Expired) {
            let age = now - current.unwrap().published_at.unwrap();
            assert!(age >= Duration::from_secs(1), "a loop of refreshes");
        }
        if reason == Reason::Rejected {
            assert!(current.unwrap().rejected, "another credential was rejected");
            // An invalidated credential has to be replaced, however many attempts that takes.
            if !self.invalidated {
                self.spends();
            }
        }
        self.running = Some(Running {
            deadline,
            epoch: self.epoch,
        });
    }

    /// Checks rule 7: at most five refreshes in 30 s, plus those of the backoff after 1, 2, 4 and 8
    /// s.
    fn spends(&mut self) {
        let now = Instant::now();
        self.rejected_at.push(now);
        let lately = now.checked_sub(Duration::from_secs(30)).unwrap();
        let lately = self.rejected_at.iter().filter(|at| **at > lately).count();
        assert!(
            lately <= 9,
            "{lately} refreshes because of rejections in 30 s"
        );
    }

    /// Records that the refresh issued the same credential again, or another one. Returns its
    /// number.
    pub(crate) fn refresh_issues(
        &mut self,
        same: Option<usize>,
        lifetime: Option<Duration>,
    ) -> usize {
        let token = same.unwrap_or_else(|| self.make_token());
        let running = self.running.take().unwrap();
        if running.epoch == self.epoch {
            self.note_usability();
            self.publish(token, lifetime, running.deadline - REFRESH_TIMEOUT);
        } else {
            self.seen.superseded += 1;
        }
        token
    }

    pub(crate) fn refresh_fails(&mut self, class: Class, retry_after: Option<Duration>) {
        let running = self.running.take().unwrap();
        if running.epoch == self.epoch {
            self.fail(class, retry_after);
        }
    }

    /// Checks rule 2: only its deadline ends a refresh externally, and only while the refresh is
    /// uncommitted.
    pub(crate) fn refresh_is_dropped(&mut self, committed: bool) {
        let running = self.running.take().unwrap();
        assert!(!committed, "a committed refresh was dropped");
        assert!(
            running.deadline <= Instant::now(),
            "dropped before its deadline"
        );
        self.seen.timeouts += 1;
        if running.epoch == self.epoch {
            self.fail(Class::Transient, None);
        }
    }

    fn fail(&mut self, class: Class, retry_after: Option<Duration>) {
        self.seen.failures += 1;
        let earlier = match &self.failing {
            Some(failing) if failing.class == class => failing.earlier + 1,
            _ => 0,
        };
        let least = match class {
            Class::Transient => Duration::from_millis(50),
            Class::Permanent => {
                Duration::from_secs(2 << earlier.min(5)).min(Duration::from_secs(60))
            }
            Class::LoginRequired => Duration::MAX,
        };
        let asked = retry_after
            .unwrap_or_default()
            .min(Duration::from_secs(300));
        self.failing = Some(Failing {
            class,
            earlier,
            until: Instant::now().checked_add(least.max(asked)),
        });
    }

    fn make_token(&mut self) -> usize {
        self.tokens.push(Token::default());
        self.tokens.len() - 1
    }

    fn publish(&mut self, token: usize, lifetime: Option<Duration>, requested_at: Instant) {
        let now = Instant::now();
        let least = now + Duration::from_secs(1);
        self.tokens[token] = Token {
            published_at: Some(now),
            expires_at: lifetime.map(|lifetime| (requested_at + lifetime).max(least)),
            lifetime,
            rejected: self.tokens[token].rejected,
        };
        self.current = Some(token);
        self.invalidated = false;
        self.failing = None;
    }

    // Observations of the API.

    /// Checks rules 5, 6, 9 and 11: the credential of a request.
    pub(crate) fn arrives(&mut self, request: usize, token: usize, status: u16) {
        let now = Instant::now();
        let Reference {
            tokens, requests, ..
        } = self;
        let (request, known) = (&mut requests[request], &mut tokens[token]);
        known.rejected |= status == 401;
        assert!(request.open, "sent though its caller was dropped");
        assert!(!request.logged_out, "sent after the logout");
        let published_at = known
            .published_at
            .expect("a credential that must not be used");
        match request.sent.as_slice() {
            [] => {
                assert!(
                    request.current.is_none_or(|before| token >= before),
                    "an old credential"
                );
                let waited_for = published_at >= request.started_at;
                let fresh = known.expires_at.is_none_or(|at| now < at);
                assert!(waited_for || fresh, "an expired credential");
            }
            [first] => {
                self.seen.retries += 1;
                assert_eq!(first.status, 401, "sent again without a rejection");
                assert!(request.replayable, "sent again without its body");
                assert!(token > first.token, "sent again without a newer credential");
            }
            _ => panic!("sent a third time"),
        }
        request.sent.push(Sent { token, status });
    }

    // Results for callers.

    /// Records that a caller got a response, with a reason if it is a rejection.
    pub(crate) fn responded(&mut self, request: usize, status: u16, has_reason: bool) {
        let request = &mut self.requests[request];
        request.open = false;
        let last = request.sent.last().expect("a response without a request");
        assert_eq!(status, last.status);
        assert_eq!(status == 401, has_reason, "only a rejection has a reason");
        self.seen.rejections_returned += usize::from(status == 401);
    }

    /// Checks rule 4: a request does not fail while a usable credential exists.
    pub(crate) fn failed(&mut self, request: usize, error: &tower_auth::Error) {
        self.note_usability();
        self.seen.errors += 1;
        let request = &mut self.requests[request];
        request.open = false;
        assert!(
            request.sent.is_empty(),
            "an error after a response: {error:#}"
        );
        assert!(
            !request.served,
            "an error despite a usable credential: {error:#}"
        );
    }

    /// Returns whether all requests have ended.
    pub(crate) fn is_over(&self) -> bool {
        self.requests.iter().all(|request| !request.open)
    }

    /// Returns whether callers get a credential only after a resume.
    pub(crate) fn needs_help(&self) -> bool {
        let stuck = |failing: &Failing| failing.until.is_none();
        self.logged_out || self.failing.as_ref().is_some_and(stuck)
    }

    pub(crate) fn last_status(&self, request: usize) -> Option<u16> {
        self.requests[request].sent.last().map(|sent| sent.status)
    }

    /// Returns the number of the next credential.
    pub(crate) fn next_number(&self) -> usize {
        self.tokens.len()
    }
}
