//! What to do next with a request: attach a credential, accept the answer, refresh, send again.
//!
//! It knows no I/O and no bodies. Drivers (the tower service, the reqwest middleware) ask it and
//! do as they are told, so no decision is written twice.

mod outcome;
mod policy;

use std::{sync::Arc, time::Duration};

use http::{Extensions, HeaderMap, StatusCode, Uri};
use tokio::time::Instant;

pub use self::outcome::{NotAttached, NotRetried, SkipAuth};
pub(crate) use self::policy::Policy;
use crate::{
    cache::{Acquired, Cache, Snapshot, TooManyRejections, Wait},
    challenge::{self, Challenge, Complaint, StepUp},
    credential::{AnyRequestHead, Credential, RequestHeadMut, ResponseHead, SentHead},
    error::Error,
    observe,
    provider::Reason,
};

/// The decisions for one layer value: its policy, over the shared cache.
pub(crate) struct Flow<C> {
    pub(crate) cache: Arc<Cache<C>>,
    pub(crate) policy: Arc<Policy>,
}

impl<C> Clone for Flow<C> {
    fn clone(&self) -> Self {
        Self {
            cache: Arc::clone(&self.cache),
            policy: Arc::clone(&self.policy),
        }
    }
}

/// What a response says about the credential of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Accepted,
    Rejected,
    /// The credential can answer it, if the request is sent again.
    Challenged {
        rejected: bool,
    },
}

/// What follows from a response.
pub(crate) enum Next<C> {
    /// The caller gets the server's answer, and why the request was not sent again, if it was
    /// rejected.
    Return(Option<NotRetried>),
    /// Send the request again with the same credential, which knows more now.
    Answer,
    /// Wait, then ask [`Flow::renewed`].
    Wait(Wait<C>),
    /// Send the request again with this.
    Retry(Arc<Snapshot<C>>),
}

/// What was done for a request so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt {
    /// It was sent again after a rejection.
    pub(crate) retried: bool,
    /// It was sent again because this credential answered a challenge.
    pub(crate) answered: bool,
    /// There is a copy to send.
    pub(crate) replayable: bool,
}

impl Verdict {
    pub(crate) fn is_rejected(self) -> bool {
        matches!(self, Self::Rejected | Self::Challenged { rejected: true })
    }

    pub(crate) fn is_challenged(self) -> bool {
        matches!(self, Self::Challenged { .. })
    }
}

impl<C: Credential> Flow<C> {
    /// Whether a request may carry a credential at all.
    ///
    /// # Errors
    /// It is not known where the request goes.
    #[inline(always)]
    pub(crate) fn admit(
        &self,
        uri: &Uri,
        extensions: &Extensions,
    ) -> Result<Option<NotAttached>, Error> {
        self.policy.admit(uri, extensions)
    }

    /// Puts the credential on a request. Gives the reason if the request keeps its own.
    ///
    /// # Errors
    /// The credential does not fit the request.
    #[inline(always)]
    pub(crate) fn attach(
        &self,
        credential: &C,
        head: &mut dyn AnyRequestHead,
    ) -> Result<Option<NotAttached>, Error> {
        let mut outgoing = RequestHeadMut::over(head).keep_existing(self.policy.keep_existing);
        credential.apply(&mut outgoing).map_err(Error::apply)?;
        Ok(outgoing
            .found_existing()
            .then_some(NotAttached::AlreadyPresent))
    }

    /// The credential for a request, or what it has to wait for.
    ///
    /// # Errors
    /// The request has one of its own, so nothing is asked for on its behalf.
    pub(crate) fn acquire(&self, head: &dyn AnyRequestHead) -> Result<Acquired<C>, NotAttached> {
        if let Some(fresh) = self.cache.fresh() {
            return Ok(Acquired::Use(fresh));
        }
        let last = self.cache.last();
        let last = last.as_ref().map(|last| &last.credential);
        if self.policy.carries_its_own(last, head) {
            return Err(NotAttached::AlreadyPresent);
        }
        Ok(self.cache.acquire())
    }

    /// Whether a request with this credential may be sent again, so that a copy is worth its cost.
    #[inline]
    pub(crate) fn wants_copy(&self, snapshot: &Snapshot<C>) -> bool {
        C::HANDLES_CHALLENGES || (self.policy.retry && !snapshot.permanent)
    }

    /// What has to be kept of a request, with its credential, until it is answered.
    #[inline]
    pub(crate) fn sent_head(head: &dyn AnyRequestHead) -> Option<Box<SentHead>> {
        C::HANDLES_CHALLENGES.then(|| Box::new(SentHead::of(head)))
    }

