//! Access tokens that are issued without a refresh token.

use super::{
    builder::Builder, client::ClientSettings, endpoint::TokenEndpoint, grant::sealed,
    login_required::LoginRequired, response::TokenResponse, token_provider::TokenProvider,
};
use crate::{
    credential::Bearer,
    error::{ConfigError, ProviderError},
    provider::RefreshContext,
    store::{StoreError, TokenSet},
};

/// The access token from a login that cannot be refreshed, such as a login with the implicit flow.
///
/// Once the token has expired or been rejected, the user must log in again: the error is a
/// [`LoginRequired`], and the provider makes no further attempt until
/// [`replace_tokens`](TokenProvider::replace_tokens) and [`Handle::resume`](crate::Handle::resume)
/// are called.
///
/// ```
/// use tower_auth::{AuthLayer, Origins, oauth2::StoredAccessToken, store::TokenSet};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let provider = StoredAccessToken::builder()
///     .initial_tokens(TokenSet::new("the access token from the login"))
///     .build()?;
/// let layer = AuthLayer::new(provider, Origins::only("https://api.example.com")?);
/// # let _ = layer; Ok(()) }
/// ```
#[derive(Debug)]
pub struct StoredAccessToken(());

impl StoredAccessToken {
    /// Creates a builder. The token comes from [`Builder::initial_tokens`], from the store, or
    /// later from [`replace_tokens`](TokenProvider::replace_tokens).
    pub fn builder() -> Builder<Self> {
        Builder::new("", ())
    }
}

impl TokenProvider<StoredAccessToken> {
    /// Replaces the token with the one from a new login, including in the store.
    ///
    /// Afterward, call [`Handle::resume`](crate::Handle::resume) if the layer is waiting for a new
    /// login, or [`Handle::invalidate`](crate::Handle::invalidate) if the layer has a token that
    /// must no longer be used.
    ///
    /// # Errors
    /// Returns an error if the store fails, or if another process holds its lock for 10 s. In
    /// either case, nothing has changed.
    pub async fn replace_tokens(&self, tokens: TokenSet) -> Result<(), StoreError> {
        self.session().replace(tokens.without_refresh_token()).await
    }
}

impl Builder<StoredAccessToken> {
    /// Sets the token to use if the store has none. Default: none.
    pub fn initial_tokens(mut self, tokens: TokenSet) -> Self {
        self.session.initial = Some(tokens.without_refresh_token());
        self
    }
}

impl sealed::Configurable for StoredAccessToken {
    type Settings = ();
}

impl sealed::Grant for StoredAccessToken {
    fn build(_: ClientSettings, (): ()) -> Result<(Self, Option<TokenEndpoint>), ConfigError> {
        Ok((Self(()), None))
    }

    async fn log_in(
        &self,
        _: Option<LoginRequired>,
        _: &RefreshContext<Bearer>,
    ) -> Result<TokenResponse, ProviderError> {
        Err(ProviderError::login_required(
            LoginRequired::no_access_token(),
        ))
    }

    fn depends_on_tokens(&self) -> bool {
        true
    }
}
