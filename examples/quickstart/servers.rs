//! The servers: an API that accepts tokens until they expire or are revoked, and the token endpoint
//! that issues them.

use std::{
    collections::HashMap,
    convert::Infallible,
    future::Future,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
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
use tower_auth::BoxError;

pub(crate) struct Servers {
    api: SocketAddr,
    tokens: SocketAddr,
    state: Arc<Mutex<State>>,
    /// Stops both servers when dropped.
    _tasks: JoinSet<()>,
}

/// The counters of the servers.
#[derive(Clone, Copy, Default)]
pub(crate) struct Seen {
    pub(crate) requests: usize,
    pub(crate) unauthorized: usize,
    pub(crate) token_requests: usize,
    /// Token requests caused by expiry: the previous token had not been revoked.
    pub(crate) expiries: usize,
}

struct State {
    seen: Seen,
    lifetime: Duration,
    /// The tokens that the API accepts, and their expiry.
    valid: HashMap<String, Instant>,
}

impl Servers {
    pub(crate) async fn start() -> Result<Self, BoxError> {
        let state = Arc::new(Mutex::new(State {
            seen: Seen::default(),
            lifetime: Duration::from_secs(3600),
            valid: HashMap::new(),
        }));
        let mut tasks = JoinSet::new();
        let api = serve(&mut tasks, Arc::clone(&state), handle_api).await?;
        let tokens = serve(&mut tasks, Arc::clone(&state), handle_tokens).await?;
        Ok(Self {
            api,
            tokens,
            state,
            _tasks: tasks,
        })
    }

    pub(crate) fn api_url(&self) -> String {
        format!("http://{}", self.api)
    }

    pub(crate) fn token_url(&self) -> String {
        format!("http://{}/oauth/token", self.tokens)
    }

    pub(crate) fn seen(&self) -> Seen {
        lock(&self.state).seen
    }

    /// Sets the lifetime of the next tokens.
    pub(crate) fn issue_for(&self, lifetime: Duration) {
        lock(&self.state).lifetime = lifetime;
    }

    /// Revokes all tokens issued so far.
    pub(crate) fn revoke(&self) {
        lock(&self.state).valid.clear();
    }
}

async fn handle_api(
    request: Request<Incoming>,
    state: Arc<Mutex<State>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    // Simulates the latency of a real server, so that calls overlap.
    sleep(Duration::from_millis(2)).await;
    let mut state = lock(&state);
    state.seen.requests += 1;
    let sent = request.headers().get("authorization");
    let token = sent.and_then(|sent| sent.to_str().ok()?.strip_prefix("Bearer "));
    let until = token.and_then(|token| state.valid.get(token));
    if until.is_some_and(|until| Instant::now() < *until) {
        return Ok(Response::new(Full::from("a thing")));
    }
    state.seen.unauthorized += 1;
    let mut response = Response::new(Full::from("unauthorized"));
    *response.status_mut() = StatusCode::UNAUTHORIZED;
    let challenge = http::HeaderValue::from_static("Bearer error=\"invalid_token\"");
    response.headers_mut().insert("www-authenticate", challenge);
    Ok(response)
}

async fn handle_tokens(
    _: Request<Incoming>,
    state: Arc<Mutex<State>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    sleep(Duration::from_millis(50)).await;
    let mut state = lock(&state);
    state.seen.token_requests += 1;
    if !state.valid.is_empty() {
        state.seen.expiries += 1;
    }
    let token = format!("token-{}", state.seen.token_requests);
    let lifetime = state.lifetime;
    state.valid.insert(token.clone(), Instant::now() + lifetime);
    let seconds = lifetime.as_secs();
    let body =
        format!(r#"{{"token_type":"Bearer","access_token":"{token}","expires_in":{seconds}}}"#);
    Ok(Response::new(Full::from(body)))
}

/// Serves requests on a free port.
async fn serve<F, Fut>(
    tasks: &mut JoinSet<()>,
    state: Arc<Mutex<State>>,
    handler: F,
) -> Result<SocketAddr, BoxError>
where
    F: Fn(Request<Incoming>, Arc<Mutex<State>>) -> Fut + Copy + Send + 'static,
    Fut: Future<Output = Result<Response<Full<Bytes>>, Infallible>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let state = Arc::clone(&state);
            connections.spawn(async move {
                let service = service_fn(move |request| handler(request, Arc::clone(&state)));
                let server = auto::Builder::new(TokioExecutor::new());
                // A client may disconnect at any time; that is not an error of this server.
                let _ = server.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    Ok(address)
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
