//! An authorization server that treats the second use of a refresh token as theft, and an API that
//! accepts its access tokens.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::{
    net::TcpListener,
    task::JoinSet,
    time::{Instant, sleep},
};
use tower_auth::store::TokenSet;

/// The header with the name of the sending process.
pub(crate) const PROCESS: &str = "x-process";

/// A server that stops when it is dropped.
pub(crate) struct AuthorizationServer {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    _task: JoinSet<()>,
}

#[derive(Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) lifetime: Duration,
    /// The maximum random delays: before a token is issued, and between that and the response.
    pub(crate) delays: (Duration, Duration),
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) token_requests: u64,
    /// The number of tokens that were requested when their predecessor was close to its expiry.
    pub(crate) expiries: u64,
    /// The ages of tokens whose successor was requested too early.
    pub(crate) too_early: Vec<Duration>,
    pub(crate) accepted: u64,
    pub(crate) rejected: u64,
    /// Token families that were revoked because a refresh token was spent twice.
    pub(crate) reused: Vec<Reuse>,
    pub(crate) revocations: u64,
    pub(crate) by_process: BTreeMap<String, Counts>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) token_requests: u64,
    /// The tokens that this process has used.
    pub(crate) used: BTreeSet<usize>,
    pub(crate) last_accepted: Option<Instant>,
}

/// A refresh token that was spent for the second time.
#[derive(Clone, Debug)]
pub(crate) struct Reuse {
    pub(crate) by: String,
    /// The newest refresh token of the family.
    pub(crate) newest: usize,
    /// The process that received it.
    pub(crate) newest_of: String,
}

/// The phase of a process's token request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// No token has been issued yet.
    Asked,
    /// The token with this number has been issued, but the response has not been sent.
    Issued(usize),
    /// The response that contains the token with this number has been sent.
    Responded(usize),
}

struct State {
    rules: Rules,
    seen: Seen,
    /// All issued tokens, indexed by number.
    grants: Vec<Grant>,
    /// The only valid refresh token of each family. `None` if the family is revoked.
    families: Vec<Option<usize>>,
    phases: BTreeMap<String, Phase>,
}

struct Grant {
    family: usize,
    to: String,
    at: Instant,
    /// The expiry of the access token.
    until: Instant,
}

