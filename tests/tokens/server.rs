//! An in-memory token server and API.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, request::Parts};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use percent_encoding::percent_decode_str;
use tower::{Service, ServiceExt, util::BoxCloneService};
use tower_auth::{Auth, AuthLayer, BoxError, Handle, Origins, Provider, credential::Bearer};

pub(crate) const AUTH: &str = "https://auth.example.com";
pub(crate) const TOKEN_URL: &str = "https://auth.example.com/token";
pub(crate) const LOGIN_URL: &str = "https://auth.example.com/auth/password";
pub(crate) const REFRESH_URL: &str = "https://auth.example.com/auth/refresh";
pub(crate) const REVOKE_URL: &str = "https://auth.example.com/revoke";
pub(crate) const API: &str = "https://api.example.com/";

pub(crate) type ServerBody = UnsyncBoxBody<Bytes, BoxError>;
pub(crate) type Client = BoxCloneService<Request<Full<Bytes>>, Response<ServerBody>, BoxError>;

/// A server whose tokens are `a1`, `a2`, ... and `r1`, `r2`, ... If a refresh token is used twice, it
/// revokes all tokens. Clones are the same server.
#[derive(Clone)]
pub(crate) struct Server(Arc<Mutex<State>>);

pub(crate) struct State {
    /// The token requests and the statuses of their responses: `refresh r1 200`.
    pub(crate) trace: Vec<String>,
    /// The bodies of these requests, decoded.
    pub(crate) forms: Vec<HashMap<String, String>>,
    pub(crate) heads: Vec<Parts>,
    /// The number of requests that have reached the token server.
    pub(crate) token_requests: usize,
    pub(crate) api_requests: usize,
    pub(crate) unauthorized: usize,
    /// The access tokens that the API accepts.
    pub(crate) valid: HashSet<String>,
    pub(crate) refresh_tokens: HashSet<String>,
    pub(crate) spent: HashSet<String>,
    pub(crate) password: &'static str,
    pub(crate) expires_in: u64,
    /// Whether a refresh returns a new refresh token.
    pub(crate) rotates: bool,
    /// Whether a new access token invalidates the previous one.
    pub(crate) revokes_previous: bool,
    pub(crate) scope: Option<&'static str>,
    /// The response time of the token server.
    pub(crate) takes: Duration,
    /// The faults that the next token requests get instead of a normal response.
    pub(crate) instead: VecDeque<Fault>,
    issued: usize,
}

#[derive(Clone)]
pub(crate) enum Fault {
    Respond(u16, &'static str, &'static str),
    Hang,
    Break,
    /// Processes the request, and never responds.
    WorkAndHang,
    /// Processes the request and sends the head. The body follows after this time.
    Slowly(Duration),
}