    /// What a response says about the credential. Remembers if it was accepted.
    #[inline]
    pub(crate) fn judge(
        &self,
        snapshot: &Snapshot<C>,
        sent: Option<&SentHead>,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Verdict {
        let rejected = match &self.policy.rejected_if {
            None => status == StatusCode::UNAUTHORIZED,
            Some(rejected_if) => rejected_if(status, headers),
        };
        // RFC 6750 3.1 has a status of its own for that.
        let rejected = rejected
            || (status == StatusCode::FORBIDDEN
                && self.can_step_up(&Challenge::from_headers(headers)));
        // A server in trouble, or a proxy before it, has not looked at the credential.
        let unseen =
            status.is_server_error() || status == StatusCode::PROXY_AUTHENTICATION_REQUIRED;
        if !rejected && !unseen {
            self.cache.accept(snapshot.generation);
        }
        let challenged = C::HANDLES_CHALLENGES
            && sent.is_some_and(|sent| {
                let response = ResponseHead::new(sent, status, headers);
                snapshot.credential.on_response(&response)
            });
        match (challenged, rejected) {
            (false, false) => Verdict::Accepted,
            (false, true) => Verdict::Rejected,
            (true, rejected) => Verdict::Challenged { rejected },
        }
    }

    /// What follows from a response to a request that carried this credential.
    pub(crate) fn follow(
        &self,
        snapshot: &Snapshot<C>,
        verdict: Verdict,
        headers: &HeaderMap,
        attempt: Attempt,
    ) -> Next<C> {
        if verdict.is_challenged() && attempt.replayable && !attempt.answered {
            return Next::Answer;
        }
        if !verdict.is_rejected() {
            return Next::Return(None);
        }
        match self.rejected(snapshot, headers, attempt) {
            Ok(next) => next,
            Err(why) => Next::Return(Some(why)),
        }
    }

    fn rejected(
        &self,
        snapshot: &Snapshot<C>,
        headers: &HeaderMap,
        attempt: Attempt,
    ) -> Result<Next<C>, NotRetried> {
        if snapshot.permanent {
            return Err(NotRetried::StaticCredential);
        }
        let challenges = Challenge::from_headers(headers);
        let mut reason = Reason::Rejected;
        let insufficient = match challenge::complaint(&challenges) {
            Some(Complaint::InvalidRequest) => return Err(NotRetried::InvalidRequest),
            Some(Complaint::InsufficientScope) => Some(NotRetried::InsufficientScope),
            Some(Complaint::InsufficientAuthentication) => {
                Some(NotRetried::InsufficientAuthentication)
            }
            Some(Complaint::InvalidToken) | None => None,
        };
        if let Some(why) = insufficient {
            if attempt.retried || !self.can_step_up(&challenges) {
                return Err(why);
            }
            reason = Reason::StepUp;
        }
        if attempt.retried {
            self.cache.note_rejection(snapshot.generation);
            return Err(NotRetried::RejectedAgain);
        }
        let rejected = self.cache.reject(snapshot.generation, reason, challenges);
        // The refresh is under way for those who come next, whatever becomes of this request.
        if !self.policy.retry {
            return Err(NotRetried::RetriesDisabled);
        }
        if !attempt.replayable {
            return Err(NotRetried::BodyNotReplayable);
        }
        match rejected {
            Ok(Acquired::Use(newer)) => Ok(Next::Retry(newer)),
            Ok(Acquired::Wait(wait)) => Ok(Next::Wait(wait)),
            Ok(Acquired::Fail(error)) => Err(NotRetried::RefreshFailed(error)),
            Err(TooManyRejections { retry_at }) => Err(NotRetried::TooManyRejections {
                retry_after: retry_at.saturating_duration_since(Instant::now()),
            }),
        }
    }

    /// A rejection goes to the caller, who finds the reason in the extensions.
    pub(crate) fn not_retried(&self, why: NotRetried, extensions: &mut Extensions) {
        observe::not_retried(self.cache.name(), why.word(), &why);
        extensions.insert(why);
    }

    /// A request is sent again, with this credential.
    pub(crate) fn resent(&self, snapshot: &Snapshot<C>, answered: bool) {
        observe::resent(self.cache.name(), snapshot.generation, answered);
    }

    /// Whether the provider could get a credential that has what these challenges want.
    fn can_step_up(&self, challenges: &[Challenge]) -> bool {
        let wanted = StepUp::from_challenges(challenges);
        wanted.is_some_and(|wanted| self.cache.provider().can_step_up(&wanted))
    }

    /// The credential for the retry, after the refresh that a rejection has led to.
    ///
    /// # Errors
    /// There is no retry, and this is why.
    pub(crate) fn renewed(
        &self,
        rejected: &Snapshot<C>,
        outcome: Result<Arc<Snapshot<C>>, Error>,
    ) -> Result<Arc<Snapshot<C>>, NotRetried> {
        match outcome {
            Ok(newer) if newer.generation == rejected.generation => Err(NotRetried::SameCredential),
            Ok(newer) => Ok(newer),
            Err(error) => Err(NotRetried::RefreshFailed(error)),
        }
    }
}

/// How much of a rejection's body is read, and for how long, to have its connection used again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DrainLimit {
    pub(crate) bytes: u64,
    pub(crate) time: Duration,
}
