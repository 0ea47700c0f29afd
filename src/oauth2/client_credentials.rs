//! The client credentials grant (RFC 6749 4.4): a machine gets a token for itself.

use std::fmt;

use bytes::Bytes;
use http::{HeaderName, Request, Response};
use http_body::Body;
use http_body_util::Full;
use tower_service::Service;

use super::{
    client_auth::{ClientAuth, ClientAuthMode},
    endpoint::{TokenEndpoint, parse_endpoint},
    form::Form,
    http::HttpService,
};
use crate::{
    credential::{Bearer, parse_name},
    error::{BoxError, ConfigError, ProviderError},
    provider::{Issued, Provider, RefreshContext},
    secret::Secret,
};

/// A provider that gets bearer tokens with the client credentials grant (RFC 6749 4.4).
///
/// The [module's example](super) shows one. Its errors are made from [`TokenError`].
///
/// A token lasts as long as the server says (`expires_in`; more than ten years are taken for ten).
/// If the server does not say, it lasts until it is rejected, or for the layer's
/// [`default_lifetime`](crate::AuthLayer::default_lifetime).
///
/// [`TokenError`]: super::TokenError
pub struct ClientCredentials {
    endpoint: TokenEndpoint,
    form: Form,
    header: Option<HeaderName>,
    /// What was asked for, which a server may leave unsaid in its answer.
    scope: Option<String>,
}

impl ClientCredentials {
    /// Starts with the token endpoint's URL. It must be https, or lead to this machine.
    pub fn builder(token_url: impl Into<String>) -> ClientCredentialsBuilder {
        ClientCredentialsBuilder {
            token_url: token_url.into(),
            plain_http: false,
            client_id: None,
            client_secret: None,
            auth: ClientAuthMode::default(),
            scopes: Vec::new(),
            resources: Vec::new(),
            params: Vec::new(),
            header: None,
            http: None,
        }
    }
}

impl Provider for ClientCredentials {
    type Credential = Bearer;

    async fn issue(
        &self,
        context: RefreshContext<Bearer>,
    ) -> Result<Issued<Bearer>, ProviderError> {
        let answer = self.endpoint.exchange(&self.form, &context).await?;
        let scope = answer.scope.or_else(|| self.scope.clone());
        let mut token = answer.token.with_scope(scope.map(String::into_boxed_str));
        if let Some(name) = &self.header {
            token = token
                .header_name(name.clone())
                .map_err(ProviderError::permanent)?;
        }
        let issued = Issued::new(token);
        Ok(match answer.expires_in {
            Some(lifetime) => issued.expires_in(lifetime),
            None => issued,
        })
    }
}

impl fmt::Debug for ClientCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCredentials")
            .field("endpoint", &self.endpoint)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

/// Makes a [`ClientCredentials`]. The client's id and secret and the HTTP service are required.
#[must_use = "call build()"]
pub struct ClientCredentialsBuilder {
    token_url: String,
    plain_http: bool,
    client_id: Option<String>,
    client_secret: Option<Secret>,
    auth: ClientAuthMode,
    scopes: Vec<String>,
    resources: Vec<String>,
    params: Vec<(String, Secret)>,
    header: Option<Result<HeaderName, ConfigError>>,
    http: Option<HttpService>,
}

impl ClientCredentialsBuilder {
    /// The client's id. Required.
    pub fn client_id(mut self, id: impl Into<String>) -> Self {
        self.client_id = Some(id.into());
        self
    }

    /// The client's secret. Required.
    pub fn client_secret(mut self, secret: impl Into<String>) -> Self {
        self.client_secret = Some(Secret::new(secret));
        self
    }

