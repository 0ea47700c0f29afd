//! One refresh: newer tokens of another process, or tokens from the server.

use std::sync::Arc;

use tokio::time::Instant;

use super::{
    adopt::LockOutcome,
    locked::Locked,
    shared::Session,
    state::{IssuedTokens, State},
};
use crate::{
    credential::Bearer,
    error::ProviderError,
    oauth2::grant::sealed::Grant,
    provider::{Issued, RefreshContext},
};

impl<G: Grant> Session<G> {
    /// Gets the next access token.
    pub(in crate::oauth2) async fn issue(
        self: &Arc<Self>,
        context: RefreshContext<Bearer>,
    ) -> Result<Issued<Bearer>, ProviderError> {
        // The caller counts a lifetime from here.
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
        self.catch_up(state).await?;
        let stored = match self.adopt_or_lock(state, context).await? {
            LockOutcome::Adopted(issued) => return Ok(issued),
            LockOutcome::Locked(stored) => stored,
        };
        let mut locked = Locked::new(self, state).ok_or_else(|| self.entry.overtaken())?;
        locked.refresh_or_log_in(stored, context).await
    }
}
