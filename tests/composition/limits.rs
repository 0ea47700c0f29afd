//! The effects of `ConcurrencyLimit`, `LoadShed`, `Buffer` and `RateLimit`, outside and inside the
//! layer.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tower::{
    Service, ServiceBuilder, ServiceExt, limit::GlobalConcurrencyLimitLayer,
    load_shed::error::Overloaded,
};
use tower_auth::{
    BoxError, Error, Issued, Provider, ProviderError, SkipAuth, credential::Bearer, provider_fn,
};

use crate::memory::{Answer, Api, Valid, bearer, get, numbered, only_api, scripted, send, status};

const SECOND: Duration = Duration::from_secs(1);

/// Creates a request that needs no token.
fn without_auth() -> Request<Full<Bytes>> {
    let mut request = get();
    request.extensions_mut().insert(SkipAuth);
    request
}

/// Creates an API that takes 1 s for each response.
fn slow_api() -> Api {
    Api::new(|_| (SECOND, status(200)))
}

/// Sends `count` requests concurrently. Each call keeps its service until it completes.
async fn send_all<S>(service: &S, count: usize) -> Vec<Result<Answer, BoxError>>
where
    S: Service<Request<Full<Bytes>>, Response = Answer, Error = BoxError> + Clone + Send + 'static,
    S::Future: Send,
{
    let mut calls = JoinSet::new();
    for _ in 0..count {
        let mut service = service.clone();
        calls.spawn(async move { call(&mut service).await.await });
    }
    calls.join_all().await
}

/// Calls a service without dropping it, so that permits it holds outside of the future are not
/// released by the drop.
async fn call<S>(service: &mut S) -> S::Future
where
    S: Service<Request<Full<Bytes>>, Error = BoxError>,
{
    service.ready().await.unwrap().call(get())
}

/// Creates a provider that sends its token requests through `service`.
fn provider_through<S>(service: S) -> impl Provider<Credential = Bearer>
where
    S: Service<Request<Full<Bytes>>, Response = Answer, Error = BoxError>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send,
{
    provider_fn(move |_| {
        let tokens = service.clone();
        async move {
            let response = tokens.oneshot(without_auth()).await;
            response.map_err(ProviderError::transient)?;
            Ok(Issued::new(bearer("t1")))
        }
    })
}

/// P25.
#[tokio::test(start_paused = true)]
async fn concurrency_limit_inside_is_not_held_during_a_refresh() {
    let mut service = ServiceBuilder::new()
        .layer(only_api(numbered(60 * SECOND).0))
        .concurrency_limit(1)
        .service(slow_api());
    let waiting = tokio::spawn(call(&mut service).await);
    sleep(SECOND).await;
    let open = timeout(2 * SECOND, send(&service, without_auth())).await;
    assert_eq!(open.expect("no free permit").unwrap().status(), 200);
    waiting.abort();
}

#[tokio::test(start_paused = true)]
async fn concurrency_limit_outside_is_held_during_a_refresh() {
    let service = ServiceBuilder::new()
        .concurrency_limit(1)
        .layer(only_api(numbered(5 * SECOND).0))
        .service(slow_api());
    let start = Instant::now();
    let waiting = tokio::spawn(service.clone().oneshot(get()));
    sleep(SECOND).await;
    assert_eq!(send(&service, without_auth()).await.unwrap().status(), 200);
    assert_eq!(
        start.elapsed(),
        7 * SECOND,
        "did not wait for the first call: 5 s + 1 s, then 1 s"
    );
    assert_eq!(waiting.await.unwrap().unwrap().status(), 200);
}

/// P10, P25.
#[tokio::test(start_paused = true)]
async fn concurrency_limit_inside_can_include_token_requests() {
    let limit = GlobalConcurrencyLimitLayer::new(1);
    let tokens = ServiceBuilder::new()
        .layer(limit.clone())
        .service(slow_api());
    let service = ServiceBuilder::new()
        .layer(only_api(provider_through(tokens)))
        .layer(limit)
        .service(slow_api());
    let all = timeout(20 * SECOND, send_all(&service, 4)).await;
    for response in all.expect("deadlock") {
        assert_eq!(response.unwrap().status(), 200);
    }
}

/// Pitfall: a waiter holds the permit that the token request needs, until the refresh timeout.
#[tokio::test(start_paused = true)]
async fn concurrency_limit_outside_can_starve_token_requests() {
    let limit = GlobalConcurrencyLimitLayer::new(1);
    let tokens = ServiceBuilder::new()
        .layer(limit.clone())
        .service(slow_api());
    let service = ServiceBuilder::new()
        .layer(limit)
        .layer(only_api(provider_through(tokens)))
        .service(slow_api());
    let error = send(&service, get()).await.unwrap_err();
    assert!(
        error.downcast_ref::<Error>().unwrap().is_timeout(),
        "{error:#}"
    );
}

#[tokio::test(start_paused = true)]
async fn load_shed_outside_spares_calls_that_have_waited() {
    let service = ServiceBuilder::new()
        .load_shed()
        .layer(only_api(numbered(SECOND).0))
        .concurrency_limit(1)
        .service(slow_api());
    let start = Instant::now();
    for response in send_all(&service, 3).await {
        assert_eq!(response.unwrap().status(), 200);
    }
    assert_eq!(
        start.elapsed(),
        4 * SECOND,
        "the calls were not sent one at a time"
    );

    let shed = send_all(&service, 3).await;
    let shed = shed.iter().filter_map(|response| response.as_ref().err());
    assert_eq!(shed.filter(|error| error.is::<Overloaded>()).count(), 2);
}