    /// The service that token requests are sent with. Required.
    ///
    /// Each request goes through a clone of its own, so the service may be `Sync` or not, and its
    /// own layers (a timeout, a retry) serve the token requests too. It must not follow redirects,
    /// because it would take the secrets along, and not be wrapped in the
    /// [`AuthLayer`](crate::AuthLayer) that this provider is for. Give it a connection pool of its
    /// own if the API is on the same host: over HTTP/2 the API's unread answers can keep the
    /// token's from coming through.
    pub fn http<S, R>(mut self, service: S) -> Self
    where
        S: Service<Request<Full<Bytes>>, Response = Response<R>> + Clone + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<BoxError>,
        R: Body + Send + 'static,
        R::Error: Into<BoxError>,
    {
        self.http = Some(HttpService::new(service));
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
    /// It takes the place of [`secret_in_body`](Self::secret_in_body).
    pub fn raw_basic(mut self) -> Self {
        self.auth = ClientAuthMode::RawBasic;
        self
    }

    /// Sends the client's id and secret as parameters of the body. Default: in HTTP Basic, which
    /// RFC 6749 2.3.1 recommends.
    ///
    /// It takes the place of [`raw_basic`](Self::raw_basic).
    pub fn secret_in_body(mut self) -> Self {
        self.auth = ClientAuthMode::Body;
        self
    }

    /// The header that the tokens go into, with the word `Bearer`. Default: `Authorization`.
    pub fn header_name(mut self, name: impl TryInto<HeaderName>) -> Self {
        self.header = Some(parse_name("header_name", name));
        self
    }

    /// Allows a token endpoint on plain http beyond this machine. Everyone on the way can read the
    /// client's secret and the tokens. Default: refused.
    pub fn danger_plain_http(mut self) -> Self {
        self.plain_http = true;
        self
    }

    /// Makes the provider. Nothing is sent yet.
    ///
    /// # Errors
    /// Something required is missing, or a value can't be used. The error names the setting, and
    /// shows no secret.
    pub fn build(self) -> Result<ClientCredentials, ConfigError> {
        let uri = parse_endpoint("token_url", &self.token_url, self.plain_http)?;
        let id = required("client_id", self.client_id)?;
        let secret = required("client_secret", self.client_secret)?;
        let http = required("http", self.http)?;
        let auth = ClientAuth::new(self.auth, &id, &secret)?;

        let mut form = Form::default();
        form.push("grant_type", "client_credentials");
        let scope = (!self.scopes.is_empty()).then(|| self.scopes.join(" "));
        if let Some(scope) = &scope {
            form.push("scope", scope);
        }
        for resource in &self.resources {
            check_resource(resource)?;
            form.push("resource", resource);
        }
        check_names(&self.params)?;
        for (name, value) in &self.params {
            form.push_secret(name, value);
        }
        Ok(ClientCredentials {
            endpoint: TokenEndpoint::new(uri, auth, http),
            form,
            header: self.header.transpose()?,
            scope,
        })
    }
}

impl fmt::Debug for ClientCredentialsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCredentialsBuilder")
            .field("auth", &self.auth)
            .field("scopes", &self.scopes)
            .finish_non_exhaustive()
    }
}

fn required<T>(call: &'static str, value: Option<T>) -> Result<T, ConfigError> {
    value.ok_or_else(|| ConfigError::new(call, format!("is missing: call {call}(..)")))
}

/// RFC 8707 2: an absolute URI without a fragment. `http::Uri` can't tell, it knows no URNs.
fn check_resource(uri: &str) -> Result<(), ConfigError> {
    let has_scheme = uri.split_once(':').is_some_and(|(scheme, rest)| {
        scheme.starts_with(|char: char| char.is_ascii_alphabetic()) && !rest.is_empty()
    });
    if has_scheme
        && uri
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'#')
    {
        return Ok(());
    }
    Err(ConfigError::new(
        "resource",
        "is not an absolute URI without a fragment, such as https://api.example.com/",
    ))
}

/// No parameter goes out twice (RFC 6749 3.2), apart from `resource`.
fn check_names(params: &[(String, Secret)]) -> Result<(), ConfigError> {
    let mut taken = vec![
        "grant_type",
        "client_id",
        "client_secret",
        "scope",
        "resource",
    ];
    for (name, _) in params {
        if name.is_empty() {
            return Err(ConfigError::new("param", "has no name"));
        }
        if taken.contains(&name.as_str()) {
            return Err(ConfigError::new(
                "param",
                format!(
                    "`{}` is set already, or has a setting of its own",
                    name.escape_debug()
                ),
            ));
        }
        taken.push(name);
    }
    Ok(())
}
