//! What a provider is told.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use http::Extensions;
use tokio::time::Instant;

use crate::challenge::Challenge;

/// Why a credential is wanted, and what is known: the argument of
/// [`Provider::issue`](super::Provider::issue). It is owned, so that closures can be providers.
pub struct RefreshContext<C> {
    reason: Reason,
    previous: Option<C>,
    challenges: Vec<Challenge>,
    control: Arc<FlightControl>,
}

/// Why a refresh was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// There is no credential yet.
    Initial,
    /// The credential is about to expire; nobody waits.
    Early,
    /// The credential has expired, or is so close to it that callers wait.
    Expired,
    /// A server rejected the credential.
    Rejected,
    /// A server wants more of the credential than its being valid, and
    /// [`can_step_up`](super::Provider::can_step_up) said that this provider can get it.
    StepUp,
    /// [`Handle::invalidate`](crate::Handle::invalidate) was called.
    Invalidated,
}

impl Reason {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Initial => "initial",
            Self::Early => "early",
            Self::Expired => "expired",
            Self::Rejected => "rejected",
            Self::StepUp => "step_up",
            Self::Invalidated => "invalidated",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl<C> RefreshContext<C> {
    pub(crate) fn new(
        reason: Reason,
        previous: Option<C>,
        challenges: Vec<Challenge>,
        control: Arc<FlightControl>,
    ) -> Self {
        Self {
            reason,
            previous,
            challenges,
            control,
        }
    }

    /// The same, for a provider of what this credential is made from.
    #[cfg(feature = "dpop")]
    pub(crate) fn map<D>(self, from: impl FnOnce(C) -> D) -> RefreshContext<D> {
        RefreshContext {
            reason: self.reason,
            previous: self.previous.map(from),
            challenges: self.challenges,
            control: self.control,
        }
    }

    /// Why this refresh was started.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// The credential to be replaced, if there was one.
    #[must_use]
    pub fn previous(&self) -> Option<&C> {
        self.previous.as_ref()
    }

    /// What the server asked for when it rejected the previous credential. Empty for every other
    /// reason, and when the server did not say.
    #[must_use]
    pub fn challenges(&self) -> &[Challenge] {
        &self.challenges
    }

    /// When the callers who wait are told that it took too long, and this refresh is dropped
    /// unless it is [committed](Self::commit). The layer's
    /// [`refresh_timeout`](crate::RefreshSettings::refresh_timeout) sets it, 10 s by default.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.control.deadline
    }

    /// Says that the server has answered, and that dropping this refresh now could lose something
    /// that exists only once, such as a rotated refresh token. From here on the deadline answers
    /// the callers, but the refresh itself runs to its end. So bound what comes after.
    pub fn commit(&self) {
        self.control.committed.store(true, Ordering::Release);
    }

    /// Marks a request that the provider makes, so that the layer it works for recognizes it: such
    /// a request can only wait for itself, and fails with an error that says so.
    pub fn mark(&self, request: &mut Extensions) {
        request.insert(TokenRequest(self.control.cache));
    }
}

impl<C> fmt::Debug for RefreshContext<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshContext")
            .field("reason", &self.reason)
            .field("challenges", &self.challenges)
            .field("deadline", &self.control.deadline)
            .finish_non_exhaustive()
    }
}

/// What a provider is told at log-out: the argument of
/// [`Provider::revoke`](super::Provider::revoke).
pub struct RevokeContext<C> {
    credentials: Vec<C>,
}

impl<C> RevokeContext<C> {
    pub(crate) fn new(credentials: Vec<C>) -> Self {
        Self { credentials }
    }

    /// The same, for a provider of what these credentials are made from.
    #[cfg(feature = "dpop")]
    pub(crate) fn map<D>(self, from: impl FnMut(C) -> D) -> RevokeContext<D> {
        RevokeContext::new(self.credentials.into_iter().map(from).collect())
    }

    /// The credentials that are given up: the one in use, and the one that a refresh under way at
    /// log-out still brought.
    #[must_use]
    pub fn credentials(&self) -> &[C] {
        &self.credentials
    }
}

impl<C> fmt::Debug for RevokeContext<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RevokeContext")
            .field("credentials", &self.credentials.len())
            .finish_non_exhaustive()
    }
}

/// What a flight and the provider it runs say to each other.
#[derive(Debug)]
pub(crate) struct FlightControl {
    /// Which cache the flight is for.
    pub(crate) cache: usize,
    pub(crate) deadline: Instant,
    committed: AtomicBool,
}

impl FlightControl {
    pub(crate) fn new(cache: usize, deadline: Instant) -> Self {
        Self {
            cache,
            deadline,
            committed: AtomicBool::new(false),
        }
    }

    pub(crate) fn is_committed(&self) -> bool {
        self.committed.load(Ordering::Acquire)
    }
}

/// The mark on a provider's own requests: which cache they are made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TokenRequest(pub(crate) usize);
