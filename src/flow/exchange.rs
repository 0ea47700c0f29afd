//! One exchange with a server: what was sent, with which credential, and how the response is
//! handled.

use std::sync::Arc;

use http::{Extensions, HeaderMap, StatusCode};

use super::{Attachment, DrainLimit, Flow, NotAttached, NotRetried};
use crate::{
    cache::{Snapshot, Wait},
    credential::{AnyRequestHead, Credential, ResponseHead, SentHead},
    error::Error,
    observe,
};

/// The data shared by all exchanges that use the same credential. `D` is what the driver needs to
/// send a request again.
///
/// All of it is behind one reference count, because a count that several processors write limits
/// how well requests scale. The alignment puts that count on separate cache lines.
#[repr(align(128))]
pub(crate) struct Prepared<C, D = ()> {
    pub(crate) flow: Flow<C>,
    pub(crate) snapshot: Arc<Snapshot<C>>,
    /// A copy of the credential that shares no memory with the copies of other services.
    unshared: Option<C>,
    pub(crate) driver: D,
}

impl<C: Credential, D> Prepared<C, D> {
    pub(crate) fn new(flow: Flow<C>, snapshot: Arc<Snapshot<C>>, driver: D) -> Self {
        Self {
            flow,
            snapshot,
            unshared: None,
            driver,
        }
    }

    /// Adds an unshared copy of the credential, for a service that is called more than once.
    pub(crate) fn unshared(mut self) -> Self {
        self.unshared = Some(self.snapshot.credential.unshared());
        self
    }

    /// Returns whether the prepared credential can be used without asking the cache.
    #[inline]
    pub(crate) fn is_fresh(&self) -> bool {
        self.flow.cache.is_fresh(&self.snapshot)
    }

    /// Returns whether a request with the prepared credential may be sent again, so that copying it
    /// is worth the cost.
    #[inline(always)]
    pub(crate) fn wants_copy(&self) -> bool {
        C::HANDLES_CHALLENGES || (self.flow.policy.retry && !self.snapshot.permanent)
    }

    /// Puts the prepared credential on the first attempt of a request. See [`Exchange::attach`].
    #[inline(always)]
    pub(crate) fn attach(&self, head: &mut dyn AnyRequestHead) -> Result<Attachment, Error> {
        let credential = self.unshared.as_ref();
        let credential = credential.unwrap_or(&self.snapshot.credential);
        self.flow.attach(credential, head)
    }
}

/// The state of one call: the credential of the current attempt, and what has already been done.
pub(crate) struct Exchange<C, D = ()> {
    prepared: Arc<Prepared<C, D>>,
    /// The credential of a retry after a rejection. The first attempt uses the prepared one.
    newer: Option<Arc<Snapshot<C>>>,
    /// The request as it was sent, for a credential that handles challenges.
    sent: Option<Box<SentHead>>,
    /// Whether the current credential has already answered a challenge.
    answered_challenge: bool,
    /// Whether the current attempt has ended.
    is_complete: bool,
}

/// The meaning of a response for the credential of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Classification {
    Accepted,
    Rejected,
    /// The credential can answer the response if the request is sent again.
    Challenged {
        rejected: bool,
    },
}

/// The driver's next step. `Q` is its copy of the request.
pub(crate) enum Decision<C, Q> {
    /// Return the server's response, with the reason why a rejected request was not sent again.
    Return(Option<NotRetried>),
    /// Send this request.
    Resend(Q),
    /// Wait for the refresh and pass its outcome to [`Exchange::refreshed`]. On success, send this
    /// request.
    Wait(Wait<C>, Q),
}

impl<C: Credential, D> Exchange<C, D> {
    /// Starts an exchange whose first attempt was sent, or is about to be sent.
    #[inline(always)]
    pub(crate) fn new(prepared: Arc<Prepared<C, D>>, sent: Option<Box<SentHead>>) -> Self {
        Self {
            prepared,
            newer: None,
            sent,
            answered_challenge: false,
            is_complete: false,
        }
    }

    #[inline(always)]
    pub(crate) fn is_complete(&self) -> bool {
        self.is_complete
    }

    #[inline(always)]
    pub(crate) fn complete(&mut self) {
        self.is_complete = true;
    }

    #[inline(always)]
    pub(super) fn flow(&self) -> &Flow<C> {
        &self.prepared.flow
    }

    #[inline(always)]
    pub(super) fn snapshot(&self) -> &Snapshot<C> {
        self.newer.as_ref().unwrap_or(&self.prepared.snapshot)
    }

