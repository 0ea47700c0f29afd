//! What a session writes to its store entry while it holds the lock.

use std::{sync::Arc, time::Duration};

use super::{
    lock::LockGuard,
    shared::Session,
    state::{IssuedTokens, Known, RequestTime, State, Tokens, next},
};
use crate::{
    credential::Bearer,
    error::ProviderError,
    oauth2::{grant::sealed::Grant, login_required::LoginRequired},
    provider::RefreshContext,
    store::{Intent, Revision, StoreError, Stored, TokenSet, WriteOutcome},
};

/// How much longer than the refresh the lock must last when the server is asked, so that the
/// response can be saved under it.
const SAVE_MARGIN: Duration = Duration::from_secs(5);

/// A session that holds the store's lock. Nothing else can save tokens.
pub(super) struct Locked<'a, G> {
    pub(super) session: &'a Arc<Session<G>>,
    pub(super) tokens: &'a mut Tokens,
    lock: &'a mut LockGuard,
}

impl<'a, G: Grant> Locked<'a, G> {
    /// `None` if this process does not hold the lock.
    pub(super) fn new(session: &'a Arc<Session<G>>, state: &'a mut State) -> Option<Self> {
        Some(Self {
            session,
            tokens: &mut state.tokens,
            lock: state.lock.as_mut().filter(|lock| !lock.is_lost())?,
        })
    }

    /// When the server is asked, which is now, if there is enough time left to do it under the
    /// lock.
    pub(super) fn request_time(
        &self,
        context: &RefreshContext<Bearer>,
    ) -> Result<RequestTime, ProviderError> {
        let requested = RequestTime::now();
        // A process that was suspended can find itself past its deadline.
        let has_time = requested.at < context.deadline()
            && self.lock.outlasts(context.deadline() + SAVE_MARGIN);
        if self.lock.is_lost() || !has_time {
            return Err(lock_lost());
        }
        Ok(requested)
    }

    /// Records that the refresh token is about to be spent, or that it was not. Fails if another
    /// process has taken the lock.
    pub(super) async fn set_intent(&mut self, intent: Option<Intent>) -> Result<(), ProviderError> {
        match self.lock.set_intent(&self.session.entry, intent).await? {
            WriteOutcome::Applied => Ok(()),
            WriteOutcome::Conflict => {
                self.lock.lose();
                Err(lock_lost())
            }
        }
    }

    /// Saves tokens that the server has just issued, and returns them for use even if the save
    /// fails, unless another process has logged out in the meantime.
    pub(super) async fn save_issued(
        &mut self,
        replaces: Revision,
        tokens: TokenSet,
        requested: RequestTime,
    ) -> Result<IssuedTokens, ProviderError> {
        self.tokens.known = Some(Known {
            revision: replaces,
            tokens: Some(tokens.clone()),
            is_own: true,
        });
        self.tokens.unsaved = true;
        match self.save_known().await {
            Ok(WriteOutcome::Applied) => {}
            Ok(WriteOutcome::Conflict) => {
                if let Ok(stored) = self.session.entry.load().await
                    && stored.revision > replaces
                    && stored.tokens.is_none()
                {
                    self.tokens.reset(Some(Known::nothing(stored.revision)));
                    self.session.set_save_error(None);
                    self.session.revoke(&tokens).await;
                    return Err(ProviderError::login_required(LoginRequired::logged_out()));
                }
                self.lock.lose();
                self.session.save_later(self.session.entry.overtaken());
            }
            Err(error) => self.session.save_later(error),
        }
        Ok(IssuedTokens {
            left: tokens.lifetime(),
            tokens,
            since: requested.at,
        })
    }

    /// Saves tokens that did not come from a response, and returns their revision. `None` if
    /// another process has changed the entry.
    pub(super) async fn save_derived(
        &mut self,
        replaces: Revision,
        tokens: TokenSet,
    ) -> Result<Option<Revision>, StoreError> {
        let before = self.tokens.known.replace(Known {
            revision: replaces,
            tokens: Some(tokens),
            is_own: false,
        });
        let saved = self.save_known().await;
        if let Ok(WriteOutcome::Applied) = saved {
            return Ok(self.tokens.known_revision());
        }
        self.tokens.known = before;
        if let Ok(WriteOutcome::Conflict) = saved {
            self.lock.lose();
        }
        saved.map(|_| None)
    }

    /// Writes what this process knows to a store that has lost acknowledged writes.
    pub(super) async fn restore(&mut self, stored: Stored) -> Result<Stored, ProviderError> {
        let known = self.tokens.known.as_ref();
        let newer = known.filter(|known| known.revision > stored.revision);
        let Some((known, tokens)) = newer.and_then(|known| Some((known, known.tokens.clone()?)))
        else {
            return Ok(stored);
        };
        let revision = next(known.revision);
        let entry = &self.session.entry;
        let saved = self
            .lock
            .save(entry, stored.revision, revision, &tokens)
            .await?;
        if saved == WriteOutcome::Conflict {
            return Err(entry.overtaken().into());
        }
        self.tokens.reset(Some(Known {
            revision,
            tokens: Some(tokens.clone()),
            is_own: false,
        }));
        self.session.set_save_error(None);
        Ok(Stored {
            revision,
            tokens: Some(tokens),
            intent: None,
        })
    }

    /// Replaces whatever the entry holds. Returns whether that was done: not if another process
    /// has changed the entry, or taken the lock.
    pub(super) async fn overwrite(&mut self, tokens: &TokenSet) -> Result<bool, StoreError> {
        let entry = &self.session.entry;
        let stored = entry.load().await?.revision;
        let known = self.tokens.known_revision().unwrap_or_default();
        let revision = next(stored.max(known));
        let saved = self.lock.save(entry, stored, revision, tokens).await?;
        if saved == WriteOutcome::Conflict {
            self.lock.lose();
        }
        Ok(saved == WriteOutcome::Applied)
    }

    /// Saves the known tokens in place of the revision under which they are known.
    pub(super) async fn save_known(&mut self) -> Result<WriteOutcome, StoreError> {
        let Some(known) = &mut self.tokens.known else {
            return Ok(WriteOutcome::Conflict);
        };
        let Some(tokens) = &known.tokens else {
            return Ok(WriteOutcome::Conflict);
        };
        let revision = next(known.revision);
        let entry = &self.session.entry;
        let saved = self
            .lock
            .save(entry, known.revision, revision, tokens)
            .await?;
        if saved == WriteOutcome::Applied {
            known.revision = revision;
            self.tokens.unsaved = false;
            self.session.set_save_error(None);
        }
        Ok(saved)
    }
}

fn lock_lost() -> ProviderError {
    ProviderError::transient("the token store's lock was lost before the server was asked")
}
