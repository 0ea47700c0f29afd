//! Other layers around this one: what each order means (P27).

use std::{
    future::{Ready, ready},
    time::Duration,
};

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};
use tower::{
    Layer, Service, ServiceBuilder, ServiceExt,
    retry::{Policy, RetryLayer},
    timeout::TimeoutLayer,
};
use tower_auth::{BoxError, Error, Issued, ProviderError, provider_fn};

use crate::memory::{Answer, Api, Valid, bearer, get, numbered, only_api, send, status};

/// Timeout outside: it bounds the wait for a credential too, and the refresh goes on.
#[tokio::test(start_paused = true)]
async fn a_timeout_outside_ends_the_wait_for_a_token_but_not_the_refresh() {
    let api = Api::accepting(&Valid::of(&["t1"]));
    let (provider, _) = numbered(Duration::from_secs(2));
    let service = ServiceBuilder::new()
        .layer(TimeoutLayer::new(Duration::from_secs(1)))
        .layer(only_api(provider))
        .service(api.clone());
    assert!(service.clone().oneshot(get()).await.is_err());
    sleep(Duration::from_secs(1)).await;
    assert_eq!(service.oneshot(get()).await.unwrap().status(), 200);
    assert_eq!(api.tokens_seen(), ["t1"]);
}

/// Timeout inside: it bounds each sending, and a slow token endpoint is no concern of it.
#[tokio::test(start_paused = true)]
async fn a_timeout_inside_bounds_each_sending_and_not_the_wait() {
    let valid = Valid::of(&["t2"]);
    let api = Api::new(move |seen| (Duration::from_millis(800), valid.answer(seen)));
    let (provider, _) = numbered(Duration::from_secs(2));
    let timeout = TimeoutLayer::new(Duration::from_secs(1));
    let service = only_api(provider).layer(timeout.layer(api));
    let start = Instant::now();
    assert_eq!(send(&service, get()).await.unwrap().status(), 200);
    let time = start.elapsed();
    assert!(
        time > Duration::from_secs(5),
        "two refreshes and two sendings: {time:?}"
    );
}

/// Waits as long as the error says.
#[derive(Clone)]
struct AsTheErrorSays;

impl Policy<Request<Full<Bytes>>, Answer, BoxError> for AsTheErrorSays {
    type Future = futures::future::Either<
        Ready<()>,
        std::pin::Pin<Box<dyn std::future::Future<Output = ()> + Send>>,
    >;

    fn retry(
        &mut self,
        _: &mut Request<Full<Bytes>>,
        result: &mut Result<Answer, BoxError>,
    ) -> Option<Self::Future> {
        use futures::future::Either;
        match result {
            Ok(response) if response.status() == 503 => Some(Either::Left(ready(()))),
            Ok(_) => None,
            Err(error) => {
                let wait = error.downcast_ref::<Error>()?.retry_after()?;
                Some(Either::Right(Box::pin(sleep(wait))))
            }
        }
    }

    fn clone_request(&mut self, request: &Request<Full<Bytes>>) -> Option<Request<Full<Bytes>>> {
        Some(request.clone())
    }
}

/// Retry outside: it can wait as long as the error says, and each try gets the token of then.
#[tokio::test(start_paused = true)]
async fn a_retry_outside_waits_as_the_error_says_and_sends_the_token_of_then() {
    let api = Api::new(|seen| {
        let busy = seen.token() == Some("t2");
        (Duration::ZERO, status(if busy { 503 } else { 200 }))
    });
    let number = std::sync::atomic::AtomicUsize::new(0);
    let provider = provider_fn(move |_| {
        let number = number.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1;
        async move {
            if number == 1 {
                let error = ProviderError::transient("busy");
                return Err(error.retry_after(Duration::from_secs(7)));
            }
            let lifetime = Duration::from_secs(1);
            Ok(Issued::new(bearer(&format!("t{number}"))).expires_in(lifetime))
        }
    });
    let layer = only_api(provider);
    let handle = layer.handle();
    let service = ServiceBuilder::new()
        .layer(RetryLayer::new(AsTheErrorSays))
        .layer(layer)
        .service(Api::clone(&api));
    let start = Instant::now();
    let invalidate = tokio::spawn(async move {
        sleep(Duration::from_secs(7)).await;
        handle.credential().await.ok();
        handle.invalidate();
    });
    assert_eq!(service.oneshot(get()).await.unwrap().status(), 200);
    invalidate.await.unwrap();
    assert_eq!(start.elapsed(), Duration::from_secs(7));
    assert_eq!(api.tokens_seen().last().unwrap(), "t3");
}

