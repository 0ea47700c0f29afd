//! An API server and a token server on loopback.

use std::{
    collections::{BTreeSet, VecDeque},
    convert::Infallible,
    future::{Future, pending},
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::stream;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody, combinators::BoxBody};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::{net::TcpListener, task::JoinSet, time::sleep};

pub(crate) type Body = BoxBody<Bytes, Infallible>;
type ResponseFuture = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;

/// A server on a free port, which runs until it is dropped.
pub(crate) struct Server {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    _task: JoinSet<()>,
}

impl Server {
    pub(crate) async fn start(
        respond: impl Fn(Request<Incoming>) -> ResponseFuture + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&connections);
        let respond = Arc::new(respond);
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                counter.fetch_add(1, SeqCst);
                // Removes connections that have ended.
                while open.try_join_next().is_some() {}
                let respond = Arc::clone(&respond);
                open.spawn(async move {
                    let service = service_fn(move |request| {
                        let response = respond(request);
                        async move { Ok::<_, Infallible>(response.await) }
                    });
                    let server = auto::Builder::new(TokioExecutor::new());
                    let _ = server.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self {
            address,
            connections,
            _task: task,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(SeqCst)
    }
}

pub(crate) fn text(status: u16, text: &str) -> Response<Body> {
    let body = http_body_util::Full::from(text.to_owned()).boxed();
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

/// Creates a response whose body has this size and is sent in chunks.
pub(crate) fn chunked(status: u16, bytes: usize) -> Response<Body> {
    let chunks = (0..bytes.div_ceil(8192)).map(move |index| {
        let size = (bytes - index * 8192).min(8192);
        Ok(Frame::data(Bytes::from(vec![b'x'; size])))
    });
    let mut response = Response::new(BodyExt::boxed(StreamBody::new(stream::iter(chunks))));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

/// How a token request fails.
#[derive(Clone, Copy)]
pub(crate) enum Failure {
    Status(u16, &'static str),
    Redirect,
    Hang,
    HangInBody,
}

/// The tokens of both servers, and the requests they have received.
#[derive(Default)]
pub(crate) struct Tokens {
    pub(crate) valid: Mutex<BTreeSet<String>>,
    pub(crate) failures: Mutex<VecDeque<Failure>>,
    /// The head and body of each token request.
    pub(crate) requests: Mutex<Vec<(HeaderMap, String)>>,
    pub(crate) rejections: AtomicUsize,
    /// The size of the response to a rejected request.
    pub(crate) rejection_size: AtomicUsize,
}

impl Tokens {
    pub(crate) fn revoke(&self) {
        self.valid.lock().unwrap().clear();
    }

    pub(crate) fn token_requests(&self) -> usize {
        self.requests.lock().unwrap().len()
    }

    pub(crate) fn fail_next(&self, failure: Failure) {
        self.failures.lock().unwrap().push_back(failure);
    }

    /// Starts an API that accepts the valid tokens and issues them at `/oauth/token`.
    pub(crate) async fn server(self: &Arc<Self>) -> Server {
        let tokens = Arc::clone(self);
        Server::start(move |request| {
            let tokens = Arc::clone(&tokens);
            Box::pin(async move {
                match request.uri().path() {
                    "/oauth/token" => tokens.issue(request).await,
                    _ => tokens.check(&request).await,
                }
            })
        })
        .await
    }

    async fn check(&self, request: &Request<Incoming>) -> Response<Body> {
        sleep(Duration::from_millis(1)).await;
        let token = request.headers().get("authorization");
        let token = token.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        if token.is_some_and(|token| self.valid.lock().unwrap().contains(token)) {
            return text(200, "welcome");
        }
        self.rejections.fetch_add(1, SeqCst);
        chunked(401, self.rejection_size.load(SeqCst))
    }

    async fn issue(&self, request: Request<Incoming>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let number = {
            let mut requests = self.requests.lock().unwrap();
            requests.push((head.headers, String::from_utf8(body.to_vec()).unwrap()));
            requests.len()
        };
        sleep(Duration::from_millis(20)).await;
        let failure = self.failures.lock().unwrap().pop_front();
        match failure {
            Some(Failure::Status(status, body)) => return text(status, body),
            Some(Failure::Redirect) => {
                let mut response = text(307, "");
                let elsewhere = "/oauth/token".parse().unwrap();
                response.headers_mut().insert("location", elsewhere);
                return response;
            }
            Some(Failure::Hang) => pending().await,
            Some(Failure::HangInBody) => {
                let first = stream::iter([Ok(Frame::data(Bytes::from("{\"access_token\":")))]);
                let body = StreamBody::new(futures::StreamExt::chain(first, stream::pending()));
                return Response::new(BodyExt::boxed(body));
            }
            None => {}
        }
        let token = format!("token-{number}=");
        self.valid.lock().unwrap().insert(token.clone());
        text(
            200,
            &format!(r#"{{"token_type":"Bearer","expires_in":3600,"access_token":"{token}"}}"#),
        )
    }
}
