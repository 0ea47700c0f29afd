//! The definition of a rejection, and the steps that follow one.

use http::{HeaderMap, StatusCode};
use tokio::time::Instant;

use super::{
    exchange::{Decision, Exchange},
    outcome::NotRetried,
};
use crate::{
    cache::{Acquired, TooManyRejections},
    challenge::{self, Challenge, ErrorCode, StepUp},
    credential::Credential,
    provider::Reason,
};

impl<C: Credential, D> Exchange<C, D> {
    /// Returns whether a response is a rejection: a 401, or whatever `rejected_if` selects instead.
    /// In both cases, a 403 that the provider can resolve with a step-up also counts.
    #[inline]
    pub(super) fn is_rejection(&self, status: StatusCode, headers: &HeaderMap) -> bool {
        let rejected = match &self.flow().policy.rejected_if {
            None => status == StatusCode::UNAUTHORIZED,
            Some(rejected_if) => rejected_if(status, headers),
        };
        // Servers report insufficient rights with status 403 (RFC 6750 section 3.1).
        rejected
            || (status == StatusCode::FORBIDDEN
                && self.can_step_up(&Challenge::from_headers(headers)))
    }

    /// Decides how to handle a rejection: with a retry, usually after a refresh, or by returning
    /// the reason why there is no retry.
    pub(super) fn decide_rejected<Q>(
        &mut self,
        headers: &HeaderMap,
        copy: Option<Q>,
    ) -> Result<Decision<C, Q>, NotRetried> {
        let (generation, retried) = (self.snapshot().generation, self.is_retry());
        // The same credential may have become permanent since this request was sent.
        let current = self.flow().cache.last();
        let is_permanent = current.is_some_and(|it| it.generation == generation && it.permanent);
        if is_permanent || self.snapshot().permanent {
            return Err(NotRetried::StaticCredential);
        }
        let challenges = Challenge::from_headers(headers);
        let insufficient = match challenge::error_code(&challenges) {
            Some(ErrorCode::InvalidRequest) => return Err(NotRetried::InvalidRequest),
            Some(ErrorCode::InsufficientScope) => Some(NotRetried::InsufficientScope),
            Some(ErrorCode::InsufficientAuthentication) => {
                Some(NotRetried::InsufficientAuthentication)
            }
            Some(ErrorCode::InvalidToken) | None => None,
        };
        let reason = match insufficient {
            Some(why) if retried || !self.can_step_up(&challenges) => return Err(why),
            Some(_) => Reason::StepUp,
            None => Reason::Rejected,
        };
        let flow = self.flow();
        if retried {
            flow.cache.note_rejection(generation);
            return Err(NotRetried::RejectedAgain);
        }
        let acquired = flow.cache.reject(generation, reason, challenges);
        // The refresh runs for later requests, even if this one is not sent again.
        if !flow.policy.retry {
            return Err(NotRetried::RetriesDisabled);
        }
        let copy = copy.ok_or(NotRetried::BodyNotReplayable)?;
        match acquired {
            Ok(Acquired::Use(newer)) => {
                self.use_newer(newer);
                Ok(Decision::Resend(copy))
            }
            Ok(Acquired::Wait(wait)) => Ok(Decision::Wait(wait, copy)),
            Ok(Acquired::Fail(error)) => Err(NotRetried::RefreshFailed(error)),
            Err(TooManyRejections { retry_at }) => Err(NotRetried::TooManyRejections {
                retry_after: retry_at.saturating_duration_since(Instant::now()),
            }),
        }
    }

    /// Returns whether the provider can get a credential that satisfies these challenges.
    fn can_step_up(&self, challenges: &[Challenge]) -> bool {
        StepUp::from_challenges(challenges)
            .is_some_and(|wanted| self.flow().cache.provider().can_step_up(&wanted))
    }
}
