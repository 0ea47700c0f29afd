//! Token exchange (RFC 8693): getting a token by presenting another one.

use std::future::Future;

use super::{
    assertion_source::{AssertionFlow, AssertionSource},
    builder::Builder,
    client::{ClientSettings, required},
    endpoint::TokenEndpoint,
    grant::{AccessToken, StandardGrant, TokenEndpointGrant, sealed},
    login_required::LoginRequired,
    response::TokenResponse,
};
use crate::{
    credential::Bearer,
    error::{ConfigError, ProviderError},
    provider::RefreshContext,
};

/// Token exchange (RFC 8693). Trades a user's token for one that another service accepts, or a
/// workload's platform token for a cloud provider's token.
///
/// A closure supplies the [subject token](Builder::subject_token) for each token request. The token
/// can come from another layer's [`Handle`](crate::Handle), a file, or an incoming request.
///
/// ```
/// use tower_auth::{Handle, ProviderError, credential::Bearer, oauth2::{TokenExchange, TokenProvider}};
///
/// # fn provider(logged_in: Handle<Bearer>) -> Result<TokenProvider<TokenExchange>, tower_auth::ConfigError> {
/// # let client = tower::service_fn(|_| async { Ok::<_, std::io::Error>(http::Response::new(String::new())) });
/// let subject = move || {
///     let logged_in = logged_in.clone();
///     async move {
///         let token = logged_in.credential().await.map_err(ProviderError::transient)?;
///         Ok(token.expose().to_owned())
///     }
/// };
/// TokenExchange::builder("https://login.example.com/token")
///     .client_id("front-end")
///     .client_secret("correct horse battery staple")
///     .subject_token(TokenExchange::ACCESS_TOKEN, subject)
///     .audience("back-end")
///     .http(client)
///     .build()
/// # }
/// ```
///
/// An error is either one that a closure returned or a [`TokenError`](super::TokenError). The
/// response must contain a bearer token; any other `token_type`, such as `N_A`, is refused. A refresh
/// token in the response is not used.
///
/// With a [store](Builder::store), many processes share one token. The store's key must then
/// identify the subject.
#[derive(Debug)]
pub struct TokenExchange(AssertionFlow);

/// The settings that are specific to this grant.
#[expect(unnameable_types, reason = "used only inside a builder")]
#[derive(Debug, Default)]
pub struct ExchangeSettings {
    subject: Option<TypedToken>,
    actor: Option<TypedToken>,
    requested_type: Option<String>,
    audiences: Vec<String>,
}

#[derive(Debug)]
struct TypedToken {
    token_type: String,
    source: AssertionSource,
}

impl TokenExchange {
    /// The type of an access token from the same server.
    pub const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
    /// The type of a refresh token from the same server.
    pub const REFRESH_TOKEN: &str = "urn:ietf:params:oauth:token-type:refresh_token";
    /// The type of an OpenID Connect ID token.
    pub const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
    /// The type of any other JWT.
    pub const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
    /// The type of a SAML 2.0 assertion, in base64url.
    pub const SAML2: &str = "urn:ietf:params:oauth:token-type:saml2";

    /// Creates a builder from the URL of the token endpoint, which must be https or on this
    /// machine. The [subject token](Builder::subject_token) and the HTTP service are required. A
    /// client without a secret sends only its ID; a client without an ID sends neither.
    pub fn builder(token_url: impl Into<String>) -> Builder<Self> {
        Builder::new(token_url, ExchangeSettings::default())
    }
}

impl<C: AccessToken> Builder<TokenExchange, C> {
    /// Sets the subject token (`subject_token`), which identifies the user that the new token is
    /// for, and the subject token's type, such as [`TokenExchange::ACCESS_TOKEN`]. The closure is
    /// called before each token request. Required. The class of the closure's error decides what
    /// callers see, as for [`Provider::issue`](crate::Provider::issue).
    pub fn subject_token<F, Fut>(mut self, token_type: impl Into<String>, token: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<String, ProviderError>> + Send + 'static,
    {
        self.grant.subject = Some(TypedToken {
            token_type: token_type.into(),
            source: AssertionSource::new(token),
        });
        self
    }

    /// Sets the token of the party that acts for the subject (`actor_token`), in the same way as
    /// the [subject token](Self::subject_token). Default: the subject acts for itself.
    pub fn actor_token<F, Fut>(mut self, token_type: impl Into<String>, token: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<String, ProviderError>> + Send + 'static,
    {
        self.grant.actor = Some(TypedToken {
            token_type: token_type.into(),
            source: AssertionSource::new(token),
        });
        self
    }

    /// Adds the logical name of a service that the new token is for. Use
    /// [`resource`](Self::resource) for a service that is known by its URL. Default: none.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.grant.audiences.push(audience.into());
        self
    }

    /// Requests a type of token, such as [`TokenExchange::JWT`]. Default: the server decides.
    pub fn requested_token_type(mut self, token_type: impl Into<String>) -> Self {
        self.grant.requested_type = Some(token_type.into());
        self
    }
}

impl StandardGrant for TokenExchange {}
impl TokenEndpointGrant for TokenExchange {}

impl sealed::Configurable for TokenExchange {
    type Settings = ExchangeSettings;
}

impl sealed::Grant for TokenExchange {
    fn build(
        client: ClientSettings,
        settings: ExchangeSettings,
    ) -> Result<(Self, Option<TokenEndpoint>), ConfigError> {
        let subject = required("subject_token", settings.subject)?;
        let client = client.build(&[
            "subject_token",
            "subject_token_type",
            "actor_token",
            "actor_token_type",
            "requested_token_type",
            "audience",
        ])?;
        let scope = client.scope();
        let grant_type = "urn:ietf:params:oauth:grant-type:token-exchange";
        let mut form = client.form(grant_type, scope.as_deref());
        for audience in &settings.audiences {
            form.push("audience", audience);
        }
        if let Some(token_type) = &settings.requested_type {
            form.push("requested_token_type", token_type);
        }
        form.push("subject_token_type", &subject.token_type);
        let mut assertions = vec![("subject_token", subject.source)];
        if let Some(actor) = settings.actor {
            form.push("actor_token_type", &actor.token_type);
            assertions.push(("actor_token", actor.source));
        }
        let flow = AssertionFlow {
            endpoint: client.endpoint,
            form,
            scope,
            assertions,
            requires_issued_type: true,
        };
        Ok((Self(flow), client.revocation))
    }

    async fn log_in(
        &self,
        _: Option<LoginRequired>,
        _: &RefreshContext<Bearer>,
    ) -> Result<TokenResponse, ProviderError> {
        self.0.log_in().await
    }
}