    /// Returns the driver's part of the [`Prepared`] value.
    pub(crate) fn driver(&self) -> &D {
        &self.prepared.driver
    }

    pub(crate) fn drain_limit(&self) -> DrainLimit {
        self.flow().policy.drain
    }

    /// Returns whether the request may be sent again after this attempt, so that copying it is
    /// worth the cost.
    pub(crate) fn wants_copy(&self) -> bool {
        match &self.newer {
            None => self.prepared.wants_copy(),
            // A retry is resent only to answer a challenge.
            Some(_) => C::HANDLES_CHALLENGES,
        }
    }

    /// Puts the credential on a request that is about to be sent. Returns the reason if the
    /// request keeps its own credential.
    ///
    /// # Errors
    /// The credential cannot be put on this request.
    pub(crate) fn attach(
        &mut self,
        head: &mut dyn AnyRequestHead,
    ) -> Result<Option<NotAttached>, Error> {
        self.is_complete = false;
        if self.newer.is_some() || self.answered_challenge {
            let (generation, answer) = (self.snapshot().generation, self.answered_challenge);
            observe::resent(self.flow().cache.name(), generation, answer);
        }
        let attachment = match &self.newer {
            None => self.prepared.attach(head)?,
            Some(newer) => self.flow().attach(&newer.credential, head)?,
        };
        Ok(match attachment {
            Ok(sent) => {
                self.sent = sent;
                None
            }
            Err(why) => Some(why),
        })
    }

    /// Classifies a response. Records the credential as accepted if the server accepted it.
    #[inline]
    pub(crate) fn classify(&self, status: StatusCode, headers: &HeaderMap) -> Classification {
        let (flow, snapshot) = (self.flow(), self.snapshot());
        let rejected = self.is_rejection(status, headers);
        // A failing server, or a proxy in front of it, has not necessarily checked the credential.
        let unchecked =
            status.is_server_error() || status == StatusCode::PROXY_AUTHENTICATION_REQUIRED;
        if !rejected && !unchecked {
            flow.cache.accept(snapshot.generation);
        }
        let challenged = C::HANDLES_CHALLENGES
            && self.sent.as_ref().is_some_and(|sent| {
                let response = ResponseHead::new(sent, status, headers);
                snapshot.credential.on_response(&response)
            });
        match (challenged, rejected) {
            (false, false) => Classification::Accepted,
            (false, true) => Classification::Rejected,
            (true, rejected) => Classification::Challenged { rejected },
        }
    }

    /// Decides how to handle a rejection, or a response that the credential can answer. `copy` is
    /// the request for another attempt, if there is one that can be sent.
    pub(crate) fn decide<Q>(
        &mut self,
        classification: Classification,
        headers: &HeaderMap,
        copy: Option<Q>,
    ) -> Decision<C, Q> {
        let (challenged, rejected) = match classification {
            Classification::Accepted => (false, false),
            Classification::Rejected => (false, true),
            Classification::Challenged { rejected } => (true, rejected),
        };
        let copy = match copy {
            Some(copy) if challenged && !self.answered_challenge => {
                self.answered_challenge = true;
                return Decision::Resend(copy);
            }
            copy => copy,
        };
        if !rejected {
            return Decision::Return(None);
        }
        self.decide_rejected(headers, copy)
            .unwrap_or_else(|why| Decision::Return(Some(why)))
    }

    /// Continues after the refresh that a rejection started or joined.
    ///
    /// # Errors
    /// The request is not sent again, for the returned reason.
    pub(crate) fn refreshed(
        &mut self,
        outcome: Result<Arc<Snapshot<C>>, Error>,
    ) -> Result<(), NotRetried> {
        let newer = outcome.map_err(NotRetried::RefreshFailed)?;
        if newer.generation == self.snapshot().generation {
            return Err(NotRetried::SameCredential);
        }
        self.use_newer(newer);
        Ok(())
    }

    /// Returns whether this call has been sent again after a rejection.
    pub(super) fn is_retry(&self) -> bool {
        self.newer.is_some()
    }

    pub(super) fn use_newer(&mut self, newer: Arc<Snapshot<C>>) {
        self.newer = Some(newer);
        self.answered_challenge = false;
    }

    /// Reports why a rejected request is not sent again: to observers, and to the caller in the
    /// extensions of the response.
    pub(crate) fn not_retried(&self, why: Option<NotRetried>, extensions: &mut Extensions) {
        if let Some(why) = why {
            observe::not_retried(self.flow().cache.name(), why.as_str(), &why);
            extensions.insert(why);
        }
    }
}
