//! Authorization server metadata (RFC 8414, OpenID Connect Discovery 1.0).

mod error;

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, header::ACCEPT};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use serde_json::{Map, Value};
use tower_service::Service;

pub use self::error::DiscoveryError;
use super::{endpoint::parse_endpoint, http::HttpService, sanitize::Sanitizer};
use crate::error::{BoxError, ConfigError};

/// The metadata that an authorization server publishes (RFC 8414, OpenID Connect Discovery 1.0):
/// its endpoints and their capabilities.
///
/// A grant's `discover` fetches the metadata and creates a builder from it in one step:
///
/// ```
/// # use tower_auth::{BoxError, oauth2::ClientCredentials};
/// # async fn discover() -> Result<(), BoxError> {
/// # let client = tower::service_fn(|_| async { Ok::<_, std::io::Error>(http::Response::new(String::new())) });
/// let provider = ClientCredentials::discover("https://login.example.com/tenant", client)
///     .await?
///     .client_id("my-service")
///     .client_secret("correct horse battery staple")
///     .build()?;
/// # let _ = provider; Ok(()) }
/// ```
///
/// The builder then has the endpoints, the HTTP service and the client authentication method, and
/// knows whether the server names itself in authorization responses (RFC 9207). Every setting can
/// still be changed. Alternatively, [`fetch`](Self::fetch) the metadata once and create several
/// [builders](Self::builder) from it.
#[derive(Clone)]
pub struct ServerMetadata {
    issuer: String,
    fields: Map<String, Value>,
    pub(super) http: Arc<HttpService>,
}

impl ServerMetadata {
    /// Fetches the metadata. It tries `/.well-known/oauth-authorization-server` inserted before the
    /// issuer's path (RFC 8414 section 3.1), then `/.well-known/openid-configuration` appended to
    /// that path. Redirects are not followed.
    ///
    /// # Errors
    /// - The issuer is not an https URL (or http to this machine), or has a query or a fragment.
    /// - The server cannot be reached, or publishes no metadata.
    /// - The metadata names a different issuer. The issuers must match character by character (RFC
    ///   8414 section 3.3).
    /// - One of the endpoints uses plain http to another machine.
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
                Found::Nothing(reason) => missing.push(format!("{url} {reason}")),
            }
        }
        Err(DiscoveryError::permanent(format!(
            "the server publishes no metadata: {}: check the issuer, or pass the endpoints to \
             builder(..)",
            missing.join(", ")
        )))
    }

    fn check(
        issuer: String,
        fields: Map<String, Value>,
        http: Arc<HttpService>,
    ) -> Result<Self, DiscoveryError> {
        let named = fields.get("issuer").and_then(Value::as_str);
        if named != Some(issuer.as_str()) {
            let shown = named.and_then(|named| Sanitizer::without(Vec::new()).clean(named, 200));
            return Err(DiscoveryError::permanent(format!(
                "the metadata of {issuer} names the issuer `{}`: it is not used (write the issuer \
                 exactly as the server does, including slashes)",
                shown.unwrap_or_default()
            )));
        }
        for name in [
            "token_endpoint",
            "authorization_endpoint",
            "revocation_endpoint",
            "device_authorization_endpoint",
        ] {
            if let Some(url) = fields.get(name).and_then(Value::as_str) {
                parse_endpoint(name, url, false).map_err(unusable_metadata)?;
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
            parse_endpoint("mtls_endpoint_aliases", &url, false).map_err(unusable_metadata)?;
        }
        Ok(metadata)
    }

    /// Returns the issuer.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Returns the URL of the token endpoint.
    #[must_use]
    pub fn token_endpoint(&self) -> Option<&str> {
        self.text("token_endpoint")
    }

    /// Returns the URL that browsers are sent to.
    #[must_use]
    pub fn authorization_endpoint(&self) -> Option<&str> {
        self.text("authorization_endpoint")
    }

    /// Returns the URL of the revocation endpoint (RFC 7009).
    #[must_use]
    pub fn revocation_endpoint(&self) -> Option<&str> {
        self.text("revocation_endpoint")
    }

    /// Returns the URL of the device authorization endpoint (RFC 8628).
    #[must_use]
    pub fn device_authorization_endpoint(&self) -> Option<&str> {
        self.text("device_authorization_endpoint")
    }

    /// Returns whether the server names its issuer in every authorization response (RFC 9207).
    #[must_use]
    pub fn names_issuer_in_responses(&self) -> bool {
        self.fields
            .get("authorization_response_iss_parameter_supported")
            == Some(&Value::Bool(true))
    }

    /// Returns any field by its name, unchanged.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Value> {
        self.fields.get(name)
    }

    /// Returns whether the server accepts client secrets only in the body. The default is HTTP
    /// Basic (RFC 8414 section 2).
    pub(super) fn wants_secret_in_body(&self) -> bool {
        let methods = self.fields.get("token_endpoint_auth_methods_supported");
        let Some(methods) = methods.and_then(Value::as_array) else {
            return false;
        };
        let has = |method: &str| methods.iter().any(|one| one == method);
        has("client_secret_post") && !has("client_secret_basic")
    }

    /// Returns the endpoints for clients with certificates (RFC 8705 section 5).
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

/// Alternative endpoint URLs.
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

/// Returns the URLs to try for the metadata (RFC 8414 sections 3.1 and 5).
fn well_known(issuer: &str) -> Result<[String; 2], DiscoveryError> {
    let uri = parse_endpoint("issuer", issuer, false).map_err(unusable_issuer)?;
    if uri.query().is_some() {
        let error = ConfigError::new("issuer", "must not have a query");
        return Err(unusable_issuer(error));
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
        .map_err(|_| unusable_issuer(ConfigError::new("issuer", "is not a URL")))?;
    let json = http::HeaderValue::from_static("application/json");
    request.headers_mut().insert(ACCEPT, json);
    let incomplete = |error: BoxError| {
        DiscoveryError::transient(format!("{url} did not return a complete response"))
            .with_source(error)
    };
    let (head, body) = http.send(request).await.map_err(incomplete)?.into_parts();
    let status = head.status;
    if status.is_server_error() || status == http::StatusCode::TOO_MANY_REQUESTS {
        return Err(DiscoveryError::transient(format!(
            "{url} returned {status}"
        )));
    }
    if !status.is_success() {
        return Ok(Found::Nothing(format!("returned {status}")));
    }
    let body = body.collect().await.map_err(incomplete)?.to_bytes();
    Ok(match serde_json::from_slice(&body) {
        Ok(fields) => Found::Metadata(fields),
        // Some sites serve a page at every path.
        Err(_) => Found::Nothing("is not a JSON object".to_owned()),
    })
}

fn unusable_issuer(error: ConfigError) -> DiscoveryError {
    DiscoveryError::permanent("the server's metadata cannot be fetched").with_source(error)
}

fn unusable_metadata(error: ConfigError) -> DiscoveryError {
    DiscoveryError::permanent("the server's metadata is not usable").with_source(error)
}

partial_debug!(ServerMetadata, issuer);
