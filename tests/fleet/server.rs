//! An authorization server that rotates refresh tokens, and an API that accepts what it issued.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
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

pub(crate) struct AuthorizationServer {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    _task: JoinSet<()>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) token_requests: u64,
    pub(crate) reused: u64,
    pub(crate) families_revoked: u64,
    pub(crate) rejected: u64,
}

struct State {
    seen: Seen,
    lifetime: Duration,
    /// The number of the one refresh token that can be spent; `None` once the family is revoked.
    current: Option<u64>,
    /// Access tokens by their numbers, and until when they are valid.
    issued: Vec<Instant>,
}

impl AuthorizationServer {
    pub(crate) async fn start(lifetime: Duration) -> Self {
        let state = Arc::new(Mutex::new(State {
            seen: Seen::default(),
            lifetime,
            current: Some(0),
            issued: Vec::new(),
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
                    let service = service_fn(move |request| answer(request, Arc::clone(&state)));
                    let server = auto::Builder::new(TokioExecutor::new());
                    let _ = server.serve_connection(TokioIo::new(stream), service).await;
                });
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
        self.state.lock().unwrap().seen
    }
}

async fn answer(
    request: Request<Incoming>,
    state: Arc<Mutex<State>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    if head.uri.path() == "/token" {
        let form = body
            .collect()
            .await
            .map(|body| body.to_bytes())
            .unwrap_or_default();
        sleep(Duration::from_millis(50)).await;
        return Ok(state.lock().unwrap().token(&String::from_utf8_lossy(&form)));
    }
    let token = head.headers.get("authorization");
    let token = token.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer access-"));
    let number = token.and_then(|number| number.parse::<usize>().ok());
    let mut state = state.lock().unwrap();
    let until = number.and_then(|number| state.issued.get(number));
    if until.is_some_and(|until| Instant::now() < *until) {
        return Ok(Response::new(Full::default()));
    }
    state.seen.rejected += 1;
    Ok(response(401, String::new()))
}

impl State {
    fn token(&mut self, form: &str) -> Response<Full<Bytes>> {
        self.seen.token_requests += 1;
        let spent = form
            .split('&')
            .find_map(|pair| pair.strip_prefix("refresh_token=refresh-"));
        let spent: Option<u64> = spent.and_then(|number| number.parse().ok());
        if spent.is_none() || spent != self.current {
            self.seen.reused += 1;
            self.seen.families_revoked += u64::from(self.current.take().is_some());
            return response(400, r#"{"error":"invalid_grant"}"#.to_owned());
        }
        let access = self.issued.len();
        self.issued.push(Instant::now() + self.lifetime);
        let next = spent.unwrap_or_default() + 1;
        self.current = Some(next);
        let seconds = self.lifetime.as_secs();
        response(
            200,
            format!(
                r#"{{"token_type":"bearer","access_token":"access-{access}","refresh_token":"refresh-{next}","expires_in":{seconds}}}"#
            ),
        )
    }
}

fn response(status: u16, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}
