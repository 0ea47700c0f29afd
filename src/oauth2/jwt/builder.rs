//! The settings for clients that sign.

use std::future::Future;

use super::{AssertionMode, SigningKey};
use crate::{
    error::ProviderError,
    oauth2::{
        builder::{Builder, StandardGrant},
        client_auth::ClientAuthMode,
        subject::Source,
    },
};

/// With the feature `jwt`.
impl<P: StandardGrant> Builder<P> {
    /// The client proves who it is with a signed assertion (`private_key_jwt`, RFC 7523 2.2), which
    /// lasts 60 s. It takes the place of a [`client_secret`](Self::client_secret).
    ///
    /// Every token request gets an assertion of its own, and servers accept each one once: the
    /// [`http`](Self::http) service must not send a request twice. The layer's own next attempt
    /// is another request.
    ///
    /// ```
    /// # use tower::service_fn;
    /// # use bytes::Bytes;
    /// # use http_body_util::Full;
    /// use tower_auth::oauth2::{ClientCredentials, SigningAlgorithm, SigningKey};
    ///
    /// # fn provider(pem: &str) -> Result<ClientCredentials, tower_auth::ConfigError> {
    /// # let client = service_fn(|_: http::Request<Full<Bytes>>| async {
    /// #     Ok::<_, std::io::Error>(http::Response::new(Full::<Bytes>::default()))
    /// # });
    /// ClientCredentials::builder("https://login.example.com/token")
    ///     .client_id("my-service")
    ///     .private_key_jwt(SigningKey::from_pem(SigningAlgorithm::Rs256, pem)?)
    ///     .http(client)
    ///     .build()
    /// # }
    /// ```
    pub fn private_key_jwt(mut self, key: SigningKey) -> Self {
        self.auth = ClientAuthMode::Assertion(AssertionMode::PrivateKey(key));
        self
    }

    /// The client proves that it knows its [`client_secret`](Self::client_secret) without sending
    /// it: with an assertion that is signed with it (`client_secret_jwt`, HS256). The secret should
    /// have 32 characters or more. For the rest see [`private_key_jwt`](Self::private_key_jwt).
    pub fn client_secret_jwt(mut self) -> Self {
        self.auth = ClientAuthMode::Assertion(AssertionMode::ClientSecret);
        self
    }

    /// The client shows an assertion that somebody else has signed, such as the token that Kubernetes
    /// mounts into a workload (federated credentials of Azure, workload identities of others). The
    /// closure is asked before each request; its error is a transient failure of the refresh.
    ///
    /// ```
    /// # use tower::service_fn;
    /// # use bytes::Bytes;
    /// # use http_body_util::Full;
    /// use tower_auth::{ProviderError, oauth2::ClientCredentials};
    ///
    /// # fn provider(file: &'static str) -> Result<ClientCredentials, tower_auth::ConfigError> {
    /// # let client = service_fn(|_: http::Request<Full<Bytes>>| async {
    /// #     Ok::<_, std::io::Error>(http::Response::new(Full::<Bytes>::default()))
    /// # });
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
        let source = Source::new(assertion);
        self.auth = ClientAuthMode::Assertion(AssertionMode::Given(source));
        self
    }

    /// Whom the assertions are for (`aud`). Default: the issuer, if it was discovered, because what
    /// names the server can't be passed on to it by another one that claims its token URL; else the
    /// token endpoint's URL, which RFC 7523 3 allows, and which most servers take.
    pub fn assertion_audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = Some(audience.into());
        self
    }
}
