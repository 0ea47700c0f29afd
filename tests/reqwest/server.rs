//! Loopback servers that record their requests.

use std::{
    collections::BTreeSet,
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Either, Full, StreamBody};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tower_auth::{
    AuthLayer, Issued, Origins, Provider,
    credential::Bearer,
    oauth2::{ClientCredentials, TokenProvider},
    reqwest::token_client,
};

/// A request as a server received it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Returns the bearer token.
    pub(crate) fn token(&self) -> Option<&str> {
        self.header("authorization")?.strip_prefix("Bearer ")
    }
}

type Chunked = StreamBody<
    futures::stream::Iter<std::vec::IntoIter<Result<http_body::Frame<Bytes>, Infallible>>>,
>;
pub(crate) type ServerResponse = Response<Either<Full<Bytes>, Chunked>>;

/// An HTTP/1.1 server that computes each response with a function. It runs until the test's runtime
/// shuts down.
#[derive(Clone)]
pub(crate) struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    connections: Arc<AtomicUsize>,
}

impl Server {
    pub(crate) async fn start(
        respond: impl Fn(&Seen) -> ServerResponse + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            seen: Arc::default(),
            connections: Arc::default(),
        };
        let respond = Arc::new(respond);
        let running = server.clone();
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                running.connections.fetch_add(1, SeqCst);
                let (respond, seen) = (Arc::clone(&respond), Arc::clone(&running.seen));
                let handle = service_fn(move |request: Request<Incoming>| {
                    let (respond, log) = (Arc::clone(&respond), Arc::clone(&seen));
                    async move {
                        let (parts, body) = request.into_parts();
                        let seen = Seen {
                            method: parts.method,
                            uri: parts.uri,
                            headers: parts.headers,
                            body: body.collect().await?.to_bytes(),
                        };
                        let response = respond(&seen);
                        log.lock().unwrap().push(seen);
                        Ok::<_, hyper::Error>(response)
                    }
                });
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(connection), handle),
                );
            }
        });
        server
    }

    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn tokens_seen(&self) -> Vec<String> {
        let seen = self.seen();
        let tokens = seen.iter().map(|seen| seen.token().unwrap_or("none"));
        tokens.map(str::to_owned).collect()
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(SeqCst)
    }
}

/// An API and its token server.
pub(crate) struct World {
    pub(crate) api: Server,
    pub(crate) tokens: Server,
    valid: Valid,
}

impl World {
    /// Starts both servers. The token server issues `t1`, `t2` and so on. The API accepts only the
    /// newest token, and echoes the body of an accepted request.
    pub(crate) async fn new() -> Self {
        let valid = Valid::default();
        let api = {
            let valid = valid.clone();
            Server::start(move |seen| match seen.token() {
                Some(token) if valid.contains(token) => ok(seen.body.clone()),
                _ => status(401),
            })
            .await
        };
        let tokens = {
            let (valid, count) = (valid.clone(), AtomicUsize::new(0));
            Server::start(move |_| {
                let token = format!("t{}", count.fetch_add(1, SeqCst) + 1);
                valid.set(&[&token]);
                let response = format!(
                    r#"{{"access_token":"{token}","token_type":"Bearer","expires_in":3600}}"#
                );
                ok(response)
            })
            .await
        };
        Self { api, tokens, valid }
    }

    /// Makes the API reject all tokens issued so far.
    pub(crate) fn revoke(&self) {
        self.valid.set(&[]);
    }

    pub(crate) fn layer(&self) -> AuthLayer<TokenProvider<ClientCredentials>> {
        let tokens = ClientCredentials::builder(self.tokens.url("/token"))
            .client_id("me")
            .client_secret("secret")
            .http(token_client(reqwest::Client::builder()).unwrap())
            .build()
            .unwrap();
        AuthLayer::new(tokens, Origins::only(self.api.origin()).unwrap())
    }
}

#[derive(Clone, Default)]
struct Valid(Arc<Mutex<BTreeSet<String>>>);

impl Valid {
    fn set(&self, tokens: &[&str]) {
        *self.0.lock().unwrap() = tokens.iter().map(ToString::to_string).collect();
    }

    fn contains(&self, token: &str) -> bool {
        self.0.lock().unwrap().contains(token)
    }
}

/// Creates a provider that issues `t1`, `t2` and so on, without a server.
pub(crate) fn numbered() -> impl Provider<Credential = Bearer> {
    let count = AtomicUsize::new(0);
    tower_auth::provider_fn(move |_| {
        let token = format!("t{}", count.fetch_add(1, SeqCst) + 1);
        async move { Ok(Issued::new(Bearer::new(token).unwrap())) }
    })
}

pub(crate) fn ok(body: impl Into<Bytes>) -> ServerResponse {
    Response::new(Either::Left(Full::new(body.into())))
}

pub(crate) fn status(code: u16) -> ServerResponse {
    let mut response = ok(format!("status {code}"));
    *response.status_mut() = StatusCode::from_u16(code).unwrap();
    response
}

pub(crate) fn redirect(code: u16, to: &str) -> ServerResponse {
    let mut response = status(code);
    let location = to.parse().unwrap();
    response.headers_mut().insert("location", location);
    response
}

/// Creates a 401 with a chunked body of unknown length.
pub(crate) fn chunked_401(bytes: usize) -> ServerResponse {
    let chunk = || Ok(http_body::Frame::data(Bytes::from(vec![b'x'; 4096])));
    let chunks: Vec<_> = std::iter::repeat_with(chunk).take(bytes / 4096).collect();
    let mut response = Response::new(Either::Right(StreamBody::new(futures::stream::iter(
        chunks,
    ))));
    *response.status_mut() = StatusCode::UNAUTHORIZED;
    response
}

/// Creates a body that can be sent only once.
pub(crate) fn streaming(
    chunks: &'static [&'static str],
) -> impl http_body::Body<Data = Bytes, Error = Infallible> + Send + Sync {
    let frames = chunks
        .iter()
        .map(|chunk| Ok(http_body::Frame::data(Bytes::from_static(chunk.as_bytes()))));
    StreamBody::new(futures::stream::iter(frames))
}

pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(20), future)
        .await
        .expect("timed out")
}
