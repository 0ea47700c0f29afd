//! The inputs and outcomes of a transition.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{
    cache::snapshot::Snapshot,
    challenge::Challenge,
    error::Error,
    provider::{Issued, Reason},
    time::Moment,
};

/// Identifies one refresh of a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RefreshId(pub(super) u64);

/// The external inputs of a transition.
#[derive(Clone, Copy)]
pub(crate) struct Env {
    pub(crate) now: Moment,
    /// The latest generation that a server accepted.
    pub(crate) accepted: u64,
    /// A random number in `0.0..1.0`.
    pub(crate) draw: f64,
    /// Whether a refresh can be started, which needs a runtime.
    pub(crate) has_runtime: bool,
}

/// The next step for a caller that needs a credential.
pub(crate) enum Next<C> {
    Use(Arc<Snapshot<C>>),
    /// Wait for the in-flight refresh. If the refresh fails, the fallback is used if it is still
    /// valid.
    Wait {
        fallback: Option<Arc<Snapshot<C>>>,
    },
    Fail(Error),
    /// Pass the provider's initial credential to `State::offer_initial`, then try again.
    AskInitial,
}

/// The error for a rejection that does not start a refresh, because rejections have caused too many
/// refreshes recently.
#[derive(Debug)]
pub(crate) struct TooManyRejections {
    /// When a rejection may start a refresh again.
    pub(crate) retry_at: Instant,
}

/// An issued credential. `same_as` is the generation of the cache's last credential if the two
/// credentials are the same.
pub(crate) struct Received<C> {
    pub(crate) issued: Issued<C>,
    pub(crate) same_as: Option<u64>,
}

/// How a refresh ended, for its waiters.
pub(crate) enum Outcome<C> {
    Published(Arc<Snapshot<C>>),
    Failed(Error),
    /// The epoch has ended, or another refresh has taken this one's place. Waiters must acquire a
    /// credential again.
    Superseded,
}

/// The external effects of a transition. The cache also publishes the state's credential whenever
/// its version has changed.
#[must_use]
pub(crate) struct Effects<C> {
    pub(crate) start: Option<Start<C>>,
    /// When readers have to check the current credential again.
    pub(crate) recheck_at: Option<Instant>,
    /// Whether the epoch has ended, so that all waiters must acquire a credential again.
    pub(crate) wake_waiters: bool,
    /// How long refreshes caused by rejections are delayed, starting now.
    pub(crate) held_back: Option<Duration>,
}

/// A refresh to start.
pub(crate) struct Start<C> {
    pub(crate) id: RefreshId,
    pub(crate) reason: Reason,
    pub(crate) challenges: Vec<Challenge>,
    pub(crate) previous: Option<Arc<Snapshot<C>>>,
    pub(crate) started_at: Instant,
    pub(crate) deadline: Instant,
}

impl<C> Effects<C> {
    pub(crate) fn none() -> Self {
        Self {
            start: None,
            recheck_at: None,
            wake_waiters: false,
            held_back: None,
        }
    }

    pub(crate) fn start(start: Start<C>) -> Self {
        let start = Some(start);
        Self {
            start,
            ..Self::none()
        }
    }

    pub(crate) fn recheck_at(at: Instant) -> Self {
        let recheck_at = Some(at);
        Self {
            recheck_at,
            ..Self::none()
        }
    }
}

impl<C> Clone for Outcome<C> {
    fn clone(&self) -> Self {
        match self {
            Self::Published(snapshot) => Self::Published(Arc::clone(snapshot)),
            Self::Failed(error) => Self::Failed(error.clone()),
            Self::Superseded => Self::Superseded,
        }
    }
}
