//! The authorization code flow with PKCE (RFC 6749 section 4.1, RFC 7636).

use std::sync::Arc;

use super::{
    LoginFlow,
    callback::{AuthorizationResponse, ResponseMode},
    error::{LoginError, Problem},
    pending::PendingLogin,
    request::AuthorizationRequest,
    sealed::Sealed,
};
use crate::{
    credential::Bearer,
    error::ConfigError,
    oauth2::{
        authorization::AuthorizationSettings,
        builder::Builder,
        client::Client,
        discovery::ServerMetadata,
        grant::{
            AccessToken, BrowserGrant, StandardGrant, TokenEndpointGrant, sealed::Configurable,
        },
        refresh_token::RefreshTokenGrant,
        session::{RequestTime, tokens},
    },
    secret::Secret,
    store::TokenSet,
};

/// A login in the user's browser, with an authorization code and PKCE (RFC 6749 section 4.1, RFC
/// 7636).
///
/// | step | what it does |
/// |---|---|
/// | [`start`](Self::start) | creates a [`PendingLogin`] with a new `state` and PKCE verifier |
/// | [`authorization_url`](Self::authorization_url) | returns the URL to send the browser to |
/// | [`finish`](Self::finish) | checks the response and exchanges the code for tokens |
/// | [`session`](Self::session) | builds the provider that uses these tokens and refreshes them |
///
/// A web application saves the [`PendingLogin`] after the first step, and its route for the
/// redirect URI calls `finish`. For a program on the user's own machine, `Loopback` (feature
/// `loopback`) does the first three steps.
///
/// ```
/// use tower_auth::{AuthLayer, BoxError, Origins, oauth2::AuthorizationCode};
///
/// # async fn log_in(callback_url: &str) -> Result<(), BoxError> {
/// # let client = tower::service_fn(|_| async { Ok::<_, std::io::Error>(http::Response::new(String::new())) });
/// let login = AuthorizationCode::builder(
///     "https://login.example.com/authorize",
///     "https://login.example.com/token",
/// )
/// .client_id("my-app") // confidential clients add client_secret(..)
/// .scopes(["items:read"])
/// .http(client)
/// .build()?;
///
/// let pending = login.start("https://app.example.com/callback")?;
/// println!("Open {}", login.authorization_url(&pending));
/// // After the browser has returned:
/// let tokens = login.finish(pending, callback_url).await?;
/// let provider = login.session().initial_tokens(tokens).build()?;
/// let layer = AuthLayer::new(provider, Origins::only("https://api.example.com")?);
/// # let _ = layer; Ok(()) }
/// ```
///
/// Cloning is cheap.
#[derive(Clone)]
pub struct AuthorizationCode<C: AccessToken = Bearer> {
    flow: Arc<Flow<C>>,
}

struct Flow<C: AccessToken> {
    request: AuthorizationRequest,
    client: Client,
    session: Builder<RefreshTokenGrant, C>,
}

impl AuthorizationCode {
    /// Creates a builder. Both URLs must be https, or http to this machine. The client ID and the
    /// HTTP service are required. A client without a secret sends only its ID.
    pub fn builder(
        authorization_url: impl Into<String>,
        token_url: impl Into<String>,
    ) -> Builder<Self> {
        let settings = AuthorizationSettings {
            url: authorization_url.into(),
            ..AuthorizationSettings::default()
        };
        Builder::new(token_url, settings)
    }
}

impl<C: AccessToken> AuthorizationCode<C> {
    /// Starts a login with a new `state` and verifier. After the login, the server sends the
    /// browser to the redirect URI, which must match the registered one exactly.
    ///
    /// # Errors
    /// The redirect URI is not valid, has a fragment, or uses plain http to another machine; or the
    /// system's random number generator failed.
    pub fn start(&self, redirect_uri: &str) -> Result<PendingLogin, ConfigError> {
        self.flow.request.start(redirect_uri, true)
    }

