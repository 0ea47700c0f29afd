//! Settings for client authentication with signed assertions.

use std::future::Future;

use super::{AssertionMode, SigningKey};
use crate::{
    error::ProviderError,
    oauth2::{
        assertion_source::AssertionSource,
        builder::Builder,
        client_auth::ClientAuthMode,
        grant::{AccessToken, TokenEndpointGrant},
    },
};

/// Requires the `jwt` feature.
impl<G: TokenEndpointGrant, C: AccessToken> Builder<G, C> {
    /// Authenticates the client with a signed assertion (`private_key_jwt`, RFC 7523 section 2.2)
    /// that is valid for 60 s. The assertion replaces a [`client_secret`](Self::client_secret).
    ///
    /// Every token request gets a new assertion, and servers accept each assertion only once. So
    /// the [`http`](Self::http) service must not send a request twice. When the layer itself tries
    /// again, it creates a new request.
    ///
    /// ```
    /// use tower_auth::oauth2::{ClientCredentials, SigningAlgorithm, SigningKey, TokenProvider};
    ///
    /// # fn provider(pem: &str) -> Result<TokenProvider<ClientCredentials>, tower_auth::ConfigError> {
    /// # let client = tower::service_fn(|_| async { Ok::<_, std::io::Error>(http::Response::new(String::new())) });
    /// ClientCredentials::builder("https://login.example.com/token")
    ///     .client_id("my-service")
    ///     .private_key_jwt(SigningKey::from_pem(SigningAlgorithm::Rs256, pem)?)
    ///     .http(client)
    ///     .build()
    /// # }
    /// ```
    pub fn private_key_jwt(mut self, key: SigningKey) -> Self {
        self.client.auth = ClientAuthMode::Assertion(AssertionMode::PrivateKey(key));
        self
    }

    /// Authenticates the client with an assertion that is signed with its
    /// [`client_secret`](Self::client_secret) (`client_secret_jwt`, HS256). The secret itself is
    /// not sent. The secret should be at least 32 characters long. See also
    /// [`private_key_jwt`](Self::private_key_jwt).
    pub fn client_secret_jwt(mut self) -> Self {
        self.client.auth = ClientAuthMode::Assertion(AssertionMode::ClientSecret);
        self
    }

    /// Authenticates the client with an assertion that another party has signed, such as the token
    /// that Kubernetes mounts into a pod (Azure federated credentials, workload identity). The
    /// closure is called before each request. If it returns an error, that is a transient failure
    /// of the refresh.
    ///
    /// ```
    /// use tower_auth::{ProviderError, oauth2::{ClientCredentials, TokenProvider}};
    ///
    /// # fn provider(file: &'static str) -> Result<TokenProvider<ClientCredentials>, tower_auth::ConfigError> {
    /// # let client = tower::service_fn(|_| async { Ok::<_, std::io::Error>(http::Response::new(String::new())) });
    /// let token = move || async move {
    ///     let token = tokio::fs::read_to_string(file).await;
    ///     Ok(token.map_err(ProviderError::transient)?.trim().to_owned())
    /// };
    /// ClientCredentials::builder("https://login.example.com/token")
    ///     .client_id("my-workload")
    ///     .client_assertion(token)
    ///     .http(client)
    ///     .build()
    /// # }
    /// ```
    pub fn client_assertion<F, Fut>(mut self, assertion: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<String, ProviderError>> + Send + 'static,
    {
        let source = AssertionSource::new(assertion);
        self.client.auth = ClientAuthMode::Assertion(AssertionMode::External(source));
        self
    }

    /// Sets the audience of the assertions (`aud`). The default is the issuer if it was discovered:
    /// an assertion for the issuer cannot be relayed by another server that claims the same token
    /// URL. Otherwise the default is the URL of the token endpoint, which RFC 7523 section 3 allows
    /// and most servers accept.
    pub fn assertion_audience(mut self, audience: impl Into<String>) -> Self {
        self.client.audience = Some(audience.into());
        self
    }
}
