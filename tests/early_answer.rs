//! P29 on real connections: the server responds with 401 during an upload, and the retry takes over
//! the body.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::{Request, Response, StatusCode, Version};
use http_body::Frame;
use http_body_util::{BodyExt, Either, Empty, Full, StreamBody};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::{net::TcpListener, sync::mpsc, time::timeout};
use tower_auth::{CloneBody, ReplayBody};

const CHUNK: usize = 16 * 1024;
const CHUNKS: usize = 64;
/// The number of chunks that the server reads before it responds with 401.
const READ_BEFORE_REJECTION: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retried_upload_that_waits_for_data_is_complete() {
    for version in [Version::HTTP_11, Version::HTTP_2] {
        upload(version, Supply::PausedUntilRejection).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retried_upload_with_data_ready_is_complete() {
    for version in [Version::HTTP_11, Version::HTTP_2] {
        upload(version, Supply::Continuous).await;
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Supply {
    /// Supplies the remaining chunks, which the server does not wait for, only after the rejection.
    PausedUntilRejection,
    /// Supplies chunks as fast as the client reads them.
    Continuous,
}

async fn upload(version: Version, supply: Supply) {
    let uri = format!("http://{}/", serve().await);
    let client = Client::builder(TokioExecutor::new())
        .http2_only(version == Version::HTTP_2)
        .build_http();
    let request = |token: &str, body| {
        let request = Request::post(&uri).header("authorization", token);
        request.version(version).body(body).unwrap()
    };

    // A stream that buffers one chunk, and ends when the sender is dropped.
    let (feed, mut chunks) = mpsc::channel::<Bytes>(1);
    let stream = futures::stream::poll_fn(move |cx| {
        let next = chunks.poll_recv(cx);
        next.map(|chunk| chunk.map(|chunk| Ok::<_, Infallible>(Frame::data(chunk))))
    });
    let body = ReplayBody::with_cap(StreamBody::new(stream), 2 * CHUNK * CHUNKS);
    let mut kept = body.try_clone_body().unwrap();

    let (rejected, mut is_rejected) = mpsc::channel::<()>(1);
    let feeder = tokio::spawn(async move {
        for n in 0..CHUNKS {
            if n == READ_BEFORE_REJECTION && supply == Supply::PausedUntilRejection {
                is_rejected.recv().await;
            }
            feed.send(chunk(n)).await.unwrap();
        }
    });

    let response = within(client.request(request("revoked", body))).await;
    let response = response.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);

    assert!(kept.can_replay() && kept.take_over());
    drop(response);
    rejected.send(()).await.ok();
    let response = within(client.request(request("good", kept))).await;
    let response = response.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let received = within(response.into_body().collect()).await.unwrap();
    let sent: Vec<u8> = (0..CHUNKS).flat_map(chunk).collect();
    assert!(received.to_bytes() == sent, "the upload was altered");
    feeder.await.unwrap();
}

/// Returns a chunk whose bytes differ from each other and from those of other chunks.
fn chunk(n: usize) -> Bytes {
    (0..CHUNK).map(|i| (i % 251 + n * 7) as u8).collect()
}

async fn within<F: Future>(future: F) -> F::Output {
    timeout(Duration::from_secs(20), future)
        .await
        .expect("timed out")
}

/// Starts a server that rejects a revoked token without reading the whole body, and otherwise echoes
/// the body.
async fn serve() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            tokio::spawn(async move {
                // The client aborts the connection of an upload that the retry has taken over.
                let _ = auto::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(connection), service_fn(respond))
                    .await;
            });
        }
    });
    address
}

async fn respond(
    request: Request<Incoming>,
) -> Result<Response<Either<Empty<Bytes>, Full<Bytes>>>, hyper::Error> {
    let revoked = request.headers()["authorization"] == "revoked";
    let mut body = request.into_body();
    if !revoked {
        let body = Full::new(body.collect().await?.to_bytes());
        return Ok(Response::new(Either::Right(body)));
    }
    let mut read = 0;
    while read < READ_BEFORE_REJECTION * CHUNK {
        read += match body.frame().await {
            Some(frame) => frame?.data_ref().map_or(0, Bytes::len),
            None => break,
        };
    }
    let mut response = Response::new(Either::Left(Empty::new()));
    *response.status_mut() = StatusCode::UNAUTHORIZED;
    // The server keeps the rest of the upload open, but does not read it.
    tokio::spawn(async move {
        let _body = body;
        std::future::pending::<()>().await;
    });
    Ok(response)
}
