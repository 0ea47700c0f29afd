//! `ConcurrencyLimit`, `LoadShed`, `Buffer`, `RateLimit`.

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

/// A request that needs no token.
fn open() -> Request<Full<Bytes>> {
    let mut request = get();
    request.extensions_mut().insert(SkipAuth);
    request
}

/// A second for each answer.
fn slow() -> Api {
    Api::new(|_| (SECOND, status(200)))
}

/// Sends so many requests at once, each through a service that stays as long as its call.
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

/// Calls a service that stays: what it holds beside the future is not given back by dropping it.
async fn call<S>(service: &mut S) -> S::Future
where
    S: Service<Request<Full<Bytes>>, Error = BoxError>,
{
    service.ready().await.unwrap().call(get())
}

/// A provider whose token requests go through this service.
fn asking<S>(service: S) -> impl Provider<Credential = Bearer>
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
            let answer = tokens.oneshot(open()).await;
            answer.map_err(ProviderError::transient)?;
            Ok(Issued::new(bearer("t1")))
        }
    })
}

/// P25.
#[tokio::test(start_paused = true)]
async fn concurrency_limit_inside_is_free_while_a_call_waits_for_a_token() {
    let mut service = ServiceBuilder::new()
        .layer(only_api(numbered(60 * SECOND).0))
        .concurrency_limit(1)
        .service(slow());
    let waiting = tokio::spawn(call(&mut service).await);
    sleep(SECOND).await;
    let open = timeout(2 * SECOND, send(&service, open())).await;
    assert_eq!(open.expect("a free place").unwrap().status(), 200);
    waiting.abort();
}

#[tokio::test(start_paused = true)]
async fn concurrency_limit_outside_is_held_while_a_call_waits_for_a_token() {
    let service = ServiceBuilder::new()
        .concurrency_limit(1)
        .layer(only_api(numbered(5 * SECOND).0))
        .service(slow());
    let start = Instant::now();
    let waiting = tokio::spawn(service.clone().oneshot(get()));
    sleep(SECOND).await;
    assert_eq!(send(&service, open()).await.unwrap().status(), 200);
    assert_eq!(
        start.elapsed(),
        7 * SECOND,
        "after the other: 5 + 1, then 1"
    );
    assert_eq!(waiting.await.unwrap().unwrap().status(), 200);
}

/// P10, P25.
#[tokio::test(start_paused = true)]
async fn concurrency_limit_inside_can_be_shared_with_the_token_requests() {
    let limit = GlobalConcurrencyLimitLayer::new(1);
    let tokens = ServiceBuilder::new().layer(limit.clone()).service(slow());
    let service = ServiceBuilder::new()
        .layer(only_api(asking(tokens)))
        .layer(limit)
        .service(slow());
    let all = timeout(20 * SECOND, send_all(&service, 4)).await;
    for response in all.expect("no deadlock") {
        assert_eq!(response.unwrap().status(), 200);
    }
}

/// Footgun: those who wait hold what they wait for. The refresh timeout ends it.
#[tokio::test(start_paused = true)]
async fn concurrency_limit_outside_shared_with_the_token_requests_starves_them() {
    let limit = GlobalConcurrencyLimitLayer::new(1);
    let tokens = ServiceBuilder::new().layer(limit.clone()).service(slow());
    let service = ServiceBuilder::new()
        .layer(limit)
        .layer(only_api(asking(tokens)))
        .service(slow());
    let error = send(&service, get()).await.unwrap_err();
    assert!(
        error.downcast_ref::<Error>().unwrap().is_timeout(),
        "{error:#}"
    );
}

#[tokio::test(start_paused = true)]
async fn load_shed_outside_sheds_calls_that_find_no_place_and_none_that_waited() {
    let service = ServiceBuilder::new()
        .load_shed()
        .layer(only_api(numbered(SECOND).0))
        .concurrency_limit(1)
        .service(slow());
    let start = Instant::now();
    for response in send_all(&service, 3).await {
        assert_eq!(response.unwrap().status(), 200);
    }
    assert_eq!(start.elapsed(), 4 * SECOND, "one after the other");

    let shed = send_all(&service, 3).await;
    let shed = shed.iter().filter_map(|response| response.as_ref().err());
    assert_eq!(shed.filter(|error| error.is::<Overloaded>()).count(), 2);
}

#[tokio::test(start_paused = true)]
async fn load_shed_inside_sheds_sendings_also_after_the_wait_for_a_token() {
    let service = ServiceBuilder::new()
        .layer(only_api(numbered(SECOND).0))
        .load_shed()
        .concurrency_limit(1)
        .service(slow());
    let shed = send_all(&service, 3).await;
    let shed = shed.iter().filter_map(|response| response.as_ref().err());
    assert_eq!(shed.filter(|error| error.is::<Overloaded>()).count(), 2);
}

