//! Acquires the credential, either immediately or by waiting for a refresh.

use std::{mem, sync::Arc};

use super::{
    cache::Cache,
    refresh::Refresh,
    snapshot::Snapshot,
    state::{Effects, Env, Next, Outcome, State},
    sync::lock,
    wait::Waiter,
};
use crate::{
    credential::Credential,
    error::{Error, ErrorKind},
};

/// The credential for a caller, a wait for one, or an error.
pub(crate) enum Acquired<C, T = Arc<Snapshot<C>>> {
    Use(T),
    Wait(Wait<C>),
    Fail(Error),
}

/// A caller's wait for a credential.
pub(crate) struct Wait<C> {
    cache: Arc<Cache<C>>,
    waiter: Waiter<C>,
    /// Used if the refresh fails and this credential is still valid.
    fallback: Option<Arc<Snapshot<C>>>,
}

impl<C: Credential> Cache<C> {
    /// Returns the current credential, or the refresh that the caller has to wait for. Starts a
    /// refresh if one is due.
    pub(crate) fn acquire(self: &Arc<Self>) -> Acquired<C> {
        match self.fresh() {
            Some(current) => Acquired::Use(current),
            None => loop {
                let next = |state: &mut State<C>, env: &Env| state.acquire(env);
                match self.transition(next, |next, refresh| self.acquired(next, refresh)) {
                    Some(acquired) => break acquired,
                    None => self.ask_for_initial(),
                }
            },
        }
    }

    /// Asks the provider for its initial credential, without holding the state's lock. Other
    /// callers that need a credential wait until the provider has returned.
    fn ask_for_initial(self: &Arc<Self>) {
        let mut was_asked = lock(&self.initial);
        let is_due = self.read(|state, _| state.wants_initial());
        // Recorded first, so that a provider that panics is not asked again.
        let received = if is_due && !mem::replace(&mut *was_asked, true) {
            self.provider.initial().map(|issued| self.receive(issued))
        } else {
            None
        };
        // Dropped without holding the state's lock.
        let _unused = self.transition(
            |state, env| (state.offer_initial(received, env), Effects::none()),
            |unused, _| unused,
        );
    }

    /// Converts the state's decision for the caller. Must be called under the lock. Returns `None`
    /// if the provider has to be asked for its initial credential first.
    pub(super) fn acquired(
        self: &Arc<Self>,
        next: Next<C>,
        refresh: Option<&Arc<Refresh<C>>>,
    ) -> Option<Acquired<C>> {
        Some(match (next, refresh) {
            (Next::AskInitial, _) => return None,
            (Next::Use(snapshot), _) => Acquired::Use(snapshot),
            (Next::Fail(error), _) => Acquired::Fail(error),
            (Next::Wait { .. }, Some(refresh)) if refresh.waits_for_caller() => {
                Acquired::Fail(Error::new(ErrorKind::OwnTokenRequest))
            }
            (Next::Wait { fallback }, Some(refresh)) => Acquired::Wait(Wait {
                cache: Arc::clone(self),
                waiter: Waiter::new(Arc::clone(refresh)),
                fallback,
            }),
            (Next::Wait { .. }, None) => Acquired::Fail(Error::new(ErrorKind::Aborted)),
        })
    }
}

impl<C: Credential> Wait<C> {
    pub(crate) fn cache(&self) -> &Arc<Cache<C>> {
        &self.cache
    }

    /// Waits for the refresh, up to its deadline.
    ///
    /// # Errors
    /// The refresh failed or timed out, or the caller is the provider itself. The cache has already
    /// checked for the latter, but only in the task that called the service: with a `Buffer`, a
    /// different task polls the future.
    pub(crate) async fn outcome(mut self) -> Result<Arc<Snapshot<C>>, Error> {
        if self.waiter.waits_for_itself() {
            return Err(Error::new(ErrorKind::OwnTokenRequest));
        }
        let error = loop {
            match self.waiter.next().await {
                Outcome::Published(snapshot) => return Ok(snapshot),
                Outcome::Failed(error) => break error,
                Outcome::Superseded => match self.cache.acquire() {
                    Acquired::Use(snapshot) => return Ok(snapshot),
                    Acquired::Fail(error) => return Err(error),
                    Acquired::Wait(wait) => self = wait,
                },
            }
            // Timed out. A new refresh can start only once this one has ended.
            if self.waiter.is_overdue() {
                break Error::new(ErrorKind::Timeout);
            }
        };
        match self.fallback {
            Some(fallback) if self.cache.is_usable(&fallback) => Ok(fallback),
            _ => Err(error),
        }
    }
}
