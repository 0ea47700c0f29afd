//! The settings that providers of this module have in common.

mod finish;

use std::{fmt, marker::PhantomData, sync::Arc};

use bytes::Bytes;
use http::{HeaderName, Request, Response};
use http_body::Body;
use http_body_util::Full;
use tower_service::Service;

pub(super) use self::finish::{Settings, required};
#[cfg(feature = "dpop")]
use super::dpop::DpopKey;
use super::{
    client_auth::{ClientAuthMode, SecretPlace},
    discovery::{Aliases, ServerMetadata},
    http::HttpService,
    login::{AuthorizationSettings, ExpectedIssuer},
    password::Password,
    subject::SubjectSettings,
};
use crate::{
    credential::parse_name,
    error::{BoxError, ConfigError},
    provider::Provider,
    secret::Secret,
    store::{SharedStore, StoreKey, TokenSet, TokenStore, share},
};

/// Makes a provider `P` of this module. What is required is said at the provider's `builder`.
#[must_use = "call build()"]
pub struct Builder<P> {
    /// The token endpoint, or for [`PasswordLogin`](super::PasswordLogin) what all its URLs
    /// start with.
    url: String,
    plain_http: bool,
    client_id: Option<String>,
    client_secret: Option<Secret>,
    pub(super) auth: ClientAuthMode,
    /// Whom signed assertions are for.
    #[cfg(feature = "jwt")]
    pub(super) audience: Option<String>,
    scopes: Vec<String>,
    pub(super) step_up_scopes: Vec<String>,
    resources: Vec<String>,
    params: Vec<(String, Secret)>,
    revoke_url: Option<String>,
    /// Where clients with certificates go instead.
    mtls_aliases: Aliases,
    pub(super) device_url: Option<String>,
    pub(super) header: Option<Result<HeaderName, ConfigError>>,
    #[cfg(feature = "dpop")]
    pub(super) dpop: Option<DpopKey>,
    http: Option<Arc<HttpService>>,
    pub(super) authorization: AuthorizationSettings,
    store: Option<(SharedStore, StoreKey)>,
    pub(super) seed: Option<TokenSet>,
    pub(super) password: Option<Password>,
    pub(super) subject: SubjectSettings,
    provider: PhantomData<fn() -> P>,
}

/// The providers that speak to a standard token endpoint (RFC 6749 3.2), where clients have ids
/// and tokens have scopes.
pub trait StandardGrant {}

/// The log-ins that send a person's browser to an authorization endpoint (RFC 6749 3.1).
pub trait BrowserGrant: StandardGrant {}

impl<P> Builder<P> {
    pub(super) fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            plain_http: false,
            client_id: None,
            client_secret: None,
            auth: ClientAuthMode::default(),
            #[cfg(feature = "jwt")]
            audience: None,
            scopes: Vec::new(),
            step_up_scopes: Vec::new(),
            resources: Vec::new(),
            params: Vec::new(),
            revoke_url: None,
            mtls_aliases: Aliases::default(),
            device_url: None,
            header: None,
            #[cfg(feature = "dpop")]
            dpop: None,
            http: None,
            authorization: AuthorizationSettings::default(),
            store: None,
            seed: None,
            password: None,
            subject: SubjectSettings::default(),
            provider: PhantomData,
        }
    }

    /// A builder for what follows a log-in: the same server and client, for refreshes.
    pub(super) fn session<Q>(&self) -> Builder<Q> {
        Builder {
            plain_http: self.plain_http,
            client_id: self.client_id.clone(),
            client_secret: self.client_secret.clone(),
            auth: self.auth.clone(),
            #[cfg(feature = "jwt")]
            audience: self.audience.clone(),
            resources: self.resources.clone(),
            params: self.params.clone(),
            revoke_url: self.revoke_url.clone(),
            header: self.header.clone(),
            #[cfg(feature = "dpop")]
            dpop: self.dpop.clone(),
            http: self.http.clone(),
            ..Builder::new(self.url.clone())
        }
    }

    /// A builder with what a server says of itself.
    pub(super) fn described_by(metadata: &ServerMetadata, http: &Arc<HttpService>) -> Self {
        let place = if metadata.wants_secret_in_body() {
            SecretPlace::Body
        } else {
            SecretPlace::default()
        };
        Self {
            auth: ClientAuthMode::Secret(place),
            #[cfg(feature = "jwt")]
            audience: Some(metadata.issuer().to_owned()),
            revoke_url: metadata.revocation_endpoint().map(str::to_owned),
            mtls_aliases: metadata.mtls_aliases(),
            device_url: metadata.device_authorization_endpoint().map(str::to_owned),
            http: Some(Arc::clone(http)),
            authorization: AuthorizationSettings {
                url: metadata.authorization_endpoint().unwrap_or_default().into(),
                params: Vec::new(),
                issuer: Some(ExpectedIssuer::described_by(metadata)),
            },
            ..Self::new(metadata.token_endpoint().unwrap_or_default())
        }
    }

    /// The service that token requests are sent with. Required.
    ///
    /// Each request goes through a clone of its own, so the service may be `Sync` or not, and its
    /// own layers (a timeout) serve the token requests too. It must not follow redirects, because
    /// it would take the secrets along, not repeat requests that spend a refresh token, and not be
    /// wrapped in the [`AuthLayer`](crate::AuthLayer) that this provider is for. Give it a
    /// connection pool of its own if the API is on the same host: over HTTP/2 the API's unread
    /// answers can keep the token's from coming through.
    pub fn http<S, R>(mut self, service: S) -> Self
    where
        S: Service<Request<Full<Bytes>>, Response = Response<R>> + Clone + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<BoxError>,
        R: Body + Send + 'static,
        R::Error: Into<BoxError>,
    {
        self.http = Some(Arc::new(HttpService::new(service)));
        self
    }

    /// The header that the tokens go into, with the word `Bearer`. Default: `Authorization`.
    pub fn header_name(mut self, name: impl TryInto<HeaderName>) -> Self {
        self.header = Some(parse_name("header_name", name));
        self
    }
}