/// Footgun: the caller sees neither the 401 nor an answer.
#[tokio::test(start_paused = true)]
async fn load_shed_inside_can_shed_a_retry() {
    let valid = Valid::of(&["t2"]);
    let api = Api::new(move |seen| {
        let open = seen.token().is_none();
        let answer = if open {
            status(200)
        } else {
            valid.answer(seen)
        };
        (SECOND, answer)
    });
    let service = ServiceBuilder::new()
        .layer(only_api(numbered(SECOND).0))
        .load_shed()
        .concurrency_limit(1)
        .service(api.clone());
    let rejected = tokio::spawn(service.clone().oneshot(get()));
    // Rejected after two seconds, and sent again after three.
    sleep(SECOND * 5 / 2).await;
    assert_eq!(send(&service, open()).await.unwrap().status(), 200);
    assert!(rejected.await.unwrap().unwrap_err().is::<Overloaded>());
    assert_eq!(api.tokens_seen(), ["t1", "none"]);
}

#[tokio::test(start_paused = true)]
async fn buffer_outside_is_not_held_up_by_calls_that_wait_for_a_token() {
    let service = ServiceBuilder::new()
        .buffer(1)
        .layer(only_api(numbered(60 * SECOND).0))
        .service(slow());
    let mut waiting = JoinSet::new();
    for _ in 0..8 {
        waiting.spawn(service.clone().oneshot(get()));
    }
    sleep(SECOND).await;
    let open = timeout(2 * SECOND, send(&service, open())).await;
    assert_eq!(open.expect("not held up").unwrap().status(), 200);
}

#[tokio::test(start_paused = true)]
async fn buffer_outside_hands_the_layers_own_errors_through() {
    let service = ServiceBuilder::new()
        .buffer(1)
        .layer(only_api(scripted(&[])))
        .service(slow());
    for _ in 0..2 {
        let error = send(&service, get()).await.unwrap_err();
        assert!(error.downcast_ref::<Error>().unwrap().is_provider());
    }
}

/// P25.
#[tokio::test(start_paused = true)]
async fn buffer_inside_gets_its_slot_back_while_a_call_waits_for_a_token() {
    let buffer = ServiceBuilder::new().buffer(1).service(slow());
    let service = ServiceBuilder::new()
        .layer(only_api(numbered(60 * SECOND).0))
        .service(buffer.clone());
    let mut services = vec![service; 8];
    let mut waiting = JoinSet::new();
    for service in &mut services {
        // It holds the slot until it is called.
        let called = timeout(SECOND, call(service)).await;
        waiting.spawn(called.expect("a free slot"));
    }
    let other = timeout(2 * SECOND, buffer.oneshot(get())).await;
    assert_eq!(other.expect("a free slot").unwrap().status(), 200);
}

/// Two answers in ten seconds, from an API that accepts the second token.
const LIMIT: (u64, Duration) = (2, Duration::from_secs(10));

#[tokio::test(start_paused = true)]
async fn rate_limit_inside_counts_sendings_the_retry_too() {
    let api = Api::accepting(&Valid::of(&["t2"]));
    let service = ServiceBuilder::new()
        .layer(only_api(numbered(Duration::ZERO).0))
        .buffer(8)
        .rate_limit(LIMIT.0, LIMIT.1)
        .service(api.clone());
    let start = Instant::now();
    assert_eq!(send(&service, get()).await.unwrap().status(), 200);
    assert_eq!(send(&service, get()).await.unwrap().status(), 200);
    assert!(start.elapsed() >= LIMIT.1, "{:?}", start.elapsed());
    assert_eq!(api.tokens_seen(), ["t1", "t2", "t2"]);
}

/// Footgun: a service that counts requests counts more of them.
#[tokio::test(start_paused = true)]
async fn rate_limit_outside_counts_calls_and_no_retry() {
    let api = Api::accepting(&Valid::of(&["t2"]));
    let service = ServiceBuilder::new()
        .buffer(8)
        .rate_limit(LIMIT.0, LIMIT.1)
        .layer(only_api(numbered(Duration::ZERO).0))
        .service(api.clone());
    let start = Instant::now();
    assert_eq!(send(&service, get()).await.unwrap().status(), 200);
    assert_eq!(send(&service, get()).await.unwrap().status(), 200);
    assert!(start.elapsed() < LIMIT.1, "{:?}", start.elapsed());
    assert_eq!(api.tokens_seen(), ["t1", "t2", "t2"]);
}
