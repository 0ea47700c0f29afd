//! The refresh token grant (RFC 6749 6).

use std::{fmt, sync::Arc};

use super::{
    answer::TokenAnswer,
    builder::{Builder, StandardGrant},
    endpoint::TokenEndpoint,
    error::TokenError,
    form::Form,
    login_required::LoginRequired,
    session::{Grant, Session},
};
use crate::{
    credential::Bearer,
    error::{ConfigError, ProviderError},
    provider::{Issued, Provider, RefreshContext, RevokeContext},
    secret::Secret,
    store::{StoreError, TokenSet},
};

/// A provider that lives on a refresh token (RFC 6749 6): for a user who has logged in before.
///
/// It begins with what is in its [store](Builder::store), or else with what it is
/// [seeded](Builder::initial_tokens) with. A new refresh token in an answer replaces the old one; an answer
/// without one keeps it. If the server refuses the refresh token (`invalid_grant`), the user has to
/// log in again: the error is made from [`LoginRequired`], and no attempt is made until
/// [`replace_tokens`](Self::replace_tokens) and [`Handle::resume`](crate::Handle::resume) are called. No other failure
/// gives the refresh token up.
///
/// Many servers accept each refresh token once, and take a second use for theft. So keep it in a
/// store if the program may be restarted or runs more than once, and give it to nobody else.
///
/// ```
/// # use tower::service_fn;
/// # use bytes::Bytes;
/// # use http_body_util::Full;
/// use tower_auth::{
///     AuthLayer, Origins,
///     oauth2::RefreshTokenGrant,
///     store::{MemoryStore, StoreKey},
/// };
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let client = service_fn(|_: http::Request<Full<Bytes>>| async {
/// #     Ok::<_, std::io::Error>(http::Response::new(Full::<Bytes>::default()))
/// # });
/// let token_url = "https://login.example.com/token";
/// let key = StoreKey::issuer(token_url).client("my-app").subject("alice@example.com");
/// let provider = RefreshTokenGrant::builder(token_url)
///     .client_id("my-app") // a public client; others add client_secret(..)
///     .store(MemoryStore::new(), key)
///     .refresh_token("as the log-in brought it")
///     .http(client)
///     .build()?;
/// let layer = AuthLayer::new(provider.clone(), Origins::only("https://api.example.com")?);
/// # let _ = layer; Ok(()) }
/// ```
///
/// Cloning is cheap, and shares everything.
#[derive(Clone)]
pub struct RefreshTokenGrant {
    session: Arc<Session<RefreshGrant>>,
}

struct RefreshGrant {
    endpoint: TokenEndpoint,
    form: Form,
    scopes: Vec<String>,
}

impl RefreshTokenGrant {
    /// Starts with the token endpoint's URL. It must be https, or lead to this machine. The HTTP
    /// service is required; a client without a secret sends its id only, one without an id
    /// neither.
    ///
    /// [Scopes](Builder::scopes) are those of the token, and can only be fewer than those of the
    /// log-in. Default: as many.
    pub fn builder(token_url: impl Into<String>) -> Builder<Self> {
        Builder::new(token_url)
    }

    /// Replaces the tokens by those of a new log-in, in the store too. Call
    /// [`Handle::resume`](crate::Handle::resume) then, if the layer waits for a new log-in, or
    /// [`Handle::invalidate`](crate::Handle::invalidate), if it has a token that must not be used
    /// any more.
    ///
    /// # Errors
    /// The store failed, or another process held its lock for 10 s. Nothing has changed then.
    pub async fn replace_tokens(&self, tokens: TokenSet) -> Result<(), StoreError> {
        self.session.replace(tokens).await
    }

    /// Why the newest tokens are not in the store yet; `None` if they are. The save is tried again.
    #[must_use]
    pub fn save_error(&self) -> Option<StoreError> {
        self.session.save_error()
    }
}

impl StandardGrant for RefreshTokenGrant {}

impl Builder<RefreshTokenGrant> {
    /// The tokens to start with, if the store has no refresh token, or has one that the server
    /// refuses. Default: none.
    ///
    /// The store knows what they were exchanged for. So a program that is started again may give
    /// the same ones again, or those of a new log-in.
    pub fn initial_tokens(mut self, tokens: TokenSet) -> Self {
        self.seed = Some(tokens);
        self
    }

    /// The refresh token to start with. The same as [`replace_tokens`](Self::replace_tokens) with nothing else.
    pub fn refresh_token(self, token: impl Into<String>) -> Self {
        self.initial_tokens(TokenSet::from_refresh_token(token))
    }

    /// Makes the provider. Nothing is sent yet.
    ///
    /// # Errors
    /// Something required is missing, or a value can't be used. The error names the setting, and
    /// shows no secret.
    pub fn build(self) -> Result<RefreshTokenGrant, ConfigError> {
        self.refuse_dpop()?;
        self.make()
    }

    /// Whether its tokens are bound to a key or not.
    pub(super) fn make(self) -> Result<RefreshTokenGrant, ConfigError> {
        let settings = self.finish(&["refresh_token"])?;
        let grant = RefreshGrant {
            form: settings.form("refresh_token", settings.scope().as_deref()),
            endpoint: settings.endpoint,
            scopes: settings.scopes,
        };
        Ok(RefreshTokenGrant {
            session: Session::new(grant, settings.parts),
        })
    }
}

/// Whether an error proves a refresh token dead at a standard token endpoint (RFC 6749 5.2).
pub(super) fn is_invalid_grant(error: &TokenError) -> bool {
    error.code() == Some("invalid_grant") && !error.is_transient()
}

/// A form with a refresh token.
pub(super) fn with_refresh_token(form: &Form, tokens: &TokenSet) -> Form {
    let mut form = form.clone();
    let token = Secret::new(tokens.expose_refresh_token().unwrap_or_default());
    form.push_secret("refresh_token", &token);
    form
}

impl Grant for RefreshGrant {
    /// RFC 6749 6: no scope that was not granted.
    fn check(&self, tokens: &TokenSet) -> Result<(), ProviderError> {
        let Some(granted) = tokens.scope() else {
            return Ok(());
        };
        let is_granted = |scope: &String| granted.split(' ').any(|granted| granted == scope);
        match self.scopes.iter().find(|scope| !is_granted(scope)) {
            None => Ok(()),
            Some(scope) => Err(ProviderError::permanent(format!(
                "the scope `{}` was not granted at the log-in, and a refresh can't add it: leave \
                 it out of scopes(..), or log in with it",
                scope.escape_debug()
            ))),
        }
    }

    async fn refresh(
        &self,
        tokens: &TokenSet,
        context: &RefreshContext<Bearer>,
    ) -> Result<TokenAnswer, TokenError> {
        let form = with_refresh_token(&self.form, tokens);
        let mut answer = self.endpoint.exchange_once(&form, context).await?;
        if answer.scope.is_none() && !self.scopes.is_empty() {
            answer.scope = Some(self.scopes.join(" "));
        }
        Ok(answer)
    }

    fn proves_dead(&self, error: &TokenError) -> bool {
        is_invalid_grant(error)
    }

    async fn log_in(
        &self,
        refused: Option<LoginRequired>,
        _: &RefreshContext<Bearer>,
    ) -> Result<TokenAnswer, ProviderError> {
        let error = refused.unwrap_or_else(LoginRequired::no_tokens);
        Err(ProviderError::login_required(error))
    }
}

impl Provider for RefreshTokenGrant {
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

impl fmt::Debug for RefreshTokenGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let grant = self.session.grant();
        f.debug_struct("RefreshTokenGrant")
            .field("endpoint", &grant.endpoint)
            .field("scopes", &grant.scopes)
            .finish_non_exhaustive()
    }
}