impl Server {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(State {
            trace: Vec::new(),
            forms: Vec::new(),
            heads: Vec::new(),
            token_requests: 0,
            api_requests: 0,
            unauthorized: 0,
            valid: HashSet::new(),
            refresh_tokens: HashSet::from(["r0".to_owned()]),
            spent: HashSet::new(),
            password: "p4ss",
            expires_in: 3600,
            rotates: true,
            revokes_previous: false,
            scope: None,
            takes: Duration::ZERO,
            instead: VecDeque::new(),
            issued: 0,
        })))
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub(crate) fn instead(&self, instead: impl IntoIterator<Item = Fault>) {
        self.state().instead.extend(instead);
    }

    pub(crate) fn trace(&self) -> Vec<String> {
        self.state().trace.clone()
    }

    /// Returns the trace since the last call.
    pub(crate) fn take_trace(&self) -> Vec<String> {
        std::mem::take(&mut self.state().trace)
    }

    /// Revokes all access tokens.
    pub(crate) fn revoke_access(&self) {
        self.state().valid.clear();
    }

    /// Revokes all refresh tokens.
    pub(crate) fn revoke_refresh(&self) {
        self.state().refresh_tokens.clear();
    }

    /// A client of the server.
    pub(crate) fn client(&self) -> Client {
        let server = self.clone();
        let service = tower::service_fn(move |request| server.clone().respond(request));
        BoxCloneService::new(service)
    }

    pub(crate) fn layer<P: Provider<Credential = Bearer>>(
        &self,
        provider: P,
    ) -> (Auth<Client, Bearer>, Handle<Bearer>) {
        let layer = AuthLayer::new(provider, Origins::only("https://api.example.com").unwrap());
        let handle = layer.handle();
        (tower::Layer::layer(&layer, self.client()), handle)
    }

    async fn respond(
        self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<ServerBody>, BoxError> {
        let (head, body) = request.into_parts();
        if head.uri.host() == Some("api.example.com") {
            return Ok(self.api(&head));
        }
        let body = body.collect().await?.to_bytes();
        let form = parse(std::str::from_utf8(&body)?);
        let (instead, takes) = {
            let mut state = self.state();
            state.token_requests += 1;
            (state.instead.pop_front(), state.takes)
        };
        tokio::time::sleep(takes).await;
        let path = head.uri.path().to_owned();
        match instead {
            None => {
                let (status, body) = self.work(head, &path, &form);
                Ok(json(status, body))
            }
            Some(Fault::Respond(status, content_type, body)) => {
                self.note(head, &path, &form, status);
                let response = Response::builder().status(status);
                let response = response.header("content-type", content_type);
                Ok(response.body(full(body))?)
            }
            Some(Fault::Hang) => {
                self.note(head, &path, &form, 0);
                std::future::pending().await
            }
            Some(Fault::WorkAndHang) => {
                self.work(head, &path, &form);
                std::future::pending().await
            }
            Some(Fault::Break) => {
                self.note(head, &path, &form, 0);
                Err("connection reset".into())
            }
            Some(Fault::Slowly(time)) => {
                let (status, body) = self.work(head, &path, &form);
                let frames = futures::stream::once(async move {
                    tokio::time::sleep(time).await;
                    Ok::<_, BoxError>(http_body::Frame::data(Bytes::from(body)))
                });
                Ok(json(status, "").map(|_| StreamBody::new(frames).boxed_unsync()))
            }
        }
    }

    fn api(&self, head: &Parts) -> Response<ServerBody> {
        let mut state = self.state();
        state.api_requests += 1;
        let header = head.headers.get("authorization");
        let token = header.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        let known = token.is_some_and(|token| state.valid.contains(token));
        state.unauthorized += usize::from(!known);
        json(if known { 200 } else { 401 }, "{}")
    }

    /// Processes a token request.
    fn work(&self, head: Parts, path: &str, form: &HashMap<String, String>) -> (u16, String) {
        let (status, body) = self.decide(path, form);
        self.note(head, path, form, status);
        (status, body)
    }

    fn decide(&self, path: &str, form: &HashMap<String, String>) -> (u16, String) {
        let mut state = self.state();
        let value = |name: &str| form.get(name).cloned().unwrap_or_default();
        let own_endpoints = path.starts_with("/auth/");
        let refused = if own_endpoints {
            (401, String::new())
        } else {
            (400, r#"{"error":"invalid_grant"}"#.to_owned())
        };
        match (path, value("grant_type").as_str()) {
            ("/revoke", _) => {
                let token = value("token");
                state.refresh_tokens.remove(&token);
                state.valid.remove(&token);
                (200, String::new())
            }
            ("/auth/password", _) | ("/token", "password") => {
                if value("password") != state.password {
                    return refused;
                }
                state.issue(true)
            }
            ("/auth/refresh", _) | ("/token", "refresh_token") => {
                let token = value("refresh_token");
                if state.spent.contains(&token) {
                    state.refresh_tokens.clear();
                    state.valid.clear();
                }
                if !state.refresh_tokens.contains(&token) {
                    return refused;
                }
                let rotates = state.rotates;
                if rotates {
                    state.refresh_tokens.remove(&token);
                    state.spent.insert(token);
                }
                state.issue(rotates)
            }
            ("/token", "client_credentials") => state.issue(false),
            _ => (404, String::new()),
        }
    }

    fn note(&self, head: Parts, path: &str, form: &HashMap<String, String>, status: u16) {
        let what = match path {
            "/token" => form.get("grant_type").map_or("?", String::as_str),
            path => path.rsplit('/').next().unwrap(),
        };
        let what = what.trim_end_matches("_token");
        let token = ["refresh_token", "password", "token"]
            .iter()
            .find_map(|name| form.get(*name))
            .map_or(String::new(), |token| format!(" {token}"));
        let status = match status {
            0 => "-".to_owned(),
            status => status.to_string(),
        };
        let mut state = self.state();
        state.trace.push(format!("{what}{token} {status}"));
        state.forms.push(form.clone());
        state.heads.push(head);
    }
}

impl State {
    fn issue(&mut self, with_refresh_token: bool) -> (u16, String) {
        self.issued += 1;
        let number = self.issued;
        if self.revokes_previous {
            self.valid.clear();
        }
        self.valid.insert(format!("a{number}"));
        let mut body = format!(
            r#"{{"access_token":"a{number}","token_type":"bearer","expires_in":{}"#,
            self.expires_in
        );
        if with_refresh_token {
            self.refresh_tokens.insert(format!("r{number}"));
            body += &format!(r#","refresh_token":"r{number}""#);
        }
        if let Some(scope) = self.scope {
            body += &format!(r#","scope":"{scope}""#);
        }
        (200, body + "}")
    }
}

/// Sends one API request, and returns the status.
pub(crate) async fn call(api: &Auth<Client, Bearer>) -> Result<StatusCode, BoxError> {
    let request = Request::get(API).body(Full::default()).unwrap();
    let mut api = api.clone();
    let response = api.ready().await?.call(request).await?;
    Ok(response.status())
}

/// Sends API requests at once, and returns how many did not succeed.
pub(crate) async fn call_all(api: &Auth<Client, Bearer>, count: usize) -> usize {
    let calls = (0..count).map(|_| call(api));
    let responses = futures::future::join_all(calls).await;
    let failed = |response: &&Result<StatusCode, _>| !matches!(response, Ok(StatusCode::OK));
    responses.iter().filter(failed).count()
}

/// Advances the time.
pub(crate) async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

/// The error of a failed call.
pub(crate) fn auth_error(error: BoxError) -> tower_auth::Error {
    *error.downcast::<tower_auth::Error>().expect("of the layer")
}

fn parse(form: &str) -> HashMap<String, String> {
    let decode = |text: &str| percent_decode_str(text).decode_utf8().unwrap().into_owned();
    form.split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

fn json(status: u16, body: impl Into<Bytes>) -> Response<ServerBody> {
    let response = Response::builder().status(status);
    let response = response.header("content-type", "application/json");
    response.body(full(body)).unwrap()
}

fn full(body: impl Into<Bytes>) -> ServerBody {
    Full::new(body.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}
