//! The cost of many users: `cargo bench --bench keys --features per-key`.
//!
//! Measures the heap memory per idle user with a token, and the time of a request, next to the same
//! request through a layer with one credential. `BENCH_QUICK=1` makes a short run.

#[path = "../replay/memory.rs"]
#[allow(dead_code, reason = "the peak is not measured here")]
mod memory;
#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "each bench uses some of it")]
mod support;

use std::{
    future::ready,
    pin::pin,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::{Layer, Service, service_fn};
use tower_auth::{
    AuthLayer, BoxError, Issued, Origins, PerKey, PerKeySettings, Provider, credential::Bearer,
    provider_fn,
};

use self::support::{
    is_quick, median,
    report::{Report, Table, number, text},
};

fn main() -> Result<(), BoxError> {
    let quick = is_quick();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let columns = ["", "bytes per key", "ns"];
    let mut table = Table::new(
        "idle users with a token, and one request of a user",
        &columns,
    );
    let single = AuthLayer::new(provider(0), origins()?);
    runtime.block_on(single.handle().credential())?;
    let time = time(single.layer(service_fn(answer)), 1, quick);
    table.row([text("one credential"), text("-"), number(time, 0)]);

    for keys in if quick {
        vec![1, 1000]
    } else {
        vec![1, 1000, 100_000]
    } {
        let before = memory::start();
        let layer = layer(keys)?;
        for key in 0..keys {
            runtime.block_on(layer.handle().for_key(&key)?.credential())?;
        }
        let bytes = (memory::start() - before) / keys;
        let time = self::time(layer.layer(service_fn(answer)), keys, quick);
        let bytes = number(bytes as f64, 0);
        table.row([text(format!("{keys} keys")), bytes, number(time, 0)]);
    }
    let mut report = Report::new("keys");
    report.table(table);
    report.finish()?;
    Ok(())
}

fn layer(
    keys: usize,
) -> Result<AuthLayer<impl Provider<Credential = Bearer>, PerKey<usize>>, BoxError> {
    let settings = PerKeySettings::default().max_keys(keys * 2);
    let providers = |key: &usize| Some(provider(*key));
    Ok(AuthLayer::per_key_with(providers, origins()?, settings))
}

fn origins() -> Result<Origins, BoxError> {
    Ok(Origins::only("https://api.example.com")?)
}

/// Creates a provider whose token has 256 bytes and differs for each key.
fn provider(key: usize) -> impl tower_auth::Provider<Credential = Bearer> {
    provider_fn(move |_| {
        let token = Bearer::new(format!("{key:0>256}")).expect("a token");
        ready(Ok(Issued::new(token).expires_in(Duration::from_secs(3600))))
    })
}

async fn answer(_: Request<Full<Bytes>>) -> Result<Response<Full<Bytes>>, BoxError> {
    Ok(Response::new(Full::default()))
}

/// Returns the nanoseconds per request: the median of several rounds, each over all keys in turn.
#[expect(clippy::disallowed_methods, reason = "real time is what is measured")]
fn time<S>(mut service: S, keys: usize, quick: bool) -> f64
where
    S: Service<Request<Full<Bytes>>, Response = Response<Full<Bytes>>>,
{
    let (rounds, requests) = if quick { (3, 1000) } else { (31, 20_000) };
    let mut context = Context::from_waker(Waker::noop());
    let mut times = Vec::new();
    for _ in 0..rounds {
        let start = Instant::now();
        for number in 0..requests {
            let mut request = Request::new(Full::default());
            *request.uri_mut() = http::Uri::from_static("https://api.example.com/things");
            request.extensions_mut().insert(number * 7919 % keys);
            assert!(service.poll_ready(&mut context).is_ready());
            let future = pin!(service.call(request));
            assert!(matches!(future.poll(&mut context), Poll::Ready(Ok(_))));
        }
        times.push(start.elapsed().as_secs_f64() * 1e9 / f64::from(requests as u32));
    }
    median(times)
}