impl<P: Provider> Builder<P> {
    /// Where tokens outlive the process and are shared with other processes, and under which key.
    /// Default: they are the provider's alone, and end with it.
    ///
    /// Whoever uses the same key shares the tokens, so it must cover all they depend on: see
    /// [`StoreKey`]. What a failing store means says the [store's module](crate::store).
    ///
    /// A process that is killed while it refreshes leaves a lock behind, which ends 8 s after the
    /// layer's [`refresh_timeout`](crate::RefreshSettings::refresh_timeout) would have. Until then others
    /// wait, and fail if they have no valid token.
    pub fn store(mut self, store: impl TokenStore, key: StoreKey) -> Self {
        self.store = Some((share(store), key));
        self
    }
}

impl<P: StandardGrant> Builder<P> {
    /// The client's id.
    pub fn client_id(mut self, id: impl Into<String>) -> Self {
        self.client_id = Some(id.into());
        self
    }

    /// The client's secret.
    pub fn client_secret(mut self, secret: impl Into<String>) -> Self {
        self.client_secret = Some(Secret::new(secret));
        self
    }

    /// Asks for scopes (RFC 6749 3.3), besides those of earlier calls. Default: none, so that the
    /// server decides. Ask for no more than you need.
    pub fn scopes(mut self, scopes: impl IntoIterator<Item: Into<String>>) -> Self {
        self.scopes.extend(scopes.into_iter().map(Into::into));
        self
    }

    /// Names a resource that the token is for, as an absolute URI (RFC 8707), besides those of
    /// earlier calls. Default: none.
    pub fn resource(mut self, uri: impl Into<String>) -> Self {
        self.resources.push(uri.into());
        self
    }

    /// Sends one more parameter, such as the `audience` that some servers want. Its value is
    /// treated as a secret. Default: none.
    pub fn param(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.params.push((name.into(), Secret::new(value)));
        self
    }

    /// Sends the client's id and secret in HTTP Basic as they are. Default: percent-encoded first,
    /// as RFC 6749 2.3.1 wants it; many servers expect them raw. There is no difference for ids
    /// and secrets of ASCII letters, digits and `-._~`.
    ///
    /// It takes the place of [`client_secret_post`](Self::client_secret_post).
    pub fn client_secret_basic_unencoded(mut self) -> Self {
        self.auth = ClientAuthMode::Secret(SecretPlace::RawBasic);
        self
    }

    /// Sends the client's id and secret as parameters of the body. Default: in HTTP Basic, which
    /// RFC 6749 2.3.1 recommends. A client without a secret sends its id in the body anyway.
    ///
    /// It takes the place of [`client_secret_basic_unencoded`](Self::client_secret_basic_unencoded).
    pub fn client_secret_post(mut self) -> Self {
        self.auth = ClientAuthMode::Secret(SecretPlace::Body);
        self
    }

    /// The client proves who it is by the certificate of its connection (mutual TLS, RFC 8705): the
    /// [`http`](Self::http) service must show it, and requests say the [`client_id`](Self::client_id)
    /// only. It takes the place of a [`client_secret`](Self::client_secret).
    ///
    /// If the server was discovered and has endpoints of its own for that
    /// (`mtls_endpoint_aliases`), they are used. Tokens may then be bound to the certificate, so that the API
    /// has to be called with it too: give both the same TLS client.
    pub fn tls_client_auth(mut self) -> Self {
        self.auth = ClientAuthMode::Certificate;
        let aliases = std::mem::take(&mut self.mtls_aliases);
        self.url = aliases.token.unwrap_or(self.url);
        self.revoke_url = aliases.revocation.or(self.revoke_url);
        self.device_url = aliases.device.or(self.device_url);
        self
    }

    /// Revokes the tokens here at log-out, [`Handle::log_out`](crate::Handle::log_out): first the
    /// refresh token, then the access token (RFC 7009). Default: they are only forgotten, and end
    /// when they expire.
    pub fn revoke_url(mut self, url: impl Into<String>) -> Self {
        self.revoke_url = Some(url.into());
        self
    }

    /// Allows endpoints on plain http beyond this machine. Everyone on the way can read the
    /// client's secret and the tokens. Default: refused.
    pub fn danger_plain_http(mut self) -> Self {
        self.plain_http = true;
        self
    }
}

impl<P: BrowserGrant> Builder<P> {
    /// Adds a parameter to the address that the browser is sent to, such as the `prompt` or
    /// `access_type` that some servers know. It is no place for secrets: the person sees it.
    /// Default: none.
    pub fn authorization_param(
        mut self,
        name: impl Into<String>,
        value: impl Into<String>,
    ) -> Self {
        let param = (name.into(), value.into());
        self.authorization.params.push(param);
        self
    }

    /// Refuses answers that don't say that they come from this issuer (`iss`, RFC 9207), compared
    /// character by character. A client that knows more than one authorization server needs this,
    /// or a redirect URI for each (RFC 9700 4.4). Default: what [`ServerMetadata`] says; without
    /// it, no check.
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.authorization.issuer = Some(ExpectedIssuer::always(issuer.into()));
        self
    }
}

impl<P> fmt::Debug for Builder<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("auth", &self.auth)
            .field("scopes", &self.scopes)
            .finish_non_exhaustive()
    }
}