/// Retry inside: every try goes out with the same token, and its last answer counts.
#[tokio::test(start_paused = true)]
async fn a_retry_inside_repeats_the_same_token() {
    let count = std::sync::atomic::AtomicUsize::new(0);
    let api = Api::new(move |_| {
        let busy = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) < 3;
        (Duration::ZERO, status(if busy { 503 } else { 200 }))
    });
    let (provider, _) = numbered(Duration::ZERO);
    let inner = RetryLayer::new(AsTheErrorSays).layer(api.clone());
    let service = only_api(provider).layer(inner);
    assert_eq!(send(&service, get()).await.unwrap().status(), 200);
    assert_eq!(api.tokens_seen(), ["t1"; 4]);
}

/// LoadShed inside: the layer does not hide that the service is overloaded.
#[tokio::test(start_paused = true)]
async fn load_shed_inside_fails_the_requests_that_find_no_room() {
    let api = Api::new(|_| (Duration::from_secs(1), status(200)));
    let (provider, _) = numbered(Duration::ZERO);
    let inner = ServiceBuilder::new()
        .load_shed()
        .concurrency_limit(1)
        .service(api);
    let service = only_api(provider).layer(inner);
    let mut calls = JoinSet::new();
    for _ in 0..3 {
        let service = service.clone();
        calls.spawn(async move { send(&service, get()).await.is_ok() });
    }
    let served = calls
        .join_all()
        .await
        .into_iter()
        .filter(|served| *served)
        .count();
    assert_eq!(served, 1);
}

/// RateLimit is not `Clone`, so it goes behind a Buffer; a retry counts as a request of its own.
#[tokio::test(start_paused = true)]
async fn a_rate_limit_behind_a_buffer_counts_each_sending() {
    let api = Api::accepting(&Valid::of(&["t2"]));
    let (provider, _) = numbered(Duration::ZERO);
    let inner = ServiceBuilder::new()
        .buffer(4)
        .rate_limit(1, Duration::from_secs(1))
        .service(api);
    let mut service = only_api(provider).layer(inner);
    let start = Instant::now();
    let ready = ServiceExt::<Request<Full<Bytes>>>::ready(&mut service)
        .await
        .unwrap();
    assert_eq!(ready.call(get()).await.unwrap().status(), 200);
    let time = start.elapsed();
    assert!(time >= Duration::from_secs(1), "{time:?}");
}

/// P10: a token request through the layer it is for could only wait for itself.
#[tokio::test(start_paused = true)]
async fn a_marked_token_request_through_its_own_layer_is_an_error_that_says_so() {
    use std::sync::{Arc, Mutex};

    type Own = tower::util::BoxCloneSyncService<Request<Full<Bytes>>, Answer, BoxError>;

    let slot = Arc::new(Mutex::new(None::<Own>));
    let own = Arc::clone(&slot);
    let provider = provider_fn(move |context: tower_auth::RefreshContext<_>| {
        let own = own.lock().unwrap().clone().unwrap();
        async move {
            let mut request = get();
            context.mark(request.extensions_mut());
            // Another task, so that only the mark can tell.
            let answer = tokio::spawn(own.oneshot(request)).await;
            match answer.map_err(ProviderError::permanent)? {
                Ok(_) => Ok(Issued::new(bearer("never"))),
                Err(error) => Err(ProviderError::permanent(error)),
            }
        }
    });
    let api = Api::new(|_| (Duration::ZERO, status(200)));
    let service = only_api(provider).layer(api.clone());
    *slot.lock().unwrap() = Some(Own::new(service.clone()));
    let start = Instant::now();
    let error = send(&service, get()).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("give the provider an HTTP client without this layer"),
        "{error}"
    );
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert!(api.seen().is_empty());
}
