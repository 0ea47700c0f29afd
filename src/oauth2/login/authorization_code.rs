//! The authorization code flow with PKCE (RFC 6749 4.1, RFC 7636).

use std::{fmt, sync::Arc};

use super::{
    LoginFlow,
    attempt::PendingLogin,
    callback::{Answer, AnsweredIn},
    error::{LoginError, Problem},
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

/// A log-in in the browser with an authorization code and PKCE (RFC 6749 4.1, RFC 7636): for
/// people, by programs of all kinds.
///
/// | step | |
/// |---|---|
/// | [`start`](Self::start) | makes an attempt: a fresh `state`, and a fresh verifier whose S256 challenge goes out |
/// | [`authorization_url`](Self::authorization_url) | is where the browser goes |
/// | [`finish`](Self::finish) | checks what the browser came back with, and exchanges the code for tokens |
/// | [`session`](Self::session) | makes the provider that lives on these tokens, and refreshes them |
///
/// A web application keeps the [`PendingLogin`] between the first and the third, and its route for
/// the redirect URI calls `finish`. In a program on the person's own machine `Loopback` (feature
/// `loopback`) does the three steps by itself.
///
/// ```
/// # use tower::service_fn;
/// # use bytes::Bytes;
/// # use http_body_util::Full;
/// use tower_auth::{AuthLayer, BoxError, Origins, oauth2::{AuthorizationCode, PendingLogin}};
///
/// # async fn callback(kept: &str, url_of_the_request: &str) -> Result<(), BoxError> {
/// # let client = service_fn(|_: http::Request<Full<Bytes>>| async {
/// #     Ok::<_, std::io::Error>(http::Response::new(Full::<Bytes>::default()))
/// # });
/// let login = AuthorizationCode::builder(
///     "https://login.example.com/authorize",
///     "https://login.example.com/token",
/// )
/// .client_id("my-app") // a public client; others add client_secret(..)
/// .scopes(["items:read"])
/// .http(client)
/// .build()?;
///
/// let attempt = login.start("https://app.example.com/callback")?;
/// println!("go to {}", login.authorization_url(&attempt));
/// // .. and when the browser is back:
/// let tokens = login.finish(attempt, url_of_the_request).await?;
/// let provider = login.session().initial_tokens(tokens).build()?;
/// let layer = AuthLayer::new(provider, Origins::only("https://api.example.com")?);
/// # let _ = layer; Ok(()) }
/// ```
///
/// Cloning is cheap, and shares everything.
pub struct AuthorizationCode<C: AccessToken = Bearer> {
    flow: Arc<Flow<C>>,
}

struct Flow<C: AccessToken> {
    request: AuthorizationRequest,
    client: Client,
    session: Builder<RefreshTokenGrant, C>,
}

impl AuthorizationCode {
    /// Starts with the endpoints' URLs. They must be https, or lead to this machine. The client's
    /// id and the HTTP service are required; a client without a secret sends its id only.
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
    /// Makes an attempt with a fresh `state` and a fresh verifier. The redirect URI is where the
    /// server sends the browser then, exactly as it is registered there.
    ///
    /// # Errors
    /// The redirect URI is none, or has a fragment, or is plain http to another machine. Or the
    /// system has no random numbers.
    pub fn start(&self, redirect_uri: &str) -> Result<PendingLogin, ConfigError> {
        self.flow.request.start(redirect_uri, true)
    }

    /// Where the browser has to go. It is made for this one attempt.
    #[must_use]
    pub fn authorization_url(&self, attempt: &PendingLogin) -> String {
        self.flow.request.url(attempt)
    }

    /// Makes tokens of what the browser came back with: the whole URL of its request, or only the
    /// path and query, the query, or the body of a `form_post`.
    ///
    /// A `state` other than the attempt's, or an issuer other than the expected one, is refused
    /// before anything else is looked at. The code is exchanged with the same redirect URI and the
    /// attempt's verifier.
    ///
    /// # Errors
    /// See [`LoginError`]. A code that was sent to the token endpoint is used up.
    pub async fn finish(
        &self,
        attempt: PendingLogin,
        callback: &str,
    ) -> Result<TokenSet, LoginError> {
        let answer = Answer::parse(callback, AnsweredIn::Query)?;
        answer.check(&self.flow.request, &attempt)?;
        let code = answer.get("code").ok_or(Problem::NoCode)?;

        let client = &self.flow.client;
        let mut form = client.form("authorization_code", None);
        form.push_secret("code", &Secret::new(code));
        form.push("redirect_uri", attempt.redirect_uri());
        let verifier = attempt.verifier().ok_or(Problem::OtherServer)?;
        form.push_secret("code_verifier", verifier);
        let asked = RequestTime::now();
        let mut answer = client.endpoint.exchange(&form).await?;
        // RFC 6749 5.1: unsaid is as requested.
        answer.scope = answer.scope.or_else(|| client.scope());
        Ok(tokens(answer, None, asked))
    }

    /// The provider that lives on the tokens of a log-in, one for each person: a builder with the
    /// same token endpoint, client and HTTP service. Add [`initial_tokens`](Builder::initial_tokens), and a
    /// [`store`](Builder::store).
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
    /// Makes the flow. Nothing is sent yet.
    ///
    /// # Errors
    /// Something required is missing, or a value can't be used. The error names the setting, and
    /// shows no secret.
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
    fn answered_in(&self) -> AnsweredIn {
        AnsweredIn::Query
    }
}

impl<C: AccessToken> LoginFlow for AuthorizationCode<C> {
    fn start(&self, redirect_uri: &str) -> Result<PendingLogin, ConfigError> {
        self.start(redirect_uri)
    }

    fn authorization_url(&self, attempt: &PendingLogin) -> String {
        self.authorization_url(attempt)
    }

    async fn finish(&self, attempt: PendingLogin, callback: &str) -> Result<TokenSet, LoginError> {
        self.finish(attempt, callback).await
    }
}

impl<C: AccessToken> Clone for AuthorizationCode<C> {
    fn clone(&self) -> Self {
        Self {
            flow: Arc::clone(&self.flow),
        }
    }
}

impl<C: AccessToken> fmt::Debug for AuthorizationCode<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizationCode")
            .field("endpoint", &self.flow.client.endpoint)
            .field("scope", &self.flow.request.scope)
            .finish_non_exhaustive()
    }
}
