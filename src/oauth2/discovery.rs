//! What authorization servers say of themselves (RFC 8414, OpenID Connect Discovery 1.0).

use std::{fmt, sync::Arc};

use bytes::Bytes;
use http::{Request, Response, header::ACCEPT};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use serde_json::{Map, Value};
use tower_service::Service;

use super::{endpoint::parse_endpoint, http::HttpService, sanitize::Sanitizer};
use crate::error::{BoxError, ConfigError, ProviderError};

/// What an authorization server says of itself (RFC 8414, OpenID Connect Discovery 1.0): its
/// endpoints, and what they can do.
///
/// A provider is made of it in one step:
///
/// ```
/// # use std::convert::Infallible;
/// # use tower::service_fn;
/// # use bytes::Bytes;
/// # use http_body_util::Full;
/// # use tower_auth::{BoxError, oauth2::ClientCredentials};
/// # async fn login() -> Result<(), BoxError> {
/// # let client = service_fn(|_: http::Request<Full<Bytes>>| async {
/// #     Ok::<_, Infallible>(http::Response::new(Full::<Bytes>::default()))
/// # });
/// let provider = ClientCredentials::discover("https://login.example.com/tenant", client)
///     .await?
///     .client_id("my-service")
///     .client_secret("correct horse battery staple")
///     .build()?;
/// # let _ = provider; Ok(()) }
/// ```
///
/// What the builder then has is the endpoints, the HTTP service, whether the secret goes into the
/// body, and whether the server names itself in its answers (RFC 9207); every setting can be
/// changed. Or [fetch](Self::fetch) the metadata once, and make [builders](Self::builder) of it.
#[derive(Clone)]
pub struct ServerMetadata {
    issuer: String,
    fields: Map<String, Value>,
    http: Arc<HttpService>,
}

/// Why there is no metadata of a server.
#[derive(Clone, Debug)]
pub struct DiscoveryError {
    message: String,
    transient: bool,
}

impl ServerMetadata {
    /// Asks the server: at `/.well-known/oauth-authorization-server` before the issuer's path (RFC
    /// 8414 3.1), then at `/.well-known/openid-configuration` after it. Redirects are not followed.
    ///
    /// # Errors
    /// The issuer is no https URL (or http to this machine), has a query or a fragment; the server
    /// can't be reached, or has no metadata; or the metadata is that of another issuer: it must
    /// name itself character by character as it was asked for (RFC 8414 3.3). Or one of its
    /// endpoints is plain http.
    pub async fn fetch<S, R>(issuer: impl Into<String>, http: S) -> Result<Self, DiscoveryError>
    where
        S: Service<Request<Full<Bytes>>, Response = Response<R>> + Clone + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<BoxError>,
        R: Body + Send + 'static,
        R::Error: Into<BoxError>,
    {
        let issuer = issuer.into();
        let http = Arc::new(HttpService::new(http));
        let mut missing = Vec::new();
        for url in well_known(&issuer)? {
            match get(&http, &url).await? {
                Found::Metadata(fields) => return Self::check(issuer, fields, http),
                Found::Nothing(why) => missing.push(format!("{url} {why}")),
            }
        }
        Err(DiscoveryError::lasting(format!(
            "the server says nothing of itself: {}: check the issuer, or give the endpoints to \
             builder(..)",
            missing.join(", ")
        )))
    }

    fn check(
        issuer: String,
        fields: Map<String, Value>,
        http: Arc<HttpService>,
    ) -> Result<Self, DiscoveryError> {
        let said = fields.get("issuer").and_then(Value::as_str);
        if said != Some(issuer.as_str()) {
            let shown = said.and_then(|said| Sanitizer::without(Vec::new()).clean(said, 200));
            return Err(DiscoveryError::lasting(format!(
                "the metadata of {issuer} is that of the issuer `{}`: it is not used (give the \
                 issuer as the server spells it, slashes and all)",
                shown.unwrap_or_default()
            )));
        }
        for (name, field) in [
            ("token_endpoint", "token_endpoint"),
            ("authorization_endpoint", "authorization_endpoint"),
            ("revocation_endpoint", "revocation_endpoint"),
            (
                "device_authorization_endpoint",
                "device_authorization_endpoint",
            ),
        ] {
            if let Some(url) = fields.get(name).and_then(Value::as_str) {
                parse_endpoint(field, url, false)?;
            }
        }
        let metadata = Self {
            issuer,
            fields,
            http,
        };
        let aliases = metadata.mtls_aliases();
        for url in [aliases.token, aliases.revocation, aliases.device]
            .into_iter()
            .flatten()
        {
            parse_endpoint("mtls_endpoint_aliases", &url, false)?;
        }
        Ok(metadata)
    }

    pub(super) fn http(&self) -> &Arc<HttpService> {
        &self.http
    }

    /// The issuer, as it was asked for.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Where tokens come from.
    #[must_use]
    pub fn token_endpoint(&self) -> Option<&str> {
        self.text("token_endpoint")
    }

