//! An upload of 64 MiB that is streamed while its token gets revoked: the server answers 401 early,
//! and the retry takes the stream over. `cargo run --example streaming_upload`.

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
        println!("token {number} is issued");
        let token = Bearer::new(format!("token-{number}")).map_err(ProviderError::permanent);
        async move { Ok(Issued::new(token?)) }
    });
    let service = ServiceBuilder::new()
        // What was sent is kept (shared, not copied) up to this size, in case it is needed again.
        .layer(ReplayLayer::new().cap(CHUNK * (CHUNKS + 1)))
        .layer(AuthLayer::new(
            provider,
            Origins::only(format!("http://{address}"))?,
        ))
        .service(Client::builder(TokioExecutor::new()).build_http());

    // The data is made while it is sent. How often is counted: once, retry or not.
    let made = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&made);
    let chunks = stream::iter((0..CHUNKS).map(move |index| {
        counter.fetch_add(1, Ordering::Relaxed);
        Ok::<_, Infallible>(Frame::data(chunk(index)))
    }));
    let request = Request::put(format!("http://{address}/upload")).body(StreamBody::new(chunks))?;
    let response = service.oneshot(request).await?;
    let status = response.status();
    let received = response.into_body().collect().await?.to_bytes();
    println!("the server answers {status}");

    let mut hash = Sha256::new();
    for index in 0..CHUNKS {
        hash.update(chunk(index));
    }
    let sent = hex(&hash.finalize());
    println!("sha256 of what was sent:     {sent}");
    println!(
        "sha256 of what was received: {}",
        String::from_utf8_lossy(&received)
    );
    println!("chunks made: {} of {CHUNKS}", made.load(Ordering::Relaxed));
    let well = status == StatusCode::OK && *received == *sent.as_bytes();
    Ok(if well {
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

/// Accepts the second token only: the first one is "revoked" when a quarter has come in.
async fn serve(tasks: &mut JoinSet<()>) -> Result<SocketAddr, BoxError> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            connections.spawn(async move {
                let server = auto::Builder::new(TokioExecutor::new());
                // A client that goes away is no concern of this server.
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
            println!("the token is revoked after {} MiB", received / 1024 / 1024);
            let mut response = Response::new(Full::from("revoked"));
            *response.status_mut() = StatusCode::UNAUTHORIZED;
            // The rest is read for a while, as servers do, so that the answer gets through.
            tokio::spawn(async move {
                let drain = async { while body.frame().await.is_some() {} };
                let _ = tokio::time::timeout(Duration::from_secs(5), drain).await;
            });
            return Ok(response);
        }
    }
    Ok(Response::new(Full::from(hex(&hash.finalize()))))
}
