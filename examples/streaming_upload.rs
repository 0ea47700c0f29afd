//! A streaming upload of 64 MiB whose token is revoked midway. The server returns 401 early, and
//! the retry replays the sent part and continues the stream.
//!
//! `cargo run --example streaming_upload`

use std::{
    convert::Infallible,
    net::SocketAddr,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::stream;
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use sha2::{Digest, Sha256};
use tokio::{net::TcpListener, task::JoinSet};
use tower::{ServiceBuilder, ServiceExt};
use tower_auth::{
    AuthLayer, BoxError, Issued, Origins, ProviderError, ReplayLayer, credential::Bearer,
    provider_fn,
};

const CHUNK: usize = 64 * 1024;
const CHUNKS: usize = 1024;

#[tokio::main]
async fn main() -> Result<ExitCode, BoxError> {
    let mut server = JoinSet::new();
    let address = serve(&mut server).await?;

    let issued = AtomicUsize::new(0);
    let provider = provider_fn(move |_| {
        let number = issued.fetch_add(1, Ordering::Relaxed) + 1;
        println!("token {number} was issued");
        let token = Bearer::new(format!("token-{number}")).map_err(ProviderError::permanent);
        async move { Ok(Issued::new(token?)) }
    });
    let service = ServiceBuilder::new()
        // The part already sent is kept for a retry, up to this size. It is shared, not copied.
        .layer(ReplayLayer::new().cap(CHUNK * (CHUNKS + 1)))
        .layer(AuthLayer::new(
            provider,
            Origins::only(format!("http://{address}"))?,
        ))
        .service(Client::builder(TokioExecutor::new()).build_http());

    // Chunks are generated while they are sent. The counter shows that each is generated only once.
    let generated = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&generated);
    let chunks = stream::iter((0..CHUNKS).map(move |index| {
        counter.fetch_add(1, Ordering::Relaxed);
        Ok::<_, Infallible>(Frame::data(chunk(index)))
    }));
    let request = Request::put(format!("http://{address}/upload")).body(StreamBody::new(chunks))?;
    let response = service.oneshot(request).await?;
    let status = response.status();
    let received = response.into_body().collect().await?.to_bytes();
    println!("the server returned {status}");

    let mut hash = Sha256::new();
    for index in 0..CHUNKS {
        hash.update(chunk(index));
    }
    let sent = hex(&hash.finalize());
    println!("SHA-256 sent:     {sent}");
    println!("SHA-256 received: {}", String::from_utf8_lossy(&received));
    println!(
        "chunks generated: {} of {CHUNKS}",
        generated.load(Ordering::Relaxed)
    );
    let succeeded = status == StatusCode::OK && *received == *sent.as_bytes();
    Ok(if succeeded {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn chunk(index: usize) -> Bytes {
    let mut random = fastrand::Rng::with_seed(index as u64);
    std::iter::repeat_with(|| random.u8(..))
        .take(CHUNK)
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Starts a server that accepts only the second token. The first one is "revoked" after a quarter
/// of the upload.
async fn serve(tasks: &mut JoinSet<()>) -> Result<SocketAddr, BoxError> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            connections.spawn(async move {
                let server = auto::Builder::new(TokioExecutor::new());
                // A client may disconnect at any time; that is not an error of this server.
                let _ = server
                    .serve_connection(TokioIo::new(stream), service_fn(receive))
                    .await;
            });
        }
    });
    Ok(address)
}

async fn receive(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let is_first = request
        .headers()
        .get("authorization")
        .is_some_and(|token| token == "Bearer token-1");
    let mut hash = Sha256::new();
    let mut received = 0;
    let mut body = request.into_body();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            received += data.len();
            hash.update(&data);
        }
        if is_first && received > CHUNK * CHUNKS / 4 {
            println!("the token was revoked after {} MiB", received / 1024 / 1024);
            let mut response = Response::new(Full::from("revoked"));
            *response.status_mut() = StatusCode::UNAUTHORIZED;
            // Like most servers, read the rest for a while, so that the client receives the
            // response.
            tokio::spawn(async move {
                let drain = async { while body.frame().await.is_some() {} };
                let _ = tokio::time::timeout(Duration::from_secs(5), drain).await;
            });
            return Ok(response);
        }
    }
    Ok(Response::new(Full::from(hex(&hash.finalize()))))
}
