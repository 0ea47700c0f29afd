//! The builder itself, and the settings that do not depend on the server.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, Request, Response};
use http_body::Body;
use http_body_util::Full;
use tower_service::Service;

use crate::{
    credential::{Bearer, parse_name},
    error::{BoxError, ConfigError},
    oauth2::{
        client::ClientSettings,
        discovery::ServerMetadata,
        grant::{AccessToken, Grant, sealed::Configurable},
        http::HttpService,
        session::SessionSettings,
        token_provider::TokenProvider,
    },
    store::{StoreKey, TokenStore, share},
};

/// Builds the [`TokenProvider`] for the grant `G`, or the login `G`. The `builder` function of each
/// grant or login lists the required settings.
///
/// `C` is the form in which requests carry the tokens. The `dpop` method (feature `dpop`) changes
/// it.
#[must_use = "call build()"]
pub struct Builder<G: Configurable, C: AccessToken = Bearer> {
    pub(in crate::oauth2) client: ClientSettings,
    pub(in crate::oauth2) session: SessionSettings,
    pub(in crate::oauth2) binding: Result<C::Binding, ConfigError>,
    pub(in crate::oauth2) grant: G::Settings,
}

impl<G: Configurable> Builder<G> {
    pub(in crate::oauth2) fn new(token_url: impl Into<String>, grant: G::Settings) -> Self {
        Self::with_client(ClientSettings::new(token_url), grant)
    }

    /// Creates a builder with the settings that a server's metadata determines.
    pub(in crate::oauth2) fn described_by(
        metadata: &ServerMetadata,
        http: &Arc<HttpService>,
    ) -> Self {
        let client = ClientSettings::described_by(metadata, http);
        Self::with_client(client, G::described_by(metadata))
    }

    fn with_client(client: ClientSettings, grant: G::Settings) -> Self {
        Self {
            client,
            session: SessionSettings::default(),
            binding: Ok(None),
            grant,
        }
    }

    /// Sends the tokens in this header, as `Bearer <token>`. Default: `Authorization`.
    pub fn header_name(mut self, name: impl TryInto<HeaderName>) -> Self {
        self.binding = parse_name("header_name", name).map(Some);
        self
    }
}

impl<G: Configurable, C: AccessToken> Builder<G, C> {
    /// Creates a builder for the refreshes that follow a login, with the same server and client.
    pub(in crate::oauth2) fn for_session<Q>(&self) -> Builder<Q, C>
    where
        Q: Configurable,
    {
        Builder {
            client: self.client.for_session(),
            session: SessionSettings::default(),
            binding: self.binding.clone(),
            grant: Q::Settings::default(),
        }
    }

    /// Sets the service that sends the token requests. Required.
    ///
    /// Each request goes through a separate clone, so the service need not be `Sync`. The service's
    /// own layers, such as a timeout, also apply to token requests. The service must not:
    ///
    /// - follow redirects, because it would send the secrets to the redirect target;
    /// - retry requests that spend a refresh token;
    /// - be wrapped in the [`AuthLayer`](crate::AuthLayer) that this provider is for.
    ///
    /// Use a separate connection pool if the API is on the same host. Over HTTP/2, unread API
    /// responses can block the token response.
    pub fn http<S, R>(mut self, service: S) -> Self
    where
        S: Service<Request<Full<Bytes>>, Response = Response<R>> + Clone + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<BoxError>,
        R: Body + Send + 'static,
        R::Error: Into<BoxError>,
    {
        self.client.http = Some(Arc::new(HttpService::new(service)));
        self
    }
}

impl<G: Grant, C: AccessToken> Builder<G, C> {
    /// Keeps the tokens in a store, under this key, so that they outlive the process and other
    /// processes can share them. Default: the provider keeps them in memory.
    ///
    /// All providers that use the same key share the tokens, so the key must cover everything that
    /// the tokens depend on: see [`StoreKey`]. See [`store`](crate::store) for what happens when
    /// the store fails.
    ///
    /// A process that is killed during a refresh leaves the store locked until 8 s after the
    /// layer's [`refresh_timeout`](crate::RefreshSettings::refresh_timeout) would have ended that
    /// refresh. Until then, other processes wait, and they fail if they have no valid token.
    pub fn store(mut self, store: impl TokenStore, key: StoreKey) -> Self {
        self.session.store = Some((share(store), key));
        self
    }

    /// Builds the provider, without sending any requests.
    ///
    /// # Errors
    /// Returns an error if a required setting is missing or a value is not valid. The error names
    /// the setting and contains no secret.
    pub fn build(self) -> Result<TokenProvider<G, C>, ConfigError> {
        let (grant, revocation) = G::build(self.client, self.grant)?;
        let binding = self.binding?;
        Ok(TokenProvider::new(grant, revocation, self.session, binding))
    }
}

partial_debug!(Builder<G: Configurable, C: AccessToken>, client);
