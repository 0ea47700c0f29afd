//! A token endpoint, and an API that accepts its tokens, both in memory.

use std::{
    convert::Infallible,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use futures::future::BoxFuture;
use http::{
    HeaderValue, Request, Response, StatusCode,
    header::{AUTHORIZATION, WWW_AUTHENTICATE},
};
use tokio::{task::yield_now, time::Instant};
use tower::{Service, service_fn};
use tower_auth::{Issued, Origins, Provider, ProviderError, credential::Bearer, provider_fn};

use super::Body;

pub(crate) const ORIGIN: &str = "https://api.example.com";

#[derive(Clone)]
pub(crate) struct Servers(Arc<State>);

struct State {
    latency: Duration,
    since: Instant,
    lifetime_ms: AtomicU64,
    failing: AtomicBool,
    token_requests: AtomicU64,
    /// Tokens up to this number are revoked.
    revoked: AtomicU64,
}

/// A response of the token endpoint.
#[derive(Clone)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) lifetime: Duration,
}

#[derive(Debug)]
pub(crate) struct Failed;

impl Servers {
    /// Creates a token endpoint with the given latency.
    pub(crate) fn new(latency: Duration, lifetime: Duration) -> Self {
        let servers = Self(Arc::new(State {
            latency,
            since: Instant::now(),
            lifetime_ms: AtomicU64::new(0),
            failing: AtomicBool::new(false),
            token_requests: AtomicU64::new(0),
            revoked: AtomicU64::new(0),
        }));
        servers.set_lifetime(lifetime);
        servers
    }

    /// Sets the lifetime of tokens issued from now on.
    pub(crate) fn set_lifetime(&self, lifetime: Duration) {
        self.0
            .lifetime_ms
            .store(lifetime.as_millis() as u64, Relaxed);
    }

    /// Makes the token endpoint respond with an error from now on, with the same latency.
    pub(crate) fn fail(&self) {
        self.0.failing.store(true, Relaxed);
    }

    /// Revokes all tokens issued so far.
    pub(crate) fn revoke(&self) {
        self.0.revoked.store(self.token_requests(), Relaxed);
    }

    pub(crate) fn token_requests(&self) -> u64 {
        self.0.token_requests.load(Relaxed)
    }

    /// Returns a token that contains its number and its expiry, padded to a typical length.
    pub(crate) async fn token(&self) -> Result<Token, Failed> {
        let number = self.0.token_requests.fetch_add(1, Relaxed) + 1;
        tokio::time::sleep(self.0.latency).await;
        if self.0.failing.load(Relaxed) {
            return Err(Failed);
        }
        let lifetime = Duration::from_millis(self.0.lifetime_ms.load(Relaxed));
        let expires = (self.0.since.elapsed() + lifetime).as_millis();
        Ok(Token {
            text: format!("{:.<256}", format!("{number}.{expires}.")),
            lifetime,
        })
    }

    pub(crate) fn provider(&self) -> impl Provider<Credential = Bearer> + use<> {
        let servers = self.clone();
        provider_fn(move |_| {
            let servers = servers.clone();
            async move {
                let token = servers.token().await.map_err(ProviderError::transient)?;
                let bearer = Bearer::new(token.text).map_err(ProviderError::permanent)?;
                Ok(Issued::new(bearer).expires_in(token.lifetime))
            }
        })
    }

    /// Responds with 200 or 401, after yielding to other tasks.
    pub(crate) fn api(
        &self,
    ) -> impl Service<
        Request<Body>,
        Response = Response<Body>,
        Error = Infallible,
        Future = BoxFuture<'static, Result<Response<Body>, Infallible>>,
    > + Clone
    + Send
    + use<> {
        let servers = self.clone();
        service_fn(move |request: Request<Body>| {
            let servers = servers.clone();
            let answer = async move {
                yield_now().await;
                let mut response = Response::new(Body::default());
                if servers.accepts(&request).is_none() {
                    *response.status_mut() = StatusCode::UNAUTHORIZED;
                    let challenge = HeaderValue::from_static(r#"Bearer error="invalid_token""#);
                    response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
                }
                Ok(response)
            };
            Box::pin(answer) as BoxFuture<'static, _>
        })
    }

    fn accepts<B>(&self, request: &Request<B>) -> Option<()> {
        let header = request.headers().get(AUTHORIZATION)?.to_str().ok()?;
        let mut parts = header.strip_prefix("Bearer ")?.split('.');
        let number: u64 = parts.next()?.parse().ok()?;
        let expires: u128 = parts.next()?.parse().ok()?;
        let valid =
            number > self.0.revoked.load(Relaxed) && self.0.since.elapsed().as_millis() < expires;
        valid.then_some(())
    }
}

pub(crate) fn request() -> Request<Body> {
    let mut request = Request::new(Body::default());
    *request.uri_mut() = http::Uri::from_static("https://api.example.com/things");
    request
}

pub(crate) fn origins() -> Origins {
    Origins::only(ORIGIN).expect("an origin")
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the token endpoint is failing")
    }
}

impl std::error::Error for Failed {}
