//! The effects of `Trace`, outside and inside the layer.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tower::{Layer, Service, ServiceBuilder, ServiceExt};
use tower_auth::{
    AuthLayer, Origins,
    credential::{ApiKey, Basic},
};
use tower_http::{
    classify::{ServerErrorsAsFailures, SharedClassifier},
    trace::{DefaultMakeSpan, TraceLayer},
};
use tracing::Level;

use crate::{
    log::Log,
    memory::{Api, Valid, get, only_api, scripted, status},
};

/// Creates a `Trace` layer that also logs headers.
fn trace() -> TraceLayer<SharedClassifier<ServerErrorsAsFailures>> {
    TraceLayer::new_for_http().make_span_with(DefaultMakeSpan::new().include_headers(true))
}

/// Sends a request through the layers, and returns the log and the response's status.
async fn log_of<L, S, R>(layers: L, api: Api) -> (String, StatusCode)
where
    L: Layer<Api, Service = S>,
    S: Service<Request<Full<Bytes>>, Response = Response<R>>,
    S::Error: std::fmt::Debug,
{
    let (log, _guard) = Log::listen(Level::TRACE);
    let response = layers.layer(api).oneshot(get()).await.unwrap();
    (log.text(), response.status())
}

/// Counts the requests that `Trace` saw.
fn requests_logged(log: &str) -> usize {
    log.matches("started processing request").count()
}

#[tokio::test(start_paused = true)]
async fn trace_outside_logs_each_call_once_without_the_credential() {
    let layers = ServiceBuilder::new()
        .layer(trace())
        .layer(only_api(scripted(&["s3cret-1", "s3cret-2"])));
    let api = Api::accepting(&Valid::of(&["s3cret-2"]));
    let (log, code) = log_of(layers, api).await;
    assert_eq!((code.as_u16(), requests_logged(&log)), (200, 1), "{log}");
    assert!(
        !log.contains("status=401") && log.contains("status=200"),
        "{log}"
    );
    assert!(!log.contains("authorization"), "{log}");
    assert!(!log.contains("s3cret"), "{log}");
}

/// `Trace` redacts header values that are marked sensitive.
#[tokio::test(start_paused = true)]
async fn trace_inside_logs_each_attempt_with_redacted_headers() {
    let layers = ServiceBuilder::new()
        .layer(only_api(scripted(&["s3cret-1", "s3cret-2"])))
        .layer(trace());
    let api = Api::accepting(&Valid::of(&["s3cret-2"]));
    let (log, code) = log_of(layers, api).await;
    assert_eq!((code.as_u16(), requests_logged(&log)), (200, 2), "{log}");
    assert!(
        log.contains("status=401") && log.contains("status=200"),
        "{log}"
    );
    assert!(log.contains(r#""authorization": Sensitive"#), "{log}");
    assert!(!log.contains("s3cret"), "{log}");

    let origins = || Origins::only("https://api.example.com").unwrap();
    let ok = || Api::new(|_| (Duration::ZERO, status(200)));
    let basic = AuthLayer::new(Basic::new("me", "s3cret").unwrap(), origins());
    let layers = ServiceBuilder::new().layer(basic).layer(trace());
    let (log, _) = log_of(layers, ok()).await;
    assert!(log.contains(r#""authorization": Sensitive"#), "{log}");

    let key = AuthLayer::new(ApiKey::header("x-api-key", "s3cret").unwrap(), origins());
    let layers = ServiceBuilder::new().layer(key).layer(trace());
    let (log, _) = log_of(layers, ok()).await;
    assert!(log.contains(r#""x-api-key": Sensitive"#), "{log}");
    assert!(!log.contains("s3cret"), "{log}");
}

/// Pitfall: `Trace` does not redact URIs.
#[tokio::test(start_paused = true)]
async fn trace_inside_logs_a_key_in_the_query() {
    let auth = || {
        let origins = Origins::only("https://api.example.com").unwrap();
        AuthLayer::new(ApiKey::query("key", "s3cret").unwrap(), origins)
    };
    let api = || Api::new(|_| (Duration::ZERO, status(200)));
    let inside = ServiceBuilder::new().layer(auth()).layer(trace());
    let (log, _) = log_of(inside, api()).await;
    assert!(log.contains("s3cret"), "{log}");

    let outside = ServiceBuilder::new().layer(trace()).layer(auth());
    let (log, _) = log_of(outside, api()).await;
    assert!(!log.contains("s3cret"), "{log}");
}
