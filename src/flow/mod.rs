//! Decides what happens to a request: which credential is attached, what a response means, and
//! whether the request is sent again.
//!
//! This module performs no I/O and does not read bodies. The drivers (the tower service, the
//! reqwest middleware) carry out its decisions, so no decision is implemented twice. [`Flow`]
//! handles a request until it has a credential, and [`Exchange`] from then on.

mod exchange;
mod outcome;
mod policy;
mod rejection;

use std::sync::Arc;

pub use self::outcome::{NotAttached, NotRetried, SkipAuth};
pub(crate) use self::{
    exchange::{Classification, Decision, Exchange, Prepared},
    policy::{DrainLimit, Policy},
};
use crate::{
    cache::{Acquired, Cache},
    credential::{AnyRequestHead, Credential, RequestHeadMut, SentHead},
    error::Error,
};

/// A credential cache, and a layer's policy for the requests that use it.
pub(crate) struct Flow<C> {
    pub(crate) cache: Arc<Cache<C>>,
    pub(crate) policy: Arc<Policy>,
}

/// The request as it is sent with the credential, for a credential that handles challenges, or the
/// reason why the request keeps its own credential.
type Attachment = Result<Option<Box<SentHead>>, NotAttached>;

impl<C: Credential> Flow<C> {
    /// Returns the credential for a request, or what the request has to wait for.
    ///
    /// # Errors
    /// The request carries its own credential, so none is requested for it.
    pub(crate) fn acquire(&self, head: &dyn AnyRequestHead) -> Result<Acquired<C>, NotAttached> {
        if let Some(fresh) = self.cache.fresh() {
            return Ok(Acquired::Use(fresh));
        }
        let last = self.cache.last();
        let last = last.as_ref().map(|last| &last.credential);
        if self.policy.is_attached(last, head) {
            return Err(NotAttached::AlreadyPresent);
        }
        Ok(self.cache.acquire())
    }

    /// Puts a credential on a request.
    ///
    /// # Errors
    /// The credential cannot be put on this request.
    #[inline(always)]
    fn attach(&self, credential: &C, head: &mut dyn AnyRequestHead) -> Result<Attachment, Error> {
        let keep_existing = self.policy.keep_existing;
        let mut outgoing = RequestHeadMut::over(head).keep_existing(keep_existing);
        credential.apply(&mut outgoing).map_err(Error::apply)?;
        Ok(if outgoing.found_existing() {
            Err(NotAttached::AlreadyPresent)
        } else if C::HANDLES_CHALLENGES {
            Ok(Some(Box::new(SentHead::of(head))))
        } else {
            Ok(None)
        })
    }
}

impl<C> Clone for Flow<C> {
    fn clone(&self) -> Self {
        Self {
            cache: Arc::clone(&self.cache),
            policy: Arc::clone(&self.policy),
        }
    }
}
