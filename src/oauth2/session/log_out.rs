//! Logout, and logins that happen outside the session.

use std::{error::Error as StdError, fmt, sync::Arc, time::Duration};

use tokio::time::{Instant, timeout};

use super::{lock::LockBackoff, locked::Locked, shared::Session, state::Known};
use crate::{
    credential::Bearer,
    error::{Chain, ProviderError},
    oauth2::{error::TokenError, form::Form, grant::sealed::Grant},
    provider::RevokeContext,
    secret::Secret,
    store::{StoreError, TokenSet},
};

/// Maximum time to wait for the lock when replacing the tokens.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum time to revoke tokens if no caller waits for the result.
const REVOCATION_TIMEOUT: Duration = Duration::from_secs(10);

impl<G: Grant> Session<G> {
    /// Deletes the store entry, and revokes the tokens that it contained and those in use.
    pub(in crate::oauth2) async fn log_out(
        &self,
        context: RevokeContext<Bearer>,
    ) -> Result<(), ProviderError> {
        // If this call is interrupted or the store fails, the next refresh starts by deleting the
        // entry.
        self.set_delete_due(true);
        let mut state = self.state.lock().await;
        let known = state.tokens.known.take().and_then(|known| known.tokens);
        let newest = match self.entry.load().await {
            Ok(stored) if !state.tokens.unsaved => stored.tokens,
            _ => known,
        };
        let emptied = self.entry.delete().await;
        let known = emptied.as_ref().ok().copied().map(Known::nothing);
        self.set_known(&mut state.tokens, known);
        state.tokens.initial = None;
        if emptied.is_ok() {
            self.set_delete_due(false);
        }
        self.entry.unlock(&mut state.lock).await;
        drop(state);

        let credentials = context.credentials().iter().map(Bearer::expose);
        let revoked = self.revoke_all(newest.as_ref(), credentials).await;
        match (emptied, revoked) {
            (Ok(_), Ok(())) => Ok(()),
            (Err(error), Ok(())) => Err(ProviderError::transient(error)),
            (Ok(_), Err(error)) => Err(ProviderError::transient(error)),
            (Err(one), Err(other)) => {
                let both = format!("{one:#}; {}", Chain(&other));
                Err(ProviderError::transient(both))
            }
        }
    }

    /// Replaces all tokens with those of a new login.
    pub(in crate::oauth2) async fn replace(
        self: &Arc<Self>,
        tokens: TokenSet,
    ) -> Result<(), StoreError> {
        let deadline = Instant::now() + LOCK_TIMEOUT;
        let mut backoff = LockBackoff::until(deadline);
        let mut state = self.state.lock().await;
        self.entry.renew(&mut state.lock, deadline).await?;
        loop {
            if let Some(mut locked) = Locked::new(self, &mut state) {
                let stored = self.entry.load().await?.revision;
                if locked.save(stored, &tokens, false).await?.is_some() {
                    break;
                }
                state.lock = None;
            }
            self.entry
                .lock_or_pause(&mut state.lock, &mut backoff)
                .await?;
        }
        // The session knows nothing about the new tokens, so the next refresh adopts them.
        self.set_known(&mut state.tokens, None);
        state.tokens.initial = None;
        state.tokens.rotated = false;
        self.set_delete_due(false);
        self.entry.unlock(&mut state.lock).await;
        Ok(())
    }

    /// Revokes tokens that are not going to be used. Failures are ignored.
    pub(super) async fn revoke(&self, tokens: &TokenSet) {
        let _ = timeout(REVOCATION_TIMEOUT, self.revoke_all(Some(tokens), [])).await;
    }

    /// Revokes these tokens. The refresh token comes first, because most servers revoke the others
    /// with it (RFC 7009 section 2.1).
    async fn revoke_all<'a>(
        &self,
        tokens: Option<&'a TokenSet>,
        credentials: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), RevocationError> {
        let Some(endpoint) = &self.revocation else {
            return Ok(());
        };
        let mut access_tokens: Vec<_> = credentials
            .into_iter()
            .chain(tokens.and_then(TokenSet::expose_access_token))
            .collect();
        access_tokens.sort_unstable();
        access_tokens.dedup();

        let refresh_token = tokens.and_then(TokenSet::expose_refresh_token);
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
                Err(error) if !is_unsupported(&error) => {
                    failed = failed.or(Some(RevocationError { kind, error }));
                }
                _ => {}
            }
        }
        failed.map_or(Ok(()), Err)
    }
}

/// The reason that a token was not revoked.
#[derive(Debug)]
struct RevocationError {
    kind: &'static str,
    error: TokenError,
}

impl fmt::Display for RevocationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {} was not revoked", self.kind.replace('_', " "))
    }
}

impl StdError for RevocationError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.error)
    }
}

/// Returns whether the server does not support revoking this type of token (RFC 7009 section
/// 2.2.1).
fn is_unsupported(error: &TokenError) -> bool {
    error.code() == Some("unsupported_token_type")
}
