//! An API and its token endpoint, in memory.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    convert::Infallible,
    fmt, io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
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
use http_body_util::{BodyExt, Full};
use percent_encoding::percent_decode_str;
use tokio::time::{Instant, sleep};
use tower_service::Service;

use super::listen::Listener;

/// An API that accepts bearer tokens until they expire or are revoked, and the token endpoint that
/// issues them, at [`token_url`](Self::token_url). Every other path is the API: it answers 200 and
/// the path to a request with a good token, and 401 to all others.
///
/// It is a tower service, in memory and on tokio's time; [`listen`](Self::listen) makes a real
/// server of it. The token endpoint takes any client and any grant; a refresh token must be one that
/// it has issued, and that was not spent yet if they [rotate](Self::rotating). Clones are the same
/// server.
#[derive(Clone)]
pub struct TestServer {
    url: String,
    lifetime: Duration,
    latency: Duration,
    rotating: bool,
    state: Arc<Mutex<State>>,
    /// Ends with the last clone.
    listener: Option<Arc<Listener>>,
}

#[derive(Default)]
struct State {
    issued: u64,
    /// Until when access tokens are good.
    tokens: HashMap<String, Instant>,
    refresh_tokens: HashSet<String>,
    failures: VecDeque<StatusCode>,
    token_requests: u64,
    requests: u64,
    rejected: u64,
}

impl TestServer {
    /// Its tokens last an hour and come at once; refresh tokens stay as they are.
    #[must_use]
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

    /// How long access tokens last. Default: an hour.
    #[must_use]
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// How long the token endpoint takes to answer. Default: no time.
    #[must_use]
    pub fn latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// Every refresh brings another refresh token, and ends the one before. Default: off.
    #[must_use]
    pub fn rotating(mut self) -> Self {
        self.rotating = true;
        self
    }

    /// Listens on a free port of 127.0.0.1, for HTTP/1.1, until the last clone is dropped. Call it
    /// after the settings.
    ///
    /// # Errors
    /// The system gives no port.
    pub async fn listen(mut self) -> io::Result<Self> {
        let (listener, address) = Listener::start(self.clone()).await?;
        self.url = format!("http://{address}");
        self.listener = Some(Arc::new(listener));
        Ok(self)
    }

    /// Where it is, without a slash at the end: an origin for [`Origins`](crate::Origins).
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its token endpoint.
    #[must_use]
    pub fn token_url(&self) -> String {
        format!("{}/token", self.url)
    }

    /// A refresh token, as a log-in would have brought it.
    #[must_use]
    pub fn refresh_token(&self) -> String {
        self.state().refresh_token()
    }

    /// No access token is good any more.
    pub fn revoke_tokens(&self) {
        self.state().tokens.clear();
    }

    /// No refresh token is good any more.
    pub fn revoke_refresh_tokens(&self) {
        self.state().refresh_tokens.clear();
    }

    /// Answers so many of the next token requests with this status.
    pub fn fail_token_requests(&self, times: usize, status: StatusCode) {
        let failures = std::iter::repeat_n(status, times);
        self.state().failures.extend(failures);
    }

    /// How many requests came to the token endpoint.
    #[must_use]
    pub fn token_requests(&self) -> u64 {
        self.state().token_requests
    }

    /// How many requests came to the API.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.state().requests
    }

    /// How many of them got a 401.
    #[must_use]
    pub fn rejected(&self) -> u64 {
        self.state().rejected
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn token(&self, form: Bytes) -> Response<Full<Bytes>> {
        let failure = {
            let mut state = self.state();
            state.token_requests += 1;
            state.failures.pop_front()
        };
        sleep(self.latency).await;
        if let Some(status) = failure {
            return answer(status, String::new());
        }
        let form = String::from_utf8_lossy(&form);
        let mut state = self.state();
        let refresh_token = match parameter(&form, "refresh_token") {
            Some(spent) if !state.refresh_tokens.contains(&spent) => {
                let body = r#"{"error":"invalid_grant"}"#.to_owned();
                return answer(StatusCode::BAD_REQUEST, body);
            }
            Some(spent) if self.rotating => {
                state.refresh_tokens.remove(&spent);
                Some(state.refresh_token())
            }
            // As machines have none (RFC 6749 4.4.3).
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
        answer(StatusCode::OK, body)
    }

    fn api(&self, head: &Parts) -> Response<Full<Bytes>> {
        let header = head.headers.get(AUTHORIZATION);
        let token = header.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        let mut state = self.state();
        state.requests += 1;
        let until = token.and_then(|token| state.tokens.get(token));
        if until.is_some_and(|until| Instant::now() < *until) {
            return answer(StatusCode::OK, head.uri.path().to_owned());
        }
        state.rejected += 1;
        let mut response = answer(StatusCode::UNAUTHORIZED, String::new());
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
    type Response = Response<Full<Bytes>>;
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
                return Ok(answer(StatusCode::BAD_REQUEST, String::new()));
            };
            if head.uri.path() == "/token" {
                return Ok(server.token(body.to_bytes()).await);
            }
            Ok(server.api(&head))
        })
    }
}

impl fmt::Debug for TestServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestServer")
            .field("url", &self.url)
            .field("lifetime", &self.lifetime)
            .field("latency", &self.latency)
            .finish_non_exhaustive()
    }
}

fn answer(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
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
