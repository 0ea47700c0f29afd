//! The arguments of a provider's methods.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::time::Instant;

use crate::challenge::Challenge;

/// The argument of [`Provider::issue`](super::Provider::issue): why a credential is needed, and
/// what is known about the previous one.
///
/// The context is owned, so that a closure can be a provider. To test a provider without a layer,
/// create one with `test_util::refresh_context` (feature `test-util`).
pub struct RefreshContext<C> {
    reason: Reason,
    previous: Option<C>,
    challenges: Vec<Challenge>,
    control: Arc<RefreshControl>,
}

/// The reason a refresh was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The layer does not have a credential yet.
    Initial,
    /// The credential is about to expire. No caller waits for this refresh.
    Early,
    /// The credential has expired, or is so close to expiry that callers wait.
    Expired,
    /// A server rejected the credential.
    Rejected,
    /// A server requires more than a valid credential, and this provider's
    /// [`can_step_up`](super::Provider::can_step_up) returned `true` for that requirement.
    StepUp,
    /// [`Handle::invalidate`](crate::Handle::invalidate) was called.
    Invalidated,
}

impl Reason {
    pub(crate) fn as_str(self) -> &'static str {
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
        f.write_str(self.as_str())
    }
}

impl<C> RefreshContext<C> {
    pub(crate) fn new(
        reason: Reason,
        previous: Option<C>,
        challenges: Vec<Challenge>,
        control: Arc<RefreshControl>,
    ) -> Self {
        Self {
            reason,
            previous,
            challenges,
            control,
        }
    }

    /// Converts the previous credential, for a provider that wraps another one.
    #[cfg(feature = "oauth2")]
    pub(crate) fn map<D>(self, from: impl FnOnce(C) -> D) -> RefreshContext<D> {
        RefreshContext {
            reason: self.reason,
            previous: self.previous.map(from),
            challenges: self.challenges,
            control: self.control,
        }
    }

    /// Returns why this refresh was started.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// Returns the credential to be replaced, if there was one.
    #[must_use]
    pub fn previous(&self) -> Option<&C> {
        self.previous.as_ref()
    }

    /// Returns the challenges with which the server rejected the previous credential.
    ///
    /// The slice is empty for every reason other than [`Reason::Rejected`] and [`Reason::StepUp`],
    /// and when the server sent no challenge.
    #[must_use]
    pub fn challenges(&self) -> &[Challenge] {
        &self.challenges
    }

    /// Returns the time at which waiting callers get a timeout error and this refresh is dropped,
    /// unless it is [committed](Self::commit).
    ///
    /// The [refresh timeout](crate::RefreshSettings::refresh_timeout), 10 s by default, determines
    /// it.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.control.deadline
    }

    /// Protects this refresh from being dropped at the [deadline](Self::deadline).
    ///
    /// Call this once the server has responded and dropping the refresh could lose something that
    /// exists only once, such as a rotated refresh token. At the deadline, waiting callers still
    /// get their timeout error, but the refresh runs to its end. Set a time limit on whatever
    /// follows this call.
    pub fn commit(&self) {
        self.control.committed.store(true, Ordering::Release);
    }
}

/// Setters for tests of providers (feature `test-util`).
#[cfg(feature = "test-util")]
impl<C> RefreshContext<C> {
    /// Sets the credential to be replaced. Default: none.
    #[must_use]
    pub fn with_previous(mut self, credential: C) -> Self {
        self.previous = Some(credential);
        self
    }

    /// Sets the server's challenges, such as those that
    /// [`Challenge::parse`] returns. Default: none.
    #[must_use]
    pub fn with_challenges(mut self, challenges: impl Into<Vec<Challenge>>) -> Self {
        self.challenges = challenges.into();
        self
    }

    /// Sets the deadline. Default: 10 s after the context was created.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Instant) -> Self {
        self.control = Arc::new(RefreshControl::new(deadline));
        self
    }
}

partial_debug!(
    RefreshContext<C>,
    reason,
    challenges,
    deadline = control.deadline
);

/// The argument of [`Provider::revoke`](super::Provider::revoke), which is called at logout.
///
/// To test a provider without a layer, create one with `test_util::revoke_context` (feature
/// `test-util`).
pub struct RevokeContext<C> {
    credentials: Vec<C>,
}

impl<C> RevokeContext<C> {
    pub(crate) fn new(credentials: Vec<C>) -> Self {
        Self { credentials }
    }

    /// Converts the credentials, for a provider that wraps another one.
    #[cfg(feature = "oauth2")]
    pub(crate) fn map<D>(self, from: impl FnMut(C) -> D) -> RevokeContext<D> {
        RevokeContext::new(self.credentials.into_iter().map(from).collect())
    }

    /// Returns the credentials to revoke: the one in use, and the one returned by a refresh that
    /// was in flight at logout.
    #[must_use]
    pub fn credentials(&self) -> &[C] {
        &self.credentials
    }
}

partial_debug!(RevokeContext<C>, credentials = credentials.len());

/// State shared by a refresh and the provider call that it makes.
#[derive(Debug)]
pub(crate) struct RefreshControl {
    pub(crate) deadline: Instant,
    committed: AtomicBool,
}

impl RefreshControl {
    pub(crate) fn new(deadline: Instant) -> Self {
        Self {
            deadline,
            committed: AtomicBool::new(false),
        }
    }

    pub(crate) fn is_committed(&self) -> bool {
        self.committed.load(Ordering::Acquire)
    }
}
