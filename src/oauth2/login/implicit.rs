//! The implicit flow (RFC 6749 4.2), for servers that have nothing better.

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
    error::ConfigError,
    oauth2::{
        access_token::StoredAccessToken,
        authorization::AuthorizationSettings,
        builder::Builder,
        discovery::ServerMetadata,
        error::{Endpoint, TokenError},
        grant::{BrowserGrant, StandardGrant, sealed::Configurable},
        response::TokenResponse,
        session::{RequestTime, tokens},
    },
    store::TokenSet,
};

/// A log-in in the browser whose redirect carries the access token itself (RFC 6749 4.2).
///
/// **Discouraged** (RFC 9700 2.1.2): the token passes through the browser's address bar and
/// history, nothing ties it to the program that asked, and there is no refresh token. Use
/// [`AuthorizationCode`](super::AuthorizationCode) wherever the server has it.
///
/// The token is in the URL's fragment, which browsers don't send to servers. So the program that
/// has the URL hands it over whole; `Loopback` (feature `loopback`) has the browser's page send it.
///
/// ```
/// use tower_auth::{AuthLayer, BoxError, Origins, oauth2::Implicit};
///
/// # fn main() -> Result<(), BoxError> {
/// let login = Implicit::builder("https://login.example.com/oauth/authorize")
///     .client_id("my-app")
///     .build()?;
/// let attempt = login.start("https://app.example.com/callback")?;
/// println!("go to {}", login.authorization_url(&attempt));
/// # let url = "https://app.example.com/callback#error=access_denied";
/// // .. and when the browser is back, with the whole URL:
/// match login.finish(attempt, url) {
///     Ok(tokens) => {
///         let provider = login.session().initial_tokens(tokens).build()?;
///         let layer = AuthLayer::new(provider, Origins::only("https://api.example.com")?);
/// #       let _ = layer;
///     }
///     Err(error) => println!("{error:#}"),
/// }
/// # Ok(()) }
/// ```
///
/// Cloning is cheap, and shares everything.
#[derive(Clone)]
pub struct Implicit {
    flow: Arc<Flow>,
}

struct Flow {
    request: AuthorizationRequest,
    session: Builder<StoredAccessToken>,
}

impl Implicit {
    /// Starts with the authorization endpoint's URL. It must be https, or lead to this machine. The
    /// client's id is required; there is no secret.
    pub fn builder(authorization_url: impl Into<String>) -> Builder<Self> {
        let settings = AuthorizationSettings {
            url: authorization_url.into(),
            ..AuthorizationSettings::default()
        };
        Builder::new("", settings)
    }

    /// Makes an attempt with a fresh `state`. The redirect URI is where the server sends the
    /// browser then, exactly as it is registered there.
    ///
    /// # Errors
    /// The redirect URI is none, or has a fragment, or is plain http to another machine. Or the
    /// system has no random numbers.
    pub fn start(&self, redirect_uri: &str) -> Result<PendingLogin, ConfigError> {
        self.flow.request.start(redirect_uri, false)
    }

    /// Where the browser has to go. It is made for this one attempt.
    #[must_use]
    pub fn authorization_url(&self, attempt: &PendingLogin) -> String {
        self.flow.request.url(attempt)
    }

    /// Takes the token from the URL that the browser came back with, or only its fragment. A
    /// `state` other than the attempt's is refused before anything else is looked at. A refresh
    /// token is not taken: this flow has none (RFC 6749 4.2.2).
    ///
    /// # Errors
    /// See [`LoginError`].
    pub fn finish(&self, attempt: PendingLogin, callback: &str) -> Result<TokenSet, LoginError> {
        let answer = Answer::parse(callback, AnsweredIn::Fragment)?;
        answer.check(&self.flow.request, &attempt)?;
        let fields = answer.fields();
        let token = TokenResponse::from_fields(&fields, false, answer.shown(&attempt), "Bearer");
        let mut token = token.map_err(|problem| {
            Problem::Unusable(TokenError::new(Endpoint::Authorization, problem))
        })?;
        token.refresh_token = None;
        token.scope = token.scope.or_else(|| self.flow.request.scope.clone());
        Ok(tokens(token, None, RequestTime::now()))
    }

    /// The provider that lives on the token of a log-in, one for each person. Add
    /// [`initial_tokens`](Builder::initial_tokens).
    pub fn session(&self) -> Builder<StoredAccessToken> {
        self.flow.session.for_session()
    }
}

impl StandardGrant for Implicit {}
impl BrowserGrant for Implicit {}

impl Configurable for Implicit {
    type Settings = AuthorizationSettings;

    fn described_by(metadata: &ServerMetadata) -> AuthorizationSettings {
        AuthorizationSettings::described_by(metadata)
    }
}

impl Builder<Implicit> {
    /// Makes the flow. Nothing is sent, ever.
    ///
    /// # Errors
    /// Something required is missing, or a value can't be used. The error names the setting.
    pub fn build(self) -> Result<Implicit, ConfigError> {
        let request = AuthorizationRequest::new(&self.client, &self.grant, "token")?;
        let session = self.for_session();
        self.binding?;
        Ok(Implicit {
            flow: Arc::new(Flow { request, session }),
        })
    }
}

impl Sealed for Implicit {
    fn answered_in(&self) -> AnsweredIn {
        AnsweredIn::Fragment
    }
}

impl LoginFlow for Implicit {
    fn start(&self, redirect_uri: &str) -> Result<PendingLogin, ConfigError> {
        self.start(redirect_uri)
    }

    fn authorization_url(&self, attempt: &PendingLogin) -> String {
        self.authorization_url(attempt)
    }

    async fn finish(&self, attempt: PendingLogin, callback: &str) -> Result<TokenSet, LoginError> {
        self.finish(attempt, callback)
    }
}

impl fmt::Debug for Implicit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Implicit")
            .field("scope", &self.flow.request.scope)
            .finish_non_exhaustive()
    }
}
