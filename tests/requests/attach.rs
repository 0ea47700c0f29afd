//! Which requests carry the credential, and how the layer reports the others.

use std::{
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

use http::{Request, StatusCode};
use http_body_util::Full;
use tower::{Layer, Service, ServiceExt};
use tower_auth::{
    AuthLayer, BoxError, Credential, Error, Issued, NotAttached, Origins, ProviderError, SkipAuth,
    credential::{ApiKey, Bearer, RequestHeadMut},
    provider_fn,
};

use crate::memory::{
    Api, Valid, bearer, get, numbered, only_api, relative, scripted, send, status,
};

fn own_error(error: BoxError) -> Error {
    *error.downcast::<Error>().expect("an error of the layer")
}

/// P21.
#[tokio::test(start_paused = true)]
async fn existing_credential_is_kept_and_its_401_is_not_retried() {
    let api = Api::accepting(&Valid::of(&["t1"]));
    let (provider, calls) = numbered(Duration::ZERO);
    let service = only_api(provider).layer(api.clone());
    for warm in [false, true] {
        if warm {
            send(&service, get()).await.unwrap();
        }
        let before = calls.load(SeqCst);
        let mut request = get();
        request
            .headers_mut()
            .append("authorization", "Bearer mine".parse().unwrap());
        request
            .headers_mut()
            .append("authorization", "Bearer too".parse().unwrap());
        let response = send(&service, request).await.unwrap();
        assert_eq!(response.status(), 401);
        assert_eq!(
            response.extensions().get(),
            Some(&NotAttached::AlreadyPresent)
        );
        let seen = api.seen().pop().unwrap();
        let values: Vec<_> = seen.headers.get_all("authorization").iter().collect();
        assert_eq!(values, ["Bearer mine", "Bearer too"]);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(calls.load(SeqCst), before);
    }
}

#[tokio::test(start_paused = true)]
async fn existing_credential_is_overwritten_when_configured() {
    let api = Api::accepting(&Valid::of(&["t1"]));
    let (provider, _) = numbered(Duration::ZERO);
    let service = only_api(provider)
        .overwrite_existing(true)
        .layer(api.clone());
    for _ in 0..3 {
        let mut request = get();
        request
            .headers_mut()
            .append("authorization", "Bearer mine".parse().unwrap());
        request
            .headers_mut()
            .append("authorization", "Bearer too".parse().unwrap());
        assert_eq!(send(&service, request).await.unwrap().status(), 200);
    }
    assert_eq!(api.tokens_seen(), ["t1"; 3]);
}

#[tokio::test(start_paused = true)]
async fn skip_auth_sends_the_request_unchanged() {
    let api = Api::new(|_| (Duration::ZERO, status(401)));
    let (provider, calls) = numbered(Duration::ZERO);
    let service = only_api(provider).layer(api.clone());
    let mut request = get();
    request.extensions_mut().insert(SkipAuth);
    let response = send(&service, request).await.unwrap();
    assert_eq!(response.extensions().get(), Some(&NotAttached::Skipped));
    assert_eq!(api.tokens_seen(), ["none"]);
    assert_eq!(calls.load(SeqCst), 0);
}

/// Rule 9.
#[tokio::test(start_paused = true)]
async fn a_request_to_another_origin_carries_no_credential() {
    let api = Api::new(|_| (Duration::ZERO, status(200)));
    let (provider, calls) = numbered(Duration::ZERO);
    let service = only_api(provider).layer(api.clone());
    for uri in [
        "https://evil.example.com/",
        "https://api.example.com:8443/",
        "http://api.example.com/",
        "https://api.example.com@evil.com/",
        "https://api.example.com.evil.com/",
    ] {
        let request = Request::get(uri).body(Full::default()).unwrap();
        let response = send(&service, request).await.unwrap();
        assert_eq!(
            response.extensions().get(),
            Some(&NotAttached::OtherOrigin),
            "{uri}"
        );
    }
    assert!(api.tokens_seen().iter().all(|token| token == "none"));
    assert_eq!(calls.load(SeqCst), 0);
}

/// P57.
#[tokio::test(start_paused = true)]
async fn a_uri_without_a_host_is_an_error_that_names_the_fix() {
    let api = Api::new(|_| (Duration::ZERO, status(200)));
    let (provider, _) = numbered(Duration::ZERO);
    let service = only_api(provider).layer(api.clone());
    let error = own_error(send(&service, relative()).await.unwrap_err());
    assert!(
        format!("{error:#}").contains("Origins::for_relative_uris"),
        "{error:#}"
    );
    assert!(api.seen().is_empty());

    let (provider, _) = numbered(Duration::ZERO);
    let bound = AuthLayer::new(
        provider,
        Origins::for_relative_uris("https://api.example.com").unwrap(),
    );
    send(&bound.layer(api.clone()), relative()).await.unwrap();
    assert_eq!(api.tokens_seen(), ["t1"]);
}

/// Rule 10.
#[tokio::test(start_paused = true)]
async fn request_fails_unsent_without_a_credential() {
    let api = Api::new(|_| (Duration::ZERO, status(200)));
    let service = only_api(scripted(&[])).layer(api.clone());
    let error = own_error(send(&service, get()).await.unwrap_err());
    assert!(error.is_provider());
    assert_eq!(
        format!("{error:#}"),
        "failed to get a credential: provider error: the script is over"
    );
    assert!(own_error(send(&service, get()).await.unwrap_err()).is_backoff());
    assert!(api.seen().is_empty());
}

/// Rule 10.
#[tokio::test(start_paused = true)]
async fn the_header_is_marked_sensitive() {
    let api = Api::new(|_| (Duration::ZERO, status(200)));
    let service = only_api(bearer("secret")).layer(api.clone());
    send(&service, get()).await.unwrap();
    assert!(api.seen()[0].headers["authorization"].is_sensitive());
}

#[tokio::test(start_paused = true)]
async fn credential_that_cannot_be_attached_is_an_error() {
    #[derive(Clone)]
    struct Picky;

    impl Credential for Picky {
        fn apply(&self, request: &mut RequestHeadMut<'_>) -> Result<(), BoxError> {
            Err(format!("cannot sign {} requests", request.method()).into())
        }

        fn is_same(&self, _: &Self) -> bool {
            true
        }
    }

    let api = Api::new(|_| (Duration::ZERO, status(200)));
    let provider = provider_fn(|_| async { Ok::<_, ProviderError>(Issued::new(Picky)) });
    let service = only_api(provider).layer(api.clone());
    let error = own_error(send(&service, get()).await.unwrap_err());
    assert_eq!(
        format!("{error:#}"),
        "failed to attach the credential to the request: cannot sign GET requests"
    );
    assert!(api.seen().is_empty());
}

#[tokio::test(start_paused = true)]
async fn header_key_is_sent_alongside_authorization() {
    let api = Api::new(|_| (Duration::ZERO, status(200)));
    let service = only_api(ApiKey::header("x-api-key", "k").unwrap()).layer(api.clone());
    let mut request = get();
    request
        .headers_mut()
        .insert("authorization", "Bearer mine".parse().unwrap());
    send(&service, request).await.unwrap();
    let seen = api.seen().pop().unwrap();
    assert_eq!(
        (&seen.headers["x-api-key"], seen.token()),
        (&"k".parse().unwrap(), Some("mine"))
    );
}

/// P21: the last key determines the header's name, even after it has expired.
#[tokio::test(start_paused = true)]
async fn request_with_its_own_key_does_not_wait_for_a_refresh() {
    let api = Api::new(|_| (Duration::ZERO, status(200)));
    let first = std::sync::atomic::AtomicBool::new(true);
    let provider = provider_fn(move |_| {
        let first = first.swap(false, SeqCst);
        async move {
            if first {
                let key = ApiKey::header("x-api-key", "k").unwrap();
                return Ok(Issued::new(key).expires_in(Duration::from_secs(60)));
            }
            std::future::pending().await
        }
    });
    let service = only_api(provider).layer(api.clone());
    send(&service, get()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(61)).await;
    let start = tokio::time::Instant::now();
    let mut request = get();
    request
        .headers_mut()
        .insert("x-api-key", "mine".parse().unwrap());
    send(&service, request).await.unwrap();
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(api.seen().pop().unwrap().headers["x-api-key"], "mine");
    assert!(send(&service, get()).await.is_err());
}

/// Clones of a layer and of its services share one credential, although each service keeps a copy.
#[tokio::test(start_paused = true)]
async fn all_clones_share_one_credential() {
    let api = Api::accepting(&Valid::of(&["t1"]));
    let (provider, calls) = numbered(Duration::ZERO);
    let layer = only_api(provider);
    let services = [layer.layer(api.clone()), layer.clone().layer(api.clone())];
    for service in &services {
        let mut long_lived = service.clone();
        for _ in 0..3 {
            let ready = ServiceExt::<Request<Full<bytes::Bytes>>>::ready(&mut long_lived);
            let response = tower::Service::call(ready.await.unwrap(), get())
                .await
                .unwrap();
            assert_eq!(response.status(), StatusCode::OK);
            assert_eq!(send(service, get()).await.unwrap().status(), 200);
        }
    }
    assert_eq!(calls.load(SeqCst), 1);
    assert_eq!(layer.handle().credential().await.unwrap().expose(), "t1");
}

/// The copy that a service keeps between calls is never older than the shared credential.
#[tokio::test(start_paused = true)]
async fn long_lived_service_uses_each_new_credential() {
    let api = Api::new(|_| (Duration::ZERO, status(200)));
    let (provider, _) = numbered(Duration::ZERO);
    let layer = only_api(provider);
    let mut service = layer.layer(api.clone());
    for calls in [1, 2, 3] {
        for _ in 0..calls {
            let ready = ServiceExt::<Request<Full<bytes::Bytes>>>::ready(&mut service);
            ready.await.unwrap().call(get()).await.unwrap();
        }
        layer.handle().invalidate();
    }
    for seeded in ["s1", "s2"] {
        layer.handle().set_credential(Issued::new(bearer(seeded)));
        let ready = ServiceExt::<Request<Full<bytes::Bytes>>>::ready(&mut service);
        ready.await.unwrap().call(get()).await.unwrap();
    }
    let seen = api.tokens_seen();
    assert_eq!(seen, ["t1", "t2", "t2", "t3", "t3", "t3", "s1", "s2"]);
}

/// Debug output names the type and policy, and contains no part of a request.
#[tokio::test(start_paused = true)]
async fn debug_output_names_types_and_hides_requests() {
    let layer = only_api(numbered(Duration::ZERO).0);
    let shown = format!("{layer:?}");
    let policy =
        "AuthLayer { policy: Policy { origins: Origins { allowed: [https://api.example.com]";
    assert!(shown.starts_with(policy), "{shown}");
    let inner =
        tower::service_fn(async |_: Request<Full<bytes::Bytes>>| Ok::<_, BoxError>(status(200)));
    let shown = format!("{:?}", layer.layer(inner));
    assert!(shown.starts_with("Auth { inner: ServiceFn"), "{shown}");
    let mut service = layer.layer(Api::new(|_| (Duration::ZERO, status(200))));
    let ready = ServiceExt::<Request<Full<bytes::Bytes>>>::ready(&mut service);
    let future = ready.await.unwrap().call(get());
    assert_eq!(format!("{future:?}"), "ResponseFuture { .. }");
    assert_eq!(
        NotAttached::Skipped.to_string(),
        "the request is marked with SkipAuth"
    );
}

/// A service can be cloned even if its provider cannot. The future of a `Send` service is `Send`.
#[test]
fn auto_traits_follow_the_inner_service() {
    struct NotClone;

    impl tower_auth::Provider for NotClone {
        type Credential = Bearer;

        async fn issue(
            &self,
            _: tower_auth::RefreshContext<Bearer>,
        ) -> Result<Issued<Bearer>, ProviderError> {
            Ok(Issued::permanent(bearer("t")))
        }
    }

    fn is_send_sync_clone<T: Send + Sync + Clone>(_: &T) {}
    fn is_send<T: Send>(_: &T) {}

    let layer = only_api(NotClone);
    let api = Api::new(|_| (Duration::ZERO, status(200)));
    let mut service = layer.layer(api);
    is_send_sync_clone(&layer);
    is_send_sync_clone(&service);
    is_send_sync_clone(&layer.handle());
    let waker = std::task::Waker::noop();
    let mut context = std::task::Context::from_waker(waker);
    let ready =
        tower::Service::<Request<Full<bytes::Bytes>>>::poll_ready(&mut service, &mut context);
    assert!(ready.is_ready());
    is_send(&tower::Service::call(&mut service, get()));
}

#[tokio::test(start_paused = true)]
async fn non_send_service_works_on_one_thread() {
    use std::rc::Rc;

    let count = Rc::new(std::cell::Cell::new(0));
    let counter = Rc::clone(&count);
    let inner = tower::service_fn(move |_: Request<Full<bytes::Bytes>>| {
        let counter = Rc::clone(&counter);
        async move {
            counter.set(counter.get() + 1);
            Ok::<_, BoxError>(status(if counter.get() == 1 { 401 } else { 200 }))
        }
    });
    let (provider, _) = numbered(Duration::from_millis(1));
    let service = only_api(provider).layer(inner);
    assert_eq!(send(&service, get()).await.unwrap().status(), 200);
    assert_eq!(count.get(), 2);
}

type Own =
    tower::util::BoxCloneSyncService<Request<Full<bytes::Bytes>>, crate::memory::Answer, BoxError>;

type Attempt =
    std::pin::Pin<Box<dyn Future<Output = Result<crate::memory::Answer, BoxError>> + Send>>;

/// Sends a request through a layer whose provider uses `way` to send its own request through the
/// same layer. Returns the error, the time until it arrived, and the number of requests that were
/// sent.
async fn through_own_layer(way: fn(Own) -> Attempt) -> (Error, Duration, usize) {
    let slot = Arc::new(std::sync::Mutex::new(None::<Own>));
    let own = Arc::clone(&slot);
    let provider = provider_fn(move |_| {
        let request = way(own.lock().unwrap().clone().unwrap());
        async move {
            match request.await {
                Ok(_) => Ok(Issued::new(bearer("never"))),
                Err(error) => Err(ProviderError::permanent(error)),
            }
        }
    });
    let api = Api::new(|_| (Duration::ZERO, status(200)));
    let service = only_api(provider).layer(api.clone());
    *slot.lock().unwrap() = Some(Own::new(service.clone()));
    let start = tokio::time::Instant::now();
    let error = send(&service, get()).await.unwrap_err();
    (own_error(error), start.elapsed(), api.seen().len())
}

/// P10.
#[tokio::test(start_paused = true)]
async fn a_token_request_through_its_own_layer_fails_at_once() {
    let direct = |own: Own| -> Attempt { Box::pin(own.oneshot(get())) };
    // A buffer calls the service in a separate task.
    let buffered =
        |own: Own| -> Attempt { Box::pin(tower::buffer::Buffer::new(own, 1).oneshot(get())) };
    for way in [direct, buffered] {
        let (error, after, sent) = through_own_layer(way).await;
        let text = format!("{error:#}");
        assert!(
            text.contains("give the provider an HTTP client without this layer"),
            "{text}"
        );
        assert_eq!((after, sent), (Duration::ZERO, 0));
    }
}

/// P10: the layer cannot recognize such a request, but the refresh timeout ends its wait.
#[tokio::test(start_paused = true)]
async fn token_request_from_a_spawned_task_times_out() {
    let (error, after, sent) =
        through_own_layer(|own| Box::pin(async { tokio::spawn(own.oneshot(get())).await? })).await;
    assert!(error.is_timeout(), "{error}");
    assert_eq!((after, sent), (Duration::from_secs(10), 0));
}

/// Polls after a response with a credential, after a response without one, and after an error.
#[tokio::test(start_paused = true)]
async fn a_future_polled_after_completion_panics_with_a_message() {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use futures::FutureExt;

    for (url, answer) in [
        ("https://api.example.com/", 200),
        ("https://api.example.com/", 401),
        ("https://other.example.com/", 200),
        ("/without/a/host", 200),
    ] {
        let (provider, _) = numbered(Duration::ZERO);
        let service = only_api(provider).layer(Api::new(move |_| (Duration::ZERO, status(answer))));
        let request = Request::get(url).body(Full::<bytes::Bytes>::default());
        let mut service = service.clone();
        let ready = ServiceExt::<Request<Full<bytes::Bytes>>>::ready(&mut service);
        let mut future = Box::pin(ready.await.unwrap().call(request.unwrap()));
        let _ = future.as_mut().await;
        let again = catch_unwind(AssertUnwindSafe(|| future.as_mut().now_or_never()));
        let message = again.unwrap_err().downcast::<&str>().unwrap();
        assert_eq!(*message, "ResponseFuture polled after completion", "{url}");
    }
}

/// A setter affects only the services created from the value that it returns.
#[tokio::test(start_paused = true)]
async fn setters_do_not_affect_existing_clones() {
    let api = Api::new(|_| (Duration::ZERO, status(200)));
    let layer = only_api(bearer("t"));
    let (clone, service) = (layer.clone(), layer.layer(api.clone()));
    let overwriting = layer.overwrite_existing(true).layer(api.clone());
    for (service, token) in [
        (service, "mine"),
        (clone.layer(api.clone()), "mine"),
        (overwriting, "t"),
    ] {
        let mut request = get();
        let own = "Bearer mine".parse().unwrap();
        request.headers_mut().insert("authorization", own);
        send(&service, request).await.unwrap();
        assert_eq!(api.tokens_seen().pop().unwrap(), token);
    }
}
