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
pub(in crate::cache) struct RefreshId(pub(super) u64);

/// The external inputs of a transition.
#[derive(Clone, Copy)]
pub(in crate::cache) struct Env {
    pub(in crate::cache) now: Moment,
    /// The latest generation that a server accepted.
    pub(in crate::cache) accepted: u64,
    /// A random number in `0.0..1.0`.
    pub(in crate::cache) draw: f64,
    /// Whether a refresh could be started, which needs a runtime.
    pub(in crate::cache) has_runtime: bool,
}

/// The next step of a caller that needs a credential.
pub(in crate::cache) enum Next<C> {
    Use(Arc<Snapshot<C>>),
    /// Wait for the in-flight refresh. If it fails, the fallback is used while it is valid.
    Wait {
        fallback: Option<Arc<Snapshot<C>>>,
    },
    Fail(Error),
    /// Pass the provider's initial credential to `State::offer_initial`, then try again.
    AskInitial,
}

/// A rejection does not start a refresh, because rejections have caused too many of them lately.
#[derive(Debug)]
pub(crate) struct TooManyRejections {
    /// When a rejection may start a refresh again.
    pub(crate) retry_at: Instant,
}

/// An issued credential. `same_as` is the generation it was found to be the same as.
pub(in crate::cache) struct Received<C> {
    pub(in crate::cache) issued: Issued<C>,
    pub(in crate::cache) same_as: Option<u64>,
}

/// The outcome of a refresh.
pub(in crate::cache) enum Completion<C> {
    Published(Arc<Snapshot<C>>),
    Failed(Error),
    /// The epoch has ended, or another refresh has taken this one's place. A credential that was
    /// issued is handed back.
    Superseded(Option<C>),
}

/// The effects of a transition outside of the state. The cache also publishes
/// the state's credential whenever its version has changed.
#[must_use]
pub(in crate::cache) struct Effects<C> {
    pub(in crate::cache) start: Option<Start<C>>,
    pub(in crate::cache) recheck: Option<Recheck>,
    /// The epoch has ended: all waiters have to acquire again.
    pub(in crate::cache) wake_waiters: bool,
    /// Refreshes caused by rejections are held back from now on, for this long.
    pub(in crate::cache) held_back: Option<Duration>,
}

/// When readers have to check the current credential again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cache) enum Recheck {
    Now,
    /// By this time, or never for a credential that does not expire.
    By(Option<Instant>),
}

/// A refresh to start.
pub(in crate::cache) struct Start<C> {
    pub(in crate::cache) id: RefreshId,
    pub(in crate::cache) reason: Reason,
    pub(in crate::cache) challenges: Vec<Challenge>,
    pub(in crate::cache) previous: Option<Arc<Snapshot<C>>>,
    pub(in crate::cache) started_at: Instant,
    pub(in crate::cache) deadline: Instant,
}

impl<C> Effects<C> {
    pub(in crate::cache) fn none() -> Self {
        Self {
            start: None,
            recheck: None,
            wake_waiters: false,
            held_back: None,
        }
    }

    pub(in crate::cache) fn start(start: Start<C>) -> Self {
        Self {
            start: Some(start),
            ..Self::none()
        }
    }

    pub(in crate::cache) fn recheck(recheck: Recheck) -> Self {
        Self {
            recheck: Some(recheck),
            ..Self::none()
        }
    }
}
