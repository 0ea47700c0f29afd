//! The HTTP server that receives the callback.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, oneshot},
    task::JoinSet,
};

use super::page::{self, Outcome};
use crate::{oauth2::login::ResponseMode, sync::lock};

/// Maximum size of a posted fragment. No browser accepts a URL this long.
const MAX_BODY_SIZE: usize = 256 * 1024;

/// Maximum time for a local client to send a request head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// A server that waits for the browser to return.
pub(super) struct Server {
    listener: TcpListener,
    handler: Arc<Handler>,
    callbacks: mpsc::Receiver<Callback>,
    connections: JoinSet<()>,
}

/// The request handler shared by all connections.
struct Handler {
    /// The only accepted `Host`, to prevent DNS rebinding.
    host: String,
    path: String,
    response_mode: ResponseMode,
    callbacks: mpsc::Sender<Callback>,
}

/// A callback from the browser, which is waiting for the page with the outcome.
pub(super) struct Callback {
    /// The URL, or the fragment as posted by the relay page.
    pub(super) response: String,
    page: oneshot::Sender<String>,
    /// Resolves when the browser's connection has closed.
    closed: oneshot::Receiver<Infallible>,
}

impl Server {
    pub(super) fn new(
        listener: TcpListener,
        address: SocketAddr,
        path: String,
        response_mode: ResponseMode,
    ) -> Self {
        let (sender, callbacks) = mpsc::channel(1);
        let handler = Handler {
            host: without_default_port(&address.to_string()).to_owned(),
            path,
            response_mode,
            callbacks: sender,
        };
        Self {
            listener,
            handler: Arc::new(handler),
            callbacks,
            connections: JoinSet::new(),
        }
    }

    /// Waits for the first callback, closes the listener, and returns the callback and the open
    /// connections.
    pub(super) async fn callback(mut self) -> io::Result<(Callback, JoinSet<()>)> {
        loop {
            tokio::select! {
                callback = self.callbacks.recv() => {
                    let callback = callback.ok_or(io::ErrorKind::BrokenPipe)?;
                    return Ok((callback, self.connections));
                }
                accepted = self.listener.accept() => {
                    self.connections.spawn(serve(accepted?.0, Arc::clone(&self.handler)));
                }
                Some(_) = self.connections.join_next() => {}
            }
        }
    }
}

impl Callback {
    /// Sends the page, and waits until the browser has received it.
    pub(super) async fn show(self, outcome: Outcome) {
        let _ = self.page.send(outcome.html());
        let _ = self.closed.await;
    }
}

async fn serve(stream: TcpStream, handler: Arc<Handler>) {
    let (_open, closed) = oneshot::channel();
    let closed = Arc::new(Mutex::new(Some(closed)));
    let service = service_fn(move |request| {
        let (handler, closed) = (Arc::clone(&handler), Arc::clone(&closed));
        async move { Ok::<_, Infallible>(handler.handle(request, &closed).await) }
    });
    let mut server = http1::Builder::new();
    server
        .keep_alive(false)
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT);
    // A connection that breaks is not an error: the browser may close it at any time.
    let _ = server.serve_connection(TokioIo::new(stream), service).await;
}

impl Handler {
    async fn handle(
        &self,
        request: Request<Incoming>,
        closed: &Mutex<Option<oneshot::Receiver<Infallible>>>,
    ) -> Response<Full<Bytes>> {
        if !self.is_own_host(request.headers()) || request.uri().path() != self.path {
            return html(StatusCode::NOT_FOUND, page::not_found(), None);
        }
        let response = match (self.response_mode, request.method()) {
            (ResponseMode::Query, &Method::GET) => request.uri().to_string(),
            // Some servers send errors in the query.
            (ResponseMode::Fragment, &Method::GET) if has_error(request.uri().query()) => {
                format!("#{}", request.uri().query().unwrap_or_default())
            }
            (ResponseMode::Fragment, &Method::GET) => {
                let nonce = format!("{:032x}", fastrand::u128(..));
                return html(StatusCode::OK, page::relay(&nonce), Some(&nonce));
            }
            (ResponseMode::Fragment, &Method::POST) if self.is_same_origin(request.headers()) => {
                match Limited::new(request.into_body(), MAX_BODY_SIZE)
                    .collect()
                    .await
                {
                    Ok(body) => {
                        format!("#{}", String::from_utf8_lossy(&body.to_bytes()))
                    }
                    Err(_) => return html(StatusCode::BAD_REQUEST, page::not_found(), None),
                }
            }
            _ => return html(StatusCode::METHOD_NOT_ALLOWED, page::not_found(), None),
        };
        let (sender, page) = oneshot::channel();
        let closed = lock(closed).take();
        let sent = closed.map(|closed| {
            self.callbacks.try_send(Callback {
                response,
                page: sender,
                closed,
            })
        });
        // Only the first callback is accepted.
        if !matches!(sent, Some(Ok(()))) {
            return html(StatusCode::NOT_FOUND, page::not_found(), None);
        }
        match page.await {
            Ok(page) => html(StatusCode::OK, page, None),
            Err(_) => html(StatusCode::NOT_FOUND, page::not_found(), None),
        }
    }

    fn is_own_host(&self, headers: &HeaderMap) -> bool {
        let host = headers.get(header::HOST);
        host.and_then(|host| host.to_str().ok())
            .is_some_and(|host| without_default_port(host) == self.host)
    }

    /// Returns whether a page from this server sent the request.
    fn is_same_origin(&self, headers: &HeaderMap) -> bool {
        let origin = headers.get(header::ORIGIN);
        let origin = origin.and_then(|origin| origin.to_str().ok());
        origin.and_then(|origin| origin.strip_prefix("http://")) == Some(&self.host)
    }
}

/// Strips the default port, which browsers omit.
fn without_default_port(host: &str) -> &str {
    host.strip_suffix(":80").unwrap_or(host)
}

fn has_error(query: Option<&str>) -> bool {
    query
        .unwrap_or_default()
        .split('&')
        .any(|pair| pair.starts_with("error="))
}

/// Creates a response that loads no resources, sends no referrer, and is not cached.
fn html(status: StatusCode, page: String, nonce: Option<&str>) -> Response<Full<Bytes>> {
    let script = nonce.map(|nonce| format!("script-src 'nonce-{nonce}'; connect-src 'self'; "));
    let policy = format!(
        "default-src 'none'; {}style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
        script.unwrap_or_default()
    );
    let mut response = Response::new(Full::from(page));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(policy) = HeaderValue::try_from(policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}
