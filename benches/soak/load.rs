//! Sends as many requests as loopback allows, while the servers misbehave.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use tokio::{
    runtime::Builder,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tower::{Layer, ServiceExt};
use tower_auth::{
    AuthLayer, Issued, Origins, Provider, ProviderError, RefreshSettings, credential::Bearer,
    provider_fn,
};

use crate::{
    growth::Held,
    servers::{Server, chunked, text},
};

const WORKERS: usize = 16;
/// The time for which an idle connection is kept.
const KEPT: Duration = Duration::from_secs(1);

#[derive(Default)]
struct Counts {
    issued: AtomicUsize,
    accepted_from: AtomicUsize,
    answers: AtomicUsize,
    failures: AtomicUsize,
    rejections: AtomicUsize,
}

type Http = Client<HttpConnector, Full<Bytes>>;

fn http() -> Http {
    Client::builder(TokioExecutor::new())
        .pool_idle_timeout(KEPT)
        .pool_timer(TokioTimer::new())
        .build_http()
}

pub(crate) fn soak(time: Duration) {
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let counts = Arc::new(Counts::default());
        let server = server(Arc::clone(&counts)).await;
        let origins = Origins::only(server.url()).unwrap();
        let provider = provider(format!("{}/token", server.url()));
        let settings = RefreshSettings::default().refresh_timeout(Duration::from_secs(1));
        let layer = AuthLayer::with_settings(provider, origins, settings);
        let http = http();
        run(&layer, &http, &server, &counts, time / 5).await;
        let early = Held::now();
        run(&layer, &http, &server, &counts, time - time / 5).await;
        early.check("real load");
        println!(
            "{} s of load: {} answers, {} failures, {} rejections, {} refreshes, {} connections",
            time.as_secs(),
            counts.answers.load(SeqCst),
            counts.failures.load(SeqCst),
            counts.rejections.load(SeqCst),
            counts.issued.load(SeqCst),
            server.connections()
        );
    });
}

/// Starts an API that rejects, resets and truncates, and a token endpoint that fails and hangs.
async fn server(counts: Arc<Counts>) -> Server {
    Server::start(move |request: Request<Incoming>| {
        let counts = Arc::clone(&counts);
        Box::pin(async move {
            if request.uri().path() == "/token" {
                let number = counts.issued.fetch_add(1, SeqCst);
                return match fastrand::u8(..30) {
                    0 => pending().await,
                    1 => text(503, ""),
                    _ => text(200, &number.to_string()),
                };
            }
            let token = request.headers()["authorization"].to_str().unwrap();
            let number: usize = token.trim_start_matches("Bearer ").parse().unwrap();
            if number < counts.accepted_from.load(SeqCst) {
                counts.rejections.fetch_add(1, SeqCst);
                return chunked(401, fastrand::usize(..200_000));
            }
            match fastrand::u16(..2000) {
                0 => pending().await,
                1 => text(503, ""),
                _ => text(200, "welcome"),
            }
        })
    })
    .await
}

fn provider(url: String) -> impl Provider<Credential = Bearer> {
    let http = http();
    provider_fn(move |_| {
        let (http, url) = (http.clone(), url.clone());
        async move {
            let request = Request::get(url).body(Full::default()).unwrap();
            let response = http
                .request(request)
                .await
                .map_err(ProviderError::transient)?;
            if response.status() != 200 {
                return Err(ProviderError::transient("busy"));
            }
            let body = response
                .into_body()
                .collect()
                .await
                .map_err(ProviderError::transient)?;
            let token = String::from_utf8_lossy(&body.to_bytes()).into_owned();
            Ok(
                Issued::new(Bearer::new(token).map_err(ProviderError::permanent)?)
                    .expires_in(Duration::from_secs(5)),
            )
        }
    })
}

async fn run<P: Provider<Credential = Bearer>>(
    layer: &AuthLayer<P>,
    http: &Http,
    server: &Server,
    counts: &Arc<Counts>,
    time: Duration,
) {
    let end = Instant::now() + time;
    let mut tasks = JoinSet::new();
    for _ in 0..WORKERS {
        let (service, url) = (layer.layer(http.clone()), server.url());
        let counts = Arc::clone(counts);
        tasks.spawn(async move {
            while Instant::now() < end {
                let request = Request::get(&url).body(Full::default()).unwrap();
                let patience = Duration::from_millis(fastrand::u64(1..3000));
                let call = async {
                    let response = service.clone().oneshot(request).await.ok()?;
                    let status = response.status();
                    response.into_body().collect().await.ok()?;
                    (status == 200).then_some(())
                };
                match timeout(patience, call).await {
                    Ok(Some(())) => &counts.answers,
                    _ => &counts.failures,
                }
                .fetch_add(1, SeqCst);
            }
        });
    }
    while Instant::now() < end {
        // Revocations are rare enough that a refresh is allowed each time.
        let pause = Duration::from_millis(fastrand::u64(..14_000));
        sleep(pause.min(end - Instant::now())).await;
        counts
            .accepted_from
            .store(counts.issued.load(SeqCst), SeqCst);
    }
    tasks.join_all().await;
    // Waits until idle connections are closed and refreshes have ended.
    sleep(KEPT * 4).await;
}
