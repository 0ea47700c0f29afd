//! A token endpoint: sends it a form, gets a token or the reason why there is none.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use http::{
    HeaderMap, HeaderValue, Method, Request, Response, Uri,
    header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER},
};
use http_body_util::{BodyExt, Full, LengthLimitError};
use tokio::time::timeout_at;

use super::{
    answer::{TokenAnswer, unreadable},
    client_auth::ClientAuth,
    error::{Problem, TokenError},
    form::Form,
    http::{AnswerBody, HttpService},
    server_text::ServerText,
};
use crate::{error::ConfigError, provider::RefreshContext, secret::Secret};

pub(super) struct TokenEndpoint {
    uri: Uri,
    auth: ClientAuth,
    http: HttpService,
}

impl TokenEndpoint {
    pub(super) fn new(uri: Uri, auth: ClientAuth, http: HttpService) -> Self {
        Self { uri, auth, http }
    }

    /// Sends the form and reads the answer, all of it before the deadline: for grants that lose
    /// nothing when an answer is cut off.
    pub(super) async fn exchange<C>(
        &self,
        form: &Form,
        context: &RefreshContext<C>,
    ) -> Result<TokenAnswer, TokenError> {
        let exchange = async {
            let answer = self.send(form, context).await?;
            self.read(answer, form).await
        };
        timeout_at(context.deadline(), exchange)
            .await
            .unwrap_or_else(|_| Err(TokenError::new(Problem::Timeout)))
    }

    /// Sends the form, and waits for the head of the answer.
    async fn send<C>(
        &self,
        form: &Form,
        context: &RefreshContext<C>,
    ) -> Result<Response<AnswerBody>, TokenError> {
        let mut form = form.clone();
        let mut headers = HeaderMap::with_capacity(3);
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        );
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        self.auth.apply(&mut headers, &mut form);

        let mut request = Request::new(Full::new(form.into_body()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = headers;
        context.mark(request.extensions_mut());
        let answer = self.http.send(request).await;
        answer.map_err(|error| TokenError::new(Problem::Network(error)))
    }

    /// Reads the answer to a form.
    async fn read(
        &self,
        answer: Response<AnswerBody>,
        form: &Form,
    ) -> Result<TokenAnswer, TokenError> {
        let (head, body) = answer.into_parts();
        let result = if head.status.is_redirection() {
            Err(Problem::Redirect)
        } else {
            match body.collect().await {
                Ok(body) => {
                    let shown = ServerText::without(self.secrets(form));
                    let body = body.to_bytes();
                    TokenAnswer::parse(head.status, &head.headers, &body, shown)
                }
                Err(error) if error.is::<LengthLimitError>() => {
                    Err(unreadable(head.status, "its body is larger than 1 MiB"))
                }
                Err(error) if head.status.is_success() => Err(Problem::Network(error)),
                Err(_) => Err(unreadable(head.status, "its body broke off")),
            }
        };
        result.map_err(|problem| {
            TokenError::new(problem).answered(head.status, retry_after(&head.headers))
        })
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
        return refuse("has a fragment, which a token endpoint must not have");
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

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    match address.parse::<std::net::IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
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
