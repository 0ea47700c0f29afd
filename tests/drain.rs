//! P33 over HTTP/2: the layer reads a rejection's body to its end before the retry, so that the
//! stream ends normally. A stream that is dropped before its end is reset, and servers count resets
//! as abuse.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{Request, Response, StatusCode, header::AUTHORIZATION};
use http_body::Frame;
use http_body_util::{BodyExt, Empty, StreamBody, combinators::UnsyncBoxBody};
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioIo},
};
use tokio::{
    io::{self, AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::timeout,
};
use tower::{Layer, ServiceExt};
use tower_auth::{AuthLayer, Issued, Origins, ProviderError, credential::Bearer, provider_fn};

const REJECTIONS: usize = 20;
/// The size of each chunk of a rejection's body. The default drain limit is four chunks.
const CHUNK: usize = 16 * 1024;
const TIMEOUT: Duration = Duration::from_secs(20);

/// P33.
#[tokio::test]
async fn a_drained_rejection_does_not_reset_its_stream() {
    let (server, address, serving) = serve().await;
    // The default size limit, but more time: a machine can be slow.
    send_rejected_requests(address, "/ends", (4 * CHUNK as u64, TIMEOUT)).await;
    timeout(TIMEOUT, serving).await.unwrap().unwrap();
    assert_eq!(server.rejections.load(SeqCst), REJECTIONS);
    assert_eq!(server.resets.load(SeqCst), 0);
}

/// Proves that the server notices resets, so that their absence above means something.
#[tokio::test]
async fn an_undrained_rejection_resets_its_stream() {
    let (server, address, serving) = serve().await;
    send_rejected_requests(address, "/goes-on", (0, Duration::ZERO)).await;
    timeout(TIMEOUT, serving).await.unwrap().unwrap();
    assert_eq!(server.rejections.load(SeqCst), REJECTIONS);
    assert_eq!(server.resets.load(SeqCst), REJECTIONS);
}

/// Sends requests that are rejected once each, one at a time and on one connection.
async fn send_rejected_requests(address: SocketAddr, path: &str, (bytes, time): (u64, Duration)) {
    let client = Client::builder(TokioExecutor::new())
        .http2_only(true)
        .build_http();
    for _ in 0..REJECTIONS {
        // Each request has a separate layer, because a layer limits how often rejections cause a
        // refresh.
        let tokens = AtomicUsize::new(0);
        let provider = provider_fn(move |_| {
            let token = ["old", "new"][tokens.fetch_add(1, SeqCst)];
            async move { Ok::<_, ProviderError>(Issued::new(Bearer::new(token).unwrap())) }
        });
        let origins = Origins::only(format!("http://{address}")).unwrap();
        let layer = AuthLayer::new(provider, origins).drain_limit(bytes, time);
        let request = Request::get(format!("http://{address}{path}"));
        let request = request.body(Empty::<Bytes>::new()).unwrap();
        let response = layer.layer(client.clone()).oneshot(request);
        let response = timeout(TIMEOUT, response).await.unwrap().unwrap();
        assert_eq!(response.status(), StatusCode::OK);
    }
}

#[derive(Default)]
struct Server {
    rejections: AtomicUsize,
    resets: AtomicUsize,
}

/// Serves one connection. The task ends when the client has closed it and all its frames are read.
async fn serve() -> (Arc<Server>, SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Arc::new(Server::default());
    let serving = tokio::spawn({
        let server = Arc::clone(&server);
        async move {
            let (connection, _) = listener.accept().await.unwrap();
            drop(listener);
            let connection = InspectedConnection {
                connection,
                frames: Frames::new(Arc::clone(&server)),
            };
            let service = service_fn(move |request| Arc::clone(&server).respond(request));
            http2::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(connection), service)
                .await
                .unwrap();
        }
    });
    (server, address, serving)
}

impl Server {
    async fn respond(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<UnsyncBoxBody<Bytes, Infallible>>, Infallible> {
        let mut response = Response::new(Empty::new().boxed_unsync());
        if request.headers()[AUTHORIZATION] == "Bearer old" {
            self.rejections.fetch_add(1, SeqCst);
            *response.status_mut() = StatusCode::UNAUTHORIZED;
            let page = stream::repeat_with(|| Ok(Frame::data(Bytes::from(vec![0; CHUNK]))));
            *response.body_mut() = if request.uri().path() == "/ends" {
                StreamBody::new(page.take(4)).boxed_unsync()
            } else {
                StreamBody::new(page.take(1).chain(stream::pending())).boxed_unsync()
            };
        }
        Ok(response)
    }
}

/// A connection that inspects its incoming frames.
struct InspectedConnection {
    connection: TcpStream,
    frames: Frames,
}

/// Parses HTTP/2 frame headers (RFC 9113 section 4.1), and counts RST_STREAM frames.
struct Frames {
    server: Arc<Server>,
    /// The part of the current frame's header that has been read so far.
    head: Vec<u8>,
    /// The number of bytes before the next frame: the rest of the preface or of a payload.
    skip: usize,
}

impl Frames {
    const PREFACE: usize = 24;
    const HEAD: usize = 9;
    const RST_STREAM: u8 = 3;

    fn new(server: Arc<Server>) -> Self {
        Self {
            server,
            head: Vec::new(),
            skip: Self::PREFACE,
        }
    }

    fn inspect(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if self.skip > 0 {
                self.skip -= 1;
                continue;
            }
            self.head.push(byte);
            if let [length @ .., kind, _, _, _, _, _] = &self.head[..]
                && self.head.len() == Self::HEAD
            {
                self.skip = length
                    .iter()
                    .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
                let is_reset = *kind == Self::RST_STREAM;
                self.server.resets.fetch_add(usize::from(is_reset), SeqCst);
                self.head.clear();
            }
        }
    }
}

impl AsyncRead for InspectedConnection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.connection).poll_read(cx, buffer))?;
        self.frames.inspect(&buffer.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for InspectedConnection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.connection).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_shutdown(cx)
    }
}
