//! Requests to a token endpoint and related endpoints.

use std::{
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
use crate::{error::ConfigError, observe, origin::is_loopback, provider::RefreshContext};

/// The timeout for reading the body of a response that must not be lost.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// An endpoint, with the client that uses it.
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

    /// Returns another endpoint of the same server and client. Its requests carry no DPoP proofs.
    pub(super) fn sibling(&self, kind: Endpoint, uri: Uri) -> Self {
        Self::new(kind, uri, Arc::clone(&self.auth), Arc::clone(&self.http))
    }

    /// Returns this endpoint, with its tokens bound to the key, if there is one.
    #[cfg(feature = "dpop")]
    pub(super) fn bound_to(self, key: Option<DpopKey>) -> Self {
        Self { dpop: key, ..self }
    }

    /// Exchanges the form for a token, for grants that lose nothing when they are interrupted.
    pub(super) async fn exchange(&self, form: &Form) -> Result<TokenResponse, TokenError> {
        self.send(form).await?.token().await
    }

    /// Exchanges the form for a token, for grants that spend something, such as a refresh token.
    /// Once the server has responded successfully, the deadline no longer interrupts the exchange.
    pub(super) async fn exchange_once<C>(
        &self,
        form: &Form,
        context: &RefreshContext<C>,
    ) -> Result<TokenResponse, TokenError> {
        let reply = self.send(form).await?;
        if !reply.head.status.is_success() {
            return reply.token().await;
        }
        context.commit();
        let late = Problem::Network("its body did not end within 30 s".into());
        let late = self.error(late, &reply.head);
        let token = timeout(BODY_TIMEOUT, reply.token()).await;
        token.unwrap_or(Err(late))
    }

    /// Sends the form to an endpoint that responds with something other than a token.
    pub(super) async fn ask(&self, form: &Form) -> Result<Map<String, Value>, TokenError> {
        self.send(form).await?.fields().await
    }

    /// Sends the form to an endpoint that reports success only by its status. The body of a
    /// successful response is ignored (RFC 7009 section 2.2).
    pub(super) async fn tell(&self, form: &Form) -> Result<(), TokenError> {
        let reply = self.send(form).await?;
        if reply.head.status.is_success() {
            return Ok(());
        }
        reply.token().await.map(drop)
    }

    /// Creates an error for an endpoint that did not respond in time.
    pub(super) fn timed_out(&self, time: Duration) -> TokenError {
        let problem = format!("it did not arrive within {} s", time.as_secs());
        self.failed(Problem::Network(problem.into()))
    }

    pub(super) fn failed(&self, problem: Problem) -> TokenError {
        TokenError::new(self.kind, problem)
    }

    /// Sends the form with the client's authentication, and waits for the head of the response. If
    /// the server asks for a nonce in the DPoP proof, sends the form once more (RFC 9449 section
    /// 8). The refused request has spent nothing.
    async fn send(&self, form: &Form) -> Result<Reply<'_>, TokenError> {
        let reply = self.send_once(form).await?;
        #[cfg(feature = "dpop")]
        if let Some(key) = &self.dpop {
            let learn = |reply: &Reply<'_>| {
                let usage = dpop::Use::TokenRequest;
                key.nonces().learn(usage, &self.uri, &reply.head.headers)
            };
            if !learn(&reply) || !reply.head.status.is_client_error() {
                return Ok(reply);
            }
            let body = self.read(&reply.head, reply.body).await?;
            if !dpop::asks_for_nonce(&body) {
                let body = whole(body);
                return Ok(Reply { body, ..reply });
            }
            let reply = self.send_once(form).await?;
            learn(&reply);
            return Ok(reply);
        }
        Ok(reply)
    }

    async fn send_once(&self, form: &Form) -> Result<Reply<'_>, TokenError> {
        let mut form = form.clone();
        let mut headers = HeaderMap::with_capacity(3);
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        );
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let unsent = |error| self.failed(Problem::Unsent(error));
        let authenticated = self.auth.apply(&mut headers, &mut form).await;
        authenticated.map_err(unsent)?;
        #[cfg(feature = "dpop")]
        if let Some(key) = &self.dpop {
            let proof = key.prove(dpop::Use::TokenRequest, &Method::POST, &self.uri);
            headers.insert(dpop::DPOP, proof.map_err(unsent)?);
        }

        let shown = Sanitizer::without([self.auth.secrets(), &form.secrets].concat());
        let mut request = Request::new(Full::new(form.into_body()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = headers;
        let call = observe::TokenCall::start(self.kind.as_str(), self.uri.host());
        let response = self.http.send(request).await;
        call.completed(response.as_ref().map(Response::status).ok());
        let response = response.map_err(|error| self.failed(Problem::Network(error)))?;
        let (head, body) = response.into_parts();
        Ok(Reply {
            endpoint: self,
            head,
            body,
            shown,
        })
    }

    /// Reads the body of a response.
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

    fn token_type(&self) -> &'static str {
        #[cfg(feature = "dpop")]
        if self.dpop.is_some() {
            return "DPoP";
        }
        "Bearer"
    }

    fn error(&self, problem: Problem, head: &Parts) -> TokenError {
        TokenError::new(self.kind, problem).with_response(head.status, retry_after(&head.headers))
    }
}

