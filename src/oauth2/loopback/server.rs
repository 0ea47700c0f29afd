//! The listener that the browser comes back to.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
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
use crate::oauth2::login::AnsweredIn;

/// More than any URL that browsers take.
const MOST: usize = 256 * 1024;

/// How long a client of this machine has for the head of a request.
const MOST_OF_HEAD: Duration = Duration::from_secs(10);

/// Waits for the browser.
pub(super) struct Server {
    listener: TcpListener,
    door: Arc<Door>,
    answers: mpsc::Receiver<Answer>,
    connections: JoinSet<()>,
}

/// What each connection needs to know.
struct Door {
    /// Whom browsers must mean: a name that leads here (DNS rebinding) is not it.
    host: String,
    path: String,
    answered_in: AnsweredIn,
    answers: mpsc::Sender<Answer>,
}

/// What the browser brought; it waits for its page.
pub(super) struct Answer {
    pub(super) callback: String,
    page: oneshot::Sender<String>,
    /// Ends with the browser's connection.
    gone: oneshot::Receiver<Infallible>,
}

impl Server {
    pub(super) fn new(
        listener: TcpListener,
        address: SocketAddr,
        path: String,
        answered_in: AnsweredIn,
    ) -> Self {
        let (sender, answers) = mpsc::channel(1);
        let door = Door {
            host: without_default_port(&address.to_string()).to_owned(),
            path,
            answered_in,
            answers: sender,
        };
        Self {
            listener,
            door: Arc::new(door),
            answers,
            connections: JoinSet::new(),
        }
    }

    /// The first answer, and the connections that there are. From then on nobody is let in.
    pub(super) async fn answer(mut self) -> io::Result<(Answer, JoinSet<()>)> {
        loop {
            tokio::select! {
                answer = self.answers.recv() => {
                    let answer = answer.ok_or(io::ErrorKind::BrokenPipe)?;
                    return Ok((answer, self.connections));
                }
                accepted = self.listener.accept() => {
                    self.connections.spawn(serve(accepted?.0, Arc::clone(&self.door)));
                }
                Some(_) = self.connections.join_next() => {}
            }
        }
    }
}

impl Answer {
    /// Shows the page, and waits until the browser has it.
    pub(super) async fn show(self, outcome: Outcome) {
        let _ = self.page.send(outcome.html());
        let _ = self.gone.await;
    }
}

async fn serve(stream: TcpStream, door: Arc<Door>) {
    let (_here, gone) = oneshot::channel();
    let gone = Arc::new(Mutex::new(Some(gone)));
    let service = service_fn(move |request| {
        let (door, gone) = (Arc::clone(&door), Arc::clone(&gone));
        async move { Ok::<_, Infallible>(door.open(request, &gone).await) }
    });
    let mut server = http1::Builder::new();
    server
        .keep_alive(false)
        .timer(TokioTimer::new())
        .header_read_timeout(MOST_OF_HEAD);
    // A browser that goes away is no concern of ours.
    let _ = server.serve_connection(TokioIo::new(stream), service).await;
}

impl Door {
    async fn open(
        &self,
        request: Request<Incoming>,
        gone: &Mutex<Option<oneshot::Receiver<Infallible>>>,
    ) -> Response<Full<Bytes>> {
        if !self.is_for_us(request.headers()) || request.uri().path() != self.path {
            return html(StatusCode::NOT_FOUND, page::nothing(), None);
        }
        let callback = match (self.answered_in, request.method()) {
            (AnsweredIn::Query, &Method::GET) => request.uri().to_string(),
            // An error may come in the query all the same.
            (AnsweredIn::Fragment, &Method::GET) if has_error(request.uri().query()) => {
                format!("#{}", request.uri().query().unwrap_or_default())
            }
            (AnsweredIn::Fragment, &Method::GET) => {
                let nonce = format!("{:032x}", fastrand::u128(..));
                return html(StatusCode::OK, page::relay(&nonce), Some(&nonce));
            }
            (AnsweredIn::Fragment, &Method::POST) if self.is_own(request.headers()) => {
                match Limited::new(request.into_body(), MOST).collect().await {
                    Ok(body) => {
                        format!("#{}", String::from_utf8_lossy(&body.to_bytes()))
                    }
                    Err(_) => return html(StatusCode::BAD_REQUEST, page::nothing(), None),
                }
            }
            _ => return html(StatusCode::METHOD_NOT_ALLOWED, page::nothing(), None),
        };
        let (sender, page) = oneshot::channel();
        let gone = gone.lock().unwrap_or_else(PoisonError::into_inner).take();
        let sent = gone.map(|gone| {
            self.answers.try_send(Answer {
                callback,
                page: sender,
                gone,
            })
        });
        // Whoever comes second finds nobody waiting.
        if !matches!(sent, Some(Ok(()))) {
            return html(StatusCode::NOT_FOUND, page::nothing(), None);
        }
        match page.await {
            Ok(page) => html(StatusCode::OK, page, None),
            Err(_) => html(StatusCode::NOT_FOUND, page::nothing(), None),
        }
    }

    fn is_for_us(&self, headers: &HeaderMap) -> bool {
        let host = headers.get(header::HOST);
        host.and_then(|host| host.to_str().ok())
            .is_some_and(|host| without_default_port(host) == self.host)
    }

    /// Whether a page of ours sends it.
    fn is_own(&self, headers: &HeaderMap) -> bool {
        let origin = headers.get(header::ORIGIN);
        let origin = origin.and_then(|origin| origin.to_str().ok());
        origin.and_then(|origin| origin.strip_prefix("http://")) == Some(&self.host)
    }
}

/// Browsers leave it out.
fn without_default_port(host: &str) -> &str {
    host.strip_suffix(":80").unwrap_or(host)
}

fn has_error(query: Option<&str>) -> bool {
    query
        .unwrap_or_default()
        .split('&')
        .any(|pair| pair.starts_with("error="))
}

/// A page that loads nothing, tells nobody where the browser was, and is not kept.
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
