//! The handler of the proxied requests.

use std::{convert::Infallible, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri, header,
    uri::{PathAndQuery, Scheme},
};
use http_body::Body;
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::body::Incoming;
use sha2::{Digest, Sha256};
use tower::{Service, ServiceExt};
use tower_auth::BoxError;

const SECRET: HeaderName = HeaderName::from_static("x-proxy-secret");

/// Headers that must not be forwarded (RFC 9110 7.6.1).
const HOP_BY_HOP: [HeaderName; 7] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

type ProxyResponse = Response<UnsyncBoxBody<Bytes, BoxError>>;

#[derive(Clone)]
pub(crate) struct Proxy<S> {
    client: S,
    api: Uri,
    /// The accepted `Host` values.
    hosts: Arc<[String; 2]>,
    secret: [u8; 32],
}

impl<S> Proxy<S> {
    pub(crate) fn new(
        client: S,
        api: &str,
        address: SocketAddr,
        secret: &str,
    ) -> Result<Self, BoxError> {
        let port = address.port();
        Ok(Self {
            client,
            api: api.parse()?,
            hosts: Arc::new([address.to_string(), format!("localhost:{port}")]),
            secret: Sha256::digest(secret).into(),
        })
    }

    /// Returns the reason to reject a request, if there is one.
    fn rejection(&self, request: &Request<Incoming>) -> Option<(StatusCode, &'static str)> {
        let headers = request.headers();
        // In HTTP/2 the host is in the URI.
        let host = request.uri().authority().map(|host| host.as_str());
        let host = host.or_else(|| headers.get(header::HOST)?.to_str().ok());
        if !host.is_some_and(|host| self.hosts.iter().any(|own| own == host)) {
            // Possibly DNS rebinding.
            return Some((StatusCode::MISDIRECTED_REQUEST, "unknown host\n"));
        }
        // Comparing digests does not leak the secret through timing.
        let secret = headers.get(SECRET).map(HeaderValue::as_bytes);
        if secret.is_none_or(|secret| Sha256::digest(secret)[..] != self.secret) {
            return Some((
                StatusCode::FORBIDDEN,
                "x-proxy-secret is missing or wrong\n",
            ));
        }
        None
    }

    /// Returns the API URL for a request: the request's path below the API's base URL.
    fn target(&self, requested: &Uri) -> Result<Uri, http::Error> {
        let path = requested.path_and_query().map_or("/", PathAndQuery::as_str);
        let base = self.api.path().trim_end_matches('/');
        Uri::builder()
            .scheme(self.api.scheme().cloned().unwrap_or(Scheme::HTTPS))
            .authority(self.api.authority().map_or("", |host| host.as_str()))
            .path_and_query(format!("{base}{path}"))
            .build()
    }
}

impl<S, R> Proxy<S>
where
    S: Service<Request<Incoming>, Response = Response<R>, Error = BoxError> + Clone,
    R: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    pub(crate) async fn forward(
        self,
        mut request: Request<Incoming>,
    ) -> Result<ProxyResponse, Infallible> {
        if let Some((status, why)) = self.rejection(&request) {
            return Ok(error_response(status, why.to_owned()));
        }
        let Ok(target) = self.target(request.uri()) else {
            return Ok(error_response(
                StatusCode::BAD_REQUEST,
                "the path is not valid\n".to_owned(),
            ));
        };
        *request.uri_mut() = target;
        let headers = request.headers_mut();
        strip(headers);
        for name in [SECRET, header::HOST, header::AUTHORIZATION] {
            headers.remove(name);
        }
        match self.client.oneshot(request).await {
            Ok(mut response) => {
                strip(response.headers_mut());
                Ok(response.map(|body| body.map_err(Into::into).boxed_unsync()))
            }
            // The layer's errors give advice and contain no secrets.
            Err(error) => Ok(error_response(
                StatusCode::BAD_GATEWAY,
                format!("{error:#}\n"),
            )),
        }
    }
}

fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|names| names.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in HOP_BY_HOP.into_iter().chain(named) {
        headers.remove(name);
    }
}

fn error_response(status: StatusCode, text: String) -> ProxyResponse {
    let body = Full::from(text).map_err(|never| match never {});
    let mut response = Response::new(body.boxed_unsync());
    *response.status_mut() = status;
    response
}
