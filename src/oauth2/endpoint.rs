//! A token endpoint: sends it a form, gets a token or the reason why there is none.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, Uri,
    header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER},
    response::Parts,
};
use http_body_util::{BodyExt, Full, LengthLimitError};
use serde_json::{Map, Value};
use tokio::time::timeout;

use super::{
    client_auth::ClientAuth,
    error::{Endpoint, Problem, TokenError},
    form::Form,
    http::{HttpService, ResponseBody},
    response::{TokenResponse, object, refuse_error, unreadable},
    sanitize::Sanitizer,
};
#[cfg(feature = "dpop")]
use super::{
    dpop::{self, DpopKey},
    http::whole,
};
use crate::{
    error::ConfigError, observe, origin::is_loopback, provider::RefreshContext, secret::Secret,
};

/// How long the body of an answer may take that must not be lost.
const MOST_OF_BODY: Duration = Duration::from_secs(30);

#[expect(unnameable_types, reason = "only sealed traits use it")]
#[derive(Clone)]
pub struct TokenEndpoint {
    kind: Endpoint,
    uri: Uri,
    auth: Arc<ClientAuth>,
    http: Arc<HttpService>,
    #[cfg(feature = "dpop")]
    dpop: Option<DpopKey>,
}

impl TokenEndpoint {
    pub(super) fn new(
        kind: Endpoint,
        uri: Uri,
        auth: Arc<ClientAuth>,
        http: Arc<HttpService>,
    ) -> Self {
        Self {
            kind,
            uri,
            auth,
            http,
            #[cfg(feature = "dpop")]
            dpop: None,
        }
    }

    /// Another endpoint of the same server and client. Its requests carry no proofs.
    pub(super) fn sibling(&self, kind: Endpoint, uri: Uri) -> Self {
        Self::new(kind, uri, Arc::clone(&self.auth), Arc::clone(&self.http))
    }

    /// Its tokens are to be bound to this key.
    #[cfg(feature = "dpop")]
    pub(super) fn bound_to(self, key: Option<DpopKey>) -> Self {
        Self { dpop: key, ..self }
    }

    /// Sends the form and reads the answer: for grants that lose nothing when they are cut off.
    pub(super) async fn exchange(&self, form: &Form) -> Result<TokenResponse, TokenError> {
        let mut form = form.clone();
        let (head, body) = self.send(&mut form).await?;
        let body = self.read(&head, body).await?;
        self.parse(&head, &body, &form)
    }

    /// Sends the form and reads the answer: for grants that spend something. A success is not cut
    /// off by the deadline any more.
    pub(super) async fn exchange_once<C>(
        &self,
        form: &Form,
        context: &RefreshContext<C>,
    ) -> Result<TokenResponse, TokenError> {
        let mut form = form.clone();
        let (head, body) = self.send(&mut form).await?;
        if !head.status.is_success() {
            let body = self.read(&head, body).await?;
            return self.parse(&head, &body, &form);
        }
        context.commit();
        let Ok(body) = timeout(MOST_OF_BODY, self.read(&head, body)).await else {
            let problem = Problem::Network("its body did not end within 30 s".into());
            return Err(self.error(problem, &head));
        };
        self.parse(&head, &body?, &form)
    }

    /// Sends the form to an endpoint that answers with something else than a token.
    pub(super) async fn ask(&self, form: &Form) -> Result<Map<String, Value>, TokenError> {
        let mut form = form.clone();
        let (head, body) = self.send(&mut form).await?;
        let body = self.read(&head, body).await?;
        let shown = Sanitizer::without(self.secrets(&form));
        let read = || {
            let fields = object(head.status, &head.headers, &body, &shown)?;
            refuse_error(&fields, !head.status.is_success(), &shown)?;
            Ok(fields)
        };
        read().map_err(|problem| self.error(problem, &head))
    }

    /// It did not answer in time.
    pub(super) fn silent(&self, time: Duration) -> TokenError {
        let problem = format!("it did not come within {} s", time.as_secs());
        self.failed(Problem::Network(problem.into()))
    }

    pub(super) fn failed(&self, problem: Problem) -> TokenError {
        TokenError::new(self.kind, problem)
    }

    /// Sends the form to an endpoint that gives nothing back but its status, whatever the body is
    /// (RFC 7009 2.2).
    pub(super) async fn tell(&self, form: &Form) -> Result<(), TokenError> {
        let mut form = form.clone();
        let (head, body) = self.send(&mut form).await?;
        if head.status.is_success() {
            return Ok(());
        }
        let body = self.read(&head, body).await?;
        self.parse(&head, &body, &form).map(drop)
    }

