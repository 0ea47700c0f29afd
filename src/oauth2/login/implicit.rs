//! The implicit flow (RFC 6749 section 4.2).

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

/// A login in the user's browser that returns the access token in the redirect URL (RFC 6749
/// section 4.2).
///
/// **Deprecated** by RFC 9700 section 2.1.2: the token passes through the browser's address bar and
/// history, nothing ties it to the program that requested it, and there is no refresh token. Use
/// [`AuthorizationCode`](super::AuthorizationCode) if the server supports it. Requires the
/// `implicit` feature.
///
/// The token is in the URL's fragment, which browsers do not send to servers. So pass the whole
/// URL, including its fragment, to [`finish`](Self::finish). `Loopback` (feature `loopback`) serves
/// a page that reads the fragment.
///
/// ```
/// use tower_auth::{AuthLayer, BoxError, Origins, oauth2::Implicit};
///
/// # fn main() -> Result<(), BoxError> {
/// let login = Implicit::builder("https://login.example.com/oauth/authorize")
///     .client_id("my-app")
///     .build()?;
/// let pending = login.start("https://app.example.com/callback")?;
/// println!("Open {}", login.authorization_url(&pending));
/// # let callback_url = "https://app.example.com/callback#error=access_denied";
/// // After the browser has returned:
/// match login.finish(pending, callback_url) {
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
/// Cloning is cheap.
#[derive(Clone)]
pub struct Implicit {
    flow: Arc<Flow>,
}

struct Flow {
    request: AuthorizationRequest,
    session: Builder<StoredAccessToken>,
}

impl Implicit {
    /// Creates a builder. The URL of the authorization endpoint must be https, or http to this
    /// machine. The client ID is required. The flow has no client secret.
    pub fn builder(authorization_url: impl Into<String>) -> Builder<Self> {
        let settings = AuthorizationSettings {
            url: authorization_url.into(),
            ..AuthorizationSettings::default()
        };
        Builder::new("", settings)
    }

    /// Starts a login with a new `state`. After the login, the server sends the browser to the
    /// redirect URI, which must match the registered one exactly.
    ///
    /// # Errors
    /// The redirect URI is not valid, has a fragment, or uses plain http to another machine; or the
    /// system's random number generator failed.
    pub fn start(&self, redirect_uri: &str) -> Result<PendingLogin, ConfigError> {
        self.flow.request.start(redirect_uri, false)
    }

    /// Returns the URL to send the browser to. The URL is valid for this login only.
    #[must_use]
    pub fn authorization_url(&self, pending: &PendingLogin) -> String {
        self.flow.request.url(pending)
    }

    /// Reads the token from the URL that the browser returned with, or from its fragment. A
    /// response with an unexpected `state` is rejected before anything else in it is read. A
    /// refresh token is ignored, because this flow has none (RFC 6749 section 4.2.2).
    ///
    /// # Errors
    /// See [`LoginError`].
    pub fn finish(&self, pending: PendingLogin, callback: &str) -> Result<TokenSet, LoginError> {
        let response = AuthorizationResponse::parse(callback, ResponseMode::Fragment)?;
        response.check(&self.flow.request, &pending)?;
        let (fields, sanitizer) = (response.fields(), response.sanitizer(&pending));
        let token = TokenResponse::from_fields(&fields, false, sanitizer, "Bearer");
        let mut token = token.map_err(|problem| {
            Problem::Unusable(TokenError::new(Endpoint::Authorization, problem))
        })?;
        token.refresh_token = None;
        token.scope = token.scope.or_else(|| self.flow.request.scope.clone());
        Ok(tokens(token, None, RequestTime::now()))
    }

    /// Returns a builder for the provider that uses the token of a login. Add
    /// [`initial_tokens`](Builder::initial_tokens). Each user needs a separate provider.
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
    /// Builds the login, which never sends a request itself.
    ///
    /// # Errors
    /// A required setting is missing, or a value is not valid. The error names the setting.
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
    fn response_mode(&self) -> ResponseMode {
        ResponseMode::Fragment
    }
}

impl LoginFlow for Implicit {
    fn start(&self, redirect_uri: &str) -> Result<PendingLogin, ConfigError> {
        self.start(redirect_uri)
    }

    fn authorization_url(&self, pending: &PendingLogin) -> String {
        self.authorization_url(pending)
    }

    async fn finish(&self, pending: PendingLogin, callback: &str) -> Result<TokenSet, LoginError> {
        self.finish(pending, callback)
    }
}

partial_debug!(Implicit, scope = flow.request.scope);
