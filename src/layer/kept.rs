//! What requests take along for their retry, behind one reference count.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;

use crate::{cache::Snapshot, credential::Credential, flow::Flow};

/// What a request in progress needs from the service that sent it.
///
/// A count that several processors write is what limits how requests scale, so there is one count
/// for all of this, on cache lines of its own, and a service that lives longer has its own.
#[repr(align(128))]
pub(super) struct Kept<S, C> {
    pub(super) flow: Flow<C>,
    pub(super) snapshot: Arc<Snapshot<C>>,
    /// The service's own copy of the credential.
    own: Option<C>,
    /// Cloned for each retry. The lock is there because a service need not be `Sync`.
    service: Mutex<S>,
}

impl<S: Clone, C: Credential> Kept<S, C> {
    pub(super) fn new(service: S, flow: Flow<C>, snapshot: Arc<Snapshot<C>>) -> Self {
        Self {
            flow,
            snapshot,
            own: None,
            service: Mutex::new(service),
        }
    }

    /// For a service that is called more than once.
    pub(super) fn detached(mut self) -> Self {
        self.own = Some(self.snapshot.credential.unshared());
        self
    }

    #[inline]
    pub(super) fn credential(&self) -> &C {
        self.own.as_ref().unwrap_or(&self.snapshot.credential)
    }

    pub(super) fn service(&self) -> S {
        self.service
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// What all clones of a service share.
pub(super) struct Shared<S, C> {
    pub(super) flow: Flow<C>,
    /// For clones that are called only once.
    pub(super) kept: ArcSwapOption<Kept<S, C>>,
}

impl<S, C> Shared<S, C> {
    pub(super) fn new(flow: Flow<C>) -> Arc<Self> {
        Arc::new(Self {
            flow,
            kept: ArcSwapOption::empty(),
        })
    }
}