    /// Sends the form, to which it adds what says who the client is, and waits for the head of the
    /// answer. A server that wants its nonce in the proof gets the same once more (RFC 9449 8), which
    /// spends nothing.
    async fn send(&self, form: &mut Form) -> Result<(Parts, ResponseBody), TokenError> {
        #[cfg(feature = "dpop")]
        if let Some(key) = &self.dpop {
            let learn = |head: &Parts| {
                let usage = dpop::Use::TokenRequest;
                key.nonces().learn(usage, &self.uri, &head.headers)
            };
            let plain = form.clone();
            let (head, body) = self.send_once(form).await?;
            let has_nonce = learn(&head);
            if !has_nonce || !head.status.is_client_error() {
                return Ok((head, body));
            }
            let body = self.read(&head, body).await?;
            if !dpop::asks_for_nonce(&body) {
                return Ok((head, whole(body)));
            }
            *form = plain;
            let (head, body) = self.send_once(form).await?;
            learn(&head);
            return Ok((head, body));
        }
        self.send_once(form).await
    }

    async fn send_once(&self, form: &mut Form) -> Result<(Parts, ResponseBody), TokenError> {
        let mut headers = HeaderMap::with_capacity(3);
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        );
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        self.auth.apply(&mut headers, form).await.map_err(|error| {
            let problem = format!("who the client is can't be proven: {error:#}");
            self.failed(Problem::Unsent(problem.into()))
        })?;

        #[cfg(feature = "dpop")]
        if let Some(key) = &self.dpop {
            let proof = key.prove(dpop::Use::TokenRequest, &Method::POST, &self.uri);
            let proof =
                proof.map_err(|error| TokenError::new(self.kind, Problem::Unsent(error)))?;
            headers.insert(dpop::DPOP, proof);
        }

        let mut request = Request::new(Full::new(form.clone().into_body()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = headers;
        let call = observe::TokenCall::start(self.kind.word(), self.uri.host());
        let answer = self.http.send(request).await;
        call.answered(answer.as_ref().map(Response::status).ok());
        answer
            .map(Response::into_parts)
            .map_err(|error| self.failed(Problem::Network(error)))
    }

    /// Reads the body of an answer.
    async fn read(&self, head: &Parts, body: ResponseBody) -> Result<Bytes, TokenError> {
        let problem = if head.status.is_redirection() {
            Problem::Redirect
        } else {
            match body.collect().await {
                Ok(body) => return Ok(body.to_bytes()),
                Err(error) if error.is::<LengthLimitError>() => {
                    unreadable(head.status, "its body is larger than 1 MiB")
                }
                Err(error) if head.status.is_success() => Problem::Network(error),
                Err(_) => unreadable(head.status, "its body broke off"),
            }
        };
        Err(self.error(problem, head))
    }

    fn parse(&self, head: &Parts, body: &[u8], form: &Form) -> Result<TokenResponse, TokenError> {
        let shown = Sanitizer::without(self.secrets(form));
        TokenResponse::parse(head.status, &head.headers, body, shown, self.token_type())
            .map_err(|problem| self.error(problem, head))
    }

    fn token_type(&self) -> &'static str {
        #[cfg(feature = "dpop")]
        if self.dpop.is_some() {
            return "DPoP";
        }
        "Bearer"
    }

    fn error(&self, problem: Problem, head: &Parts) -> TokenError {
        TokenError::new(self.kind, problem).answered(head.status, retry_after(&head.headers))
    }

    fn secrets(&self, form: &Form) -> Vec<Secret> {
        [self.auth.secrets(), form.secrets()].concat()
    }
}

impl fmt::Debug for TokenEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the whole URI: its query is the user's, and can hold anything.
        f.debug_struct("TokenEndpoint")
            .field("host", &self.uri.host())
            .field("path", &self.uri.path())
            .finish_non_exhaustive()
    }
}

/// The address of an endpoint that gets secrets: https, or http to this machine, unless the caller
/// takes the danger (RFC 6749 3.2).
pub(super) fn parse_endpoint(
    field: &'static str,
    text: &str,
    plain_http: bool,
) -> Result<Uri, ConfigError> {
    let refuse = |problem: &'static str| Err(ConfigError::new(field, problem));
    if text.contains('#') {
        return refuse("has a fragment, which an endpoint must not have");
    }
    let Ok(uri) = text.parse::<Uri>() else {
        return refuse("is not a URL");
    };
    let Some(host) = uri.host().filter(|host| !host.is_empty()) else {
        return refuse("has no host: give the whole URL, such as https://auth.example.com/token");
    };
    if uri
        .authority()
        .is_some_and(|authority| authority.as_str().contains('@'))
    {
        return refuse("has a user name: give client_id and client_secret instead");
    }
    match uri.scheme_str() {
        Some("https") => Ok(uri),
        Some("http") if plain_http || is_loopback(host) => Ok(uri),
        Some("http") => refuse(
            "is plain http, where everyone on the way can read the client's secret and the token: \
             use https (plain http is for loopback, or after danger_plain_http())",
        ),
        _ => refuse("is neither https nor http"),
    }
}

/// `Retry-After` (RFC 9110 10.2.3): seconds or a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}
