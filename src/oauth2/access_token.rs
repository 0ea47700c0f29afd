//! A provider for access tokens that come without a refresh token.

use std::{fmt, sync::Arc};

use super::{
    answer::TokenAnswer,
    builder::Builder,
    error::{Endpoint, Problem, TokenError},
    login_required::LoginRequired,
    session::{Grant, Session},
};
use crate::{
    credential::Bearer,
    error::{ConfigError, ProviderError},
    provider::{Issued, Provider, RefreshContext, RevokeContext},
    store::{StoreError, TokenSet},
};

/// A provider that lives on the access token of a log-in, and cannot refresh it: for the
/// [implicit](super::Implicit) flow.
///
/// When the token has expired, or is rejected, the person has to log in again: the error is made
/// from [`LoginRequired`], and no attempt is made until [`replace_tokens`](Self::replace_tokens) and
/// [`Handle::resume`](crate::Handle::resume) are called.
///
/// ```
/// use tower_auth::{AuthLayer, Origins, oauth2::StoredAccessToken, store::TokenSet};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let provider = StoredAccessToken::builder()
///     .initial_tokens(TokenSet::new("as the log-in brought it"))
///     .build()?;
/// let layer = AuthLayer::new(provider, Origins::only("https://api.example.com")?);
/// # let _ = layer; Ok(()) }
/// ```
///
/// Cloning is cheap, and shares everything.
#[derive(Clone)]
pub struct StoredAccessToken {
    session: Arc<Session<NoGrant>>,
}

struct NoGrant;

impl StoredAccessToken {
    /// Starts without anything: the token comes from [`Builder::initial_tokens`], from the store, or later
    /// from [`replace_tokens`](Self::replace_tokens).
    pub fn builder() -> Builder<Self> {
        Builder::new("")
    }

    /// Replaces the token by that of a new log-in, in the store too. Call
    /// [`Handle::resume`](crate::Handle::resume) then, if the layer waits for a new log-in, or
    /// [`Handle::invalidate`](crate::Handle::invalidate), if it has a token that must not be used
    /// any more.
    ///
    /// # Errors
    /// The store failed, or another process held its lock for 10 s. Nothing has changed then.
    pub async fn replace_tokens(&self, tokens: TokenSet) -> Result<(), StoreError> {
        self.session.replace(tokens.without_refresh_token()).await
    }
}

impl Builder<StoredAccessToken> {
    /// The token to start with, if the store has none. Default: none.
    pub fn initial_tokens(mut self, tokens: TokenSet) -> Self {
        self.seed = Some(tokens.without_refresh_token());
        self
    }

    /// Makes the provider. Nothing is sent, ever.
    ///
    /// # Errors
    /// The name of the header is none.
    pub fn build(self) -> Result<StoredAccessToken, ConfigError> {
        Ok(StoredAccessToken {
            session: Session::new(NoGrant, self.parts(None)?),
        })
    }
}

impl Grant for NoGrant {
    /// A refresh token that somebody else has put into the store is left alone.
    fn check(&self, _: &TokenSet) -> Result<(), ProviderError> {
        Err(ProviderError::login_required(LoginRequired::token_over()))
    }

    async fn refresh(
        &self,
        _: &TokenSet,
        _: &RefreshContext<Bearer>,
    ) -> Result<TokenAnswer, TokenError> {
        let problem = Problem::Unusable("there is no such endpoint".into());
        Err(TokenError::new(Endpoint::Refresh, problem))
    }

    fn proves_dead(&self, _: &TokenError) -> bool {
        false
    }

    async fn log_in(
        &self,
        _: Option<LoginRequired>,
        _: &RefreshContext<Bearer>,
    ) -> Result<TokenAnswer, ProviderError> {
        Err(ProviderError::login_required(LoginRequired::token_over()))
    }
}

impl Provider for StoredAccessToken {
    type Credential = Bearer;

    async fn issue(
        &self,
        context: RefreshContext<Bearer>,
    ) -> Result<Issued<Bearer>, ProviderError> {
        self.session.issue(context).await
    }

    fn is_restorable(&self) -> bool {
        self.session.is_stored()
    }

    async fn revoke(&self, context: RevokeContext<Bearer>) -> Result<(), ProviderError> {
        self.session.log_out(context).await
    }
}

impl fmt::Debug for StoredAccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredAccessToken").finish_non_exhaustive()
    }
}
