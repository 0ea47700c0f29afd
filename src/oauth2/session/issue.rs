//! A single refresh, which returns newer tokens that another process has saved, or gets tokens from
//! the server.

use std::sync::Arc;

use tokio::time::Instant;

use super::{
    lock::LockBackoff,
    locked::Locked,
    shared::Session,
    state::{IssuedTokens, Known, State},
};
use crate::{
    credential::Bearer,
    error::ProviderError,
    oauth2::{grant::sealed::Grant, login_required::LoginRequired},
    observe,
    provider::{Issued, RefreshContext},
    store::Stored,
};

enum LockOutcome {
    /// Another process has saved newer tokens.
    Adopted(IssuedTokens),
    /// The entry is locked, and has these contents.
    Locked(Stored),
}

impl<G: Grant> Session<G> {
    /// Gets the next access token.
    pub(in crate::oauth2) async fn issue(
        self: &Arc<Self>,
        context: RefreshContext<Bearer>,
    ) -> Result<Issued<Bearer>, ProviderError> {
        // The caller measures the lifetime from this time.
        let begun = Instant::now();
        let mut state = self.state.lock().await;
        let result = self.next(&mut state, &context).await;
        if !state.tokens.unsaved {
            self.entry.unlock(&mut state.lock).await;
        }
        drop(state);

        let issued = result?;
        let token = issued.tokens.expose_access_token().unwrap_or_default();
        let token = Bearer::new(token).map_err(ProviderError::permanent)?;
        let token = token.with_scope(issued.tokens.scope().map(Box::from));
        let credential = Issued::new(token);
        Ok(match issued.left {
            Some(left) => credential.expires_in(left + (issued.since - begun)),
            None => credential,
        })
    }

    async fn next(
        self: &Arc<Self>,
        state: &mut State,
        context: &RefreshContext<Bearer>,
    ) -> Result<IssuedTokens, ProviderError> {
        self.finish_pending_writes(state).await?;
        match self.adopt_or_lock(state, context).await? {
            LockOutcome::Adopted(issued) => Ok(issued),
            LockOutcome::Locked(stored) => {
                let locked = Locked::new(self, state);
                let mut locked = locked.ok_or_else(|| self.entry.overtaken())?;
                locked.refresh_or_log_in(stored, context).await
            }
        }
    }

    /// Loads the entry until it holds newer tokens or is locked.
    async fn adopt_or_lock(
        self: &Arc<Self>,
        state: &mut State,
        context: &RefreshContext<Bearer>,
    ) -> Result<LockOutcome, ProviderError> {
        self.entry
            .renew(&mut state.lock, context.deadline())
            .await?;
        let mut backoff = LockBackoff::until(context.deadline());
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
            self.entry
                .lock_or_pause(&mut state.lock, &mut backoff)
                .await?;
        }
    }

    /// Fails if another process has logged out since this one last loaded the entry. The other
    /// process may have loaded the entry just before this one saved its tokens, so this process
    /// also revokes the tokens that were issued to it.
    async fn notice_logout(&self, state: &mut State, stored: &Stored) -> Result<(), ProviderError> {
        let Some(known) = &mut state.tokens.known else {
            return Ok(());
        };
        if known.tokens.is_none() || stored.tokens.is_some() || stored.revision <= known.revision {
            return Ok(());
        }
        let known = std::mem::replace(known, Known::nothing(stored.revision));
        state.tokens.initial = None;
        if let Some(tokens) = known.tokens.filter(|_| known.is_own) {
            self.revoke(&tokens).await;
        }
        Err(ProviderError::login_required(LoginRequired::logged_out()))
    }
}
