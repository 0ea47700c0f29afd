//! Log-out, and the log-in that comes from outside.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::{Grant, Ordering, Session, lock::Pacing};
use crate::{
    credential::Bearer,
    error::{BoxError, ProviderError},
    oauth2::{error::TokenError, form::Form},
    provider::RevokeContext,
    secret::Secret,
    store::{Revision, SaveRequest, StoreError, TokenSet, WriteOutcome},
};

/// How long a log-in from outside waits for the lock.
const MOST: Duration = Duration::from_secs(10);

impl<G: Grant> Session<G> {
    /// Empties the store, and revokes what was in it and what was in use.
    pub(in super::super) async fn log_out(
        &self,
        context: RevokeContext<Bearer>,
    ) -> Result<(), ProviderError> {
        // If this is cut off, or the store fails, the next refresh begins with it.
        self.delete_due.store(true, Ordering::Release);
        let mut state = self.state.lock().await;
        let known = state.known.take().and_then(|known| known.tokens);
        let newest = match self.store.load(&self.key).await {
            Ok(stored) if !state.unsaved => stored.tokens,
            _ => known,
        };
        let emptied = self.store.delete(&self.key).await;
        self.settle(&mut state, emptied.as_ref().ok().copied(), None);
        state.seed = None;
        if emptied.is_ok() {
            self.delete_due.store(false, Ordering::Release);
        }
        self.unlock(&mut state).await;
        drop(state);

        let credentials = context.credentials().iter().map(Bearer::expose);
        let revoked = self.revoke_all(newest.as_ref(), credentials).await;
        match (emptied, revoked) {
            (Ok(_), Ok(())) => Ok(()),
            (Err(error), Ok(())) => Err(ProviderError::transient(error)),
            (Ok(_), Err(error)) => Err(ProviderError::transient(error)),
            (Err(one), Err(other)) => Err(ProviderError::transient(format!("{one}; {other}"))),
        }
    }

    /// Puts the tokens of a new log-in in the place of those that there are.
    pub(in super::super) async fn replace(&self, tokens: TokenSet) -> Result<(), StoreError> {
        let deadline = Instant::now() + MOST;
        let mut pacing = Pacing::until(deadline);
        let mut state = self.state.lock().await;
        self.renew(&mut state, deadline).await?;
        loop {
            let fence = match state.lock {
                Some(lock) => lock.fence,
                None => {
                    if let Some(left) = self.try_lock(&mut state, deadline).await? {
                        pacing.wait(left).await.map_err(|left| self.busy(left))?;
                    }
                    continue;
                }
            };
            let stored = self.store.load(&self.key).await?;
            let known = state.known.as_ref().map(|known| known.revision);
            let save = SaveRequest {
                fence,
                replaces: stored.revision,
                revision: Revision(stored.revision.max(known.unwrap_or_default()).0 + 1),
                tokens: &tokens,
            };
            if self.store.save(&self.key, save).await? == WriteOutcome::Applied {
                break;
            }
            state.lock = None;
        }
        // Nothing is known of them, so the next refresh adopts them.
        self.settle(&mut state, None, None);
        state.seed = None;
        state.rotated = false;
        self.delete_due.store(false, Ordering::Release);
        self.unlock(&mut state).await;
        Ok(())
    }

    /// Revokes tokens that nobody is going to use. Nobody hears of a failure.
    pub(super) async fn revoke(&self, tokens: &TokenSet) {
        let _ = timeout(MOST, self.revoke_all(Some(tokens), [])).await;
    }

    /// The refresh token goes first, because most servers revoke the rest with it (RFC 7009 2.1).
    async fn revoke_all<'a>(
        &self,
        tokens: Option<&'a TokenSet>,
        credentials: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), BoxError> {
        let Some(endpoint) = &self.revocation else {
            return Ok(());
        };
        let refresh_token = tokens.and_then(TokenSet::expose_refresh_token);
        let mut access_tokens: Vec<_> = credentials
            .into_iter()
            .chain(tokens.and_then(TokenSet::expose_access_token))
            .collect();
        access_tokens.sort_unstable();
        access_tokens.dedup();

        let refresh_token = refresh_token.map(|token| ("refresh_token", token));
        let access_tokens = access_tokens
            .into_iter()
            .map(|token| ("access_token", token));
        let mut failed = None;
        for (kind, token) in refresh_token.into_iter().chain(access_tokens) {
            let mut form = Form::default();
            form.push_secret("token", &Secret::new(token));
            form.push("token_type_hint", kind);
            match endpoint.tell(&form).await {
                Err(error) if !is_unsupported(&error) => failed = failed.or(Some((kind, error))),
                _ => {}
            }
        }
        match failed {
            None => Ok(()),
            Some((kind, error)) => {
                let kind = kind.replace('_', " ");
                Err(format!("the {kind} is not revoked: {error}").into())
            }
        }
    }
}

/// A server need not revoke tokens of each kind (RFC 7009 2.2.1).
fn is_unsupported(error: &TokenError) -> bool {
    error.code() == Some("unsupported_token_type")
}
