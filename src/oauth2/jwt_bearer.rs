//! The JWT bearer grant (RFC 7523 section 2.1), which exchanges an assertion for a token.

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

/// The JWT bearer grant (RFC 7523 section 2.1), which exchanges an assertion for a token. The
/// assertion is a JWT that names the token's user and is signed by an issuer that the server
/// trusts. Google's service accounts and Salesforce's connected apps use it.
///
/// A closure supplies a new assertion for each token request. A `SigningKey` (feature `jwt`) can
/// sign one:
///
#[cfg_attr(feature = "jwt", doc = "```")]
#[cfg_attr(not(feature = "jwt"), doc = "```ignore")]
/// use std::time::{SystemTime, UNIX_EPOCH};
///
/// use serde_json::json;
/// use tower_auth::{
///     ProviderError,
///     oauth2::{JwtBearer, SigningAlgorithm, SigningKey, TokenProvider},
/// };
///
/// # fn provider(pem: &str) -> Result<TokenProvider<JwtBearer>, tower_auth::ConfigError> {
/// # let client = tower::service_fn(|_| async { Ok::<_, std::io::Error>(http::Response::new(String::new())) });
/// let key = SigningKey::from_pem(SigningAlgorithm::Rs256, pem)?.key_id("f00");
/// let assertion = move || {
///     let key = key.clone();
///     async move {
///         let now = SystemTime::now().duration_since(UNIX_EPOCH);
///         let now = now.map_err(ProviderError::transient)?.as_secs();
///         let claims = json!({
///             "iss": "robot@project.example.com",
///             "scope": "https://www.example.com/auth/things.read",
///             "aud": "https://login.example.com/token",
///             "iat": now,
///             "exp": now + 600,
///         });
///         key.sign_jwt(&claims).await.map_err(ProviderError::transient)
///     }
/// };
/// JwtBearer::builder("https://login.example.com/token")
///     .assertion(assertion)
///     .http(client)
///     .build()
/// # }
/// ```
///
/// Errors come from the closure, or are a [`TokenError`](super::TokenError). With a
/// [store](Builder::store), many processes share one token.
#[derive(Debug)]
pub struct JwtBearer(AssertionFlow);

impl JwtBearer {
    /// Creates a builder from the URL of the token endpoint, which must be https or on this
    /// machine. The [assertion](Builder::assertion) and the HTTP service are required. A client
    /// without a secret sends only its ID; a client without an ID sends neither.
    pub fn builder(token_url: impl Into<String>) -> Builder<Self> {
        Builder::new(token_url, None)
    }
}

impl<C: AccessToken> Builder<JwtBearer, C> {
    /// Sets the closure that supplies an assertion before each token request. Required. The class
    /// of the closure's error decides what callers see, as for
    /// [`Provider::issue`](crate::Provider::issue).
    pub fn assertion<F, Fut>(mut self, assertion: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<String, ProviderError>> + Send + 'static,
    {
        self.grant = Some(AssertionSource::new(assertion));
        self
    }
}

impl StandardGrant for JwtBearer {}
impl TokenEndpointGrant for JwtBearer {}

impl sealed::Configurable for JwtBearer {
    type Settings = Option<AssertionSource>;
}

impl sealed::Grant for JwtBearer {
    fn build(
        client: ClientSettings,
        assertion: Option<AssertionSource>,
    ) -> Result<(Self, Option<TokenEndpoint>), ConfigError> {
        let assertion = required("assertion", assertion)?;
        let client = client.build(&["assertion"])?;
        let scope = client.scope();
        let flow = AssertionFlow {
            form: client.form(
                "urn:ietf:params:oauth:grant-type:jwt-bearer",
                scope.as_deref(),
            ),
            endpoint: client.endpoint,
            scope,
            assertions: vec![("assertion", assertion)],
            requires_issued_type: false,
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