    /// Returns the URL to send the browser to. The URL is valid for this login only.
    #[must_use]
    pub fn authorization_url(&self, pending: &PendingLogin) -> String {
        self.flow.request.url(pending)
    }

    /// Exchanges the code in the authorization response for tokens. `callback` is the URL that the
    /// browser returned with, its path and query, only its query, or the body of a `form_post`
    /// response.
    ///
    /// A response with an unexpected `state` or issuer is rejected before anything else in it is
    /// read. The code is exchanged with the same redirect URI and the login's verifier.
    ///
    /// # Errors
    /// See [`LoginError`]. A code that was sent to the token endpoint cannot be used again.
    pub async fn finish(
        &self,
        pending: PendingLogin,
        callback: &str,
    ) -> Result<TokenSet, LoginError> {
        let response = AuthorizationResponse::parse(callback, ResponseMode::Query)?;
        response.check(&self.flow.request, &pending)?;
        let code = response.get("code").ok_or(Problem::NoCode)?;

        let client = &self.flow.client;
        let mut form = client.form("authorization_code", None);
        form.push_secret("code", &Secret::new(code));
        form.push("redirect_uri", pending.redirect_uri());
        let verifier = pending.verifier.as_ref().ok_or(Problem::OtherClient)?;
        form.push_secret("code_verifier", verifier);
        let requested_at = RequestTime::now();
        let mut response = client.endpoint.exchange(&form).await?;
        // RFC 6749 section 5.1: a response without a scope grants the requested one.
        response.scope = response.scope.or_else(|| client.scope());
        Ok(tokens(response, None, requested_at))
    }

    /// Returns a builder for the provider that uses and refreshes the tokens of a login. The
    /// builder has the same token endpoint, client and HTTP service as this login. Add
    /// [`initial_tokens`](Builder::initial_tokens), and a [`store`](Builder::store). Each user
    /// needs a separate provider.
    pub fn session(&self) -> Builder<RefreshTokenGrant, C> {
        self.flow.session.for_session()
    }
}

impl StandardGrant for AuthorizationCode {}
impl TokenEndpointGrant for AuthorizationCode {}
impl BrowserGrant for AuthorizationCode {}

impl Configurable for AuthorizationCode {
    type Settings = AuthorizationSettings;

    fn described_by(metadata: &ServerMetadata) -> AuthorizationSettings {
        AuthorizationSettings::described_by(metadata)
    }
}

impl<C: AccessToken> Builder<AuthorizationCode, C> {
    /// Builds the login without sending a request.
    ///
    /// # Errors
    /// A required setting is missing, or a value is not valid. The error names the setting and
    /// contains no secret.
    pub fn build(self) -> Result<AuthorizationCode<C>, ConfigError> {
        let request = AuthorizationRequest::new(&self.client, &self.grant, "code")?;
        let session = self.for_session();
        let own_params = ["code", "redirect_uri", "code_verifier", "refresh_token"];
        let client = self.client.build(&own_params)?;
        self.binding?;
        Ok(AuthorizationCode {
            flow: Arc::new(Flow {
                request,
                client,
                session,
            }),
        })
    }
}

impl<C: AccessToken> Sealed for AuthorizationCode<C> {
    fn response_mode(&self) -> ResponseMode {
        ResponseMode::Query
    }
}

impl<C: AccessToken> LoginFlow for AuthorizationCode<C> {
    fn start(&self, redirect_uri: &str) -> Result<PendingLogin, ConfigError> {
        self.start(redirect_uri)
    }

    fn authorization_url(&self, pending: &PendingLogin) -> String {
        self.authorization_url(pending)
    }

    async fn finish(&self, pending: PendingLogin, callback: &str) -> Result<TokenSet, LoginError> {
        self.finish(pending, callback).await
    }
}

partial_debug!(
    AuthorizationCode<C: AccessToken>, endpoint = flow.client.endpoint, scope = flow.request.scope
);
