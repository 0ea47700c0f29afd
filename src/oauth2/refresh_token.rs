//! The refresh token grant (RFC 6749 section 6).

use super::{
    builder::Builder,
    client::ClientSettings,
    endpoint::TokenEndpoint,
    grant::{AccessToken, StandardGrant, TokenEndpointGrant, sealed},
    login_required::LoginRequired,
    refresh_request::{RefreshRequest, is_invalid_grant},
    response::TokenResponse,
    token_provider::TokenProvider,
};
use crate::{
    credential::Bearer,
    error::{ConfigError, ProviderError},
    provider::RefreshContext,
    store::{StoreError, TokenSet},
};

/// The refresh token grant (RFC 6749 section 6), for a user who has logged in before.
///
/// The provider starts with the tokens in its [store](Builder::store), or else with its
/// [initial tokens](Builder::initial_tokens). A new refresh token in a response replaces the old
/// one. Otherwise, the provider keeps the old one. If the server refuses the refresh token
/// (`invalid_grant`), the user must log in again: the error is a [`LoginRequired`], and the
/// provider makes no further attempt until [`replace_tokens`](TokenProvider::replace_tokens) and
/// [`Handle::resume`](crate::Handle::resume) are called. After any other failure, the provider
/// keeps the refresh token.
///
/// Many servers accept each refresh token only once, and treat a second use as theft. Use a store
/// if the program may be restarted or runs more than once, and do not use the refresh token
/// elsewhere.
///
/// ```
/// use tower_auth::{
///     AuthLayer, Origins,
///     oauth2::RefreshTokenGrant,
///     store::{MemoryStore, StoreKey},
/// };
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let client = tower::service_fn(|_| async { Ok::<_, std::io::Error>(http::Response::new(String::new())) });
/// let token_url = "https://login.example.com/token";
/// let key = StoreKey::issuer(token_url).client("my-app").subject("alice@example.com");
/// let provider = RefreshTokenGrant::builder(token_url)
///     .client_id("my-app") // a public client; others add client_secret(..)
///     .store(MemoryStore::new(), key)
///     .refresh_token("the refresh token from the login")
///     .http(client)
///     .build()?;
/// let layer = AuthLayer::new(provider.clone(), Origins::only("https://api.example.com")?);
/// # let _ = layer; Ok(()) }
/// ```
#[derive(Debug)]
pub struct RefreshTokenGrant {
    refresh: RefreshRequest,
}

impl RefreshTokenGrant {
    /// Creates a builder from the URL of the token endpoint, which must be https or on this
    /// machine. The HTTP service is required. A client without a secret sends only its ID; a client
    /// without an ID sends neither.
    ///
    /// [Scopes](Builder::scopes) restrict the token, and must be a subset of those granted at
    /// login. Default: all of them.
    pub fn builder(token_url: impl Into<String>) -> Builder<Self> {
        Builder::new(token_url, ())
    }
}

impl<C: AccessToken> TokenProvider<RefreshTokenGrant, C> {
    /// Replaces the tokens with those from a new login, including in the store.
    ///
    /// Afterward, call [`Handle::resume`](crate::Handle::resume) if the layer is waiting for a new
    /// login, or [`Handle::invalidate`](crate::Handle::invalidate) if the layer has a token that
    /// must no longer be used.
    ///
    /// # Errors
    /// Returns an error if the store fails, or if another process holds its lock for 10 s. In
    /// either case, nothing has changed.
    pub async fn replace_tokens(&self, tokens: TokenSet) -> Result<(), StoreError> {
        self.session().replace(tokens).await
    }
}

impl<C: AccessToken> Builder<RefreshTokenGrant, C> {
    /// Sets the tokens to use if the store has no refresh token, or one that the server refuses.
    /// Default: none.
    ///
    /// The store keeps the tokens that they were exchanged for, so a restarted program can pass the
    /// same tokens again, or those of a new login.
    pub fn initial_tokens(mut self, tokens: TokenSet) -> Self {
        self.session.initial = Some(tokens);
        self
    }

    /// Sets only the initial refresh token. This is a shorthand for
    /// [`initial_tokens`](Self::initial_tokens).
    pub fn refresh_token(self, token: impl Into<String>) -> Self {
        self.initial_tokens(TokenSet::from_refresh_token(token))
    }
}

impl StandardGrant for RefreshTokenGrant {}
impl TokenEndpointGrant for RefreshTokenGrant {}

impl sealed::Configurable for RefreshTokenGrant {
    type Settings = ();
}

impl sealed::Grant for RefreshTokenGrant {
    fn build(client: ClientSettings, (): ()) -> Result<(Self, Option<TokenEndpoint>), ConfigError> {
        let client = client.build(&["refresh_token"])?;
        let refresh = RefreshRequest {
            form: client.form("refresh_token", client.scope().as_deref()),
            endpoint: client.endpoint,
            scopes: client.scopes,
            proves_dead: is_invalid_grant,
        };
        Ok((Self { refresh }, client.revocation))
    }

    fn refresh(&self) -> Option<&RefreshRequest> {
        Some(&self.refresh)
    }

    async fn log_in(
        &self,
        refused: Option<LoginRequired>,
        _: &RefreshContext<Bearer>,
    ) -> Result<TokenResponse, ProviderError> {
        let error = refused.unwrap_or_else(LoginRequired::no_refresh_token);
        Err(ProviderError::login_required(error))
    }
}