#[tokio::test(start_paused = true)]
async fn load_shed_inside_sheds_calls_that_have_waited() {
    let service = ServiceBuilder::new()
        .layer(only_api(numbered(SECOND).0))
        .load_shed()
        .concurrency_limit(1)
        .service(slow_api());
    let shed = send_all(&service, 3).await;
    let shed = shed.iter().filter_map(|response| response.as_ref().err());
    assert_eq!(shed.filter(|error| error.is::<Overloaded>()).count(), 2);
}

/// Pitfall: the caller sees neither the 401 nor another response.
#[tokio::test(start_paused = true)]
async fn load_shed_inside_can_shed_a_retry() {
    let valid = Valid::of(&["t2"]);
    let api = Api::new(move |seen| {
        let without_token = seen.token().is_none();
        let response = if without_token {
            status(200)
        } else {
            valid.answer(seen)
        };
        (SECOND, response)
    });
    let service = ServiceBuilder::new()
        .layer(only_api(numbered(SECOND).0))
        .load_shed()
        .concurrency_limit(1)
        .service(api.clone());
    let rejected = tokio::spawn(service.clone().oneshot(get()));
    // The 401 arrives after 2 s, and the retry is due after 3 s.
    sleep(SECOND * 5 / 2).await;
    assert_eq!(send(&service, without_auth()).await.unwrap().status(), 200);
    assert!(rejected.await.unwrap().unwrap_err().is::<Overloaded>());
    assert_eq!(api.tokens_seen(), ["t1", "none"]);
}

#[tokio::test(start_paused = true)]
async fn buffer_outside_is_not_blocked_during_a_refresh() {
    let service = ServiceBuilder::new()
        .buffer(1)
        .layer(only_api(numbered(60 * SECOND).0))
        .service(slow_api());
    let mut waiting = JoinSet::new();
    for _ in 0..8 {
        waiting.spawn(service.clone().oneshot(get()));
    }
    sleep(SECOND).await;
    let open = timeout(2 * SECOND, send(&service, without_auth())).await;
    assert_eq!(
        open.expect("blocked by calls that wait for a token")
            .unwrap()
            .status(),
        200
    );
}

#[tokio::test(start_paused = true)]
async fn buffer_outside_preserves_the_layers_errors() {
    let service = ServiceBuilder::new()
        .buffer(1)
        .layer(only_api(scripted(&[])))
        .service(slow_api());
    for _ in 0..2 {
        let error = send(&service, get()).await.unwrap_err();
        assert!(error.downcast_ref::<Error>().unwrap().is_provider());
    }
}

/// P25.
#[tokio::test(start_paused = true)]
async fn buffer_inside_is_not_held_during_a_refresh() {
    let buffer = ServiceBuilder::new().buffer(1).service(slow_api());
    let service = ServiceBuilder::new()
        .layer(only_api(numbered(60 * SECOND).0))
        .service(buffer.clone());
    let mut services = vec![service; 8];
    let mut waiting = JoinSet::new();
    for service in &mut services {
        // The service holds its slot until it is called.
        let called = timeout(SECOND, call(service)).await;
        waiting.spawn(called.expect("no free slot"));
    }
    let other = timeout(2 * SECOND, buffer.oneshot(get())).await;
    assert_eq!(other.expect("no free slot").unwrap().status(), 200);
}

/// The rate limit: two requests per 10 s.
const RATE_LIMIT: (u64, Duration) = (2, Duration::from_secs(10));

#[tokio::test(start_paused = true)]
async fn rate_limit_inside_counts_every_attempt() {
    let api = Api::accepting(&Valid::of(&["t2"]));
    let service = ServiceBuilder::new()
        .layer(only_api(numbered(Duration::ZERO).0))
        .buffer(8)
        .rate_limit(RATE_LIMIT.0, RATE_LIMIT.1)
        .service(api.clone());
    let start = Instant::now();
    assert_eq!(send(&service, get()).await.unwrap().status(), 200);
    assert_eq!(send(&service, get()).await.unwrap().status(), 200);
    assert!(start.elapsed() >= RATE_LIMIT.1, "{:?}", start.elapsed());
    assert_eq!(api.tokens_seen(), ["t1", "t2", "t2"]);
}

/// Pitfall: a server that counts requests sees more of them than the limit.
#[tokio::test(start_paused = true)]
async fn rate_limit_outside_does_not_count_retries() {
    let api = Api::accepting(&Valid::of(&["t2"]));
    let service = ServiceBuilder::new()
        .buffer(8)
        .rate_limit(RATE_LIMIT.0, RATE_LIMIT.1)
        .layer(only_api(numbered(Duration::ZERO).0))
        .service(api.clone());
    let start = Instant::now();
    assert_eq!(send(&service, get()).await.unwrap().status(), 200);
    assert_eq!(send(&service, get()).await.unwrap().status(), 200);
    assert!(start.elapsed() < RATE_LIMIT.1, "{:?}", start.elapsed());
    assert_eq!(api.tokens_seen(), ["t1", "t2", "t2"]);
}
