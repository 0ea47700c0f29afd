//! Writing to the store entry under the lock.

use std::{sync::Arc, time::Duration};

use super::{
    lock::LockGuard,
    shared::Session,
    state::{IssuedTokens, Known, RequestTime, State, Tokens},
};
use crate::{
    credential::Bearer,
    error::ProviderError,
    oauth2::{grant::sealed::Grant, login_required::LoginRequired},
    provider::RefreshContext,
    store::{Intent, Revision, StoreError, Stored, TokenSet, WriteOutcome},
};

/// How far the lock must outlast the refresh deadline when the token request is sent, so that the
/// response can be saved under the lock.
const SAVE_MARGIN: Duration = Duration::from_secs(5);

/// A session that holds the store's lock. While it does, nothing else can save tokens.
pub(super) struct Locked<'a, G> {
    pub(super) session: &'a Arc<Session<G>>,
    pub(super) tokens: &'a mut Tokens,
    lock: &'a LockGuard,
}

impl<'a, G: Grant> Locked<'a, G> {
    /// Creates the locked session, or returns `None` if this process does not hold the lock.
    pub(super) fn new(session: &'a Arc<Session<G>>, state: &'a mut State) -> Option<Self> {
        Some(Self {
            session,
            tokens: &mut state.tokens,
            lock: state.lock.as_ref()?,
        })
    }

    /// Returns the current time. Fails if there is not enough time left for a token request under
    /// the lock.
    pub(super) fn request_time(
        &self,
        context: &RefreshContext<Bearer>,
    ) -> Result<RequestTime, ProviderError> {
        let requested = RequestTime::now();
        // A process that was suspended can find itself past its deadline.
        let is_in_time = requested.at < context.deadline();
        if is_in_time && self.lock.outlasts(context.deadline() + SAVE_MARGIN) {
            return Ok(requested);
        }
        Err(lock_lost())
    }

    /// Records that the refresh token is about to be spent, or clears that record. Fails if another
    /// process has taken the lock.
    pub(super) async fn set_intent(&self, intent: Option<Intent>) -> Result<(), ProviderError> {
        match self.lock.set_intent(&self.session.entry, intent).await? {
            WriteOutcome::Applied => Ok(()),
            WriteOutcome::Conflict => Err(lock_lost()),
        }
    }

    /// Saves tokens that the server has just issued, and returns them even if the save fails. Fails
    /// only if another process has logged out in the meantime.
    pub(super) async fn save_issued(
        &mut self,
        replaces: Revision,
        tokens: TokenSet,
        requested: RequestTime,
    ) -> Result<IssuedTokens, ProviderError> {
        let session = self.session;
        self.tokens.known = Some(Known {
            revision: replaces,
            tokens: Some(tokens.clone()),
            is_own: true,
        });
        self.tokens.unsaved = true;
        match self.save(replaces, &tokens, true).await {
            Ok(Some(_)) => {}
            Ok(None) => {
                if let Ok(stored) = session.entry.load().await
                    && stored.revision > replaces
                    && stored.tokens.is_none()
                {
                    session.set_known(self.tokens, Some(Known::nothing(stored.revision)));
                    session.revoke(&tokens).await;
                    return Err(ProviderError::login_required(LoginRequired::logged_out()));
                }
                session.retry_save_in_background(session.entry.overtaken());
            }
            Err(error) => session.retry_save_in_background(error),
        }
        Ok(IssuedTokens {
            left: tokens.lifetime(),
            tokens,
            since: requested.at,
        })
    }

    /// Writes the known tokens back to a store that has lost acknowledged writes.
    pub(super) async fn restore(&mut self, stored: Stored) -> Result<Stored, StoreError> {
        let known = self.tokens.known.as_ref();
        let newer = known.filter(|known| known.revision > stored.revision);
        let Some(tokens) = newer.and_then(|known| known.tokens.clone()) else {
            return Ok(stored);
        };
        let saved = self.save(stored.revision, &tokens, false).await?;
        Ok(Stored {
            revision: saved.ok_or_else(|| self.session.entry.overtaken())?,
            tokens: Some(tokens),
            intent: None,
        })
    }

    /// Saves tokens in place of the `replaces` revision, and returns their own revision. Returns
    /// `None` if another process has changed the entry or taken the lock.
    pub(super) async fn save(
        &mut self,
        replaces: Revision,
        tokens: &TokenSet,
        is_own: bool,
    ) -> Result<Option<Revision>, StoreError> {
        let known = self.tokens.known.as_ref().map(|known| known.revision);
        let revision = Revision(replaces.max(known.unwrap_or_default()).0 + 1);
        let entry = &self.session.entry;
        match self.lock.save(entry, replaces, revision, tokens).await? {
            WriteOutcome::Conflict => Ok(None),
            WriteOutcome::Applied => {
                let known = Known {
                    revision,
                    tokens: Some(tokens.clone()),
                    is_own,
                };
                self.session.set_known(self.tokens, Some(known));
                Ok(Some(revision))
            }
        }
    }
}

fn lock_lost() -> ProviderError {
    ProviderError::transient("the token store's lock was lost before the token request was sent")
}
