//! Waiting until another process has saved newer tokens, or the lock is acquired.

use std::sync::Arc;

use super::{
    lock::{LockBackoff, LockResult},
    locked::Locked,
    shared::Session,
    state::{IssuedTokens, Known, State},
};
use crate::{
    credential::Bearer,
    error::ProviderError,
    oauth2::{grant::sealed::Grant, login_required::LoginRequired},
    observe,
    provider::RefreshContext,
    store::Stored,
};

pub(super) enum LockOutcome {
    /// Another process has saved newer tokens.
    Adopted(IssuedTokens),
    /// The entry is locked, and holds this.
    Locked(Stored),
}

impl<G: Grant> Session<G> {
    /// Loads the entry until it holds newer tokens or is locked.
    pub(super) async fn adopt_or_lock(
        self: &Arc<Self>,
        state: &mut State,
        context: &RefreshContext<Bearer>,
    ) -> Result<LockOutcome, ProviderError> {
        let deadline = context.deadline();
        self.entry.renew(&mut state.lock, deadline).await?;
        let mut backoff = LockBackoff::until(deadline);
        loop {
            let stored = self.entry.load().await?;
            if !self.grant.must_log_in() {
                self.notice_logout(state, &stored).await?;
                if let Some(issued) = state.tokens.adopt(&stored, context) {
                    observe::adopted();
                    return Ok(LockOutcome::Adopted(issued));
                }
            }
            if let Some(mut locked) = Locked::new(self, state) {
                return Ok(LockOutcome::Locked(locked.restore(stored).await?));
            }
            match self.entry.try_lock(deadline).await? {
                LockResult::Acquired(lock) => state.lock = Some(lock),
                LockResult::HeldFor(left) => {
                    let waited = backoff.wait(left).await;
                    waited.map_err(|left| self.entry.busy(left))?;
                }
            }
        }
    }

    /// Fails if another process has logged out since this one last loaded the entry. That process
    /// may have loaded the entry just before this one saved it, so tokens that were issued here
    /// are also revoked here.
    async fn notice_logout(&self, state: &mut State, stored: &Stored) -> Result<(), ProviderError> {
        let Some(known) = &mut state.tokens.known else {
            return Ok(());
        };
        if known.tokens.is_none() || stored.tokens.is_some() || stored.revision <= known.revision {
            return Ok(());
        }
        let is_own = known.is_own;
        let tokens = known.tokens.take().filter(|_| is_own);
        *known = Known::nothing(stored.revision);
        state.tokens.initial = None;
        if let Some(tokens) = tokens {
            self.revoke(&tokens).await;
        }
        Err(ProviderError::login_required(LoginRequired::logged_out()))
    }
}