    /// Where browsers go.
    #[must_use]
    pub fn authorization_endpoint(&self) -> Option<&str> {
        self.text("authorization_endpoint")
    }

    /// Where tokens are revoked (RFC 7009).
    #[must_use]
    pub fn revocation_endpoint(&self) -> Option<&str> {
        self.text("revocation_endpoint")
    }

    /// Where device codes come from (RFC 8628).
    #[must_use]
    pub fn device_authorization_endpoint(&self) -> Option<&str> {
        self.text("device_authorization_endpoint")
    }

    /// Whether the server names itself in each answer that a browser brings (RFC 9207).
    #[must_use]
    pub fn says_issuer_in_answers(&self) -> bool {
        self.fields
            .get("authorization_response_iss_parameter_supported")
            == Some(&Value::Bool(true))
    }

    /// Any other field, as the server wrote it.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Value> {
        self.fields.get(name)
    }

    /// Whether clients can only send their secret in the body. A server that does not say what it
    /// takes takes HTTP Basic (RFC 8414 2).
    pub(super) fn wants_secret_in_body(&self) -> bool {
        let methods = self.fields.get("token_endpoint_auth_methods_supported");
        let Some(methods) = methods.and_then(Value::as_array) else {
            return false;
        };
        let has = |method: &str| methods.iter().any(|one| one == method);
        has("client_secret_post") && !has("client_secret_basic")
    }

    /// Where clients with certificates go (RFC 8705 5).
    pub(super) fn mtls_aliases(&self) -> Aliases {
        let aliases = self.fields.get("mtls_endpoint_aliases");
        let alias = |name| Some(aliases?.get(name)?.as_str()?.to_owned());
        Aliases {
            token: alias("token_endpoint"),
            revocation: alias("revocation_endpoint"),
            device: alias("device_authorization_endpoint"),
        }
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.fields.get(name).and_then(Value::as_str)
    }
}

/// Other addresses of endpoints.
#[derive(Clone, Default)]
pub(super) struct Aliases {
    pub(super) token: Option<String>,
    pub(super) revocation: Option<String>,
    pub(super) device: Option<String>,
}

enum Found {
    Metadata(Map<String, Value>),
    Nothing(String),
}

/// Where the metadata can be (RFC 8414 3.1 and 5).
fn well_known(issuer: &str) -> Result<[String; 2], DiscoveryError> {
    let uri = parse_endpoint("issuer", issuer, false)?;
    if uri.query().is_some() {
        return Err(ConfigError::new("issuer", "has a query").into());
    }
    let host = format!(
        "{}://{}",
        uri.scheme_str().unwrap_or("https"),
        uri.authority().map_or("", |authority| authority.as_str())
    );
    let path = uri.path().trim_end_matches('/');
    Ok([
        format!("{host}/.well-known/oauth-authorization-server{path}"),
        format!("{host}{path}/.well-known/openid-configuration"),
    ])
}

async fn get(http: &HttpService, url: &str) -> Result<Found, DiscoveryError> {
    let mut request = Request::get(url)
        .body(Full::default())
        .map_err(|_| ConfigError::new("issuer", "is not a URL"))?;
    let json = http::HeaderValue::from_static("application/json");
    request.headers_mut().insert(ACCEPT, json);
    let passing = |error: BoxError| DiscoveryError {
        message: format!("{url} gave no complete answer: {error}"),
        transient: true,
    };
    let (head, body) = http.send(request).await.map_err(passing)?.into_parts();
    let status = head.status;
    if status.is_server_error() || status == http::StatusCode::TOO_MANY_REQUESTS {
        return Err(passing(format!("it answered {status}").into()));
    }
    if !status.is_success() {
        return Ok(Found::Nothing(format!("answered {status}")));
    }
    let body = body.collect().await.map_err(passing)?.to_bytes();
    Ok(match serde_json::from_slice(&body) {
        Ok(fields) => Found::Metadata(fields),
        // Some sites answer every path with a page.
        Err(_) => Found::Nothing("is no JSON object".to_owned()),
    })
}

impl DiscoveryError {
    fn lasting(message: String) -> Self {
        Self {
            message,
            transient: false,
        }
    }

    /// Whether the same may work at another time: the network failed, or the server is in trouble.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.transient
    }
}

impl From<ConfigError> for DiscoveryError {
    fn from(error: ConfigError) -> Self {
        Self::lasting(error.to_string())
    }
}

impl From<DiscoveryError> for ProviderError {
    fn from(error: DiscoveryError) -> Self {
        if error.transient {
            Self::transient(error)
        } else {
            Self::permanent(error)
        }
    }
}

impl fmt::Display for DiscoveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for DiscoveryError {}

impl fmt::Debug for ServerMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerMetadata")
            .field("issuer", &self.issuer)
            .finish_non_exhaustive()
    }
}
