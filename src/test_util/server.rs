//! An API with a token endpoint.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    convert::Infallible,
    io,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{
    HeaderValue, Request, Response, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE},
    request::Parts,
};
use http_body::Body;
use http_body_util::BodyExt;
use percent_encoding::percent_decode_str;
use tokio::time::{Instant, sleep};
use tower_service::Service;

use super::listen::Listener;
use crate::sync::lock;

/// An API that accepts bearer tokens until they expire or are revoked, and a token endpoint that
/// issues them.
///
/// The token endpoint is at [`token_url`](Self::token_url), and every other path belongs to the
/// API. The API returns 200 with the path as the body if the token is valid, and 401 otherwise. The
/// token endpoint accepts every client and every grant. A refresh token must be one that the
/// endpoint has issued. If refresh tokens [rotate](Self::rotating), it must also not have been
/// spent.
///
/// The server is an in-memory tower service that uses tokio's time. [`listen`](Self::listen) turns
/// it into a real server. Clones share its state.
#[derive(Clone)]
#[must_use]
pub struct TestServer {
    url: String,
    lifetime: Duration,
    latency: Duration,
    rotating: bool,
    state: Arc<Mutex<State>>,
    /// Stops when the last clone is dropped.
    listener: Option<Arc<Listener>>,
}

#[derive(Default)]
struct State {
    issued: u64,
    /// The expiry of each valid access token.
    tokens: HashMap<String, Instant>,
    refresh_tokens: HashSet<String>,
    failures: VecDeque<StatusCode>,
    token_requests: u64,
    requests: u64,
    rejected: u64,
}

impl TestServer {
    /// Creates a server that immediately returns access tokens with a lifetime of one hour, and
    /// that does not rotate refresh tokens.
    pub fn new() -> Self {
        Self {
            url: "https://test.invalid".to_owned(),
            lifetime: Duration::from_secs(3600),
            latency: Duration::ZERO,
            rotating: false,
            state: Arc::default(),
            listener: None,
        }
    }

    /// Sets the lifetime of access tokens. Default: 1 hour.
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// Sets how long the token endpoint takes to respond. Default: zero.
    pub fn latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// Makes every refresh return a new refresh token and invalidate the previous one. Default:
    /// off.
    pub fn rotating(mut self) -> Self {
        self.rotating = true;
        self
    }

    /// Listens on a free port of 127.0.0.1, with HTTP/1.1, until the last clone is dropped. Call
    /// this after the setters.
    ///
    /// # Errors
    /// The server cannot bind to a port.
    pub async fn listen(mut self) -> io::Result<Self> {
        let server = self.clone();
        let respond = move |request| server.clone().call(request);
        let (listener, address) = Listener::start(respond).await?;
        self.url = format!("http://{address}");
        self.listener = Some(Arc::new(listener));
        Ok(self)
    }

    /// Returns the server's URL without a trailing slash, in the form that
    /// [`Origins`](crate::Origins) accepts.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the URL of the token endpoint.
    #[must_use]
    pub fn token_url(&self) -> String {
        format!("{}/token", self.url)
    }

    /// Issues a refresh token, as a login would.
    #[must_use]
    pub fn refresh_token(&self) -> String {
        self.state().refresh_token()
    }

    /// Revokes all access tokens.
    pub fn revoke_tokens(&self) {
        self.state().tokens.clear();
    }

    /// Revokes all refresh tokens.
    pub fn revoke_refresh_tokens(&self) {
        self.state().refresh_tokens.clear();
    }

    /// Makes the next `times` token requests fail with this status.
    pub fn fail_token_requests(&self, times: usize, status: StatusCode) {
        let failures = std::iter::repeat_n(status, times);
        self.state().failures.extend(failures);
    }

    /// Returns the number of requests to the token endpoint.
    #[must_use]
    pub fn token_requests(&self) -> u64 {
        self.state().token_requests
    }

    /// Returns the number of requests to the API.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.state().requests
    }

    /// Returns the number of requests to the API that got a 401.
    #[must_use]
    pub fn rejected(&self) -> u64 {
        self.state().rejected
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    async fn token(&self, form: Bytes) -> Response<String> {
        let failure = {
            let mut state = self.state();
            state.token_requests += 1;
            state.failures.pop_front()
        };
        sleep(self.latency).await;
        if let Some(status) = failure {
            return respond(status, String::new());
        }
        let form = String::from_utf8_lossy(&form);
        let mut state = self.state();
        let refresh_token = match parameter(&form, "refresh_token") {
            Some(spent) if !state.refresh_tokens.contains(&spent) => {
                let body = r#"{"error":"invalid_grant"}"#.to_owned();
                return respond(StatusCode::BAD_REQUEST, body);
            }
            Some(spent) if self.rotating => {
                state.refresh_tokens.remove(&spent);
                Some(state.refresh_token())
            }
            // The client credentials grant returns no refresh token (RFC 6749 section 4.4.3).
            None if parameter(&form, "grant_type").as_deref() != Some("client_credentials") => {
                Some(state.refresh_token())
            }
            _ => None,
        };
        state.issued += 1;
        let token = format!("access-{}", state.issued);
        let expires_in = self.lifetime.as_secs();
        state
            .tokens
            .insert(token.clone(), Instant::now() + self.lifetime);
        let refresh_token = refresh_token
            .map(|token| format!(r#","refresh_token":"{token}""#))
            .unwrap_or_default();
        let body = format!(
            r#"{{"access_token":"{token}","token_type":"Bearer","expires_in":{expires_in}{refresh_token}}}"#
        );
        respond(StatusCode::OK, body)
    }

    fn api(&self, head: &Parts) -> Response<String> {
        let header = head.headers.get(AUTHORIZATION);
        let token = header.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        let mut state = self.state();
        state.requests += 1;
        let until = token.and_then(|token| state.tokens.get(token));
        if until.is_some_and(|until| Instant::now() < *until) {
            return respond(StatusCode::OK, head.uri.path().to_owned());
        }
        state.rejected += 1;
        let mut response = respond(StatusCode::UNAUTHORIZED, String::new());
        let challenge = HeaderValue::from_static(r#"Bearer error="invalid_token""#);
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        response
    }
}

impl State {
    fn refresh_token(&mut self) -> String {
        self.issued += 1;
        let token = format!("refresh-{}", self.issued);
        self.refresh_tokens.insert(token.clone());
        token
    }
}

impl Default for TestServer {
    fn default() -> Self {
        Self::new()
    }
}

impl<B> Service<Request<B>> for TestServer
where
    B: Body + Send + 'static,
    B::Data: Send,
{
    type Response = Response<String>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let server = self.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let Ok(body) = body.collect().await else {
                return Ok(respond(StatusCode::BAD_REQUEST, String::new()));
            };
            if head.uri.path() == "/token" {
                return Ok(server.token(body.to_bytes()).await);
            }
            Ok(server.api(&head))
        })
    }
}

partial_debug!(TestServer, url, lifetime, latency);

fn respond(status: StatusCode, body: String) -> Response<String> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

fn parameter(form: &str, name: &str) -> Option<String> {
    let mut pairs = form.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(known, _)| *known == name)?;
    let value = percent_decode_str(value).decode_utf8().ok()?;
    Some(value.into_owned())
}
