//! The parts of the inner service that a request holds, and when it releases them.
//!
//! The in-memory API panics if it is called without being ready, so every test in this folder also
//! tests P24.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use tokio::{task::JoinSet, time::timeout};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, limit::ConcurrencyLimitLayer};
use tower_auth::{
    BoxError, Credential, Issued, Provider, ProviderError,
    credential::{Bearer, RequestHeadMut},
    provider_fn,
};

use crate::memory::{
    Answer, Api, Valid, bearer, fails_unsent, get, numbered, only_api, relative, send, status,
};

const PATIENCE: Duration = Duration::from_secs(5);

/// Creates a provider that sends its token requests through the given service.
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
        let service = service.clone();
        async move {
            let request = Request::post("https://login.example.com/").body(Full::default());
            let request = request.map_err(ProviderError::permanent)?;
            service
                .oneshot(request)
                .await
                .map_err(ProviderError::transient)?;
            Ok(Issued::new(bearer("t1")))
        }
    })
}

/// P24: the first attempt, the retry and the wait, for a long-lived service and for clones.
#[tokio::test(start_paused = true)]
async fn no_service_is_called_unready() {
    let valid = Valid::of(&["t2"]);
    let api = Api::accepting(&valid);
    let (provider, _) = numbered(Duration::from_millis(1));
    let mut service = only_api(provider).layer(api);
    for _ in 0..3 {
        let ready = ServiceExt::<Request<Full<Bytes>>>::ready(&mut service)
            .await
            .unwrap();
        assert_eq!(ready.call(get()).await.unwrap().status(), 200);
    }
    valid.set(&["t3"]);
    assert_eq!(send(&service, get()).await.unwrap().status(), 200);
}

/// P24: after a call that had to wait, the service must be polled ready again.
#[tokio::test(start_paused = true)]
async fn service_that_released_readiness_becomes_ready_again() {
    let api = Api::accepting(&Valid::of(&["t1"]));
    let (provider, _) = numbered(Duration::from_millis(1));
    let mut service = only_api(provider).layer(api);
    let mut calls = JoinSet::new();
    for _ in 0..3 {
        let ready = ServiceExt::<Request<Full<Bytes>>>::ready(&mut service)
            .await
            .unwrap();
        calls.spawn(ready.call(get()));
    }
    for response in calls.join_all().await {
        assert_eq!(response.unwrap().status(), 200);
    }
}

/// P10, P25.
#[tokio::test(start_paused = true)]
async fn waiting_requests_hold_no_permit() {
    let api = Api::new(|_| (Duration::from_millis(10), status(200)));
    let limited = ServiceBuilder::new().concurrency_limit(2).service(api);
    let service = only_api(asking(limited.clone())).layer(limited);
    let mut calls = JoinSet::new();
    for _ in 0..4 {
        let mut service = service.clone();
        // Each service is polled ready before its call, as far as the limit allows.
        calls.spawn(async move {
            let ready = ServiceExt::<Request<Full<Bytes>>>::ready(&mut service).await?;
            ready.call(get()).await
        });
    }
    let all = timeout(PATIENCE, calls.join_all())
        .await
        .expect("no deadlock");
    assert!(
        all.into_iter()
            .all(|response| response.unwrap().status() == 200)
    );
}

/// P10: a long-lived service holds nothing for a request that it did not send.
#[tokio::test(start_paused = true)]
async fn requests_that_fail_unsent_hold_no_permit() {
    /// A credential that cannot be attached to any request.
    #[derive(Clone)]
    struct Unattachable;

    impl Credential for Unattachable {
        fn apply(&self, _: &mut RequestHeadMut<'_>) -> Result<(), BoxError> {
            Err("cannot be attached".into())
        }

        fn is_same(&self, _: &Self) -> bool {
            true
        }
    }

    let unattachable = || async { Ok(Issued::new(Unattachable)) };
    fails_unsent(&only_api(provider_fn(move |_| unattachable())), get()).await;
    fails_unsent(&only_api(bearer("t1")), relative()).await;
    let refused = || async { Err::<Issued<Bearer>, _>(ProviderError::permanent("no")) };
    fails_unsent(&only_api(provider_fn(move |_| refused())), get()).await;
}

/// P10: the token request shares the buffer.
#[tokio::test(start_paused = true)]
async fn waiting_requests_hold_no_buffer_slot() {
    let api = Api::new(|_| (Duration::from_millis(10), status(200)));
    let buffered = ServiceBuilder::new().buffer(1).service(api);
    let service = only_api(asking(buffered.clone())).layer(buffered);
    let mut calls = JoinSet::new();
    for _ in 0..4 {
        calls.spawn(service.clone().oneshot(get()));
    }
    let all = timeout(PATIENCE, calls.join_all())
        .await
        .expect("no deadlock");
    assert!(
        all.into_iter()
            .all(|response| response.unwrap().status() == 200)
    );
}

/// P26.
#[tokio::test(start_paused = true)]
async fn a_retry_through_a_limit_of_one_completes() {
    let api = Api::accepting(&Valid::of(&["t2"]));
    let (provider, _) = numbered(Duration::from_millis(1));
    let limited = ConcurrencyLimitLayer::new(1).layer(api.clone());
    let service = only_api(provider).layer(limited);
    let mut calls = JoinSet::new();
    for _ in 0..4 {
        let service = service.clone();
        calls.spawn(async move { send(&service, get()).await });
    }
    let all = timeout(PATIENCE, calls.join_all())
        .await
        .expect("no deadlock");
    assert!(
        all.into_iter()
            .all(|response| response.unwrap().status() == 200)
    );
}

/// P26: a rejected request holds no permit during the refresh.
#[tokio::test(start_paused = true)]
async fn a_rejected_request_that_waits_holds_no_permit() {
    let api = Api::accepting(&Valid::default());
    let (provider, _) = numbered(Duration::from_secs(1));
    let limited = ConcurrencyLimitLayer::new(1).layer(api.clone());
    let service = only_api(provider).layer(limited.clone());
    let waiting = tokio::spawn(async move { send(&service, get()).await });
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(api.seen().len(), 1, "rejected once, and waiting");
    let other = limited.oneshot(get());
    assert_eq!(
        timeout(Duration::from_millis(10), other)
            .await
            .unwrap()
            .unwrap()
            .status(),
        401
    );
    assert_eq!(waiting.await.unwrap().unwrap().status(), 401);
}