/// A response whose body has not been read yet.
struct Reply<'a> {
    endpoint: &'a TokenEndpoint,
    head: Parts,
    body: ResponseBody,
    /// Hides the secrets of the request.
    shown: Sanitizer,
}

impl Reply<'_> {
    async fn token(self) -> Result<TokenResponse, TokenError> {
        let Self { endpoint, head, .. } = self;
        let body = endpoint.read(&head, self.body).await?;
        let token_type = endpoint.token_type();
        TokenResponse::parse(head.status, &head.headers, &body, self.shown, token_type)
            .map_err(|problem| endpoint.error(problem, &head))
    }

    async fn fields(self) -> Result<Map<String, Value>, TokenError> {
        let Self { endpoint, head, .. } = self;
        let body = endpoint.read(&head, self.body).await?;
        let fields = object(head.status, &head.headers, &body, &self.shown);
        let fields = fields.and_then(|fields| {
            refuse_error(&fields, !head.status.is_success(), &self.shown)?;
            Ok(fields)
        });
        fields.map_err(|problem| endpoint.error(problem, &head))
    }
}

// The query is omitted, because it can contain anything.
partial_debug!(TokenEndpoint, host = uri.host(), path = uri.path());

/// Parses the URL of an endpoint that receives secrets. It must be https, or http on this machine,
/// unless the user accepts the risk of plain http (RFC 6749 section 3.2).
pub(super) fn parse_endpoint(
    field: &'static str,
    text: &str,
    plain_http: bool,
) -> Result<Uri, ConfigError> {
    let refuse = |problem: &'static str| Err(ConfigError::new(field, problem));
    if text.contains('#') {
        return refuse("has a fragment, which the URL of an endpoint must not have");
    }
    let Ok(uri) = text.parse::<Uri>() else {
        return refuse("is not a URL");
    };
    let Some(host) = uri.host().filter(|host| !host.is_empty()) else {
        return refuse("has no host: use the whole URL, such as https://auth.example.com/token");
    };
    if uri
        .authority()
        .is_some_and(|authority| authority.as_str().contains('@'))
    {
        return refuse("contains a user name: use client_id(..) and client_secret(..) instead");
    }
    match uri.scheme_str() {
        Some("https") => Ok(uri),
        Some("http") if plain_http || is_loopback(host) => Ok(uri),
        Some("http") => refuse(
            "is plain http, so everyone on the network path can read the client secret and the \
             tokens: use https (plain http is for loopback, or after danger_plain_http())",
        ),
        _ => refuse("is neither https nor http"),
    }
}

/// Parses `Retry-After` (RFC 9110 section 10.2.3), which is a number of seconds or a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}
