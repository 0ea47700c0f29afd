//! What must hold, said without locks, tasks or headers: what is known of each credential, of the
//! refresh under way and of each request, and what may follow from it.

use std::time::Duration;

use tokio::time::Instant;
use tower_auth::Reason;

/// The layer's default: how long callers wait, and a refresh that is not committed may take.
const REFRESH_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Default)]
pub(crate) struct Reference {
    /// All credentials ever made, published or not; their numbers are their places.
    tokens: Vec<Token>,
    current: Option<usize>,
    /// Whether the current credential is not to be used, whatever its age.
    condemned: bool,
    logged_out: bool,
    session: u64,
    running: Option<Running>,
    failing: Option<Failing>,
    /// When rejections caused refreshes, since the budget was last made whole from outside.
    rejected_at: Vec<Instant>,
    requests: Vec<Request>,
    pub(crate) seen: Seen,
}

#[derive(Default)]
struct Token {
    published_at: Option<Instant>,
    expires_at: Option<Instant>,
    lifetime: Option<Duration>,
    /// Whether the API, or a user, said that it is not good.
    rejected: bool,
}

struct Running {
    deadline: Instant,
    session: u64,
}

struct Failing {
    class: Class,
    earlier: u32,
    /// No attempt before that; `None` means none at all.
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
    /// The credential that was in use when it started.
    current: Option<usize>,
    replayable: bool,
    logged_out: bool,
    /// Whether there was a usable credential all the time.
    served: bool,
    open: bool,
    sent: Vec<Sent>,
}

#[derive(Clone, Copy)]
struct Sent {
    token: usize,
    status: u16,
}

/// How often what the rules are about took place.
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
        !self.condemned && !self.logged_out && self.current.is_some_and(fresh)
    }

    /// Notes for all who are under way whether there is nothing for them to use.
    fn look(&mut self) {
        if !self.is_usable() {
            for request in &mut self.requests {
                request.served &= !request.open;
            }
        }
    }

    // What users do.

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
        self.look();
        self.requests.len() - 1
    }

    pub(crate) fn cancelled(&mut self, request: usize) {
        self.seen.cancelled += 1;
        self.requests[request].open = false;
    }

    pub(crate) fn invalidates(&mut self) {
        self.condemned = self.current.is_some();
        self.look();
    }

    /// A user's report of a rejection was heeded.
    pub(crate) fn reports(&mut self) {
        self.spends();
        let current = self.current.unwrap();
        self.tokens[current].rejected = true;
        self.condemned = true;
        self.look();
    }

    pub(crate) fn logs_out(&mut self) {
        self.session += 1;
        self.logged_out = true;
        self.current = None;
        self.condemned = false;
        self.failing = None;
        self.rejected_at.clear();
        self.look();
    }

    pub(crate) fn resumes(&mut self) {
        self.logged_out = false;
        self.failing = None;
    }

    pub(crate) fn seeds(&mut self, lifetime: Option<Duration>) -> usize {
        self.look();
        self.session += 1;
        self.logged_out = false;
        self.rejected_at.clear();
        let token = self.make_token();
        self.publish(token, lifetime, Instant::now());
        token
    }

    // What the provider sees.

    /// Rules 1, 3, 5, 7, 11 and 12: a refresh starts only if it may.
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
        assert!(!self.logged_out, "a refresh after the log-out");
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
            assert!(current.unwrap().rejected, "rejected was another one");
            // A condemned credential has to be replaced, however many attempts that takes.
            if !self.condemned {
                self.spends();
            }
        }
        self.running = Some(Running {
            deadline,
            session: self.session,
        });
    }

    /// Rule 7: five in 30 s, and those of the backoff after 1, 2, 4 and 8 s.
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

    /// It brings the same credential again, or another. Gives its number.
    pub(crate) fn refresh_brings(
        &mut self,
        same: Option<usize>,
        lifetime: Option<Duration>,
    ) -> usize {
        let token = same.unwrap_or_else(|| self.make_token());
        let running = self.running.take().unwrap();
        if running.session == self.session {
            self.look();
            self.publish(token, lifetime, running.deadline - REFRESH_TIMEOUT);
        } else {
            self.seen.superseded += 1;
        }
        token
    }

    pub(crate) fn refresh_fails(&mut self, class: Class, asks_to_wait: Option<Duration>) {
        let running = self.running.take().unwrap();
        if running.session == self.session {
            self.fail(class, asks_to_wait);
        }
    }

    /// Rule 2: only its deadline ends a refresh from outside, and not once it is committed.
    pub(crate) fn refresh_is_dropped(&mut self, committed: bool) {
        let running = self.running.take().unwrap();
        assert!(!committed, "a committed refresh was dropped");
        assert!(
            running.deadline <= Instant::now(),
            "dropped before its deadline"
        );
        self.seen.timeouts += 1;
        if running.session == self.session {
            self.fail(Class::Transient, None);
        }
    }

    fn fail(&mut self, class: Class, asks_to_wait: Option<Duration>) {
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
        let asked = asks_to_wait
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
        self.condemned = false;
        self.failing = None;
    }

    // What the API sees.

    /// Rules 5, 6, 9 and 11: what a request carries.
    pub(crate) fn arrives(&mut self, request: usize, token: usize, status: u16) {
        let now = Instant::now();
        let Reference {
            tokens, requests, ..
        } = self;
        let (request, known) = (&mut requests[request], &mut tokens[token]);
        known.rejected |= status == 401;
        assert!(request.open, "sent though nobody waits");
        assert!(!request.logged_out, "sent after the log-out");
        let published_at = known
            .published_at
            .expect("a credential that was not to be used");
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
                assert!(token > first.token, "sent again with no newer credential");
            }
            _ => panic!("sent a third time"),
        }
        request.sent.push(Sent { token, status });
    }

    // What callers get.

    /// The last answer, and the reason if it is a rejection.
    pub(crate) fn answered(&mut self, request: usize, status: u16, gives_reason: bool) {
        let request = &mut self.requests[request];
        request.open = false;
        let last = request.sent.last().expect("an answer to nothing");
        assert_eq!(status, last.status);
        assert_eq!(
            status == 401,
            gives_reason,
            "a rejection comes with its reason, alone"
        );
        self.seen.rejections_returned += usize::from(status == 401);
    }

    /// Rule 4: there is no error while there is a credential.
    pub(crate) fn failed(&mut self, request: usize, error: &tower_auth::Error) {
        self.look();
        self.seen.errors += 1;
        let request = &mut self.requests[request];
        request.open = false;
        assert!(
            request.sent.is_empty(),
            "an error after an answer: {error:#}"
        );
        assert!(
            !request.served,
            "an error though there is a credential: {error:#}"
        );
    }

    /// Everybody was answered.
    pub(crate) fn is_over(&self) -> bool {
        self.requests.iter().all(|request| !request.open)
    }

    /// Whether callers are to be helped from outside.
    pub(crate) fn needs_help(&self) -> bool {
        let stuck = |failing: &Failing| failing.until.is_none();
        self.logged_out || self.failing.as_ref().is_some_and(stuck)
    }

    pub(crate) fn last_status(&self, request: usize) -> Option<u16> {
        self.requests[request].sent.last().map(|sent| sent.status)
    }

    /// A number that all credentials from now on reach, and none before.
    pub(crate) fn line(&self) -> usize {
        self.tokens.len()
    }
}