impl AuthorizationServer {
    pub(crate) async fn start(rules: Rules) -> Self {
        let state = Arc::new(Mutex::new(State {
            rules,
            seen: Seen::default(),
            grants: Vec::new(),
            families: Vec::new(),
            phases: BTreeMap::new(),
        }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::clone(&state);
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&shared);
                connections.spawn(async move {
                    let service = service_fn(move |request| respond(request, Arc::clone(&state)));
                    let server = auto::Builder::new(TokioExecutor::new());
                    let _ = server.serve_connection(TokioIo::new(stream), service).await;
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Self {
            address,
            state,
            _task: task,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn seen(&self) -> Seen {
        self.state().seen.clone()
    }

    /// Logs in, which creates a token family.
    pub(crate) fn log_in(&self) -> TokenSet {
        let mut state = self.state();
        let number = state.issue(None, "the login", Duration::ZERO);
        TokenSet::from_refresh_token(format!("refresh-{number}"))
    }

    /// Returns whether any refresh token is valid.
    pub(crate) fn is_logged_in(&self) -> bool {
        self.state().families.iter().any(Option::is_some)
    }

    /// Returns the phase of each process's last token request.
    pub(crate) fn phases(&self) -> BTreeMap<String, Phase> {
        self.state().phases.clone()
    }

    /// Returns whether a token request is in flight.
    pub(crate) fn is_busy(&self) -> bool {
        let has_response = |phase: &Phase| matches!(phase, Phase::Responded(_));
        !self.state().phases.values().all(has_response)
    }

    /// Records that a process has ended.
    pub(crate) fn remove(&self, process: &str) {
        self.state().phases.remove(process);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

async fn respond(
    request: Request<Incoming>,
    state: Arc<Mutex<State>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let process = text(&head.headers, PROCESS).to_owned();
    if head.uri.path() == "/api" {
        return Ok(state.lock().unwrap().call(process, &head.headers));
    }
    let form = body.collect().await.map(|body| body.to_bytes());
    let form = form.unwrap_or_default();
    let form = String::from_utf8_lossy(&form);
    if head.uri.path() == "/revoke" {
        return Ok(state.lock().unwrap().revoke(&form));
    }
    let (before, after) = state.lock().unwrap().start_request(&process);
    sleep(before).await;
    let response = state.lock().unwrap().token(&process, &form);
    sleep(after).await;
    let mut state = state.lock().unwrap();
    if let Some(phase @ Phase::Issued(_)) = state.phases.get_mut(&process) {
        let Phase::Issued(number) = *phase else {
            unreachable!()
        };
        *phase = Phase::Responded(number);
    }
    Ok(response)
}

impl State {
    fn start_request(&mut self, process: &str) -> (Duration, Duration) {
        self.phases.insert(process.to_owned(), Phase::Asked);
        let (before, after) = self.rules.delays;
        (
            before.mul_f64(fastrand::f64()),
            after.mul_f64(fastrand::f64()),
        )
    }

    fn token(&mut self, process: &str, form: &str) -> Response<Full<Bytes>> {
        self.seen.token_requests += 1;
        let counts = self.seen.by_process.entry(process.to_owned()).or_default();
        counts.token_requests += 1;
        if form.contains("grant_type=client_credentials") {
            // The client's previous token is revoked.
            if let Some(last) = self.grants.last_mut() {
                last.until = Instant::now();
            }
            return self.success(None, process);
        }
        let spent = number_after(form, "refresh_token=refresh-");
        let family = spent.and_then(|spent| Some(self.grants.get(spent)?.family));
        let newest = family.and_then(|family| self.families[family]);
        if newest.is_some() && newest == spent {
            return self.success(family, process);
        }
        self.phases.remove(process);
        if let (Some(newest), Some(family)) = (newest, family) {
            self.families[family] = None;
            self.seen.reused.push(Reuse {
                by: process.to_owned(),
                newest,
                newest_of: self.grants[newest].to.clone(),
            });
        }
        response(400, r#"{"error":"invalid_grant"}"#.to_owned())
    }

    fn success(&mut self, family: Option<usize>, process: &str) -> Response<Full<Bytes>> {
        let lifetime = self.rules.lifetime;
        let previous = self.grants.last().filter(|last| last.until > last.at);
        if let Some(previous) = previous {
            // Early refresh starts when 40% of the lifetime is left, counted from the process's
            // request. A request before half of the lifetime has passed is too early, no matter how busy
            // the machine is.
            let age = previous.at.elapsed();
            if age >= lifetime / 2 {
                self.seen.expiries += 1;
            } else {
                self.seen.too_early.push(age);
            }
        }
        let number = self.issue(family, process, lifetime);
        self.phases
            .insert(process.to_owned(), Phase::Issued(number));
        let seconds = lifetime.as_secs();
        response(
            200,
            format!(
                r#"{{"token_type":"bearer","access_token":"access-{number}","refresh_token":"refresh-{number}","expires_in":{seconds}}}"#
            ),
        )
    }

    /// Issues a pair of tokens, in a new family if `family` is `None`.
    fn issue(&mut self, family: Option<usize>, to: &str, lifetime: Duration) -> usize {
        let number = self.grants.len();
        let family = family.unwrap_or(self.families.len());
        self.families
            .resize(self.families.len().max(family + 1), None);
        self.families[family] = Some(number);
        let at = Instant::now();
        self.grants.push(Grant {
            family,
            to: to.to_owned(),
            at,
            until: at + lifetime,
        });
        number
    }

    /// Revokes a refresh token, and with it the whole family (RFC 7009).
    fn revoke(&mut self, form: &str) -> Response<Full<Bytes>> {
        self.seen.revocations += 1;
        let token = number_after(form, "token=refresh-");
        let mut families = self.families.iter_mut();
        if let Some(family) = families.find(|newest| newest.is_some() && **newest == token) {
            *family = None;
            for grant in &mut self.grants {
                grant.until = grant.until.min(Instant::now());
            }
        }
        response(200, String::new())
    }

    fn call(&mut self, process: String, headers: &HeaderMap) -> Response<Full<Bytes>> {
        let number = number_after(text(headers, "authorization"), "Bearer access-");
        let grant = number.and_then(|number| Some((number, self.grants.get(number)?)));
        let now = Instant::now();
        match grant {
            Some((number, grant)) if now < grant.until => {
                self.seen.accepted += 1;
                let counts = self.seen.by_process.entry(process).or_default();
                counts.used.insert(number);
                counts.last_accepted = Some(now);
                response(200, String::new())
            }
            _ => {
                self.seen.rejected += 1;
                response(401, String::new())
            }
        }
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default()
}

fn number_after(text: &str, before: &str) -> Option<usize> {
    let (_, rest) = text.split_once(before)?;
    let end = rest.find(|c: char| !c.is_ascii_digit());
    rest[..end.unwrap_or(rest.len())].parse().ok()
}

fn response(status: u16, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}
